"""How an avatar is made, in the browser: progress, frames, landmarks, the body, then splats while they are trained.

At the end the page becomes the viewer. The trainer calls `after_step`, which never waits for a slow tab.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import viser
from jaxtyping import Float
from viser import Icon, uplot

from avatar.body import Body
from avatar.model.avatar import Avatar
from avatar.runtime.progress import Progress, duration, listeners
from avatar.types import BodyPose, BodyTrack, Gaussians, Observations
from avatar.viewer.app import Viewer, configure_theme, frame_subject
from avatar.viewer.auth import Auth, authenticated_server
from avatar.viewer.browser import Browser
from avatar.viewer.camera_path import whole_person
from avatar.viewer.clips import MAX_BYTES
from avatar.viewer.posing import a_pose, on_the_floor
from avatar.viewer.session import open_session
from avatar.viewer.splat_layer import add_splats, packed
from avatar.viewer.stage_images import as_data, frame_with_body, frame_with_landmarks, newest_frame
from avatar.viewer.widgets import on_press, set_if_changed

UPDATE_SECONDS = 0.7
GOODBYE_SECONDS = 0.5  # until the last words have reached the pages
TITLES = {
    "finding the person": "Finding the person", "fit": "Fitting the body", "training": "Training the avatar",
    "turntable": "Rendering the turntable", "overlay": "Rendering the overlay",
}  # fmt: skip
PAUSE_LOOK_SECONDS = 0.1
PLOT_POINTS = 300
TOUR = 24  # frames of the video that are shown in turn


class LivePreview:
    """Shows how an avatar is made, from the first second; meets `avatar.pipeline.sources.Watcher`.

    Args:
        port: where to listen on 127.0.0.1; the next free port is taken when it is in use.
        pose: the pose to show; an A-pose if not given.
    """

    def __init__(self, port: int = 8080, pose: BodyPose | None = None) -> None:
        self.server = authenticated_server("127.0.0.1", port, Auth(), "avatar, in training")
        self.pose = pose
        self.paused = self.stopped = False
        self.last_update = 0.0
        self.psnr: float | None = None
        self.losses: list[tuple[int, float]] = []
        self.splats: viser.GaussianSplatHandle | None = None
        self.progress: dict[str, Any] = {"title": "Starting", "share": None, "note": "", "image": ""}
        self._images: Iterator[np.ndarray | None] = iter(())
        self._latest: tuple[Gaussians, int, float] | None = None
        self._arrived = threading.Condition()
        self._closed = threading.Event()
        self._build()
        listeners.append(self._progressed)
        for work in (self._draw_forever, self._show_progress_forever):
            threading.Thread(target=work, name="preview", daemon=True).start()
        print(f"watch it:    http://localhost:{self.port}", flush=True)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self.server.get_port()

    def _build(self) -> None:
        configure_theme(self.server)
        self.browser = Browser(self.server, MAX_BYTES, ("progress",))
        gui = self.server.gui
        self.text = gui.add_markdown("The person is detected and tracked first; then training begins.")
        nothing = np.zeros(1)
        self.plot = gui.add_uplot(
            (nothing, nothing), (uplot.Series(label="step"), uplot.Series(label="loss", stroke="#2463eb", width=2)),
            scales={"x": uplot.Scale(time=False)}, height=160, visible=False,
        )  # fmt: skip
        self.pause = gui.add_button("Pause", icon=Icon.PLAYER_PAUSE, disabled=True)
        self.stop_button = gui.add_button("Stop and save", icon=Icon.PLAYER_STOP, color="gray", disabled=True)
        on_press(self.pause, self._toggle_pause)
        on_press(self.stop_button, self._stop)

    def _toggle_pause(self) -> None:
        self._set_paused(not self.paused)

    def _set_paused(self, paused: bool) -> None:
        self.paused = paused
        set_if_changed(self.pause, label="Resume" if self.paused else "Pause")
        set_if_changed(self.pause, icon=Icon.PLAYER_PLAY if self.paused else Icon.PLAYER_PAUSE)

    def _stop(self) -> None:
        self.stopped = True
        self._set_paused(False)
        set_if_changed(self.pause, disabled=True)
        set_if_changed(self.stop_button, disabled=True, label="Stopped: the run is being finished …")

    def after_step(self, step: int, avatar: Avatar, loss: float, psnr: float | None) -> bool:
        """Show the avatar from time to time; returns False when the person at the page wants to stop.

        While paused this waits, but only as long as a page is open: closing the tab cannot stall a run.
        """
        if psnr is not None and math.isfinite(psnr):
            self.psnr = psnr
        if not self.losses:  # before the first step there is nothing to pause
            self.pause.disabled = self.stop_button.disabled = False
        self.losses.append((step, loss))
        now = time.monotonic()
        if now - self.last_update >= UPDATE_SECONDS and self.server.get_clients():
            self.last_update = now
            with torch.no_grad():
                pose = self._preview_pose(avatar)
                gaussians = avatar.pose(pose.to(avatar.device)).detach()
            # Copied to the host here, since training changes the parameters as soon as this returns.
            with self._arrived:
                self._latest = (gaussians.to("cpu"), step, loss)
                self._arrived.notify()
        while self.paused and not self.stopped and self.server.get_clients():
            time.sleep(PAUSE_LOOK_SECONDS)
        if self.paused:
            self._set_paused(False)
        return not self.stopped

    def started(self, folder: Path) -> None:
        """Observation begins, and writes its frames below `folder`."""
        self._images = (newest_frame(folder) for _ in itertools.count())

    def observed(self, observations: Observations) -> None:
        """The person was detected: show frames with outline and landmarks."""
        self._images = (frame_with_landmarks(observations, index) for index in _tour(len(observations)))

    def tracked(self, observations: Observations, track: BodyTrack, body: Body) -> None:
        """The body was fitted: show it over the frames, until there are splats."""
        if track.cameras is not None:
            self._images = (frame_with_body(observations, track, body, index) for index in _tour(len(observations)))

    def say_goodbye(self, text: str) -> None:
        """What open pages say from now on while they reach no server."""
        if self.server.get_clients():
            self.browser.show({"progress": self.progress, "farewell": text})
            self.server.flush()
            time.sleep(GOODBYE_SECONDS)

    def become_viewer(self, folder: Path) -> Viewer:
        """End this page and serve the viewer of the finished run at the same address, to which open pages go."""
        port = self.port
        self.close()
        viewer = Viewer(open_session(folder), port=port)
        viewer.start()
        return viewer

    def close(self) -> None:
        """Stop serving."""
        self._closed.set()
        if self._progressed in listeners:
            listeners.remove(self._progressed)
        self.server.stop()

    def _progressed(self, progress: Progress) -> None:
        left = progress.seconds_left()
        self.progress |= {
            "title": TITLES.get(progress.label, progress.label.capitalize()),
            "share": None if not progress.total else progress.done / progress.total,
            "note": "" if left is None else f"about {duration(left)} left",
        }

    def _show_progress_forever(self) -> None:
        """Bring the bar and the image of all tabs up to date from time to time."""
        while not self._closed.wait(UPDATE_SECONDS):
            if not self.server.get_clients():
                continue
            image = None if self.splats is not None else next(self._images, None)
            if self.splats is not None:
                self.progress |= {"image": ""}
            elif image is not None:
                self.progress |= {"image": as_data(image)}
            self.browser.show({"progress": dict(self.progress)})

    def _preview_pose(self, avatar: Avatar) -> BodyPose:
        if self.pose is None:
            self.pose = on_the_floor(avatar.body, avatar.rest, a_pose(torch.zeros(3)))
        return self.pose

    def _draw_forever(self) -> None:
        """Send the newest state; states that came while the last one was sent are skipped."""
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._latest is not None)
                latest, self._latest = self._latest, None
            assert latest is not None
            self._draw(*latest)

    def _draw(self, gaussians: Gaussians, step: int, loss: float) -> None:
        quality = "" if self.psnr is None else f" · PSNR in the person's box **{self.psnr:.2f} dB**"
        self.text.content = f"step **{step}** · loss **{loss:.4f}**{quality} · {len(gaussians)} splats"
        steps, losses = np.array(list(self.losses), dtype=float).T
        every = math.ceil(len(steps) / PLOT_POINTS)
        self.plot.data = (steps[::every].copy(), smooth(losses)[::every].copy())
        self.plot.visible = len(steps) > 2
        # The page gives the memory of a whole parcel with splats away to its sorter; a plot in the same parcel is lost.
        self.server.flush()
        if self.splats is None:
            box = gaussians.means.amin(0), gaussians.means.amax(0)
            frame_subject(self.server, whole_person(box, aspect=1.0))
            self.splats = add_splats(self.server.scene, "/avatar", gaussians)
        else:
            self.splats.buffer = packed(gaussians)
        self.server.flush()


def _tour(count: int) -> Iterator[int]:
    """Frames from one end of a video to the other, over and over."""
    step = max(count // TOUR, 1)
    return itertools.cycle(range(0, count, step))


def smooth(values: Float[np.ndarray, " n"], keep: float = 0.95) -> Float[np.ndarray, " n"]:
    """Exponential running mean, so that the loss of single frames does not hide the trend."""
    out = np.array(values, dtype=float)
    for index in range(1, len(out)):
        out[index] = keep * out[index - 1] + (1 - keep) * out[index]
    return out
