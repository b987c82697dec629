"""Images rendered on the server that follow the camera of each tab: as large as the machine keeps up with while
anything moves, as large as the tab when it rests."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
import viser
from jaxtyping import Float, UInt8

from avatar.geometry import invert_rigid, rigid, rotation_from_quat
from avatar.rendering.renderer import render
from avatar.types import Cameras, Gaussians
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState

FAR = 160.0  # metres; viser packs depths below 167 m
REST_SECONDS = 0.3  # a camera at rest for this long gets the full image
FULL_SIDE = 2560  # longest side of any image, pixels
SMALLEST_SIDE = 320
MOVING_QUALITY, FULL_QUALITY = 88, 95  # of JPEG
MOVING_SECONDS = 1 / 32  # what the images of one update may take, so that 24 updates per second have room to spare
FIRST_PIXELS = 400_000  # of an image in motion before anything was measured
SMOOTHING = 0.15  # weight of the newest measurement


@dataclass(frozen=True)
class Sent:
    """The image that a tab was last sent.

    Attributes:
        posed: the pose and look it shows.
        background: sRGB bytes.
        view_key: the tab's camera, as bytes to compare.
        full: whether it has the full resolution.
        changed_at: when the view last changed, seconds of the monotonic clock.
    """

    posed: PosedState
    background: tuple[int, int, int]
    view_key: bytes
    full: bool
    changed_at: float


@dataclass
class PixelBudget:
    """The size of images in motion, from what the last ones cost.

    Attributes:
        pixels: of one image, so that one update takes `MOVING_SECONDS`.
    """

    pixels: float = FIRST_PIXELS

    def learn(self, pixels: int, seconds: float) -> None:
        """Note the time that an image took."""
        affordable = pixels * MOVING_SECONDS / max(seconds, 1e-4)
        # At most twice or half as many at once: one measurement may have been disturbed.
        affordable = min(max(affordable, self.pixels / 2), self.pixels * 2)
        self.pixels += SMOOTHING * (affordable - self.pixels)

    def side(self, aspect: float, largest: int, tabs: int = 1) -> int:
        """The long side of an image of this shape, when as many tabs want one each."""
        shape = max(aspect, 1 / aspect)
        affordable = math.sqrt(self.pixels / max(tabs, 1) * shape)
        return int(min(max(affordable, SMALLEST_SIDE), largest))


@dataclass
class ServerImageLayer:
    """Sends each tab the image of its camera, as the background of its scene."""

    server: viser.ViserServer
    session: Session
    sent: dict[int, Sent] = field(default_factory=dict)
    budget: PixelBudget = field(default_factory=PixelBudget)

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Bring every tab up to date; call this repeatedly, since cameras move without a change of state."""
        clients = self.server.get_clients()
        self.sent = {key: sent for key, sent in self.sent.items() if key in clients}
        if state.drawing != "images" or not state.splats:
            for key in list(self.sent):
                clients[key].scene.set_background_image(None)
                del self.sent[key]
            return
        for key, client in clients.items():
            self._update(key, client, state, posed, len(clients))

    def _update(self, key: int, client: viser.ClientHandle, state: ViewState, posed: PosedState, tabs: int) -> None:
        camera, now, last = client.camera, time.monotonic(), self.sent.get(key)
        view_key = np.concatenate(
            [camera.wxyz, camera.position, [camera.fov, camera.aspect, camera.image_height]]
        ).tobytes()
        same = (
            last is not None
            and last.posed is posed
            and last.background == state.background
            and last.view_key == view_key
        )
        if last is not None and same and (last.full or now - last.changed_at < REST_SECONDS):
            return
        largest = min(max(camera.image_width, camera.image_height, SMALLEST_SIDE), FULL_SIDE)
        side = largest if same else self.budget.side(camera.aspect, largest, tabs)
        view = client_camera(camera, side)
        gaussians = self.session.gaussians(posed, view)  # posed before the clock starts: that part has no size
        began = time.perf_counter()
        image, depth = render_image_and_depth(gaussians, view, state.background)
        # The depth lets the browser hide what lies behind the person: ground, cameras, gizmos. It is the costlier
        # half of the encoding, and nobody sees it, so in motion every second pixel of it is enough.
        client.scene.set_background_image(
            image,
            format="jpeg",
            jpeg_quality=FULL_QUALITY if same else MOVING_QUALITY,
            depth=depth if same else depth[::2, ::2],
        )
        if not same:
            self.budget.learn(image.shape[0] * image.shape[1], time.perf_counter() - began)
        self.sent[key] = Sent(posed, state.background, view_key, same, now)


@torch.no_grad()
def render_image_and_depth(
    gaussians: Gaussians, cameras: Cameras, background: tuple[int, int, int]
) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "h w"]]:
    """The image of the first of `cameras` over a background of sRGB bytes, and its depth, metres (`FAR`: nothing)."""
    out = render(gaussians, cameras[0].to(gaussians.means.device))
    composite = out.composite([value / 255 for value in background])[0]
    image = (composite.clamp(0, 1) * 255).round().byte()
    solid = out.alpha[0] > 0.5
    depth = torch.where(solid, out.depth[0] / out.alpha[0].clamp_min(0.5), FAR)
    return image.cpu().numpy(), depth.cpu().numpy()


def render_image(
    gaussians: Gaussians, cameras: Cameras, background: tuple[int, int, int]
) -> UInt8[np.ndarray, "h w 3"]:
    """The image of the first of `cameras` over a background of sRGB bytes."""
    return render_image_and_depth(gaussians, cameras, background)[0]


def client_camera(camera: viser.CameraHandle, long_side: int) -> Cameras:
    """The camera of a tab, for images of its shape and the given long side in pixels."""
    aspect = min(max(float(camera.aspect), 0.2), 5.0)
    width, height = (long_side, round(long_side / aspect)) if aspect >= 1 else (round(long_side * aspect), long_side)
    focal = height / 2 / math.tan(camera.fov / 2)
    R = rotation_from_quat(torch.tensor(camera.wxyz, dtype=torch.float32))
    T_world_camera = rigid(R, torch.tensor(camera.position, dtype=torch.float32))
    K = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Cameras(K[None], invert_rigid(T_world_camera)[None], width, height)
