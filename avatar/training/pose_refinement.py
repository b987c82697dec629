"""Corrections of the tracked poses, learned from the images together with the avatar."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.types import BodyPose, BodyTrack

LEFT_WRIST, RIGHT_WRIST = (SMPL_JOINTS.index(f"{side}_wrist") for side in ("left", "right"))


class InstantRow(NamedTuple):
    """What corrects the pose of one instant, or of several: rows of the tensors of `PoseRefinement`."""

    interpolation: Float[Tensor, "i trained"]
    root_position: Float[Tensor, "i 3"]
    rotations: Float[Tensor, "i j 3 3"]
    fingers: Float[Tensor, "i f 3 3"]
    face: Float[Tensor, "i u"]


class PoseRefinement(nn.Module):
    """Small rotations of each joint and translations of the root, learned at the trained instants.

    Held-out instants take the correction of their neighbours in time, never one of their own, so that held-out frames
    stay an honest test.

    Attributes:
        delta_rotvec: rotation vectors in each joint's own frame, radians; delta_translation: metres in the world.
        delta_hands: rotation vectors of both wrists and the fingers for the whole clip: what a network mistakes about
            a hand lasts, and one frame shows too little of it. None without fingers.
        trained_instants: indices of the instants that have corrections of their own.
        interpolation: weights of the trained instants' corrections at every instant.
        root_positions, rotations, fingers, face: the tracked poses, on the device of the corrections; no rows of
            fingers and no columns of the face where none were tracked. The face is what goes beyond the usual one,
            which is the avatar's own.
    """

    interpolation: Tensor
    root_positions: Tensor
    rotations: Tensor
    fingers: Tensor
    face: Tensor
    delta_hands: nn.Parameter | None

    def __init__(self, track: BodyTrack, trained: Bool[Tensor, " instants"]) -> None:
        super().__init__()
        self.track = track
        self.trained_instants: list[int] = trained.nonzero().squeeze(1).tolist()
        joints = track.poses.rotations.shape[-3]
        count = int(trained.sum())
        self.delta_rotvec = nn.Parameter(torch.zeros(count, joints, 3))
        self.delta_translation = nn.Parameter(torch.zeros(count, 3))
        fingers = track.poses.fingers
        if fingers is None:
            fingers = track.poses.rotations[:, :0]
        self.delta_hands = nn.Parameter(torch.zeros(2 + fingers.shape[1], 3)) if fingers.shape[1] else None
        self.register_buffer("interpolation", interpolation_matrix(track.times, trained), persistent=False)
        self.register_buffer("root_positions", track.poses.root_position, persistent=False)
        self.register_buffer("rotations", track.poses.rotations, persistent=False)
        self.register_buffer("fingers", fingers, persistent=False)
        face = track.poses.face
        self.register_buffer("face", track.times.new_zeros(len(track), 0) if face is None else face, persistent=False)

    def pose(self, instant: int) -> BodyPose:
        """The corrected pose of one instant."""
        return self.corrected(self.row(instant))[0]

    def row(self, instant: int) -> InstantRow:
        """What `corrected` needs for one instant."""
        return self._rows(slice(instant, instant + 1))

    @torch.no_grad()
    def refined(self) -> BodyTrack:
        """The whole track with the corrections applied, on the track's own device."""
        return replace(self.track, poses=self.corrected(self._rows(slice(None))).to(self.track.times.device))

    @torch.no_grad()
    def trained_poses(self) -> BodyPose:
        """The corrected poses of the trained instants."""
        return self.corrected(self._rows(torch.tensor(self.trained_instants)))

    @torch.no_grad()
    def correct(self, steps: Float[Tensor, "trained j 3 3"], moves: Float[Tensor, "trained 3"]) -> None:
        """Correct the trained instants further.

        Args:
            steps: rotations in the frames of the corrected joints, perhaps of more joints than the track has.
            moves: translations of the root in the world, metres.
        """
        joints = self.delta_rotvec.shape[1]
        rotation = rotation_from_rotvec(self.delta_rotvec) @ steps[:, :joints].to(self.delta_rotvec.device)
        self.delta_rotvec.copy_(rotation_to_rotvec(rotation))
        self.delta_translation.add_(moves.to(self.delta_translation.device))

    def corrected(self, rows: InstantRow) -> BodyPose:
        """The corrected poses of rows of instants."""
        rotvec = torch.einsum("it,tjk->ijk", rows.interpolation, self.delta_rotvec)
        position = rows.root_position + rows.interpolation @ self.delta_translation
        corrections = rotation_from_rotvec(rotvec)
        face = rows.face if rows.face.shape[1] else None
        if self.delta_hands is None:
            return BodyPose(position, rows.rotations @ corrections, face=face)
        hands = rotation_from_rotvec(self.delta_hands)
        still = torch.eye(3, device=hands.device).expand(rows.rotations.shape[1], 3, 3)
        lasting = torch.cat([still[:LEFT_WRIST], hands[:2], still[RIGHT_WRIST + 1 :]])
        return BodyPose(position, rows.rotations @ lasting @ corrections, rows.fingers @ hands[2:], face)

    def _rows(self, instants: slice | Tensor) -> InstantRow:
        return InstantRow(
            self.interpolation[instants],
            self.root_positions[instants],
            self.rotations[instants],
            self.fingers[instants],
            self.face[instants],
        )


def interpolation_matrix(
    times: Float[Tensor, " instants"], trained: Bool[Tensor, " instants"]
) -> Float[Tensor, "instants trained"]:
    """Weights that interpolate the corrections of the trained instants at every instant.

    Cubic spline in time, since a step or a swing changes within a few frames; linear over gaps of more than three
    usual strides, where a spline would overshoot; constant before the first and after the last trained instant.
    """
    from scipy.interpolate import CubicSpline

    knots, instants = times[trained].double().cpu().numpy(), times.double().cpu().numpy()
    basis = np.eye(len(knots))
    weights = np.stack([np.interp(instants, knots, column) for column in basis], axis=1)
    if len(knots) > 2:
        strides = np.diff(knots)
        stride = strides[np.searchsorted(knots, instants).clip(1, len(strides)) - 1]
        inside = (instants > knots[0]) & (instants < knots[-1]) & (stride < 3.5 * np.median(strides))
        weights[inside] = CubicSpline(knots, basis)(instants[inside])
    return torch.from_numpy(weights).to(times)
