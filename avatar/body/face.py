"""The face: the 52 units of ARKit, which move the surface and turn jaw and eyes.

The names are those of Apple's `ARFaceAnchor.BlendShapeLocation`, which capture apps, game engines and MediaPipe share;
Left and Right are the person's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import rotation_from_rotvec

# fmt: off
FACE_UNITS: tuple[str, ...] = (
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff",
    "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight",
    "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight",
    "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
    "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker",
    "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft",
    "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight", "tongueOut",
)
# fmt: on
MIRRORED_UNITS: tuple[int, ...] = tuple(
    FACE_UNITS.index(name.replace("Left", "*").replace("Right", "Left").replace("*", "Right")) for name in FACE_UNITS
)
"""For each unit the index of the same unit on the other side of the face."""
JAW_OPEN, EYE_SIDE, EYE_UP_DOWN = 0.32, 0.42, 0.30
"""Radians by which jaw and eyes turn at a coefficient of one."""

SHUT = 0.72
"""Share of MakeHuman's blink at which the upper lid reaches the lower one all along the eye."""


def unit_turns() -> Float[Tensor, "3 3 52"]:
    """The rotation vector of jaw, left and right eye for one of each unit: +x opens the jaw and looks down."""
    turns = torch.zeros(3, 3, len(FACE_UNITS))
    turns[0, 0, FACE_UNITS.index("jawOpen")] = JAW_OPEN
    # Looking in is to the right for the left eye, to the left for the right one; +y turns to the person's left.
    for joint, side, out in ((1, "Left", 1.0), (2, "Right", -1.0)):
        turns[joint, 0, FACE_UNITS.index(f"eyeLookDown{side}")] = EYE_UP_DOWN
        turns[joint, 0, FACE_UNITS.index(f"eyeLookUp{side}")] = -EYE_UP_DOWN
        turns[joint, 1, FACE_UNITS.index(f"eyeLookOut{side}")] = out * EYE_SIDE
        turns[joint, 1, FACE_UNITS.index(f"eyeLookIn{side}")] = -out * EYE_SIDE
    return turns


def jaw_and_eyes(face: Float[Tensor, "*b 52"]) -> Float[Tensor, "*b 3 3 3"]:
    """Rotations of jaw, left and right eye that the coefficients mean."""
    return rotation_from_rotvec(torch.einsum("jxu,...u->...jx", unit_turns().to(face), face))


def face_of_turns(turns: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 52"]:
    """The coefficients that turn jaw, left and right eye by these rotation vectors, as far as the units can."""
    moves = unit_turns().to(turns)
    face = torch.einsum("jxu,...jx->...u", moves, turns) / moves.square().sum((0, 1)).clamp_min(1e-9)
    return face.clamp(0, 1)


def with_lids_that_meet(directions: Float[Tensor, "v 3 52"]) -> Float[Tensor, "v 3 52"]:
    """The units of the open body's file with eyes that are just shut at a blink of one.

    MakeHuman's upper lids go on over the lower ones for another 4 mm.
    """
    scale = directions.new_ones(len(FACE_UNITS))
    scale[[FACE_UNITS.index(f"eyeBlink{side}") for side in ("Left", "Right")]] = SHUT
    return directions * scale


@dataclass(frozen=True)
class FaceUnits:
    """How the surface of a body moves with the units, beyond what turning jaw and eyes does.

    Attributes:
        directions: displacement of each vertex at rest, metres, at a coefficient of one.
    """

    directions: Float[Tensor, "v 3 52"]

    def offsets(self, face: Float[Tensor, "*b 52"]) -> Float[Tensor, "*b v 3"]:
        """Displacements of the rest vertices, metres."""
        return torch.einsum("vxu,...u->...vx", self.directions, face)
