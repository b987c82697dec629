"""How far joints turn, and how they are usually held: ranges and spreads of SMPL's joints against the T-pose."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.geometry import rotation_to_rotvec
from avatar.tracking.kinematics import State
from avatar.tracking.residuals import joint_rotvecs
from avatar.tracking.solver import LinearizedResidual

# For the left side, in degrees about x (left), y (up), z (forward): least, usual, greatest, and the spread around
# the usual. Ranges after the anatomy in SKEL (Keller et al. 2023), rounded outwards; bending a knee turns about +x,
# an elbow about -y, lowering the arm from the T-pose about -z.
_RANGES = {
    "hip": ((-130, -5, 40), (-50, 0, 50), (-35, 4, 70), (40, 12, 20)),
    "knee": ((0, 8, 155), (-10, 0, 10), (-6, 0, 6), (90, 5, 3)),
    "ankle": ((-35, 0, 50), (-25, 0, 25), (-20, 0, 20), (12, 8, 8)),
    "foot": ((-5, 0, 5), (-2, 0, 2), (-2, 0, 2), (2, 1, 1)),
    "spine1": ((-15, 2, 35), (-12, 0, 12), (-14, 0, 14), (8, 3, 5)),
    "spine2": ((-12, 2, 25), (-12, 0, 12), (-12, 0, 12), (6, 3, 4)),
    "spine3": ((-12, 2, 25), (-12, 0, 12), (-12, 0, 12), (6, 3, 4)),
    "neck": ((-30, 2, 35), (-40, 0, 40), (-25, 0, 25), (10, 12, 6)),
    "head": ((-30, 2, 35), (-40, 0, 40), (-25, 0, 25), (10, 12, 6)),
    "collar": ((-15, 0, 15), (-25, 0, 25), (-15, -2, 35), (4, 6, 6)),
    "shoulder": ((-100, 0, 100), (-140, -10, 60), (-110, -55, 110), (35, 35, 45)),
    "elbow": ((-90, 0, 90), (-155, -20, 0), (-8, 0, 8), (35, 60, 3)),
    "wrist": ((-20, 0, 20), (-35, 0, 35), (-70, 0, 70), (5, 8, 12)),
    "hand": ((-2, 0, 2), (-2, 0, 2), (-2, 0, 2), (1, 1, 1)),
}
FIXED = math.radians(0.3)  # deviation of joints that no landmark tells of
OVERSHOOT = math.radians(2.0)  # deviation of a joint beyond its range


def joint_prior(body: Body) -> Float[Tensor, "4 j 3"]:
    """Least, usual, greatest turn and spread of every joint, radians; nothing is known of the root."""
    table = torch.zeros(4, len(body.joint_names), 3, dtype=torch.float64)
    table[0, 0], table[2, 0], table[3, 0] = -math.inf, math.inf, math.inf
    for joint, name in enumerate(body.joint_names[1:], start=1):
        side, _, kind = name.rpartition("_")
        if kind not in _RANGES:
            # Fingers and jaws of richer skeletons stay where the body rests them: no landmark tells of them.
            rest = rotation_to_rotvec(body.rest_rotations[joint].double())
            table[:, joint] = torch.stack([rest - FIXED, rest, rest + FIXED, torch.full_like(rest, FIXED)])
            continue
        least, usual, greatest = zip(*_RANGES[kind][:3], strict=True)
        rows = torch.tensor([least, usual, greatest, _RANGES[kind][3]], dtype=torch.float64)
        if side == "right":
            # The mirror image turns the other way about y and z, so that least and greatest change places.
            flipped = -rows[[2, 1, 0]]
            rows[:3, 1:] = flipped[:, 1:]
        table[:, joint] = rows.deg2rad()
    return table


def joint_limit(state: State, table: Float[Tensor, "4 j 3"]) -> LinearizedResidual:
    """How far each joint is turned beyond its range, in deviations."""
    rotvecs = joint_rotvecs(state, torch.arange(1, table.shape[1]))
    inside = rotvecs.value.clamp(table[0, 1:], table[2, 1:])
    outside = (rotvecs.value != inside).to(rotvecs.value) / OVERSHOOT
    return replace(
        rotvecs,
        value=(rotvecs.value - inside) / OVERSHOOT,
        jac_frame={0: rotvecs.jac_frame[0] * outside[..., None]},
    )


def rest_pose(state: State, table: Float[Tensor, "4 j 3"]) -> LinearizedResidual:
    """How far each joint is from its usual turn, in deviations."""
    rotvecs = joint_rotvecs(state, torch.arange(1, table.shape[1]))
    spread = table[3, 1:]
    return replace(
        rotvecs, value=(rotvecs.value - table[1, 1:]) / spread, jac_frame={0: rotvecs.jac_frame[0] / spread[..., None]}
    )
