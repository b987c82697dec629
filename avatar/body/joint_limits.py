"""How far the joints of a body turn: soft ranges for inverse kinematics and for motion from elsewhere."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS

# Ranges in degrees of the rotation vector away from the T-pose, for x, y and z, of the middle and left joints
# (world axes of the T-pose: the left arm lies along +x, legs hang along -y, the body faces +z). They follow
# the usual clinical ranges of motion, widened a little because a rotation vector is not a clinical angle. The
# root, shoulders and hands have none: a rotation vector says too little about a shoulder.
_FREE = (-360.0, 360.0)
_RANGES = {
    "hip": ((-135.0, 45.0), (-60.0, 60.0), (-45.0, 75.0)),
    "knee": ((-2.0, 155.0), (-12.0, 12.0), (-8.0, 8.0)),
    "ankle": ((-45.0, 60.0), (-30.0, 30.0), (-35.0, 35.0)),
    "foot": ((-60.0, 35.0), (-10.0, 10.0), (-10.0, 10.0)),
    "spine1": ((-30.0, 50.0), (-30.0, 30.0), (-30.0, 30.0)),
    "spine2": ((-30.0, 50.0), (-30.0, 30.0), (-30.0, 30.0)),
    "spine3": ((-30.0, 50.0), (-30.0, 30.0), (-30.0, 30.0)),
    "neck": ((-50.0, 50.0), (-60.0, 60.0), (-45.0, 45.0)),
    "head": ((-50.0, 50.0), (-60.0, 60.0), (-45.0, 45.0)),
    "collar": ((-25.0, 25.0), (-35.0, 30.0), (-20.0, 50.0)),
    "elbow": ((-100.0, 100.0), (-160.0, 3.0), (-15.0, 75.0)),
    "wrist": ((-50.0, 50.0), (-45.0, 45.0), (-90.0, 90.0)),
}


def joint_ranges() -> tuple[Float[Tensor, "24 3"], Float[Tensor, "24 3"]]:
    """Lowest and highest rotation vector of each SMPL joint, radians; right joints mirror the left ones."""
    low, high = [], []
    for name in SMPL_JOINTS:
        ranges = _RANGES.get(name.removeprefix("left_").removeprefix("right_"), (_FREE,) * 3)
        if name.startswith("right_"):
            # Mirroring at the plane x = 0 keeps turns about x and flips those about y and z.
            x, (y_low, y_high), (z_low, z_high) = ranges
            ranges = (x, (-y_high, -y_low), (-z_high, -z_low))
        low.append([a for a, _ in ranges])
        high.append([b for _, b in ranges])
    return torch.tensor(low).deg2rad(), torch.tensor(high).deg2rad()
