"""WHAM (Shin et al. 2024): `wham_output.pkl`, a joblib file of subjects, SMPL in a world with Y up."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from avatar.geometry import rotation_from_rotvec
from avatar.motion.formats.container import Content
from avatar.motion.formats.persons import at_frames, select_person
from avatar.motion.formats.smpl import motion_from_rotations
from avatar.motion.motion import Motion, ReadOptions, numbers


class WhamFormat:
    """Reads results of WHAM."""

    name = "wham"
    description = "WHAM wham_output.pkl"

    def recognizes(self, content: Content) -> bool:
        persons = content.data if isinstance(content.data, Mapping) else {}
        return bool(persons) and all(
            isinstance(p, Mapping) and {"pose_world", "trans_world"} <= p.keys() for p in persons.values()
        )

    def read(self, content: Content, options: ReadOptions) -> Motion:
        persons = content.data
        person = select_person(content, persons, {key: len(p["pose_world"]) for key, p in persons.items()}, options)
        pose = numbers(content.path, person["pose_world"], "pose_world", None, 72)
        transl = numbers(content.path, person["trans_world"], "trans_world", len(pose), 3)
        rotations = rotation_from_rotvec(torch.from_numpy(pose.reshape(-1, 24, 3)))
        rotations, transl = at_frames(content, person.get("frame_ids", range(len(pose))), rotations, transl)
        return motion_from_rotations(content, options, rotations, transl, options.fps or 30.0, "y", "wham")
