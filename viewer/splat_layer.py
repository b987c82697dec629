"""The splats in the browser: skinned here, exact in every frame, also while a motion plays."""

from __future__ import annotations

import numpy as np
import torch
import viser
from jaxtyping import UInt32

from avatar.geometry import rotation_from_quat
from avatar.types import Gaussians
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState

# The browser holds covariances as float16, in which anything flatter than this would vanish.
THINNEST = 5e-4
UPPER = ([0, 0, 0, 1, 1, 2], [0, 1, 2, 1, 2, 2])  # rows and columns of a covariance's upper triangle


def packed(gaussians: Gaussians) -> UInt32[np.ndarray, "n 8"]:
    """Gaussians in the memory layout of `viser.GaussianSplatHandle.buffer`, which the graphics card reads as it is.

    For each splat: the centre (3 float32, metres), one word unused, the upper triangle of the covariance (6 float16,
    square metres) and the colour with its opacity (4 bytes).
    """
    spread = rotation_from_quat(gaussians.quats) * gaussians.scales.clamp_min(THINNEST)[:, None]
    covariances = (spread @ spread.mT)[:, UPPER[0], UPPER[1]].half()
    colors = torch.cat([gaussians.colors, gaussians.opacities[:, None]], 1).clamp(0, 1) * 255
    buffer = np.zeros((len(gaussians), 8), np.uint32)
    buffer[:, 0:3] = gaussians.means.float().cpu().contiguous().numpy().view(np.uint32)
    buffer[:, 4:7] = covariances.cpu().contiguous().numpy().view(np.uint32)
    buffer[:, 7:8] = colors.round().byte().cpu().contiguous().numpy().view(np.uint32)
    return buffer


def add_splats(scene: viser.SceneApi, name: str, gaussians: Gaussians) -> viser.GaussianSplatHandle:
    """Gaussians as a node of the scene, to be moved by `handle.buffer = packed(...)`."""
    one = np.zeros((1, 3))
    handle = scene.add_gaussian_splats(name, one, np.eye(3)[None] * THINNEST, one, one[:, :1])
    handle.buffer = packed(gaussians)
    return handle


class SplatLayer:
    """Draws the avatar's splats into the scene that all tabs share."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self.scene, self.session = server.scene, session
        self.handle: viser.GaussianSplatHandle | None = None
        self.standing: viser.GaussianSplatHandle | None = None
        self.displayed: PosedState | None = None

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Draw `posed` if `state` has splats in the browser. Nothing is sent that the browser already shows."""
        visible = state.splats and state.drawing == "splats"
        if visible and posed is not self.displayed:
            self.displayed = posed
            gaussians = self.session.person(posed)
            if self.handle is None:
                self.handle = add_splats(self.scene, "/splats", gaussians)
            else:
                self.handle.buffer = packed(gaussians)
        if self.handle is not None:
            self.handle.visible = visible
        self._show_scene(visible and state.scene)

    def _show_scene(self, visible: bool) -> None:
        """What stands still is sent once."""
        if self.standing is None and visible and self.session.scene is not None:
            self.standing = add_splats(self.scene, "/scene", self.session.scene)
        if self.standing is not None:
            self.standing.visible = visible
