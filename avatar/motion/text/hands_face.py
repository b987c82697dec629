"""Hands and faces in words: "left fist", "right hand pointing", "thumbs up", "smiling", "mouth open", "eyes closed".

Hands, each `left`, `right` or both: fist, pointing, thumb up, victory, hand open, hand relaxed. Faces: smiling, mouth
open, eyes closed, eyebrows raised, frowning, winking left or right.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.face import FACE_UNITS
from avatar.body.hand_angles import angle_ranges, finger_rotations

# Degrees of spread, knuckle, middle and tip joint: of a finger that is closed, and the thumb over the fingers.
_CLOSED, _THUMB_CLOSED = (0.0, 80.0, 100.0, 55.0), (35.0, 40.0, 35.0, 45.0)
_STRAIGHT, _THUMB_OUT = (0.0, 0.0, 3.0, 2.0), (-10.0, -15.0, 0.0, 0.0)
_OPEN_SPREAD = (10.0, 2.0, -10.0, -5.0)  # of index, middle, little and ring finger
_FIST = (_CLOSED, _CLOSED, _CLOSED, _CLOSED, _THUMB_CLOSED)
_ALONG = (10.0, 10.0, 5.0, 5.0)  # of the thumb beside an open hand
SHAPES: dict[str, tuple[tuple[float, ...], ...]] = {
    "fist": _FIST,
    "pointing": (_STRAIGHT, *_FIST[1:]),
    "thumb up": (*_FIST[:4], _THUMB_OUT),
    "victory": ((10.0, 0.0, 0.0, 0.0), (-8.0, 0.0, 0.0, 0.0), *_FIST[2:]),
    "hand open": (*((spread, 0.0, 3.0, 2.0) for spread in _OPEN_SPREAD), _ALONG),
    "half closed": (*((0.0, 45.0, 60.0, 30.0),) * 4, (30.0, 30.0, 20.0, 25.0)),
}
"""Shapes of a hand in degrees, rows in the order of `avatar.body.skeleton.FINGER_JOINTS`."""
EXPRESSIONS: dict[str, dict[str, float]] = {
    "smiling": {"mouthSmileLeft": 0.9, "mouthSmileRight": 0.9, "cheekSquintLeft": 0.5, "cheekSquintRight": 0.5},
    "mouth open": {"jawOpen": 0.7},
    "eyes closed": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "eyebrows raised": {"browInnerUp": 0.8, "browOuterUpLeft": 0.8, "browOuterUpRight": 0.8},
    "frowning": {"browDownLeft": 0.8, "browDownRight": 0.8, "mouthFrownLeft": 0.5, "mouthFrownRight": 0.5},
    "winking left": {"eyeBlinkLeft": 1.0, "cheekSquintLeft": 0.4},
    "winking right": {"eyeBlinkRight": 1.0, "cheekSquintRight": 0.4},
}
_SIDE = r"(?:(?P<side>left|right|both) )?"
_HANDS = (
    (_SIDE + r"(?:hands? )?(?:in |as |closed to )?(?:an? )?fists?", "fist"),
    (_SIDE + r"(?:hands? |index finger )?pointing", "pointing"),
    (_SIDE + r"thumbs?[ -]up", "thumb up"),
    (_SIDE + r"(?:hands? )?(?:making |showing )?(?:an? |the )?(?:victory|peace)(?: sign)?", "victory"),
    (_SIDE + r"(?:(?:hands?|fingers) (?:wide )?open|open hands?|fingers spread)", "hand open"),
    (_SIDE + r"(?:(?:hands?|fingers) relaxed|relaxed hands?)", "hand relaxed"),
)
_FACES = (
    (r"smil(?:es|e|ing)", "smiling"),
    (r"(?:mouth (?:wide )?open|open mouth)", "mouth open"),
    (r"(?:(?:both )?eyes? (?:closed|shut)|closed eyes)", "eyes closed"),
    (r"(?:eye)?brows raised", "eyebrows raised"),
    (r"frown(?:s|ing)?", "frowning"),
    (r"wink(?:s|ing)?(?: (?:with )?(?:the )?left(?: eye)?)", "winking left"),
    (r"wink(?:s|ing)?(?: (?:with )?(?:the )?right(?: eye)?)?", "winking right"),
)
PHRASES = tuple(dict.fromkeys(shape for _, shape in (*_HANDS, *_FACES)))
"""What hands and faces do in words."""


@dataclass(frozen=True)
class HandsFace:
    """Fingers and face of a pose in words, None where nothing is said of them; see `BodyPose`."""

    fingers: Float[Tensor, "30 3 3"] | None = None
    face: Float[Tensor, " 52"] | None = None


def hand_angles(shape: str) -> Float[Tensor, "5 4"]:
    """The angles of a hand's shape, radians; "hand relaxed" is the hand at rest."""
    return angle_ranges()[1] if shape == "hand relaxed" else torch.tensor(SHAPES[shape]).deg2rad()


def take_hands_face(text: str) -> tuple[str, HandsFace]:
    """What a text in lower case says of hands and face, and the rest of it."""
    hands, face, angles = False, None, torch.stack([hand_angles("hand relaxed")] * 2)
    for pattern, shape in _HANDS:
        for match in re.finditer(rf"\b{pattern}\b", text):
            sides = {"left": [0], "right": [1]}.get(match["side"] or "", [0, 1])
            angles[sides], hands = hand_angles(shape), True
        text = re.sub(rf"\b{pattern}\b", ",", text)
    for pattern, expression in _FACES:
        text, count = re.subn(rf"\b{pattern}\b", ",", text)
        if count:
            face = torch.zeros(len(FACE_UNITS)) if face is None else face
            for unit, value in EXPRESSIONS[expression].items():
                face[FACE_UNITS.index(unit)] = value
    return text, HandsFace(finger_rotations(angles) if hands else None, face)
