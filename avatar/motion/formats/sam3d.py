"""SAM 3D Body (Meta 2025): 70 keypoints per person and frame, in the camera's frame, through inverse kinematics.

Its own rig (MHR) is not SMPL's, so the pose parameters are ignored and the keypoints are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from avatar.errors import AvatarError
from avatar.landmark_layouts import LAYOUTS
from avatar.motion.formats.container import Content
from avatar.motion.formats.joint_positions import motion_from_points
from avatar.motion.motion import Motion, ReadOptions

POINTS, PLACE = "pred_keypoints_3d", "pred_cam_t"


class Sam3dFormat:
    """Reads keypoints of SAM 3D Body and estimates the joint rotations by inverse kinematics."""

    name = "sam3d"
    description = "SAM 3D Body results (npz, npy or pkl)"

    def recognizes(self, content: Content) -> bool:
        frames = _frames(content.data)
        return bool(frames) and all(isinstance(f, Mapping) and {POINTS, PLACE} <= f.keys() for f in frames)

    def read(self, content: Content, options: ReadOptions) -> Motion:
        frames = _frames(content.data)
        try:
            points = [
                np.reshape(np.asarray(f[POINTS], dtype=np.float64), (-1, len(LAYOUTS["mhr70"]), 3)) for f in frames
            ]
            places = [np.reshape(np.asarray(f[PLACE], dtype=np.float64), (-1, 1, 3)) for f in frames]
            moved = np.concatenate([p + t for p, t in zip(points, places, strict=True)])
        except (TypeError, ValueError) as error:
            raise AvatarError(f"{content.path}: {POINTS} is not (70, 3) with {PLACE} (3,) for every frame.") from error
        return motion_from_points(content, options, moved, options.fps or 30.0, "sam3d", up="-y")


def _frames(data: Any) -> list[Any]:
    """One mapping per frame: a list of them, a list of the persons of each frame (the first is used), or one mapping
    whose arrays run over the frames."""
    if isinstance(data, Mapping):
        return [data]
    if isinstance(data, np.ndarray) and data.dtype == object:
        data = data.ravel().tolist()
    if not isinstance(data, list):
        return []
    return [frame[0] if isinstance(frame, list) and frame else frame for frame in data]
