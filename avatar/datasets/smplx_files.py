"""SMPL-X parameters in the files of X-Humans, 4D-DRESS and the followers of ActorsHQ, which name them alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from avatar.datasets.posed import SmplPoses, floats, numbers
from avatar.io.pickles import read_pickle

# Names and sizes in the order of SMPL-X's 55 joints.
PARTS = {
    "global_orient": 3, "body_pose": 63, "jaw_pose": 3, "leye_pose": 3, "reye_pose": 3, "left_hand_pose": 45,
    "right_hand_pose": 45,
}  # fmt: skip
OFTEN_MISSING = ("leye_pose", "reye_pose")


def smplx_of_frames(
    paths: Sequence[Path], betas: np.ndarray | None, from_mean_hand: bool, gender: str | None = None
) -> SmplPoses:
    """The poses of one file for each frame, a pickled table of which nothing is run.

    Args:
        betas: of the person; None: the mean of those in the files.
        from_mean_hand, gender: see `SmplPoses`.

    Raises:
        AvatarError: a file is broken, or lacks a part of the pose.
    """
    tables = [read_pickle(path) for path in paths]
    rotvecs = np.concatenate([smplx_rotvecs(path, table, 1) for path, table in zip(paths, tables, strict=True)])
    transl = np.concatenate([numbers(p, table, "transl", (1, 3)) for p, table in zip(paths, tables, strict=True)])
    if betas is None:
        pairs = zip(paths, tables, strict=True)
        betas = np.mean([numbers(path, table, "betas", (1, None), (None,)).ravel() for path, table in pairs], axis=0)
    return SmplPoses(floats(betas), floats(rotvecs), floats(transl), from_mean_hand=from_mean_hand, gender=gender)


def smplx_rotvecs(path: Path, table: Mapping[str, Any], count: int) -> np.ndarray:
    """Axis-angles (count, 55, 3) of a table of SMPL-X's parts; eyes that are not given rest.

    Raises:
        AvatarError: another part is missing or of another size.
    """
    parts = [
        np.zeros((count, size))
        if name in OFTEN_MISSING and isinstance(table, Mapping) and name not in table
        else numbers(path, table, name, (count, size))
        for name, size in PARTS.items()
    ]
    return np.concatenate(parts, 1).reshape(count, 55, 3)
