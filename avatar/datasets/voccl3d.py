"""VOccl3D (Garg et al. 2025): rendered people behind real things, with the labels of the authors' preparation script.

`SCENE_ground_truth_labels.npy` holds a table of sequences (`images/NAME` or `SCENE/images/NAME`), each a table of
images with `pose_cam` (165, of SMPL-X), `shape` (11), `cam_translation` (1, 3) in the camera's axes and `gender`. The
script poses bodies with flat hands and a face at rest, whatever `pose_cam` says of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from avatar.datasets.posed import SmplPoses, floats, numbers
from avatar.datasets.truth import PoseTruth, chosen_clip
from avatar.errors import AvatarError, UsageError
from avatar.io.pickles import read_pickle

BODY_JOINTS = 22  # of SMPL-X's 55; the others stay at zero


def read_voccl3d(path: Path, clip: str | None) -> PoseTruth:
    """The poses of one sequence, by the name of its folder of images.

    Raises:
        UsageError: there is no such file, it is a folder, or `clip` names no sequence of it.
        AvatarError: the file is broken or of another version; nothing in it is run.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: VOccl3D's labels are one file, SCENE_ground_truth_labels.npy.")
    table = read_pickle(path)
    if not isinstance(table, Mapping) or not all(isinstance(images, Mapping) for images in table.values()):
        raise AvatarError(f"{path} holds no table of sequences and images: it is another file or another version.")
    sequences = {Path(str(key)).name: images for key, images in table.items()}
    name = chosen_clip(path, clip, sorted(sequences))
    rows = [_row(path, sequences[name], image) for image in sorted(sequences[name])]
    if not rows:
        raise AvatarError(f"{path}: the sequence {name} has no images.")
    betas, rotvecs, transl, genders = zip(*rows, strict=True)
    poses = SmplPoses(floats(betas[0]), floats(np.stack(rotvecs)), floats(np.stack(transl)), gender=genders[0])
    notes = (f"the first 10 of {len(betas[0])} shape coefficients are used",) if len(betas[0]) > 10 else ()
    return PoseTruth(name, np.arange(len(rows)), poses, notes=notes)


def _row(path: Path, images: Mapping[str, Any], image: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Shape, axis-angles, translation and gender of one image."""
    entry = images[image]
    rotvecs = numbers(path, entry, "pose_cam", (55, 3))
    rotvecs[BODY_JOINTS:] = 0
    gender = str(entry.get("gender"))
    if gender not in ("female", "male", "neutral"):
        raise AvatarError(f"{path}: {image} has the gender {gender!r}, not female, male or neutral.")
    shape = numbers(path, entry, "shape", (None,))
    return shape, rotvecs, numbers(path, entry, "cam_translation", (3,)), gender
