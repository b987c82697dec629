"""One pose as a JSON of joint angles:

    {"format": "avatar-pose", "degrees": {"left_elbow": [0, -90, 0], ...}}

For each SMPL joint its rotation vector away from the T-pose in degrees; missing joints stay as in the T-pose, or as
"words" describes the pose, where they are given: {"format": "avatar-pose", "words": "left arm raised, left fist"}.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.io.files import read_json
from avatar.motion.motion import numbers
from avatar.motion.text.hands_face import take_hands_face
from avatar.motion.text.parse import parse_pose
from avatar.types import BodyPose

POSE_FORMAT = "avatar-pose"


def pose_from_option(value: str) -> BodyPose:
    """A pose from words, or from a JSON file of joint angles where `value` names one; its root is at the origin."""
    if not value.lower().endswith(".json"):
        return pose_from_words(value)
    path = Path(value)
    return pose_from_json(path, read_json(path))


def pose_from_words(text: str) -> BodyPose:
    """Body, fingers and face of a pose in words; its root is at the origin.

    Raises:
        UsageError: it holds a word outside the vocabulary; the message names it.
    """
    _, shown = take_hands_face(text.lower())
    return BodyPose(torch.zeros(3), parse_pose(text), shown.fingers, shown.face)


def is_pose_json(content: Any) -> bool:
    """Whether this JSON content is a pose file."""
    return isinstance(content, dict) and content.get("format") == POSE_FORMAT


def is_pose_file(path: Path) -> bool:
    """Whether this is a JSON of joint angles rather than a motion."""
    return path.suffix.lower() == ".json" and path.is_file() and is_pose_json(read_json(path))


def pose_from_json(path: Path, content: Any) -> BodyPose:
    """The pose in a JSON of joint angles; its root is at the origin.

    Raises:
        AvatarError: it is of another format, names an unknown joint, or an angle is not three numbers.
    """
    words, degrees = (content.get(key) for key in ("words", "degrees")) if is_pose_json(content) else (None, None)
    if not (isinstance(words, str) or isinstance(degrees, dict)):
        raise AvatarError(f'{path} is not a pose: it needs "format": "{POSE_FORMAT}", and "degrees" or "words".')
    still = BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1))
    pose = pose_from_words(words) if isinstance(words, str) else still
    for name, value in (degrees if isinstance(degrees, dict) else {}).items():
        if name not in SMPL_JOINTS:
            raise AvatarError(f"{path} has the unknown joint {name!r}; the joints are {', '.join(SMPL_JOINTS)}.")
        rotvec = torch.from_numpy(numbers(path, value, name, 3)).float().deg2rad()
        pose.rotations[SMPL_JOINTS.index(name)] = rotation_from_rotvec(rotvec)
    return pose


def pose_to_json(rotations: Float[Tensor, "24 3 3"]) -> str:
    """The JSON of joint angles of a pose."""
    degrees = rotation_to_rotvec(rotations).rad2deg()
    angles = {name: [round(x, 2) for x in row] for name, row in zip(SMPL_JOINTS, degrees.tolist(), strict=True)}
    return json.dumps({"format": POSE_FORMAT, "degrees": {k: v for k, v in angles.items() if any(v)}}, indent=2)
