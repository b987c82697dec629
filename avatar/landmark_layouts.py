"""Landmark layouts: the names of the points, which of them swap under reflection, and what they mean for SMPL."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Layout:
    """An ordered set of named body landmarks.

    Attributes:
        names: one a landmark, `left_`/`right_` being the person's own sides.
        smpl: landmark name -> the SMPL joint it lies at, for landmarks that lie at one.
        bones: pairs of names to draw or measure.
    """

    names: tuple[str, ...]
    smpl: dict[str, str]
    bones: tuple[tuple[str, str], ...]

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """For each landmark the index of the one on the other side (itself on the middle line)."""
        return tuple(self.names.index(_other_side(name)) for name in self.names)

    def indices(self, *names: str) -> list[int]:
        """Positions of the named landmarks."""
        return [self.names.index(name) for name in names]


def _other_side(name: str) -> str:
    return name.replace("left", "\0").replace("right", "left").replace("\0", "right")


def _both(*pairs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in pairs)


_LIMBS = _both(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"), ("shoulder", "hip"))
_ACROSS = (("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
_SMPL_LIMBS = {
    f"{side}_{joint}": f"{side}_{joint}"
    for side in ("left", "right")
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
}

_COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
_FEET = _both(("ankle", "heel"), ("heel", "foot_index"))

LAYOUTS = {
    # Bazarevsky et al. 2020, BlazePose, as MediaPipe orders them.
    "blazepose33": Layout(
        names=(
            "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye",
            "right_eye_outer", "left_ear", "right_ear", "mouth_left", "mouth_right", "left_shoulder",
            "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_pinky", "right_pinky",
            "left_index", "right_index", "left_thumb", "right_thumb", "left_hip", "right_hip", "left_knee",
            "right_knee", "left_ankle", "right_ankle", "left_heel", "right_heel", "left_foot_index",
            "right_foot_index",
        ),
        smpl=_SMPL_LIMBS,
        bones=_LIMBS + _ACROSS + _FEET + _both(("wrist", "index")),
    ),
    # COCO's 17 key points, the order of most 2D detectors.
    "coco17": Layout(names=_COCO, smpl=_SMPL_LIMBS, bones=_LIMBS + _ACROSS),
    # The same with heels and big toes.
    "coco17_feet": Layout(
        names=(*_COCO, "left_heel", "right_heel", "left_foot_index", "right_foot_index"),
        smpl=_SMPL_LIMBS,
        bones=_LIMBS + _ACROSS + _FEET,
    ),
}  # fmt: skip
