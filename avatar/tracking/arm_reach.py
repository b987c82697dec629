"""How far arms reach backwards: from the front, an arm that points forward looks like one that points backward.

The limit is what 999 of 1000 poses keep to in 36 motions of the CMU database: hanging arms swing far back, raised ones
hardly at all.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.kinematics import PointsWithJacobian, State
from avatar.tracking.residuals import lift_point_residual
from avatar.tracking.solver import Term

# Backward part of an upper arm's direction in the frame of the trunk: of raised arms, and how much more it may be for
# each part of the direction that points down, from `HANGING` on.
RAISED_BACKWARD, MORE_WHEN_HANGING, HANGING = 0.3, 1.4, 0.2
DEVIATION = 0.05


def arm_reach_term(
    state: State, joints: PointsWithJacobian, names: tuple[str, ...], time_weight: Float[Tensor, "n 1"]
) -> Term:
    """How far both upper arms point backwards beyond what shoulders allow.

    Args:
        joints: the body's joints, called `names`.
    """
    trunk = [names.index(name) for name in ("pelvis", "neck", "left_shoulder", "right_shoulder")]
    arms = [[names.index(f"{side}_{name}") for name in ("shoulder", "elbow")] for side in ("left", "right")]
    nothing = state.camera.new_zeros(len(state), 2, 1)
    reach = lift_point_residual(beyond_reach, joints, torch.tensor([trunk + arm for arm in arms]), state, nothing)
    return Term("arm reach", reach, time_weight)


def beyond_reach(
    points: Float[Tensor, "6 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "1"]:
    """How far an upper arm is beyond its limit, in standard deviations; 0 within.

    Points: pelvis, neck, both shoulders from left to right, and the two ends of the upper arm.
    """
    pelvis, neck, left, right, shoulder, elbow = points
    up, arm = neck - pelvis, elbow - shoulder
    forward = torch.linalg.cross(left - right, up)
    up, arm, forward = up / up.norm(), arm / arm.norm(), forward / (forward.norm() + 1e-9)
    limit = RAISED_BACKWARD + MORE_WHEN_HANGING * (-(arm @ up) - HANGING).clamp_min(0)
    excess: Tensor = (-(arm @ forward) - limit).clamp_min(0) / DEVIATION
    return excess[None]
