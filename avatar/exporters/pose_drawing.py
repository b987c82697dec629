"""A pose drawn in the style of OpenPose (Cao et al. 2019), which networks that make images take as control."""

from __future__ import annotations

import colorsys

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from avatar.body import smpl_pose
from avatar.body.landmarks import point_offset
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import skinning_transforms
from avatar.landmark_layouts import LAYOUTS
from avatar.model.avatar import Avatar
from avatar.types import BodyPose

LAYOUT = "coco18"
NAMES = LAYOUTS[LAYOUT].names
FACE = [i for i, name in enumerate(NAMES) if name.endswith(("nose", "eye", "ear"))]
BONES = [
    ("neck", "right_shoulder"), ("neck", "left_shoulder"), ("right_shoulder", "right_elbow"),
    ("right_elbow", "right_wrist"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("neck", "right_hip"), ("right_hip", "right_knee"), ("right_knee", "right_ankle"), ("neck", "left_hip"),
    ("left_hip", "left_knee"), ("left_knee", "left_ankle"), ("neck", "nose"), ("nose", "right_eye"),
    ("right_eye", "right_ear"), ("nose", "left_eye"), ("left_eye", "left_ear"),
]  # fmt: skip
COLORS = [tuple(round(255 * c) for c in colorsys.hsv_to_rgb(k / len(NAMES), 1, 1)) for k in range(len(NAMES))]
BONE_BRIGHTNESS = 0.6
STICK = 4 / 512  # half the width of a bone and the radius of a point, of the image's shorter side


def pose_points(avatar: Avatar, poses: BodyPose) -> Float[Tensor, "*b 18 3"]:
    """The 18 points in the world, metres, for one pose or several: joints, and nose, eyes and ears on the head."""
    rest = avatar.rest.smpl_joints.cpu()
    Ts_world_rest = skinning_transforms(rest, SMPL_PARENTS, smpl_pose(poses))
    points = []
    for name in NAMES:
        # OpenPose's neck is between the shoulders.
        for part in ("left_shoulder", "right_shoulder") if name == "neck" else (name, name):
            joint, offset = point_offset(part) or (part, (0.0, 0.0, 0.0))
            index = SMPL_JOINTS.index(joint)
            T = Ts_world_rest[..., index, :, :]
            points.append(T[..., :3, :3] @ (rest[index] + torch.tensor(offset)) + T[..., :3, 3])
    pairs: Tensor = torch.stack(points, dim=-2).unflatten(-2, (len(NAMES), 2))
    return pairs.mean(-2)


def draw_pose(
    pixels: Float[np.ndarray, "18 2"], visible: Bool[np.ndarray, "18"], width: int, height: int
) -> UInt8[np.ndarray, "h w 3"]:
    """The figure on black: a bone where both its ends are visible, a dot for each visible point."""
    import cv2

    image = np.zeros((height, width, 3), np.uint8)
    stick = max(STICK * min(width, height), 1.0)
    for (start, end), color in zip(BONES, COLORS, strict=False):
        a, b = NAMES.index(start), NAMES.index(end)
        if not (visible[a] and visible[b]):
            continue
        (x0, y0), (x1, y1) = pixels[a], pixels[b]
        length, angle = np.hypot(x1 - x0, y1 - y0), np.degrees(np.arctan2(y1 - y0, x1 - x0))
        axes = (max(round(length / 2), 1), max(round(stick), 1))
        outline = cv2.ellipse2Poly((round((x0 + x1) / 2), round((y0 + y1) / 2)), axes, round(angle), 0, 360, 1)
        cv2.fillConvexPoly(image, np.asarray(outline), tuple(BONE_BRIGHTNESS * c for c in color))
    for (x, y), shown, color in zip(pixels, visible, COLORS, strict=True):
        if shown:
            cv2.circle(image, (round(x), round(y)), max(round(stick), 1), color, -1)
    return image
