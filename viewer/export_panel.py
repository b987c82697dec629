"""The Export tab: a screenshot, videos at a chosen size, and files for other programs."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import viser
from viser import Icon

from avatar.types import Cameras
from avatar.viewer.files_panel import files_folder
from avatar.viewer.record import FPS, TURN_SECONDS, clip_frames, turntable, write_video
from avatar.viewer.server_images import client_camera, render_image
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import ProgressCallback, Show, on_job

SIZES = {"480 × 640": (480, 640), "720 × 960": (720, 960), "1080 × 1440": (1080, 1440), "1280 × 720": (1280, 720)}


def export_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for videos and files; returns the function that shows a state in them."""
    size = gui.add_dropdown("Size", tuple(SIZES))
    still = gui.add_button("Screenshot", icon=Icon.CAMERA, hint="P")
    turn = gui.add_button("Turntable video", icon=Icon.ROTATE_360)
    video = gui.add_button("Video of this motion", icon=Icon.MOVIE)
    view = gui.add_checkbox("From this view", True, hint="Otherwise from the front, with the whole motion in view")

    def record_clip(client: viser.ClientHandle, report: ProgressCallback) -> str:
        state = store.state
        clip = session.displayed_clip(state).even
        pixels = SIZES[size.value]
        camera = fitted_camera(client, pixels) if view.value else None
        frames = clip_frames(session, state, clip, pixels, camera)
        return _send_video(client, f"{_plain(state.clip)}.mp4", frames, clip.fps, len(clip), report)

    def record_turntable(client: viser.ClientHandle, report: ProgressCallback) -> str:
        frames = turntable(session, store.state, SIZES[size.value])
        return _send_video(client, "turntable.mp4", frames, FPS, FPS * TURN_SECONDS, report)

    on_job(still, "Screenshot", lambda client, _: screenshot(client, session, store.state, SIZES[size.value]))
    on_job(turn, "Turntable video", record_turntable)
    on_job(video, "Video", record_clip)

    @gui.add_command("Screenshot", hotkey="P", icon=Icon.CAMERA).on_trigger
    def _(event: viser.CommandEvent) -> None:
        if event.client is not None:
            screenshot(event.client, session, store.state, SIZES[size.value])

    files_folder(gui, store, session)
    return lambda state: None


def screenshot(client: viser.ClientHandle, session: Session, state: ViewState, size: tuple[int, int]) -> str:
    """Download the view of the tab, rendered at `size` (width, height)."""
    from PIL import Image

    gaussians = session.gaussians(session.posed_state(state))
    image = render_image(gaussians, fitted_camera(client, size), state.background)
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
    fps: float,
    total: int,
    report: ProgressCallback,
) -> str:
    """Render a video while reporting progress, and download it in the tab that requested it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_video(path, frames, fps, lambda done: report(f"{done} of {total} frames"))
        content = path.read_bytes()
    client.send_file_download(name, content, save_immediately=True)
    return f"{name} is downloaded ({len(content) / 2**20:.1f} MB)."


def _plain(name: str) -> str:
    """A motion's name as a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in name).strip("-") or "motion"
