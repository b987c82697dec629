"""PHALP tracks, as 4D-Humans writes them (Goel et al. 2023): for each frame the people in it, as rotation matrices.

The poses are in the camera's frame (x right, y down) and the depth is a guess from the size in the picture.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from avatar.errors import AvatarError
from avatar.motion.formats.container import Content
from avatar.motion.formats.persons import at_frames, chosen_person
from avatar.motion.formats.smpl import motion_from_rotations
from avatar.motion.motion import Motion, ReadOptions, numbers

DESCRIPTION = "4D-Humans / PHALP pkl"


def recognises(content: Content) -> bool:
    frames = content.data if isinstance(content.data, Mapping) else {}
    return bool(frames) and all(isinstance(f, Mapping) and {"smpl", "tid"} <= f.keys() for f in frames.values())


def read(content: Content, options: ReadOptions) -> Motion:
    people: dict[Any, list[tuple[int, Any, Any]]] = defaultdict(list)
    # Frames are keyed by the picture's path; their order in time is the order of the names.
    for index, key in enumerate(sorted(content.data, key=str)):
        frame = content.data[key]
        for person, smpl, camera in zip(frame["tid"], frame["smpl"], frame.get("camera", ()), strict=False):
            people[person].append((index, smpl, camera))
    seen = chosen_person(content, people, {key: len(poses) for key, poses in people.items()}, options)
    try:
        rotations = [np.concatenate([np.reshape(s["global_orient"], (1, 3, 3)), np.reshape(s["body_pose"], (23, 3, 3))])
                     for _, s, _ in seen]  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise AvatarError(f"{content.path}: smpl is not global_orient (1, 3, 3) and body_pose (23, 3, 3).") from error
    matrices = numbers(content.path, rotations, "smpl", len(seen), 24, 3, 3)
    camera = numbers(content.path, [np.ravel(c)[-3:] for _, _, c in seen], "camera", len(seen), 3)
    turned, transl = at_frames(content, [index for index, _, _ in seen], torch.from_numpy(matrices), camera)
    return motion_from_rotations(content, options, turned, transl, options.fps or 30.0, "-y", "phalp")
