"""The splats in the browser: exact when the pose stands still, in rigid groups while it moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import viser
from jaxtyping import Float
from viser._messages import SetOrientationMessage, SetPositionMessage

from avatar.geometry import rotation_from_quat
from avatar.types import BodyPose, Gaussians
from avatar.viewer.rigid_clusters import Clusters, cluster, rigid_motion, unposed
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState

# The browser holds covariances as float16, in which anything flatter than this would vanish.
THINNEST = 5e-4
STILL = 1e-4  # metres, or components of a quaternion: a group that moves less is not sent


@dataclass(frozen=True)
class SplatArrays:
    """Splats as viser takes them."""

    centers: Float[np.ndarray, "n 3"]
    covariances: Float[np.ndarray, "n 3 3"]
    rgbs: Float[np.ndarray, "n 3"]
    opacities: Float[np.ndarray, "n 1"]


def splat_arrays(gaussians: Gaussians) -> SplatArrays:
    """Gaussians as NumPy arrays with covariances (square metres)."""
    spread = rotation_from_quat(gaussians.quats) * gaussians.scales.clamp_min(THINNEST)[:, None]
    return SplatArrays(
        gaussians.means.cpu().numpy(),
        (spread @ spread.mT).cpu().numpy(),
        gaussians.colors.clamp(0, 1).cpu().numpy(),
        gaussians.opacities[:, None].cpu().numpy(),
    )


class SplatLayer:
    """Draws the avatar's splats into the scene that all tabs share."""

    def __init__(self, server: viser.ViserServer, session: Session) -> None:
        self.server, self.scene, self.session = server, server.scene, session
        self.exact: viser.GaussianSplatHandle | None = None
        self.moving = self.scene.add_frame("/splats/moving", show_axes=False, visible=False)
        self.groups: list[viser.GaussianSplatHandle] = []
        self.clusters: Clusters | None = None
        self.look: tuple[object, ...] = ()
        self.displayed: PosedState | None = None
        self.placed = np.zeros((0, 7), np.float32)

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Draw `posed` as `state` requires. Nothing is sent that the browser already shows."""
        visible = state.splats and state.drawing == "splats"
        moving = visible and (state.playing or state.held is not None)
        if moving:
            self._prepare_groups(state, posed)
            self._move_groups(posed.pose)
        elif visible:
            self._show_exact(posed)
        with self.server.atomic():
            self.moving.visible = moving
            if self.exact is not None:
                self.exact.visible = visible and not moving

    def _show_exact(self, posed: PosedState) -> None:
        if posed is self.displayed:
            return
        self.displayed = posed
        arrays = splat_arrays(self.session.gaussians(posed))
        if self.exact is None:
            self.exact = self.scene.add_gaussian_splats("/splats/exact", **vars(arrays))
        else:
            self.exact.set_gaussians(**vars(arrays))

    def _prepare_groups(self, state: ViewState, posed: PosedState) -> None:
        """Send the groups' splats, as they look now, if they were not sent yet or their look changed."""
        look = (state.colors, state.detail, state.opacity, state.betas, state.clip)
        if look == self.look:
            return
        avatar = self.session.avatar
        if self.clusters is None:
            self.clusters = cluster(avatar)
        for group in self.groups:
            group.remove()
        drawn = self.clusters.of(self.session.drawn(state.detail))
        arrays = splat_arrays(unposed(drawn, avatar, posed.pose, self.session.gaussians(posed)))
        group_of = drawn.group.cpu().numpy()
        self.groups = [
            self.scene.add_gaussian_splats(
                f"/splats/moving/{index:03d}",
                **{name: values[group_of == index] for name, values in vars(arrays).items()},
            )
            for index in range(len(self.clusters.weights))
        ]
        self.placed = np.full((len(self.groups), 7), np.inf, np.float32)
        self.look = look

    def _move_groups(self, pose: BodyPose) -> None:
        assert self.clusters is not None
        quats, shifts = (part.cpu().numpy() for part in rigid_motion(self.clusters, self.session.avatar, pose))
        placed = np.concatenate([quats, shifts], 1)
        moved = np.abs(placed - self.placed).max(1) > STILL
        # Nothing is sent inside an atomic block, so the slow work is done before.
        with self.server.atomic():
            for index in np.flatnonzero(moved):
                name = self.groups[index].name
                # The handles' own setters compare with np.allclose first, which makes an update ten times as expensive.
                self.scene._queue_scene_message(SetOrientationMessage(name, tuple(quats[index].tolist())))
                self.scene._queue_scene_message(SetPositionMessage(name, tuple(shifts[index].tolist())))
        self.placed[moved] = placed[moved]
