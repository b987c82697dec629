"""Files for other programs and people, written by `avatar.exporters` and downloaded by the tab that requested them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import viser
from viser import Icon

from avatar.exporters.glb import write_glb
from avatar.exporters.html import PageOptions, write_page
from avatar.exporters.splats import write_ply
from avatar.model.spring_rings import swinging
from avatar.motion.motion import uniform_track
from avatar.pipeline.motions import FILMED, motions_for_page
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyTrack
from avatar.viewer.clips import TRAINING, Clip
from avatar.viewer.session import Session
from avatar.viewer.state import Store
from avatar.viewer.widgets import Job, ProgressCallback, on_job

Writer = Callable[[Session, Store, Path], None]


def files_folder(gui: viser.GuiApi, store: Store, session: Session) -> None:
    """Build one button for each kind of file."""
    if session.folder is None:
        return
    with gui.add_folder("Files"):
        for label, icon, name, write in (
            ("Page that opens anywhere (.html)", Icon.WORLD, "avatar.html", _page),
            ("Splats of this pose (.ply)", Icon.GRAIN, "avatar.ply", _splats),
            ("Mesh with this motion (.glb)", Icon.CUBE, "avatar.glb", _mesh),
        ):
            button = gui.add_button(label, icon=icon, color="gray")
            on_job(button, name, _download(store, session, name, write))


def _download(store: Store, session: Session, name: str, write: Writer) -> Job:
    def job(client: viser.ClientHandle, report: ProgressCallback) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            write(session, store, path)
            content = path.read_bytes()
        client.send_file_download(name, content, save_immediately=True)
        return f"{name} is downloaded ({len(content) / 2**20:.1f} MB)."

    return job


def _page(session: Session, store: Store, path: Path) -> None:
    """The page with the current motion first, then the video's and some built-in ones."""
    assert session.folder is not None
    clip = session.clip(store.state.clip)
    rest = motions_for_page(RunFolder(session.folder), session.avatar, ())
    first = {_page_name(clip.name): track_of(clip)}
    clips = first | {name: track for name, track in rest.items() if name not in first}
    person = session.avatar if store.state.springs else swinging(session.avatar, "off")
    scene, light = session.scene if store.state.scene else None, session.chosen_light(store.state.light)
    write_page(person, clips, path, PageOptions(session.folder.name, light=light, scene=scene))


def _splats(session: Session, store: Store, path: Path) -> None:
    # Translucency is for looking at the skeleton here; other programs get solid splats.
    write_ply(session.person(replace(session.posed_state(store.state), opacity=1.0)), path)


def _mesh(session: Session, store: Store, path: Path) -> None:
    clip = session.clip(store.state.clip)
    write_glb(session.avatar, path, None, {_page_name(clip.name): track_of(clip)})


def track_of(clip: Clip) -> BodyTrack:
    """A clip as the noun that exporters take."""
    even = clip.even
    poses = even.poses
    return uniform_track(poses.rotations, poses.root_position, even.fps, fingers=poses.fingers, face=poses.face)


def _page_name(name: str) -> str:
    return "as filmed" if name in (TRAINING, FILMED) else Path(name).stem
