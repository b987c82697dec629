"""The track file: one npz of plain arrays that holds a `BodyTrack`, safe to share and easy to read elsewhere.

Version 1 holds, with n instants, j joints and f frames (units and axes as in `avatar.types`):

| array | shape | meaning |
|---|---|---|
| `format`, `version` | scalars | "avatar-track", 1 |
| `body` | scalar text | body model ("open") or the path of its file |
| `betas` | (s,) | shape coefficients |
| `root_position` | (n, 3) | world position of the pelvis joint, metres |
| `rotations` | (n, j, 3, 3) | each relative to its parent, away from the rest pose; entry 0: in the world |
| `fingers` | (n, 30, 3, 3) | rotations of SMPL-H's finger joints away from the straight hand; absent without them |
| `face` | (n, 52) | coefficients of the face's units, in [0, 1]; absent without them |
| `times` | (n,) | seconds, increasing |
| `confidence` | (n, j) | trust in each joint, in [0, 1] |
| `instant` | (f,) | index of the pose that each frame shows |
| `K` | (f, 3, 3) | intrinsics in pixels; absent, with the two below, for a motion without cameras |
| `T_camera_world` | (f, 4, 4) | world to OpenCV camera, metres |
| `image_size` | (2,) | width and height in pixels |
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from avatar.errors import AvatarError
from avatar.io.files import read_npz, write_npz
from avatar.types import BodyPose, BodyTrack, Cameras

FORMAT = "avatar-track"
VERSION = 1
NEEDED = ("body", "betas", "root_position", "rotations", "times", "confidence", "instant")
CAMERA = ("K", "T_camera_world", "image_size")
WHOLE = ("instant", "image_size")  # indices and counts; all other arrays may be integers or floats


def save_track(track: BodyTrack, path: Path) -> None:
    """Write `track` to `path` (.npz), replacing it in one step.

    Raises:
        AvatarError: the file cannot be written.
    """
    arrays = {
        "betas": track.betas,
        "root_position": track.poses.root_position,
        "rotations": track.poses.rotations,
        "times": track.times,
        "confidence": track.confidence,
        "instant": track.instant,
    }
    if track.poses.fingers is not None:
        arrays["fingers"] = track.poses.fingers
    if track.poses.face is not None:
        arrays["face"] = track.poses.face
    if track.cameras is not None:
        arrays["K"] = track.cameras.K
        arrays["T_camera_world"] = track.cameras.T_camera_world
        arrays["image_size"] = torch.tensor([track.cameras.width, track.cameras.height])
    write_npz(
        path,
        format=np.array(FORMAT),
        version=np.array(VERSION),
        body=np.array(track.body),
        **{name: value.detach().cpu().numpy() for name, value in arrays.items()},
    )


def load_track(path: Path) -> BodyTrack:
    """Read a track file and check that it is one.

    Raises:
        UsageError: there is no such file.
        AvatarError: the file is broken, not a track, or its arrays do not fit together.
    """
    arrays = read_npz(path)
    _check(arrays, path)
    values = {
        name: torch.from_numpy(array.astype(np.int64 if name in WHOLE else np.float32))
        for name, array in arrays.items()
        if array.dtype.kind in "iuf"
    }
    cameras = None
    if "K" in arrays:
        width, height = values["image_size"].tolist()
        cameras = Cameras(values["K"], values["T_camera_world"], int(width), int(height))
    return BodyTrack(
        body=str(arrays["body"]),
        betas=values["betas"],
        poses=BodyPose(values["root_position"], values["rotations"], values.get("fingers"), values.get("face")),
        times=values["times"],
        confidence=values["confidence"],
        instant=values["instant"],
        cameras=cameras,
    )


def _check(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Raise AvatarError unless the arrays form one sound track."""
    if str(arrays.get("format")) != FORMAT:
        raise AvatarError(f"{path} is not a track file of this program.")
    if str(arrays.get("version")) != str(VERSION):
        raise AvatarError(f"{path} is a track file of another version; make it again with `avatar track`.")
    missing = [name for name in NEEDED if name not in arrays]
    if "K" in arrays:
        missing += [name for name in CAMERA if name not in arrays]
    if missing:
        raise AvatarError(f"The track file {path} lacks {', '.join(missing)}.")
    n, joints = arrays["confidence"].shape if arrays["confidence"].ndim == 2 else (-1, -1)
    frames = arrays["instant"].size
    shapes: dict[str, tuple[int, ...]] = {
        "betas": (arrays["betas"].size,),
        "confidence": (n, joints),
        "root_position": (n, 3),
        "rotations": (n, joints, 3, 3),
        "fingers": (n, 30, 3, 3),
        "face": (n, 52),
        "times": (n,),
        "instant": (frames,),
        "K": (frames, 3, 3),
        "T_camera_world": (frames, 4, 4),
        "image_size": (2,),
    }
    for name, shape in shapes.items():
        if name not in arrays:
            continue
        array = arrays[name]
        fits = array.shape == shape and array.dtype.kind in "iuf"
        # A double beyond the range of a float would become infinite here.
        if not fits or not (np.abs(array) < np.finfo(np.float32).max).all():
            raise AvatarError(f"The track file {path} is damaged: {name} should be {shape} finite numbers.")
    if "K" in arrays and not ((arrays["image_size"] >= 1) & (arrays["image_size"] < 10**5)).all():
        raise AvatarError(f"The track file {path} is damaged: images cannot have the size {arrays['image_size']}.")
    instant = arrays["instant"]
    if n < 1 or frames < 1 or instant.dtype.kind not in "iu" or instant.min() < 0 or instant.max() >= n:
        raise AvatarError(f"The track file {path} is damaged: its frames do not match its poses.")
