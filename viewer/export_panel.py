"""Taking things along: a still, films at a chosen size, and files for other programs."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import viser
from viser import Icon

from avatar.viewer.files_panel import files_folder
from avatar.viewer.pictures import client_camera, picture_of
from avatar.viewer.record import FPS, TURN_SECONDS, clip_frames, turntable, write_film
from avatar.viewer.state import Store, ViewState
from avatar.viewer.subject import Subject
from avatar.viewer.widgets import Show, Tell, on_job

SIZES = {"480 × 640": (480, 640), "720 × 960": (720, 960), "1080 × 1440": (1080, 1440), "1280 × 720": (1280, 720)}


def export_panel(gui: viser.GuiApi, store: Store, subject: Subject) -> Show:
    """Build the widgets for films and files; returns the function that shows a state in them."""
    size = gui.add_dropdown("Size", tuple(SIZES))
    still = gui.add_button("Screenshot", icon=Icon.CAMERA, hint="P")
    turn = gui.add_button("Turntable film", icon=Icon.ROTATE_360)
    film = gui.add_button("Film of this motion", icon=Icon.MOVIE)
    view = gui.add_checkbox("From this view", True, hint="Otherwise from the front, with the whole motion in view")

    def film_clip(client: viser.ClientHandle, tell: Tell) -> str:
        state = store.state
        clip = subject.shown(state)
        pixels = SIZES[size.value]
        camera = fitted_camera(client, pixels) if view.value else None
        frames = clip_frames(subject, state, clip, pixels, camera)
        return _send_film(client, f"{_plain(state.clip)}.mp4", frames, clip.fps, len(clip), tell)

    def film_turn(client: viser.ClientHandle, tell: Tell) -> str:
        frames = turntable(subject, store.state, SIZES[size.value])
        return _send_film(client, "turntable.mp4", frames, FPS, FPS * TURN_SECONDS, tell)

    on_job(still, "Screenshot", lambda client, _: screenshot(client, subject, store.state, SIZES[size.value]))
    on_job(turn, "Turntable film", film_turn)
    on_job(film, "Film", film_clip)

    @gui.add_command("Screenshot", hotkey="P", icon=Icon.CAMERA).on_trigger
    def _(event: viser.CommandEvent) -> None:
        if event.client is not None:
            screenshot(event.client, subject, store.state, SIZES[size.value])

    files_folder(gui, store, subject)
    return lambda state: None


def screenshot(client: viser.ClientHandle, subject: Subject, state: ViewState, size: tuple[int, int]) -> str:
    """Download what the tab sees, rendered at `size`."""
    from PIL import Image

    gaussians = subject.gaussians(subject.moment(state))
    picture = picture_of(gaussians, fitted_camera(client, size), state.background)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG")
    client.send_file_download("avatar.png", file.getvalue(), save_immediately=True)
    return "avatar.png is downloaded."


def fitted_camera(client: viser.ClientHandle, size: tuple[int, int]):
    """The camera of a tab for a picture of `size`: the same view, cut or widened sideways."""
    camera = client_camera(client.camera, size[1])
    scale = size[1] / camera.height
    whole = camera.resized(round(camera.width * scale), size[1])
    return whole.cropped((whole.width - size[0]) // 2, 0, *size)


def _send_film(
    client: viser.ClientHandle, name: str, frames: Iterator[np.ndarray], fps: float, total: int, tell: Tell
) -> str:
    """Render a film, telling how far it is, and download it in the tab that asked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_film(path, frames, fps, lambda done: tell(f"{done} of {total} frames"))
        content = path.read_bytes()
    client.send_file_download(name, content, save_immediately=True)
    return f"{name} is downloaded ({len(content) / 2**20:.1f} MB)."


def _plain(name: str) -> str:
    """A motion's name as a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-") or "motion"
