"""Our own motion file: JSON that a web page reads without help, the one the HTML player plays.

    {"format": "avatar-motion", "version": 1, "fps": 30, "names": ["pelvis", ...],
     "root": [[x, y, z], ...], "quats": [[[w, x, y, z], ...], ...]}

`names` are SMPL's 24 joints in order; `root` (frames, 3) is the world position of the pelvis in metres, Y up; `quats`
(frames, 24, 4) are unit quaternions, each joint's rotation from the T-pose relative to its parent, the first one in
the world. There may also be `fingers` (frames, 30, 4), quaternions of SMPL-H's finger joints away from the straight
hand, and `face` (frames, 52), the coefficients of ARKit's units in alphabetical order.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import smpl_pose
from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError
from avatar.geometry import quat_from_rotation, rotation_from_quat
from avatar.io.files import write_json
from avatar.motion.motion import check_fps, numbers
from avatar.types import BodyPose

FORMAT = "avatar-motion"


def player_motion(poses: BodyPose, fps: float, digits: int = 5) -> dict[str, Any]:
    """The content of a motion file, as plain lists and numbers."""

    def rounded(values: Tensor) -> list[Any]:
        values_list: list[Any] = values.detach().cpu().double().numpy().round(digits).tolist()
        return values_list

    content = {
        "format": FORMAT,
        "version": 1,
        "fps": round(fps, 6),
        "names": list(SMPL_JOINTS),
        "root": rounded(poses.root_position),
        "quats": rounded(quat_from_rotation(smpl_pose(poses).rotations)),
    }
    if poses.fingers is not None:
        content["fingers"] = rounded(quat_from_rotation(poses.fingers))
    if poses.face is not None:
        content["face"] = rounded(poses.face)
    return content


def write_player_motion(path: Path, poses: BodyPose, fps: float) -> None:
    """Write a motion file, replacing `path` in one step."""
    write_json(path, player_motion(poses, fps))


def is_player_motion(content: Any) -> bool:
    """Whether this JSON content is a motion file of the player."""
    return isinstance(content, dict) and content.get("format") == FORMAT


def parse_player_motion(path: Path, content: dict[str, Any]) -> tuple[BodyPose, float]:
    """Poses and frames per second.

    Raises:
        AvatarError: arrays are missing, of the wrong shape, or not unit quaternions.
    """
    if content.get("version") != 1 or content.get("names") != list(SMPL_JOINTS):
        raise AvatarError(f"{path} is a motion file of another version or of other joints than SMPL's 24.")
    root = numbers(path, content.get("root"), "root", None, 3)
    rotations = _rotations(path, content.get("quats"), "quats", len(root), 24)
    fingers = _rotations(path, content["fingers"], "fingers", len(root), 30) if "fingers" in content else None
    face = None
    if "face" in content:
        face = torch.from_numpy(numbers(path, content["face"], "face", len(root), 52)).float()
    fps = check_fps(path, float(numbers(path, content.get("fps"), "fps")))
    return BodyPose(torch.from_numpy(root).float(), rotations, fingers, face), fps


def _rotations(path: Path, value: Any, name: str, frames: int, joints: int) -> Float[Tensor, "t j 3 3"]:
    quats = numbers(path, value, name, frames, joints, 4)
    length = np.linalg.norm(quats, axis=-1, keepdims=True)
    if (np.abs(length - 1) > 0.01).any():
        raise AvatarError(f"{path}: its quaternions are not of unit length.")
    return rotation_from_quat(torch.from_numpy(quats / length)).float()
