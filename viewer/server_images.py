"""Images rendered on the server that follow the camera of each tab: coarse while anything moves, full when it rests."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
import viser
from jaxtyping import Float, UInt8

from avatar.geometry import invert_rigid, rigid, rotation_from_quat
from avatar.rendering.renderer import render, resolve_backend
from avatar.types import Cameras, Gaussians
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState

FAR = 160.0  # metres; viser packs depths below 167 m
REST_SECONDS = 0.3  # a camera at rest for this long gets the full image
COARSE_SIDE = {"gsplat": 960, "cpu": 320, "reference": 160}  # long side of images in motion, pixels
FULL_SIDE = {"gsplat": 1920, "cpu": 960, "reference": 320}


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


class ServerImageLayer:
    """Sends each tab the image of its camera, as the background of its scene."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self.server, self.session = server, session
        self.backend = resolve_backend("auto", session.avatar.device)
        self.sent: dict[int, Sent] = {}

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
            self._update(key, client, state, posed)

    def _update(self, key: int, client: viser.ClientHandle, state: ViewState, posed: PosedState) -> None:
        camera, now, last = client.camera, time.monotonic(), self.sent.get(key)
        view_key = np.concatenate([camera.wxyz, camera.position, [camera.fov, camera.aspect]]).tobytes()
        same = (
            last is not None
            and last.posed is posed
            and last.background == state.background
            and last.view_key == view_key
        )
        if last is not None and same and (last.full or now - last.changed_at < REST_SECONDS):
            return
        side = (FULL_SIDE if same else COARSE_SIDE)[self.backend]
        image, depth = render_image_and_depth(
            self.session.gaussians(posed), client_camera(camera, side), state.background
        )
        # The depth lets the browser hide what lies behind the person: ground, cameras, gizmos.
        client.scene.set_background_image(image, format="jpeg", jpeg_quality=90 if same else 75, depth=depth)
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
