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
    """Weights that give every instant the linear interpolation in time of the trained instants' values."""
    known = times[trained].cpu().numpy()
    columns = [np.interp(times.cpu().numpy(), known, basis) for basis in np.eye(len(known))]
    return torch.from_numpy(np.stack(columns, axis=1)).to(times)
