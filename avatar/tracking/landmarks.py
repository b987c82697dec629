"""Where a detector's landmarks lie on the body: on which bone, and where in the rest pose.

The detector's points are not joints: its shoulder lies on the acromion, its hip beside the hip joint. Each landmark
is therefore a point of its own, constant in its bone's frame, which the fit solves over the whole clip within the
spread given here. The prior places come from the body's own joints and surface. The spreads are tight on purpose:
with loose ones the landmarks, not the body, take up what the views disagree on, and depth gets worse.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.kinematics import SkinnedPoints, joint_points

# Landmark -> (bone that carries it, joint where its prior place is, spread of its true place around that, metres).
_SIDED = {
    "shoulder": ("collar", "shoulder", 0.006),
    "elbow": ("shoulder", "elbow", 0.005),
    "wrist": ("elbow", "wrist", 0.005),
    "pinky": ("wrist", "hand", 0.01),
    "index": ("wrist", "hand", 0.01),
    "thumb": ("wrist", "hand", 0.01),
    "hip": ("pelvis", "hip", 0.006),
    "knee": ("hip", "knee", 0.005),
    "ankle": ("knee", "ankle", 0.005),
    "heel": ("ankle", "ankle", 0.015),
    "foot_index": ("ankle", "foot", 0.015),
}
_FACE_SPREAD = 0.008
# The weight of landmarks that lie inside the body, where nothing is to be seen.
_LANDMARK_WEIGHT = {"hip": 0.3}
# How much of the camera's pitch the detector overlooks: it puts both hips at one height from every side, although a
# camera that looks down sees the farther one higher, and does so less with what shows more clearly. Half of what was
# measured (as the slope of a landmark's error over its depth against the hips') on two clips of a synthetic person
# in jeans; the real one in swimming trunks fits better with less.
_PITCH_BIAS = {"hip": 0.5, "knee": 0.35, "ankle": 0.2, "heel": 0.15, "shoulder": 0.2, "elbow": 0.1, "wrist": 0.1}
# Metres from the joint above in the rest pose (left side; x outward, y up, z forward). The shoulder's was measured
# between BlazePose and the true joints of one synthetic person; hands and feet follow from anatomy.
_SHIFT = {
    "shoulder": (-0.01, 0.035, 0.0),
    "elbow": (0.0, 0.0, 0.0),
    "pinky": (-0.005, -0.005, -0.035),
    "index": (0.005, 0.0, 0.025),
    "thumb": (-0.035, -0.01, 0.04),
    "heel": (0.0, -0.045, -0.05),
    "foot_index": (0.0, -0.005, 0.045),
}
# Metres from the tip of the nose, left side.
_FACE = {
    "nose": (0.0, 0.0, 0.0),
    "eye_inner": (0.015, 0.037, -0.02),
    "eye": (0.032, 0.037, -0.025),
    "eye_outer": (0.043, 0.037, -0.032),
    "ear": (0.075, 0.02, -0.115),
    "mouth": (0.025, -0.04, -0.02),
}


def landmark_points(body: Body, layout: str) -> tuple[SkinnedPoints, Float[Tensor, " l"]]:
    """The landmarks of `layout` as points on `body`, and the spread of each around its prior place in metres."""
    joints = joint_points(body)
    nose = _nose(body)
    rest, dirs, bones, spreads = [], [], [], []
    for name in LAYOUTS[layout].names:
        side, kind = _side(name)
        if kind in _FACE:
            bone = place = _joint(body, "head")
            start, shift, spread = nose, _FACE[kind], _FACE_SPREAD
        else:
            carrier, at, spread = _SIDED[kind]
            bone = _joint(body, carrier if carrier == "pelvis" else f"{side}_{carrier}")
            place = _joint(body, f"{side}_{at}")
            start, shift = joints.rest[place], _SHIFT.get(kind, (0.0, 0.0, 0.0))
        outward = -1.0 if side == "right" else 1.0
        rest.append(start + start.new_tensor([outward * shift[0], shift[1], shift[2]]))
        dirs.append(joints.shape_dirs[place])
        bones.append(bone)
        spreads.append(spread)
    weights = torch.eye(len(body.parents), dtype=torch.float64)[bones]
    points = SkinnedPoints(torch.stack(rest), torch.stack(dirs), weights, torch.arange(len(rest)))
    return points, torch.tensor(spreads, dtype=torch.float64)


def landmark_weights(layout: str) -> Float[Tensor, " l"]:
    """What each landmark of `layout` counts in the fit beside the detector's confidence in it."""
    return _of_kinds(layout, _LANDMARK_WEIGHT, 1.0)


def pitch_biases(layout: str) -> Float[Tensor, " l"]:
    """The part of the camera's pitch, 0 to 1, that the detector overlooks at each landmark of `layout`."""
    return _of_kinds(layout, _PITCH_BIAS, 0.0)


def _of_kinds(layout: str, values: dict[str, float], otherwise: float) -> Float[Tensor, " l"]:
    """What a table of kinds says of each landmark of `layout`."""
    each = [values.get(_side(name)[1], otherwise) for name in LAYOUTS[layout].names]
    return torch.tensor(each, dtype=torch.float64)


def _side(name: str) -> tuple[str, str]:
    """("left" | "right" | "", the rest of the name); BlazePose writes mouth_left but left_eye."""
    for side in ("left", "right"):
        if name.startswith(f"{side}_"):
            return side, name.removeprefix(f"{side}_")
        if name.endswith(f"_{side}"):
            return side, name.removesuffix(f"_{side}")
    return "", name


def _joint(body: Body, name: str) -> int:
    return body.smpl_index[SMPL_JOINTS.index(name)]


def _nose(body: Body) -> Float[Tensor, "3"]:
    """The tip of the nose: the foremost point of the head's surface near the middle plane."""
    template = body.template.double()
    head = (body.weights[:, _joint(body, "head")] > 0.5) & (template[:, 0].abs() < 0.01)
    return template[head][template[head, 2].argmax()]
