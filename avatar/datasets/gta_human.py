"""GTA-Human and GTA-Human II (Cai et al. 2021, 2024): people of a game, in SMPL and in SMPL-X.

A release holds `images/SEQUENCE/00000000.jpeg` of 1920x1080 and, of the first, `annotations/SEQUENCE.pkl` with the one
person, of the second `annotations/SEQUENCE/PERSON.npz`. Each file has `betas` (n, 10), `global_orient` (n, 3),
`body_pose` (n, 69, of SMPL-X 63) and `transl` (n, 3) in the camera's axes, the second also `is_valid_smplx` and 24
principal components of each hand. The model is the neutral one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatar.datasets.posed import SmplPoses, floats, numbers, require_all
from avatar.datasets.truth import PoseTruth, chosen_clip
from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_npz
from avatar.io.pickles import read_pickle

ANNOTATIONS = "annotations"
BODY, HAND_COMPONENTS = 63, 24
NAMES = ("betas", "global_orient", "body_pose", "transl", "left_hand_pose", "right_hand_pose", "is_valid_smplx")


def read_gta_human(folder: Path, clip: str | None) -> PoseTruth:
    """The poses of one sequence of GTA-Human, `SEQUENCE`.

    Raises:
        UsageError: there is no such folder, or `clip` names no sequence of it.
        AvatarError: the file is broken or of another version; nothing in it is run.
    """
    require_all(folder, [])
    name = chosen_clip(folder, clip, sorted(path.stem for path in (folder / ANNOTATIONS).glob("*.pkl")))
    path = folder / ANNOTATIONS / f"{name}.pkl"
    betas, orient, transl, table = _common(path, read_pickle(path))
    body = numbers(path, table, "body_pose", (len(orient), 69))
    rotvecs = floats(np.concatenate([orient, body], 1).reshape(-1, 24, 3))
    poses = SmplPoses(floats(betas), rotvecs, floats(transl), gender="neutral")
    return PoseTruth(name, np.arange(len(rotvecs)), poses)


def read_gta_human_2(folder: Path, clip: str | None) -> PoseTruth:
    """The poses of one person of GTA-Human II, `SEQUENCE/PERSON`. Raises: see `read_gta_human`."""
    require_all(folder, [])
    people = sorted((folder / ANNOTATIONS).glob("*/*.npz"))
    name = chosen_clip(folder, clip, [f"{path.parent.name}/{path.stem}" for path in people])
    path = folder / ANNOTATIONS / f"{name}.npz"
    arrays = read_npz(path, NAMES)
    if not bool(arrays.get("is_valid_smplx", True)):
        raise UsageError(f"{path} says that this person has no valid SMPL-X poses: choose another person.")
    betas, orient, transl, table = _common(path, arrays)
    count = len(orient)
    # The description of the files says 69 numbers, the model that reads them takes 63.
    body = numbers(path, table, "body_pose", (count, BODY), (count, 69))[:, :BODY]
    rotvecs = np.zeros((count, 55, 3))
    rotvecs[:, :22] = np.concatenate([orient, body], 1).reshape(count, 22, 3)
    hands = [numbers(path, table, f"{side}_hand_pose", (count, HAND_COMPONENTS)) for side in ("left", "right")]
    components = torch.stack([floats(hand) for hand in hands], 1)
    poses = SmplPoses(floats(betas), floats(rotvecs), floats(transl), hand_components=components, gender="neutral")
    return PoseTruth(name, np.arange(count), poses)


def _common(path: Path, table: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, Mapping[str, Any]]:
    """Mean shape, orientation of the root, translation, and the table itself."""
    if not isinstance(table, Mapping):
        raise AvatarError(f"{path} holds no table of poses.")
    orient = numbers(path, table, "global_orient", (None, 3))
    betas = numbers(path, table, "betas", (len(orient), 10), (1, 10))
    return betas.mean(0), orient, numbers(path, table, "transl", (len(orient), 3)), table
