"""PHALP tracks, as 4D-Humans writes them (Goel et al. 2023): for each frame the persons in it, as rotation matrices.

The poses are in the camera's frame (x right, y down) and the depth is a guess from the size in the image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from avatar.errors import AvatarError
from avatar.motion.formats.container import Content
from avatar.motion.formats.persons import at_frames, select_person
from avatar.motion.formats.smpl import motion_from_rotations
from avatar.motion.motion import Motion, ReadOptions, numbers


class PhalpFormat:
    """Reads tracks of 4D-Humans and PHALP."""

    name = "phalp"
    description = "4D-Humans / PHALP pkl"

    def recognizes(self, content: Content) -> bool:
        frames = content.data if isinstance(content.data, Mapping) else {}
        return bool(frames) and all(isinstance(f, Mapping) and {"smpl", "tid"} <= f.keys() for f in frames.values())

    def read(self, content: Content, options: ReadOptions) -> Motion:
        persons: dict[Any, list[tuple[int, Any, Any]]] = defaultdict(list)
        # Frames are keyed by the image's path; their order in time is the order of the names.
        for index, key in enumerate(sorted(content.data, key=str)):
            frame = content.data[key]
            for person, smpl, camera in zip(frame["tid"], frame["smpl"], frame.get("camera", ()), strict=False):
                persons[person].append((index, smpl, camera))
        lengths = {key: len(poses) for key, poses in persons.items()}
        detections = select_person(content, persons, lengths, options)
        try:
            rotations = [
                np.concatenate(
                    [np.reshape(smpl["global_orient"], (1, 3, 3)), np.reshape(smpl["body_pose"], (23, 3, 3))]
                )
                for _, smpl, _ in detections
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise AvatarError(
                f"{content.path}: smpl is not global_orient (1, 3, 3) and body_pose (23, 3, 3)."
            ) from error
        matrices = numbers(content.path, rotations, "smpl", len(detections), 24, 3, 3)
        camera = numbers(content.path, [np.ravel(c)[-3:] for _, _, c in detections], "camera", len(detections), 3)
        turned, transl = at_frames(content, [index for index, _, _ in detections], torch.from_numpy(matrices), camera)
        return motion_from_rotations(content, options, turned, transl, options.fps or 30.0, "-y", "phalp")
