"""MediaPipe's world landmarks as JSON: metres from the middle of the hips, y down, per frame or of one image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from avatar.errors import AvatarError
from avatar.landmark_layouts import LAYOUTS
from avatar.motion.formats.container import Content
from avatar.motion.formats.joint_positions import motion_from_points
from avatar.motion.motion import Motion, ReadOptions

KEYS = ("worldLandmarks", "poseWorldLandmarks", "pose_world_landmarks", "world_landmarks", "worldlandmarks")
LISTS = ("frames", "data", "results")
POINTS = len(LAYOUTS["blazepose33"])


class MediapipeWorldFormat:
    """Reads world landmarks of MediaPipe's pose landmarker, which are 3D already."""

    name = "mediapipe-world"
    description = "MediaPipe world landmarks as JSON"

    def recognizes(self, content: Content) -> bool:
        return any(_landmarks(frame) is not None for frame in _frames(content))

    def read(self, content: Content, options: ReadOptions) -> Motion:
        """The first person of each frame; frames without one are filled by their neighbours."""
        wanted = options.person or "0"
        rows, person = [], int(wanted) if wanted.isdigit() else 0
        for number, frame in enumerate(_frames(content)):
            people = _landmarks(frame) or []
            one = people[person] if len(people) > person else None
            try:
                rows.append(
                    np.full((POINTS, 4), np.nan)
                    if not one
                    else np.array([[p["x"], p["y"], p["z"], p.get("visibility", 1.0)] for p in one], dtype=np.float64)
                )
            except (KeyError, TypeError, ValueError) as error:
                raise AvatarError(f"{content.path}: the world landmarks of frame {number} lack x, y or z.") from error
        wrong = next((number for number, row in enumerate(rows) if row.shape != (POINTS, 4)), None)
        if wrong is not None:
            raise AvatarError(f"{content.path}: frame {wrong} has {len(rows[wrong])} world landmarks, not {POINTS}.")
        names = LAYOUTS["blazepose33"].names
        return motion_from_points(
            content, options, np.stack(rows), options.fps or 30.0, self.name, up="-y", names=names
        )


def _frames(content: Content) -> list[Any]:
    data = content.data
    if content.kind == "folder":
        return [data[name] for name in sorted(data)]
    if content.kind != "json":
        return []
    if isinstance(data, Mapping):
        data = next((data[key] for key in LISTS if isinstance(data.get(key), list)), [data])
    return data if isinstance(data, list) else []


def _landmarks(frame: Any) -> list[Any] | None:
    """The people of a frame: lists of landmarks; one alone stands without a list around it."""
    if not isinstance(frame, Mapping):
        return None
    value = next((frame[key] for key in KEYS if key in frame), None)
    if isinstance(value, Mapping):
        value = value.get("landmark", value.get("landmarks"))
    if not isinstance(value, list):
        return None
    return [value] if value and isinstance(value[0], Mapping) else value
