"""Corrections of the tracked poses, learned together with the avatar from the pictures themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from avatar.geometry import rotation_from_rotvec
from avatar.types import BodyPose, BodyTrack


class PoseRefinement(nn.Module):
    """Small rotations of each joint and shifts of the root at the instants that training sees.

    Left-out instants take the correction of their neighbours in time, never one of their own, so that frames left
    out of training stay an honest test.

    Attributes:
        turns: rotation vectors in each joint's own frame; shifts: metres in the world.
        spread: weights of the trained instants' corrections at every instant.
        root_positions, rotations: the tracked poses, where the corrections are.
    """

    spread: Tensor
    root_positions: Tensor
    rotations: Tensor

    def __init__(self, track: BodyTrack, trained: Bool[Tensor, " instants"]) -> None:
        super().__init__()
        self.track = track
        joints = track.poses.rotations.shape[-3]
        count = int(trained.sum())
        self.turns = nn.Parameter(torch.zeros(count, joints, 3))
        self.shifts = nn.Parameter(torch.zeros(count, 3))
        self.register_buffer("spread", interpolation_matrix(track.times, trained), persistent=False)
        self.register_buffer("root_positions", track.poses.root_position, persistent=False)
        self.register_buffer("rotations", track.poses.rotations, persistent=False)

    def pose(self, instant: int) -> BodyPose:
        """The corrected pose of one instant."""
        return self._corrected(slice(instant, instant + 1))[0]

    @torch.no_grad()
    def refined(self) -> BodyTrack:
        """The whole track with the corrections applied, where the track was."""
        return replace(self.track, poses=self._corrected(slice(None)).to(self.track.times.device))

    def _corrected(self, instants: slice) -> BodyPose:
        turns = torch.einsum("it,tjk->ijk", self.spread[instants], self.turns)
        return BodyPose(
            self.root_positions[instants] + self.spread[instants] @ self.shifts,
            self.rotations[instants] @ rotation_from_rotvec(turns),
        )


def interpolation_matrix(
    times: Float[Tensor, " instants"], trained: Bool[Tensor, " instants"]
) -> Float[Tensor, "instants trained"]:
    """Weights that give every instant the corrections of the trained instants around it.

    A cubic spline in time, since a step or a swing bends within a few frames; straight lines over gaps of more than
    three usual strides, where a spline would swing out; the nearest trained instant before the first and after the
    last.
    """
    from scipy.interpolate import CubicSpline

    known, wanted = times[trained].double().cpu().numpy(), times.double().cpu().numpy()
    basis = np.eye(len(known))
    weights = np.stack([np.interp(wanted, known, column) for column in basis], axis=1)
    if len(known) > 2:
        strides = np.diff(known)
        stride = strides[np.searchsorted(known, wanted).clip(1, len(strides)) - 1]
        inside = (wanted > known[0]) & (wanted < known[-1]) & (stride < 3.5 * np.median(strides))
        weights[inside] = CubicSpline(known, basis)(wanted[inside])
    return torch.from_numpy(weights).to(times)
