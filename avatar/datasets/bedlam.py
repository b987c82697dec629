"""BEDLAM and BEDLAM2 (Black et al. 2023; Tesch et al. 2025): rendered people in SMPL-X, labels of one scene as an npz.

The labels are those that the authors' `data_processing` writes, `processed_labels/SCENE.npz`: `imgname`
(SEQUENCE/SEQUENCE_0005.png), `pose_cam` (n, 165), `trans_cam` (n, 3), `shape` (n, 10 to 16), `cam_ext` (n, 4, 4),
`gender` and `sub`. The hands are flat at zero. The images' numbers are those of the video's frames.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avatar.datasets.posed import SmplPoses, floats, numbers
from avatar.datasets.truth import PoseTruth, chosen_clip
from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_npz

NAMES = ("imgname", "pose_cam", "trans_cam", "shape", "cam_ext", "gender", "sub")
JOINTS = 55


def read_bedlam(path: Path, clip: str | None) -> PoseTruth:
    """The poses of one person in one sequence, `SEQUENCE/SUBJECT`.

    Raises:
        UsageError: there is no such file, it is a folder, or `clip` names no sequence of it.
        AvatarError: the file is broken or of another version.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder: BEDLAM's labels are one file for each scene, SCENE.npz.")
    arrays = read_npz(path, NAMES)
    pose = numbers(path, arrays, "pose_cam", (None, JOINTS, 3))
    count = len(pose)
    trans, shape = numbers(path, arrays, "trans_cam", (count, 3)), numbers(path, arrays, "shape", (count, None))
    trans = trans + numbers(path, arrays, "cam_ext", (count, 4, 4))[:, :3, 3]
    images, subjects, genders = (_words(path, arrays, name, count) for name in ("imgname", "sub", "gender"))
    people = [f"{Path(image).parent.name}/{subject}" for image, subject in zip(images, subjects, strict=True)]
    name = chosen_clip(path, clip, list(dict.fromkeys(people)))
    rows = np.array([row for row, person in enumerate(people) if person == name])
    frames = np.array([_number(path, images[row]) for row in rows])
    rows, frames = rows[np.argsort(frames)], np.sort(frames)
    notes = () if shape.shape[1] <= 10 else (f"the first 10 of {shape.shape[1]} shape coefficients are used",)
    # The shape is the person's, in every row.
    poses = SmplPoses(floats(shape[rows[0]]), floats(pose[rows]), floats(trans[rows]), gender=genders[rows[0]])
    return PoseTruth(name, frames, poses, notes=notes)


def _words(path: Path, arrays: dict[str, np.ndarray], name: str, count: int) -> list[str]:
    words = arrays.get(name)
    if words is None or words.shape != (count,) or words.dtype.kind != "U":
        raise AvatarError(f"{path} has no {name} of each of its {count} poses: it is another file or another version.")
    return [str(word) for word in words]


def _number(path: Path, image: str) -> int:
    number = Path(image).stem.rpartition("_")[2]
    if not number.isdigit():
        raise AvatarError(f"{path} names the image {image}, whose name does not end in its number.")
    return int(number)
