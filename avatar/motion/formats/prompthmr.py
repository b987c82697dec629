"""PromptHMR-Vid (Wang et al. 2025): `results.pkl`, SMPL-X of several persons in a world with Y up."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from avatar.geometry import rotation_from_rotvec
from avatar.motion.formats.container import Content
from avatar.motion.formats.persons import at_frames, select_person
from avatar.motion.formats.smpl import motion_from_rotations
from avatar.motion.motion import Motion, ReadOptions, numbers


class PromptHmrFormat:
    """Reads results of PromptHMR-Vid."""

    name = "prompthmr"
    description = "PromptHMR results.pkl"

    def recognizes(self, content: Content) -> bool:
        persons = content.fields.get("people")
        return (
            isinstance(persons, Mapping)
            and bool(persons)
            and all(isinstance(p, Mapping) and "smplx_world" in p for p in persons.values())
        )

    def read(self, content: Content, options: ReadOptions) -> Motion:
        persons = content.fields["people"]
        lengths = {key: len(p["smplx_world"]["pose"]) for key, p in persons.items()}
        person = select_person(content, persons, lengths, options)
        pose = numbers(content.path, person["smplx_world"]["pose"], "pose", None, None)[:, :66]
        pose = numbers(content.path, pose, "pose", None, 66)
        transl = numbers(content.path, person["smplx_world"]["trans"], "trans", len(pose), 3)
        rotations = rotation_from_rotvec(torch.from_numpy(pose.reshape(-1, 22, 3).copy()))
        rotations, transl = at_frames(content, person.get("frames", range(len(pose))), rotations, transl)
        return motion_from_rotations(
            content, options, rotations, transl, options.fps or 30.0, None, "prompthmr", "smplx"
        )
