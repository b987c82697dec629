"""The start of a fit from a motion of the same frames that another program estimated."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import UsageError
from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.problem import FitProblem
from avatar.types import BodyTrack


def initial_rotations(start: BodyTrack, problem: FitProblem) -> Float[Tensor, "n j 3 3"]:
    """The rotations of a motion of the same clip, for the joints that both skeletons share.

    Raises:
        UsageError: the number of poses differs from the number of frames.
    """
    if len(start) != len(problem):
        raise UsageError(
            f"The motion to start from has {len(start)} poses, but {len(problem)} frames are tracked: "
            "it needs one pose per frame."
        )
    rotations = problem.body.rest_rotations.double().repeat(len(problem), 1, 1, 1)
    common = sum(a == b for a, b in zip(problem.body.joint_names, SMPL_JOINTS, strict=False))
    shared = min(common, start.poses.rotations.shape[1])
    rotations[:, :shared] = start.poses.rotations[:, :shared].double()
    return rotations


def with_fixed_directions(problem: FitProblem, state: State) -> FitProblem:
    """The clip with the bone directions of `state` in place of the detector's."""
    ends = pose_chain(problem.body, state).position[:, problem.bones]
    directions = F.normalize(ends[:, :, 1] - ends[:, :, 0], dim=-1)
    return replace(
        problem,
        bone_directions=directions,
        bone_confidence=torch.ones_like(problem.bone_confidence),
        bone_pitch_bias=torch.zeros_like(problem.bone_pitch_bias),
    )
