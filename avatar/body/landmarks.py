"""The one table of landmark positions on the body, for 2D detectors and for files of 3D points.

The two uses need different precision. Tracking fits a body to one known detector, so its positions come from the
body's own joints and surface, with measured shifts and tight spreads. Files of 3D points come
from any network and any body, so their places are rough offsets from SMPL's joints for a body of 1.7 m.
All lengths are metres in the T-pose: x to the person's left, y up, z forward; the right side mirrors the left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Offset = tuple[float, float, float]


@dataclass(frozen=True)
class DetectorPlace:
    """The prior place of a 2D detector's landmark (left side).

    Attributes:
        bone: joint whose bone carries the landmark.
        joint: joint from which `offset` is measured; None: the tip of the nose.
        spread: standard deviation of the true place around the prior one, metres.
        offset: from `joint`, metres.
        weight: of the landmark in the fit, beside the detector's confidence.
        pitch_bias: share of the camera's pitch, 0 to 1, that the detector ignores at this landmark.
    """

    bone: str
    joint: str | None
    spread: float
    offset: Offset = (0.0, 0.0, 0.0)
    weight: float = 1.0
    pitch_bias: float = 0.0


# The shoulder's offset was measured between BlazePose and the true joints of one synthetic person; hands and feet
# follow from anatomy. The knee is marked 7 mm above to 22 mm below the joint, on renders of the open body and on two
# clips of that person. Hips lie inside the body and are never visible, so they weigh less.
#
# Pitch bias: the detector puts both hips at one height from every side, although a camera that looks down sees the
# farther one higher. Clearly visible landmarks have less of this bias. The values are half of those measured on two
# clips of a synthetic person in jeans (slope of a landmark's error over its depth relative to the hips); a real person
# in swimming trunks fits better with less.
_FACE_SPREAD = 0.008
DETECTOR_PLACES: dict[str, DetectorPlace] = {
    "shoulder": DetectorPlace("collar", "shoulder", 0.006, (-0.01, 0.035, 0.0), pitch_bias=0.2),
    "elbow": DetectorPlace("shoulder", "elbow", 0.005, pitch_bias=0.1),
    "wrist": DetectorPlace("elbow", "wrist", 0.005, pitch_bias=0.1),
    "pinky": DetectorPlace("wrist", "hand", 0.01, (-0.005, -0.005, -0.035)),
    "index": DetectorPlace("wrist", "hand", 0.01, (0.005, 0.0, 0.025)),
    "thumb": DetectorPlace("wrist", "hand", 0.01, (-0.035, -0.01, 0.04)),
    "hip": DetectorPlace("pelvis", "hip", 0.006, weight=0.3, pitch_bias=0.5),
    "knee": DetectorPlace("hip", "knee", 0.005, (0.0, -0.012, 0.0), pitch_bias=0.35),
    "ankle": DetectorPlace("knee", "ankle", 0.005, pitch_bias=0.2),
    "heel": DetectorPlace("ankle", "ankle", 0.015, (0.0, -0.045, -0.05), pitch_bias=0.15),
    "foot_index": DetectorPlace("ankle", "foot", 0.015, (0.0, -0.005, 0.045)),
    "nose": DetectorPlace("head", None, _FACE_SPREAD),
    "eye_inner": DetectorPlace("head", None, _FACE_SPREAD, (0.015, 0.037, -0.02)),
    "eye": DetectorPlace("head", None, _FACE_SPREAD, (0.032, 0.037, -0.025)),
    "eye_outer": DetectorPlace("head", None, _FACE_SPREAD, (0.043, 0.037, -0.032)),
    "ear": DetectorPlace("head", None, _FACE_SPREAD, (0.075, 0.02, -0.115)),
    "mouth": DetectorPlace("head", None, _FACE_SPREAD, (0.025, -0.04, -0.02)),
}

# Where BlazePose's landmarks of limbs lie on the open body, by `scripts/measure_landmark_places.py`: 72 renders, from
# eight sides, rounded. Four cameras around a real man put them within 15 mm of there, toes and knees within 23; toes
# are given between both. Where several cameras tell depth, fits are 10 % closer to the truth with these places. One
# camera takes what they change about the lengths of limbs for depth: its fits are up to 2 mm worse.
_MEASURED_OFFSETS: dict[str, Offset] = {
    "shoulder": (-0.005, 0.012, -0.010),
    "elbow": (-0.004, 0.004, 0.006),
    "wrist": (0.014, -0.005, 0.0),
    "pinky": (-0.021, -0.008, -0.015),
    "index": (-0.009, -0.012, 0.014),
    "thumb": (-0.033, -0.013, 0.028),
    "knee": (-0.004, -0.012, -0.010),
    "ankle": (0.003, 0.023, 0.005),
    "heel": (-0.003, -0.038, -0.040),
    "foot_index": (-0.015, -0.005, 0.037),
}
_SHOWN_FROM_AROUND = {
    kind: replace(place, offset=_MEASURED_OFFSETS.get(kind, place.offset)) for kind, place in DETECTOR_PLACES.items()
}

# COCO's key points were marked by people, at the joints themselves and without regard to the camera's pitch. On the
# projected joints of a dancing synthetic person the joints' error is 40 mm with these places, 44 with the ones above.
_AT_JOINTS = {kind: replace(place, pitch_bias=0.0) for kind, place in DETECTOR_PLACES.items()}
_AT_JOINTS["shoulder"] = replace(_AT_JOINTS["shoulder"], offset=(0.0, 0.0, 0.0))
_AT_JOINTS["knee"] = replace(_AT_JOINTS["knee"], offset=(0.0, 0.0, 0.0))
_AT_JOINTS["hip"] = replace(_AT_JOINTS["hip"], weight=1.0)


def detector_places(layout: str, several_cameras: bool = False) -> dict[str, DetectorPlace]:
    """The places of the landmarks of a detector's layout, by the kind of landmark (its name without the side).

    Args:
        several_cameras: whether they show the person at the same time.
    """
    if layout != "blazepose33":
        return _AT_JOINTS
    return _SHOWN_FROM_AROUND if several_cameras else DETECTOR_PLACES


# For files of 3D points: joint and offset from it. Points of SMPL's own joints lie at the joint.
_POINT_OFFSETS: dict[str, tuple[str, Offset]] = {
    "nose": ("head", (0.0, 0.05, 0.125)),
    "eye": ("head", (0.032, 0.085, 0.105)),
    "ear": ("head", (0.075, 0.06, 0.015)),
    "head_top": ("head", (0.0, 0.20, 0.015)),
    "foot_index": ("foot", (0.0, -0.02, 0.06)),
    "heel": ("ankle", (0.0, -0.055, -0.05)),
    "index": ("wrist", (0.095, -0.005, 0.03)),
    "pinky": ("wrist", (0.085, -0.01, -0.03)),
}


def side_and_kind(name: str) -> tuple[str, str]:
    """("left" | "right" | "", the rest of the name); BlazePose writes mouth_left but left_eye."""
    for side in ("left", "right"):
        if name.startswith(f"{side}_"):
            return side, name.removeprefix(f"{side}_")
        if name.endswith(f"_{side}"):
            return side, name.removesuffix(f"_{side}")
    return "", name


def point_offset(name: str) -> tuple[str, Offset] | None:
    """SMPL's joint that carries a 3D point, and the point's offset from it; None for points without a place."""
    side, kind = side_and_kind(name)
    if kind not in _POINT_OFFSETS:
        return None
    joint, (x, y, z) = _POINT_OFFSETS[kind]
    return joint if joint == "head" else f"{side}_{joint}", (-x if side == "right" else x, y, z)
