"""Named layouts of 3D joint arrays: which point rides on which of SMPL's joints, and where.

Points that stand for a joint lie at it; the others at an offset in the T-pose, for a body of 1.7 m (metres, left
side; the right side mirrors it). Offsets are rough, so these points count less than joints.
"""

from __future__ import annotations

import torch

from avatar.body.skeleton import SMPL_JOINTS
from avatar.motion.ik import Landmarks

_BESIDE: dict[str, tuple[str, tuple[float, float, float]]] = {
    "nose": ("head", (0.0, 0.05, 0.125)),
    "left_eye": ("head", (0.032, 0.085, 0.105)),
    "left_ear": ("head", (0.075, 0.06, 0.015)),
    "head_top": ("head", (0.0, 0.20, 0.015)),
    "left_toe": ("left_foot", (0.0, -0.02, 0.06)),
    "left_heel": ("left_ankle", (0.0, -0.055, -0.05)),
    "left_index": ("left_wrist", (0.095, -0.005, 0.03)),
    "left_pinky": ("left_wrist", (0.085, -0.01, -0.03)),
}
BESIDE_WEIGHT = 0.3

# fmt: off
_LIMBS = ("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist")
_LEGS = ("left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")
# "" is a point that tells nothing about the body's joints.
LAYOUTS: dict[str, tuple[str, ...]] = {
    "smpl24": SMPL_JOINTS,
    "smpl22": SMPL_JOINTS[:22],  # HumanML3D and the like
    "coco17": ("nose", "left_eye", "right_eye", "left_ear", "right_ear", *_LIMBS, *_LEGS),
    # Human3.6M as most lifters order it (Martinez et al. 2017).
    "h36m17": (
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "", "neck", "nose",
        "head_top", "left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist",
    ),
    # OpenPose's BODY_25 (Cao et al. 2019).
    "body25": (
        "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye",
        "left_eye", "right_ear", "left_ear", "left_toe", "", "left_heel", "right_toe", "", "right_heel",
    ),
    # MPI-INF-3DHP (Mehta et al. 2017), all 28 joints.
    "mpi28": (
        "", "", "", "", "pelvis", "neck", "", "head_top", "", "left_shoulder", "left_elbow", "left_wrist", "", "",
        "right_shoulder", "right_elbow", "right_wrist", "", "left_hip", "left_knee", "left_ankle", "left_foot", "",
        "right_hip", "right_knee", "right_ankle", "right_foot", "",
    ),
    "blazepose33": (
        "nose", "", "left_eye", "", "", "right_eye", "", "left_ear", "right_ear", "", "", *_LIMBS, "left_pinky",
        "right_pinky", "left_index", "right_index", "", "", *_LEGS, "left_heel", "right_heel", "left_toe", "right_toe",
    ),
    # SAM 3D Body's 70 key points: body, feet, right hand (21-40), left hand (42-61), neck.
    "mhr70": (
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", *_LIMBS[:4], *_LEGS, "left_toe", "", "left_heel",
        "right_toe", "", "right_heel", *[""] * 7, "right_index", *[""] * 11, "right_pinky", "right_wrist",
        *[""] * 7, "left_index", *[""] * 11, "left_pinky", "left_wrist", *[""] * 6, "neck",
    ),
}
# fmt: on


def landmarks(layout: str, size: float) -> tuple[list[int], Landmarks, torch.Tensor]:
    """The points of a layout that tell about joints.

    Args:
        layout: a key of `LAYOUTS`.
        size: of the body, relative to one of 1.7 m.

    Returns:
        Their places in the layout, where they ride, and how much each counts.
    """
    chosen, joints, offsets, weights = [], [], [], []
    for index, name in enumerate(LAYOUTS[layout]):
        if name in SMPL_JOINTS:
            joint, offset, weight = name, (0.0, 0.0, 0.0), 1.0
        elif name:
            joint, offset = _beside(name)
            weight = BESIDE_WEIGHT
        else:
            continue
        chosen.append(index)
        joints.append(SMPL_JOINTS.index(joint))
        offsets.append(offset)
        weights.append(weight)
    return chosen, Landmarks(torch.tensor(joints), torch.tensor(offsets) * size), torch.tensor(weights)


def _beside(name: str) -> tuple[str, tuple[float, float, float]]:
    if not name.startswith("right_"):
        return _BESIDE[name]
    joint, (x, y, z) = _BESIDE["left_" + name.removeprefix("right_")]
    return joint.replace("left_", "right_"), (-x, y, z)
