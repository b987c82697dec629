"""Aria Digital Twin (Pan et al. 2023), version 2: a person's skeleton, seen by somebody else's glasses.

`SEQUENCE/` holds `Skeleton_*.json` (`frames`: `joints`, 51 places in the scene, metres, and `timestamp_ns`) and
`2d_bounding_box.csv` (or `2d_bounding_box_with_skeleton.csv`), whose times of the stream 214-1 are those of the colour
camera's frames. The glasses' calibration lies in `video.vrs`, which is not read: the axes are those of the scene, so
that errors are measured after Procrustes alone. There is no body model.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from avatar.datasets.posed import numbers, require_all
from avatar.datasets.truth import PoseTruth, as_smpl_joints, chosen_clip
from avatar.errors import AvatarError
from avatar.io.files import read_json

BOXES = ("2d_bounding_box_with_skeleton.csv", "2d_bounding_box.csv")
COLOUR, STREAM, TIME = "214-1", "stream_id", "timestamp[ns]"
JOINTS = 51
APART = 10_000_000  # ns between a frame and the skeleton that belongs to it, at most; skeletons come at 120 Hz
# Where the 51 joints lie at SMPL's, by their numbers and the names that the tools of the data set give them.
NAMES = {3: "Neck", 4: "Head"} | {
    first + step: f"{side}{name}"
    for side, arm, leg in (("L", 5, 43), ("R", 24, 47))
    for first, names in ((arm, ("Shoulder", "UArm", "FArm", "Hand")), (leg, ("Thigh", "Shin", "Foot", "Toe")))
    for step, name in enumerate(names)
}
MEANINGS = {"Neck": "neck", "Head": "head"} | {
    f"{letter}{name}": f"{side}_{joint}"
    for letter, side in (("L", "left"), ("R", "right"))
    for name, joint in (
        ("UArm", "shoulder"), ("FArm", "elbow"), ("Hand", "wrist"), ("Thigh", "hip"), ("Shin", "knee"),
        ("Foot", "ankle"), ("Toe", "foot"),
    )
}  # fmt: skip


def read_aria_digital_twin(folder: Path, clip: str | None) -> PoseTruth:
    """The joints of one skeleton, `Skeleton_C` or `Skeleton_T`, at the colour camera's frames.

    Raises:
        UsageError: there is no such folder, or `clip` names no skeleton of it.
        AvatarError: files are missing, broken or of another version.
    """
    require_all(folder, [])
    name = chosen_clip(folder, clip, sorted(path.stem for path in folder.glob("Skeleton_*.json")))
    boxes = next((folder / file for file in BOXES if (folder / file).is_file()), folder / BOXES[-1])
    require_all(folder, [boxes])
    times, points = _skeleton(folder / f"{name}.json")
    filmed = _frame_times(boxes)
    nearest = np.abs(times[None] - filmed[:, None]).argmin(1)
    frames = np.flatnonzero(np.abs(times[nearest] - filmed) <= APART)
    if not len(frames):
        raise AvatarError(f"{folder}: no frame of the colour camera is from the time of {name}.json.")
    names = [NAMES.get(index, "") for index in range(JOINTS)]
    joints = as_smpl_joints(points[nearest[frames]], names, MEANINGS)
    return PoseTruth(name, frames, joints=joints, in_camera=False)


def _skeleton(path: Path) -> tuple[np.ndarray, np.ndarray]:
    content = read_json(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(frame, dict) for frame in frames):
        raise AvatarError(f"{path} has no frames: it is another file or another version of the data set.")
    times = np.array([numbers(path, frame, "timestamp_ns", ()) for frame in frames], np.int64).reshape(-1)
    return times, np.stack([numbers(path, frame, "joints", (JOINTS, 3)) for frame in frames])


def _frame_times(path: Path) -> np.ndarray:
    """The times of the colour camera's frames, ns, ascending."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        if rows.fieldnames is None or not {STREAM, TIME} <= set(rows.fieldnames):
            raise AvatarError(f"{path} has no columns {STREAM} and {TIME}: it is another version of the data set.")
        try:
            times = {int(row[TIME]) for row in rows if row[STREAM] == COLOUR}
        except ValueError as error:
            raise AvatarError(f"{path} has a time that is no number: {error}.") from error
    return np.array(sorted(times), np.int64)
