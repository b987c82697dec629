"""Residuals that keep joints within their range and near their usual angles (see `avatar.body.joint_limits`)."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.kinematics import State
from avatar.tracking.residuals import joint_rotvecs
from avatar.tracking.solver import LinearizedResidual

OVERSHOOT = math.radians(2.0)  # standard deviation of a joint beyond its range


def joint_limit(state: State, table: Float[Tensor, "4 j 3"]) -> LinearizedResidual:
    """How far each joint turns beyond its range, in standard deviations."""
    rotvecs = joint_rotvecs(state, torch.arange(1, table.shape[1]))
    inside = rotvecs.value.clamp(table[0, 1:], table[2, 1:])
    outside = (rotvecs.value != inside).to(rotvecs.value) / OVERSHOOT
    return replace(
        rotvecs,
        value=(rotvecs.value - inside) / OVERSHOOT,
        jac_frame={0: rotvecs.jac_frame[0] * outside[..., None]},
    )


def rest_pose(state: State, table: Float[Tensor, "4 j 3"]) -> LinearizedResidual:
    """Distance of each joint from its usual rotation vector, in standard deviations."""
    rotvecs = joint_rotvecs(state, torch.arange(1, table.shape[1]))
    spread = table[3, 1:]
    return replace(
        rotvecs, value=(rotvecs.value - table[1, 1:]) / spread, jac_frame={0: rotvecs.jac_frame[0] / spread[..., None]}
    )
