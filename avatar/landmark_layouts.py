"""The one table of landmark layouts: which body landmark each point of an array is, and which ones mirror each other.

A landmark is named after SMPL's joint where it stands for that joint ("left_knee"), and otherwise by itself
("left_heel"). An empty name marks a point without use here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

# fmt: off
SMPL_JOINTS: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)
"""The common skeleton: SMPL's 24 joints in SMPL's order (Loper et al. 2015)."""
# fmt: on


@dataclass(frozen=True)
class Layout:
    """An ordered set of named body landmarks.

    Attributes:
        names: one per landmark; `left_` and `right_` are the person's own sides.
        bones: pairs of names to draw or to measure; only detectors' layouts have them.
    """

    names: tuple[str, ...]
    bones: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def mirror(self) -> tuple[int, ...]:
        """For each landmark the index of its counterpart on the other side (itself on the midline)."""
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

_ARM_JOINTS = ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")
_LEG_JOINTS = ("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")
_COCO = ("nose", "left_eye", "right_eye", "left_ear", "right_ear", *_ARM_JOINTS, *_LEG_JOINTS)
_COCO18 = (
    "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye",
    "right_ear", "left_ear",
)  # fmt: skip
_HALPE26 = (*_COCO, "head_top", "neck", "pelvis", "left_foot_index", "right_foot_index", "", "", "left_heel",
            "right_heel")  # fmt: skip
_ITOP15 = (
    "head", "neck", "right_shoulder", "left_shoulder", "right_elbow", "left_elbow", "right_wrist", "left_wrist", "",
    "right_hip", "left_hip", "right_knee", "left_knee", "right_ankle", "left_ankle",
)  # fmt: skip
_WHOLEBODY_FEET = ("left_foot_index", "", "left_heel", "right_foot_index", "", "right_heel")
_FEET = _both(("ankle", "heel"), ("heel", "foot_index"))

LAYOUTS: dict[str, Layout] = {
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
        bones=_LIMBS + _ACROSS + _FEET + _both(("wrist", "index")),
    ),
    # COCO's 17 key points, the order of most 2D detectors.
    "coco17": Layout(names=_COCO, bones=_LIMBS + _ACROSS),
    # The same with heels and big toes.
    "coco17_feet": Layout(
        names=(*_COCO, "left_heel", "right_heel", "left_foot_index", "right_foot_index"),
        bones=_LIMBS + _ACROSS + _FEET,
    ),
    "smpl24": Layout(SMPL_JOINTS),
    "smpl22": Layout(SMPL_JOINTS[:22]),  # HumanML3D and the like
    # Human3.6M as most lifters order it (Martinez et al. 2017).
    "h36m17": Layout((
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "", "neck", "nose",
        "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    )),
    # OpenPose's BODY_25 (Cao et al. 2019).
    "body25": Layout((
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
        "left_eye", "right_ear", "left_ear", "left_foot_index", "", "left_heel", "right_foot_index", "", "right_heel",
    )),
    # OpenPose's older COCO order of 18 points.
    "coco18": Layout(_COCO18),
    # Halpe (AlphaPose, RTMPose's body models): COCO's 17, head and feet; 136 with face and hands.
    "halpe26": Layout(_HALPE26),
    "halpe136": Layout((*_HALPE26, *[""] * 110)),
    # COCO-WholeBody (Jin et al. 2020): COCO's 17, feet, face and hands.
    "wholebody133": Layout((*_COCO, *_WHOLEBODY_FEET, *[""] * 110)),
    # The same as DWPose stores it: its body in OpenPose's order of 18.
    "dwpose134": Layout((*_COCO18, *_WHOLEBODY_FEET, *[""] * 110)),
    # OpenPose's BODY_135: COCO's 17, neck, crown, feet, hands and face.
    "body135": Layout((*_COCO, "neck", "head_top", *_WHOLEBODY_FEET, *[""] * 110)),
    # ITOP (Haque et al. 2016) and MP-3DHP (Guo et al. 2022): depth cameras; hands and feet are wrists and ankles.
    "itop15": Layout(_ITOP15),
    "mp3dhp15": Layout(_ITOP15),
    # CMU Panoptic Studio (Joo et al. 2017).
    "panoptic19": Layout((
        "neck", "nose", "pelvis", "left_shoulder", "left_elbow", "left_wrist", "left_hip", "left_knee", "left_ankle",
        "right_shoulder", "right_elbow", "right_wrist", "right_hip", "right_knee", "right_ankle", "left_eye",
        "left_ear", "right_eye", "right_ear",
    )),
    # UnrealEgo (Akada et al. 2022): joints of Unreal's mannequin.
    "unrealego16": Layout((
        "head", "neck", *_ARM_JOINTS, *_LEG_JOINTS, "left_foot", "right_foot",
    )),
    # MPI-INF-3DHP (Mehta et al. 2017), all 28 joints.
    "mpi28": Layout((
        "", "", "", "", "pelvis", "neck", "", "head_top", "", "left_shoulder", "left_elbow", "left_wrist", "", "",
        "right_shoulder", "right_elbow", "right_wrist", "", "left_hip", "left_knee", "left_ankle", "left_foot", "",
        "right_hip", "right_knee", "right_ankle", "right_foot", "",
    )),
    # SAM 3D Body's 70 key points: body, feet, right hand (21-40), left hand (42-61), neck.
    "mhr70": Layout((
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", *_ARM_JOINTS[:4], *_LEG_JOINTS, "left_foot_index",
        "", "left_heel", "right_foot_index", "", "right_heel", *[""] * 7, "right_index", *[""] * 11, "right_pinky",
        "right_wrist", *[""] * 7, "left_index", *[""] * 11, "left_pinky", "left_wrist", *[""] * 6, "neck",
    )),
}  # fmt: skip

# MediaPipe's holistic model as freemocap stores it: BlazePose's points, then hands and face.
LAYOUTS["holistic543"] = Layout((*LAYOUTS["blazepose33"].names, *[""] * 510))
LAYOUTS["holistic553"] = Layout((*LAYOUTS["blazepose33"].names, *[""] * 520))

DETECTOR_LAYOUTS: tuple[str, ...] = ("blazepose33", "coco17", "coco17_feet")
"""Layouts of 2D detectors, whose landmarks `avatar.body.landmarks` places on the body."""
POINT_LAYOUTS: tuple[str, ...] = (
    "smpl24", "smpl22", "coco17", "h36m17", "body25", "mpi28", "blazepose33", "mhr70", "itop15", "mp3dhp15",
    "panoptic19", "unrealego16", "coco18", "halpe26", "wholebody133", "dwpose134", "body135", "halpe136", "holistic543",
    "holistic553",
)  # fmt: skip
"""Layouts in which files of 3D points are read. "coco17_feet" is none of them: 21 points mean other layouts there."""
