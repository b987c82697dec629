"""Results of programs that estimate SMPL or SMPL-X from video, in the camera's frame: VIBE, ROMP, HybrIK.

All look along z with y down. Their depth is a guess from the size in the image; VIBE has none at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from avatar.geometry import rotation_from_rotvec
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.foot_contact import root_path_from_feet
from avatar.motion.formats.container import Content
from avatar.motion.formats.persons import at_frames, select_person
from avatar.motion.formats.smpl import motion_from_fields, motion_from_rotations
from avatar.motion.motion import Motion, ReadOptions, numbers


class VibeFormat:
    """Reads results of VIBE (Kocabas et al. 2020) and of programs that write like it: a pkl of persons."""

    name = "vibe"
    description = "VIBE vibe_output.pkl"

    def recognizes(self, content: Content) -> bool:
        persons = content.data if isinstance(content.data, Mapping) else {}
        return bool(persons) and all(
            isinstance(p, Mapping) and {"pose", "frame_ids", "pred_cam"} <= p.keys() for p in persons.values()
        )

    def read(self, content: Content, options: ReadOptions) -> Motion:
        persons = content.data
        person = select_person(content, persons, {key: len(p["pose"]) for key, p in persons.items()}, options)
        pose = numbers(content.path, person["pose"], "pose", None, 72)
        rotations = rotation_from_rotvec(torch.from_numpy(pose.reshape(-1, 24, 3)))
        nowhere = np.zeros((len(pose), 3))
        rotations, nowhere = at_frames(content, person["frame_ids"], rotations, nowhere)
        motion = motion_from_rotations(content, options, rotations, nowhere, options.fps or 30.0, "-y", "vibe")
        return along_the_feet(motion)


class RompFormat:
    """Reads results of ROMP, BEV and TRACE (Sun et al. 2021): npz files of dictionaries, of an image or a video."""

    name = "romp"
    description = "ROMP / BEV npz of a video or of one image"

    def recognizes(self, content: Content) -> bool:
        return any(_is_romp(frame) for frame in _romp_frames(content))

    def read(self, content: Content, options: ReadOptions) -> Motion:
        people: dict[str, list[tuple[int, np.ndarray, np.ndarray]]] = defaultdict(list)
        for number, frame in enumerate(_romp_frames(content)):
            if not _is_romp(frame):
                continue  # nobody is in this image
            thetas = numbers(content.path, np.reshape(frame["smpl_thetas"], (-1, 72)), "smpl_thetas", None, 72)
            places = numbers(content.path, np.reshape(frame["cam_trans"], (-1, 3)), "cam_trans", len(thetas), 3)
            labels = np.ravel(frame.get("track_ids", range(len(thetas))))
            for label, theta, place in zip(labels, thetas, places, strict=False):
                people[str(label)].append((number, theta, place))
        rows = select_person(content, people, {key: len(value) for key, value in people.items()}, options)
        rotvecs = torch.from_numpy(np.stack([theta for _, theta, _ in rows])).reshape(-1, 24, 3)
        places = np.stack([place for _, _, place in rows])
        rotations, transl = at_frames(content, [k for k, _, _ in rows], rotation_from_rotvec(rotvecs), places)
        return motion_from_rotations(content, options, rotations, transl, options.fps or 30.0, "-y", "romp")


class HybrikFormat:
    """Reads results of HybrIK (Li et al. 2021): `res.pk`, one person."""

    name = "hybrik"
    description = "HybrIK res.pk"

    def recognizes(self, content: Content) -> bool:
        return content.has("pred_thetas") and ("transl" in content.fields or "pred_cam_root" in content.fields)

    def read(self, content: Content, options: ReadOptions) -> Motion:
        fields = content.fields
        thetas = np.asarray(fields["pred_thetas"], dtype=np.float64)
        if thetas.size % (24 * 4) == 0 and thetas.size // len(thetas) in (96, 216):
            thetas = thetas.reshape(len(thetas), -1)
        place = "transl" if "transl" in fields else "pred_cam_root"
        used = {"pred_thetas": thetas, "transl": np.reshape(fields[place], (-1, 3))}
        return motion_from_fields(content, used, options, "-y", "hybrik")


def along_the_feet(motion: Motion) -> Motion:
    """The motion with a path that holds the standing foot in place, for files without a translation."""
    rest = model_rest().float()
    pose = motion.track.poses
    poses = replace(pose, root_position=root_path_from_feet(rest, pose))
    return replace(motion, track=replace(motion.track, poses=poses), leg_length=leg_length(rest))


def _is_romp(frame: Any) -> bool:
    return isinstance(frame, Mapping) and {"smpl_thetas", "cam_trans"} <= frame.keys()


def _romp_frames(content: Content) -> list[Any]:
    """One dictionary per image, in order: in the field `results`, of one image or of all by their path."""
    if content.kind == "folder":
        return [frame for part in _sorted_values(content.data) for frame in _results(part)]
    return _results(content.data)


def _results(data: Any) -> list[Any]:
    results = data.get("results") if isinstance(data, Mapping) else None
    if isinstance(results, np.ndarray) and results.shape == () and results.dtype == object:
        results = results.item()
    if not isinstance(results, Mapping):
        return []
    return [results] if _is_romp(results) else _sorted_values(results)


def _sorted_values(named: Mapping[Any, Any]) -> list[Any]:
    return [named[key] for key in sorted(named, key=str)]
