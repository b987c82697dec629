"""A pose as a few angles of body parts in degrees, converted from and to joint rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.motion.text.anatomy import SIGNS, about, arm, assemble, back, gaze, leg, shortest_rotation


@dataclass
class Arm:
    """`raised` from hanging (0) over level (90) to upright (180), towards `ahead` (0 the side, 90 the front);
    `bend` of the elbow, and `twist` of the upper arm, which turns a bent forearm upwards."""

    raised: float = 12.0
    ahead: float = 0.0
    bend: float = 12.0
    twist: float = 0.0


@dataclass
class Leg:
    """`raised` forwards (negative: back), `spread` to the side, `bend` of the knee, toes `point`ed down."""

    raised: float = 0.0
    spread: float = 3.0
    bend: float = 0.0
    point: float = 0.0


@dataclass
class PoseAngles:
    """A standing person at ease, to be changed. Angles to the left are positive.

    Attributes:
        arms, legs: by side, "left" and "right".
        lean, side_lean, twist: of the back: forwards, to the left, turned to the left.
        down, look, tilt: of the head: nodded down, turned to the left, tilted to the left.
        facing: how far the whole body is turned to its left from facing +Z.
    """

    arms: dict[str, Arm] = field(default_factory=lambda: {"left": Arm(), "right": Arm()})
    legs: dict[str, Leg] = field(default_factory=lambda: {"left": Leg(), "right": Leg()})
    lean: float = 0.0
    side_lean: float = 0.0
    twist: float = 0.0
    down: float = 0.0
    look: float = 0.0
    tilt: float = 0.0
    facing: float = 0.0

    def rotations(self) -> Float[Tensor, "24 3 3"]:
        """The pose away from SMPL's T-pose."""

        def one(value: float) -> Tensor:
            return torch.tensor([float(value)])

        parts = [back(one(self.lean), one(self.side_lean), one(self.twist))]
        parts.append(gaze(one(self.down), one(self.look), one(self.tilt)))
        for side in ("left", "right"):
            a, b = self.arms[side], self.legs[side]
            parts.append(arm(side, one(a.raised - 90), one(a.ahead), one(a.bend), one(a.twist)))
            parts.append(leg(side, one(b.raised), one(b.spread), one(b.bend), one(b.point)))
        return assemble(*parts, root=about("y", one(self.facing)))[0]


def measure_pose_angles(rotations: Float[Tensor, "24 3 3"]) -> PoseAngles:
    """The angles that come closest to a pose; the lean of the pelvis counts as the back's."""
    R = dict(zip(SMPL_JOINTS, rotations.double(), strict=True))
    angles = PoseAngles()
    forward = R["pelvis"][:, 2]
    angles.facing = math.degrees(math.atan2(float(forward[0]), float(forward[2])))
    level = about("y", torch.tensor([-angles.facing], dtype=torch.float64))[0] @ R["pelvis"]
    spine = level @ R["spine1"] @ R["spine2"] @ R["spine3"]
    angles.lean, angles.side_lean, angles.twist = _bent(spine, 3)
    angles.down, angles.tilt, angles.look = _bent(R["neck"] @ R["head"], 2)
    for side, sign in SIGNS.items():
        angles.arms[side] = _arm(R, side, sign)
        angles.legs[side] = _leg(R, side, sign)
    return angles


def _bent(R: Float[Tensor, "3 3"], joints: int) -> tuple[float, float, float]:
    """Bend forwards, to the left and turn to the left of a chain whose joints share it equally."""
    part = rotation_from_rotvec(rotation_to_rotvec(R) / joints)
    # part = Ry(turn) Rz(-left) Rx(forwards)
    left = -math.asin(max(-1.0, min(1.0, float(part[1, 0]))))
    forwards = math.atan2(-float(part[1, 2]), float(part[1, 1]))
    turn = math.atan2(-float(part[2, 0]), float(part[0, 0]))
    return tuple(math.degrees(joints * angle) for angle in (forwards, left, turn))  # type: ignore[return-value]


def _arm(R: dict[str, Tensor], side: str, sign: float) -> Arm:
    along = torch.tensor([sign, 0.0, 0.0], dtype=torch.float64)
    upper = R[f"{side}_collar"] @ R[f"{side}_shoulder"]
    direction = upper @ along
    elevation = math.degrees(math.asin(max(-1.0, min(1.0, float(direction[1])))))
    # A hanging or upright arm points nowhere in particular.
    level = math.hypot(float(direction[0]), float(direction[2])) > 0.1
    ahead = math.degrees(math.atan2(float(direction[2]), sign * float(direction[0]))) if level else 0.0
    elbow = R[f"{side}_elbow"] @ along
    bend = math.degrees(math.acos(max(-1.0, min(1.0, float(elbow @ along)))))
    forearm = shortest_rotation(along, direction[None])[0].T @ upper @ elbow
    twist = math.degrees(math.atan2(float(forearm[1]), float(forearm[2]))) if bend > 15 else 0.0
    return Arm(elevation + 90, ahead, bend, twist)


def _leg(R: dict[str, Tensor], side: str, sign: float) -> Leg:
    down = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    thigh = R[f"{side}_hip"] @ down
    raised = math.degrees(math.atan2(float(thigh[2]), -float(thigh[1])))
    spread = sign * math.degrees(math.asin(max(-1.0, min(1.0, float(thigh[0])))))
    shin = R[f"{side}_knee"] @ down
    bend = math.degrees(math.acos(max(-1.0, min(1.0, float(shin @ down)))))
    point = math.degrees(float(rotation_to_rotvec(R[f"{side}_ankle"])[0]))
    return Leg(raised, spread, bend, point)
