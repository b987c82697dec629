"""The avatar in the browser while it trains. The trainer calls `after_step`, which never waits for a slow tab."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import torch
import viser
from jaxtyping import Float
from viser import Icon, uplot

from avatar.model.avatar import Avatar
from avatar.types import BodyPose, Gaussians
from avatar.viewer.app import configure_theme, frame_subject
from avatar.viewer.auth import Auth, authenticated_server
from avatar.viewer.browser import Browser
from avatar.viewer.clips import MAX_BYTES
from avatar.viewer.posing import a_pose, on_the_floor
from avatar.viewer.splat_layer import add_splats, packed
from avatar.viewer.widgets import on_press, set_if_changed

UPDATE_SECONDS = 0.7
PAUSE_LOOK_SECONDS = 0.1
PLOT_POINTS = 300


class LivePreview:
    """Shows a training run; meets `avatar.training.trainer.Preview`.

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
        self._latest: tuple[Gaussians, int, float] | None = None
        self._arrived = threading.Condition()
        self._build()
        threading.Thread(target=self._draw_forever, name="preview", daemon=True).start()
        print(f"watch it:    http://localhost:{self.port}", flush=True)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self.server.get_port()

    def _build(self) -> None:
        configure_theme(self.server)
        self.browser = Browser(self.server, MAX_BYTES, ())
        gui = self.server.gui
        self.text = gui.add_markdown("The person is detected and tracked first; then training begins …")
        nothing = np.zeros(1)
        self.plot = gui.add_uplot(
            (nothing, nothing), (uplot.Series(label="step"), uplot.Series(label="loss", stroke="#2463eb", width=2)),
            scales={"x": uplot.Scale(time=False)}, height=160, visible=False,
        )  # fmt: skip
        self.pause = gui.add_button("Pause", icon=Icon.PLAYER_PAUSE)
        self.stop_button = gui.add_button("Stop and keep", icon=Icon.PLAYER_STOP, color="gray")
        on_press(self.pause, self._toggle_pause)
        on_press(self.stop_button, self._stop)

    def _toggle_pause(self) -> None:
        self._set_paused(not self.paused)

    def _set_paused(self, paused: bool) -> None:
        self.paused = paused
        set_if_changed(self.pause, label="Go on" if self.paused else "Pause")
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

    def close(self) -> None:
        """Stop serving."""
        self.server.stop()

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
            frame_subject(self.server, (gaussians.means.amin(0), gaussians.means.amax(0)))
            self.splats = add_splats(self.server.scene, "/avatar", gaussians)
        else:
            self.splats.buffer = packed(gaussians)
        self.server.flush()


def smooth(values: Float[np.ndarray, " n"], keep: float = 0.95) -> Float[np.ndarray, " n"]:
    """Exponential running mean, so that the loss of single frames does not hide the trend."""
    out = np.array(values, dtype=float)
    for index in range(1, len(out)):
        out[index] = keep * out[index - 1] + (1 - keep) * out[index]
    return out
