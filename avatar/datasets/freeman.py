"""FreeMan (Wang et al. 2024): real people before eight phones, with 17 key points in space.

`30FPS/` (or `60FPS/`) holds `keypoints3d/SESSION.npy`, a table with `keypoints3d_smoothnet32`, `keypoints3d_smoothnet`,
`keypoints3d_optim` or `keypoints3d` (n, 17, 3) in COCO's order, and `cameras/SESSION.json`, the cameras with `name`
(c01 to c08), `rotation` (a rotation vector) and `translation`. Its SMPL poses are not read: which frame the files of
each view are in is not described.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from avatar.datasets.posed import floats, numbers, require_all
from avatar.datasets.truth import PoseTruth, as_smpl_joints, chosen_clip
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_rotvec
from avatar.io.files import read_json
from avatar.io.pickles import read_pickle

# The best of those that a file has comes first, as the authors' own reader has it.
VERSIONS = ("keypoints3d_smoothnet32", "keypoints3d_smoothnet", "keypoints3d_optim", "keypoints3d")
COCO = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
LIMBS = COCO[5:]
THIGH = (0.2, 0.7)  # metres; the unit of length is not described, and this tells it


def read_freeman(folder: Path, clip: str | None) -> PoseTruth:
    """The joints of one session as one camera sees them, `SESSION/c01`.

    Raises:
        UsageError: there is no such folder, or `clip` names no session and camera of it.
        AvatarError: files are missing, broken or of another version; nothing in them is run.
    """
    require_all(folder, [])
    files = sorted((folder / "cameras").glob("*.json"))
    available = [f"{path.stem}/c{index:02d}" for path in files for index in range(1, 9)]
    name = chosen_clip(folder, clip, available)
    session, _, camera = name.partition("/")
    path = folder / "keypoints3d" / f"{session}.npy"
    require_all(folder, [path])
    points = _points(path)
    R, t = _camera(folder / "cameras" / f"{session}.json", camera)
    unit = _unit(path, points)
    joints = as_smpl_joints((points @ R.T + t) / unit, COCO, {name: name for name in LIMBS})
    return PoseTruth(name, np.arange(len(points)), joints=joints, notes=("the joints are COCO's, of limbs alone",))


def _points(path: Path) -> np.ndarray:
    content = read_pickle(path)
    table: Any = content[0] if isinstance(content, np.ndarray) and content.shape == (1,) else content
    versions = [name for name in VERSIONS if isinstance(table, dict) and name in table]
    return numbers(path, table, versions[0] if versions else VERSIONS[-1], (None, len(COCO), 3))


def _camera(path: Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    entries = read_json(path)
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name:
            turn, place = numbers(path, entry, "rotation", (3,)), numbers(path, entry, "translation", (3,))
            return rotation_from_rotvec(floats(turn)).double().numpy(), place
    raise AvatarError(f"{path} has no camera {name}.")


def _unit(path: Path, points: np.ndarray) -> float:
    """How many of the file's units are a metre, by the length of the thighs.

    Raises:
        AvatarError: they fit neither metres, nor centimetres, nor millimetres.
    """
    hip, knee = (COCO.index(f"left_{name}") for name in ("hip", "knee"))
    thigh = float(np.median(np.linalg.norm(points[:, hip] - points[:, knee], axis=1)))
    for unit in (1.0, 100.0, 1000.0):
        if THIGH[0] < thigh / unit < THIGH[1]:
            return unit
    raise AvatarError(f"{path}: thighs are {thigh:.3g} long, which is no length in metres, centimetres or millimetres.")
