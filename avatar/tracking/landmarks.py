"""Positions of a detector's landmarks on the body: bone and place in the rest pose.

The detector's points are not joints: its shoulder lies on the acromion, its hip beside the hip joint. Each landmark
is therefore a point of its own, constant in its bone's frame, which the fit solves over the whole clip within the
spread given here. The prior places come from the body's own joints and surface. The spreads are tight on purpose:
loose ones let the landmarks instead of the body absorb disagreement between views, and depth gets worse.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.landmarks import DetectorPlace, detector_places, side_and_kind
from avatar.body.skeleton import SMPL_JOINTS
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.kinematics import SkinnedPoints, joint_points


def landmark_points(
    body: Body, layout: str, several_cameras: bool = False
) -> tuple[SkinnedPoints, Float[Tensor, " l"]]:
    """The landmarks of `layout` as points on `body`, and the spread of each around its prior place in metres.

    Args:
        several_cameras: see `detector_places`.
    """
    joints = joint_points(body)
    nose = _nose(body)
    rest, dirs, bones, spreads = [], [], [], []
    for name, place in zip(LAYOUTS[layout].names, _places(layout, several_cameras), strict=True):
        side, _kind = side_and_kind(name)
        midline = place.bone in ("pelvis", "head")
        bone = _joint(body, place.bone if midline else f"{side}_{place.bone}")
        joint = bone if place.joint is None else _joint(body, f"{side}_{place.joint}")
        start = nose if place.joint is None else joints.rest[joint]
        x, y, z = place.offset
        rest.append(start + start.new_tensor([-x if side == "right" else x, y, z]))
        dirs.append(joints.shape_dirs[joint])
        bones.append(bone)
        spreads.append(place.spread)
    weights = torch.eye(len(body.parents), dtype=torch.float64)[bones]
    points = SkinnedPoints(torch.stack(rest), torch.stack(dirs), weights, torch.arange(len(rest)))
    return points, torch.tensor(spreads, dtype=torch.float64)


def landmark_weights(layout: str) -> Float[Tensor, " l"]:
    """The weight of each landmark of `layout` in the fit, beside the detector's confidence."""
    return torch.tensor([place.weight for place in _places(layout)], dtype=torch.float64)


def pitch_biases(layout: str) -> Float[Tensor, " l"]:
    """The share of the camera's pitch, 0 to 1, that the detector ignores at each landmark of `layout`."""
    return torch.tensor([place.pitch_bias for place in _places(layout)], dtype=torch.float64)


def _places(layout: str, several_cameras: bool = False) -> list[DetectorPlace]:
    places = detector_places(layout, several_cameras)
    return [places[side_and_kind(name)[1]] for name in LAYOUTS[layout].names]


def _joint(body: Body, name: str) -> int:
    return body.smpl_index[SMPL_JOINTS.index(name)]


def _nose(body: Body) -> Float[Tensor, "3"]:
    """The tip of the nose: the foremost point of the head's surface near the middle plane."""
    template = body.template.double()
    head = (body.weights[:, _joint(body, "head")] > 0.5) & (template[:, 0].abs() < 0.01)
    return template[head][template[head, 2].argmax()]
