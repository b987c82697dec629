"""A folder of one file per image with SMPL poses: EasyMocap's JSON, npz of SMPLer-X, OSX and AiOS."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from avatar.errors import AvatarError
from avatar.motion.formats.container import Content
from avatar.motion.formats.persons import select_person
from avatar.motion.formats.smpl import BODY, HANDS, PLACE, ROOT, WHOLE, first, holds_smpl, motion_from_fields
from avatar.motion.motion import Motion, ReadOptions

USED = {*WHOLE, *ROOT, *BODY, *PLACE, *(name for names in HANDS for name in names), "jaw_pose"}


class SmplFolderFormat:
    """Reads a folder of one file per image, each with the SMPL or SMPL-X poses of its people."""

    name = "smpl-folder"
    description = "a folder of one file per image: EasyMocap JSON, SMPLer-X, OSX or AiOS npz"

    def recognizes(self, content: Content) -> bool:
        if content.kind != "folder":
            return False
        people = [person for value in content.data.values() for person in _people(value)]
        return bool(people) and all(holds_smpl(person) for person in people)

    def read(self, content: Content, options: ReadOptions) -> Motion:
        """The person with the most files, or the requested one; estimates from images lie in the camera's frame."""
        rows: dict[str, list[tuple[int, Mapping[str, Any]]]] = defaultdict(list)
        for name, value in content.data.items():
            frame, in_name = _numbers_of(name)
            for place, person in enumerate(_people(value)):
                label = str(np.ravel(person.get("id", in_name if in_name is not None else place))[0])
                rows[label].append((frame, person))
        chosen = select_person(content, rows, {key: len(frames) for key, frames in rows.items()}, options)
        images: list[tuple[int, Mapping[str, Any]]] = sorted(chosen, key=lambda row: row[0])
        names = USED & set(images[0][1])
        lacking = next((number for number, fields in images if not names <= fields.keys()), None)
        if lacking is not None:
            raise AvatarError(f"{content.path}: the file of frame {lacking} lacks what the others hold.")
        fields = {name: np.stack([_flat(name, values[name]) for _, values in images]) for name in names}
        in_camera = first(fields, ROOT) != "Rh" and isinstance(next(iter(content.data.values())), Mapping)
        frames = [number for number, _ in images]
        return motion_from_fields(content, fields, options, "-y" if in_camera else None, self.name, frames)


def _people(value: Any) -> list[Mapping[str, Any]]:
    """The people of one image: a list, EasyMocap's "annots", or a mapping of one person's arrays."""
    if isinstance(value, Mapping) and isinstance(value.get("annots"), list):
        value = value["annots"]
    rows = value if isinstance(value, list) else [value]
    return [row for row in rows if isinstance(row, Mapping)]


def _numbers_of(name: str) -> tuple[int, str | None]:
    """Frame and person in a file's name: "000012.json" is frame 12, "00012_1.npz" its person 1."""
    groups = re.findall(r"\d+", name.rpartition(".")[0])
    if not groups:
        raise AvatarError(f"{name} has no frame number in its name.")
    return (int(groups[-1]), None) if len(groups) == 1 else (int(groups[-2]), groups[-1])


def _flat(name: str, value: Any) -> np.ndarray:
    """One frame's numbers in a row, matrices as they are."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AvatarError(f"{name} is not an array of numbers.") from error
    return array.reshape(-1, 3, 3) if array.shape[-2:] == (3, 3) and array.ndim > 2 else array.ravel()
