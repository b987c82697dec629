"""The Export tab: a screenshot, videos at a chosen size and along a camera path, and files for other programs."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import viser
from viser import Icon

from avatar.errors import AvatarError
from avatar.types import Cameras
from avatar.viewer.camera_path import view_of
from avatar.viewer.files_panel import files_folder
from avatar.viewer.record import FPS, TURN_SECONDS, Finish, clip_frames, path_frames, still, turntable, write_video
from avatar.viewer.server_images import client_camera
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import ProgressCallback, Show, on_job, set_if_changed

SIZES = {
    "480 × 640": (480, 640), "720 × 960": (720, 960), "1080 × 1440": (1080, 1440), "1280 × 720": (1280, 720),
    "1080 × 1920 (9:16)": (1080, 1920), "1920 × 1080 (16:9)": (1920, 1080), "3840 × 2160 (4K)": (3840, 2160),
    "2160 × 3840 (4K, 9:16)": (2160, 3840),
}  # fmt: skip


def export_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for videos and files; returns the function that shows a state in them."""
    size = gui.add_dropdown("Size", tuple(SIZES))
    transparent = gui.add_checkbox("Transparent", False, hint="No background: PNG, and WebM for videos")
    blur = gui.add_checkbox("Motion blur", False, hint="Takes six times as long")
    take = gui.add_button("Screenshot", icon=Icon.CAMERA, hint="P")
    turn = gui.add_button("Turntable video", icon=Icon.ROTATE_360)
    video = gui.add_button("Video of this motion", icon=Icon.MOVIE)
    from_view = gui.add_checkbox("From this view", True, hint="Otherwise from the front, with the whole motion in view")
    with gui.add_folder("Camera path"):
        add = gui.add_button("Add this view", icon=Icon.CAMERA_PLUS, color="gray")
        along = gui.add_button("Video along the path", icon=Icon.ROUTE)

    def finish() -> Finish:
        return Finish(store.state.background, transparent.value, blur.value)

    def suffix() -> str:
        return "webm" if transparent.value else "mp4"

    def record_clip(client: viser.ClientHandle, report: ProgressCallback) -> str:
        state = store.state
        clip = session.swinging_clip(state, even=True)
        pixels = SIZES[size.value]
        camera = fitted_camera(client, pixels) if from_view.value else None
        frames = clip_frames(session, state, clip, pixels, camera, finish())
        return _send_video(client, f"{_plain(state.clip)}.{suffix()}", frames, clip.fps, len(clip), report)

    def record_turntable(client: viser.ClientHandle, report: ProgressCallback) -> str:
        frames = turntable(session, store.state, SIZES[size.value], finish())
        return _send_video(client, f"turntable.{suffix()}", frames, FPS, FPS * TURN_SECONDS, report)

    def record_path(client: viser.ClientHandle, report: ProgressCallback) -> str:
        state = store.state
        if len(state.views) < 2:
            raise AvatarError("Add at least two views first.")
        count, frames = path_frames(session, state, session.swinging_clip(state), SIZES[size.value], finish())
        return _send_video(client, f"camera-path.{suffix()}", frames, FPS, count, report)

    def photograph(client: viser.ClientHandle, report: ProgressCallback) -> str:
        return screenshot(client, session, store.state, SIZES[size.value], finish())

    on_job(take, "Screenshot", photograph)
    on_job(turn, "Turntable video", record_turntable)
    on_job(video, "Video", record_clip)
    on_job(along, "Video along the path", record_path)

    @add.on_click
    def _(event: viser.GuiEvent[viser.GuiButtonHandle]) -> None:
        if event.client is not None:
            view = view_of(event.client.camera)
            store.change(lambda state: replace(state, views=(*state.views, view)))

    @gui.add_command("Screenshot", hotkey="P", icon=Icon.CAMERA).on_trigger
    def _(event: viser.CommandEvent) -> None:
        if event.client is not None:
            photograph(event.client, _quietly)

    files_folder(gui, store, session)

    def show(state: ViewState) -> None:
        set_if_changed(along, disabled=len(state.views) < 2)

    return show


def screenshot(
    client: viser.ClientHandle, session: Session, state: ViewState, size: tuple[int, int], finish: Finish
) -> str:
    """Download the view of the tab, rendered at `size` (width, height)."""
    from PIL import Image

    camera = fitted_camera(client, size)
    image = still(session.gaussians(session.posed_state(state), camera), camera, finish)
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    client.send_file_download("avatar.png", file.getvalue(), save_immediately=True)
    return "avatar.png is downloaded."


def fitted_camera(client: viser.ClientHandle, size: tuple[int, int]) -> Cameras:
    """The camera of a tab for an image of `size` (width, height): the same view, cropped or widened sideways."""
    camera = client_camera(client.camera, size[1])
    scale = size[1] / camera.height
    whole = camera.resized(round(camera.width * scale), size[1])
    return whole.cropped((whole.width - size[0]) // 2, 0, *size)


def _send_video(
    client: viser.ClientHandle,
    name: str,
    frames: Iterator[np.ndarray],
    fps: float | int,
    total: int,
    report: Callable[[str], None],
) -> str:
    """Render a video while reporting progress, and download it in the tab that requested it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_video(path, frames, fps, lambda done: report(f"{done} of {total} frames"))
        content = path.read_bytes()
    client.send_file_download(name, content, save_immediately=True)
    return f"{name} is downloaded ({len(content) / 2**20:.1f} MB)."


def _quietly(text: str) -> None:
    """Report no progress."""


def _plain(name: str) -> str:
    """A motion's name as a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-") or "motion"
