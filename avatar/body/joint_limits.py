"""The one table of joint ranges, in two columns that differ on purpose.

`soft` bounds imported motions (inverse kinematics, retargeting): other skeletons define joints differently and dancers
bend far, so the ranges follow the usual clinical ranges of motion, slightly widened because a rotation vector is not a
clinical angle. Shoulders and hands have no soft range: rotation vectors describe a shoulder's range poorly.

`prior` regularizes the fit to images, where the joints are SMPL's own and weak observations must not bend them: the
ranges follow the anatomy in SKEL (Keller et al. 2023), rounded outwards, each with the usual angle and its spread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.model import Body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rotation_to_rotvec

_FREE = (-360.0, 360.0)
FIXED = math.radians(0.3)  # standard deviation of joints that no landmark constrains


@dataclass(frozen=True)
class JointRange:
    """Ranges of one joint (midline or left) in degrees of the rotation vector away from the T-pose.

    The axes x, y, z are those of the T-pose: the left arm lies along +x, legs hang along -y, the body faces +z.
    Bending a knee turns about +x, an elbow about -y, and lowering the arm about -z.

    Attributes:
        soft: (least, greatest) about x, y and z.
        prior: (least, usual, greatest) about x, y and z.
        spread: standard deviation around the usual angle about x, y and z.
    """

    soft: tuple[tuple[float, float], tuple[float, float], tuple[float, float]]
    prior: tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
    spread: tuple[float, float, float]


_SPINE_SOFT = ((-30.0, 50.0), (-30.0, 30.0), (-30.0, 30.0))
_NECK = JointRange(
    ((-50.0, 50.0), (-60.0, 60.0), (-45.0, 45.0)),
    ((-30.0, 2.0, 35.0), (-40.0, 0.0, 40.0), (-25.0, 0.0, 25.0)),
    (10.0, 12.0, 6.0),
)
JOINT_RANGES: dict[str, JointRange] = {
    "hip": JointRange(
        ((-135.0, 45.0), (-60.0, 60.0), (-45.0, 75.0)),
        ((-130.0, -5.0, 40.0), (-50.0, 0.0, 50.0), (-35.0, 4.0, 70.0)),
        (40.0, 12.0, 20.0),
    ),
    "knee": JointRange(
        ((-2.0, 155.0), (-12.0, 12.0), (-8.0, 8.0)),
        ((0.0, 8.0, 155.0), (-10.0, 0.0, 10.0), (-6.0, 0.0, 6.0)),
        (90.0, 5.0, 3.0),
    ),
    "ankle": JointRange(
        ((-45.0, 60.0), (-30.0, 30.0), (-35.0, 35.0)),
        ((-35.0, 0.0, 50.0), (-25.0, 0.0, 25.0), (-20.0, 0.0, 20.0)),
        (12.0, 8.0, 8.0),
    ),
    "foot": JointRange(
        ((-60.0, 35.0), (-10.0, 10.0), (-10.0, 10.0)),
        ((-5.0, 0.0, 5.0), (-2.0, 0.0, 2.0), (-2.0, 0.0, 2.0)),
        (2.0, 1.0, 1.0),
    ),
    "spine1": JointRange(_SPINE_SOFT, ((-15.0, 2.0, 35.0), (-12.0, 0.0, 12.0), (-14.0, 0.0, 14.0)), (8.0, 3.0, 5.0)),
    "spine2": JointRange(_SPINE_SOFT, ((-12.0, 2.0, 25.0), (-12.0, 0.0, 12.0), (-12.0, 0.0, 12.0)), (6.0, 3.0, 4.0)),
    "spine3": JointRange(_SPINE_SOFT, ((-12.0, 2.0, 25.0), (-12.0, 0.0, 12.0), (-12.0, 0.0, 12.0)), (6.0, 3.0, 4.0)),
    "neck": _NECK,
    "head": _NECK,
    "collar": JointRange(
        ((-25.0, 25.0), (-35.0, 30.0), (-20.0, 50.0)),
        ((-15.0, 0.0, 15.0), (-25.0, 0.0, 25.0), (-15.0, -2.0, 35.0)),
        (4.0, 6.0, 6.0),
    ),
    "shoulder": JointRange(
        (_FREE,) * 3, ((-100.0, 0.0, 100.0), (-140.0, -10.0, 60.0), (-110.0, -55.0, 110.0)), (35.0, 35.0, 45.0)
    ),
    "elbow": JointRange(
        ((-100.0, 100.0), (-160.0, 3.0), (-15.0, 75.0)),
        ((-90.0, 0.0, 90.0), (-155.0, -20.0, 0.0), (-8.0, 0.0, 8.0)),
        (35.0, 60.0, 3.0),
    ),
    "wrist": JointRange(
        ((-50.0, 50.0), (-45.0, 45.0), (-90.0, 90.0)),
        ((-20.0, 0.0, 20.0), (-35.0, 0.0, 35.0), (-70.0, 0.0, 70.0)),
        (5.0, 8.0, 12.0),
    ),
    "hand": JointRange((_FREE,) * 3, ((-2.0, 0.0, 2.0), (-2.0, 0.0, 2.0), (-2.0, 0.0, 2.0)), (1.0, 1.0, 1.0)),
}


def joint_ranges() -> tuple[Float[Tensor, "24 3"], Float[Tensor, "24 3"]]:
    """The soft ranges: minimum and maximum rotation vector of each SMPL joint except the root, radians."""
    low, high = [], []
    for name in SMPL_JOINTS:
        kind = name.removeprefix("left_").removeprefix("right_")
        ranges = JOINT_RANGES[kind].soft if kind in JOINT_RANGES else (_FREE,) * 3
        if name.startswith("right_"):
            # Mirroring at the plane x = 0 keeps turns about x and flips those about y and z.
            x, (y_low, y_high), (z_low, z_high) = ranges
            ranges = (x, (-y_high, -y_low), (-z_high, -z_low))
        low.append([a for a, _ in ranges])
        high.append([b for _, b in ranges])
    return torch.tensor(low).deg2rad(), torch.tensor(high).deg2rad()


def joint_prior(body: Body) -> Float[Tensor, "4 j 3"]:
    """The prior: minimum, usual and maximum rotation vector and the spread of each joint except the root, radians."""
    table = torch.zeros(4, len(body.joint_names), 3, dtype=torch.float64)
    table[0, 0], table[2, 0], table[3, 0] = -math.inf, math.inf, math.inf
    for joint, name in enumerate(body.joint_names[1:], start=1):
        side, _, kind = name.rpartition("_")
        if kind not in JOINT_RANGES:
            # Fingers and jaws of richer skeletons stay where the body rests them: no landmark constrains them.
            rest = rotation_to_rotvec(body.rest_rotations[joint].double())
            table[:, joint] = torch.stack([rest - FIXED, rest, rest + FIXED, torch.full_like(rest, FIXED)])
            continue
        least, usual, greatest = zip(*JOINT_RANGES[kind].prior, strict=True)
        rows = torch.tensor([least, usual, greatest, JOINT_RANGES[kind].spread], dtype=torch.float64)
        if side == "right":
            # Mirroring negates y and z, which swaps minimum and maximum.
            flipped = -rows[[2, 1, 0]]
            rows[:3, 1:] = flipped[:, 1:]
        table[:, joint] = rows.deg2rad()
    return table
