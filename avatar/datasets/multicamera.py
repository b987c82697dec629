"""A capture by several standing cameras without true masks: `cameras.json`, `joints.npz` and a video of each camera.

The layout of the Pose2Sim demonstration that this project measures with. `cameras.json` holds each camera's K,
`distortion_k1k2p1p2`, R, t (metres), width and height, and one `fps`; `joints.npz` holds `joints` (frames, n, 3), NaN
where unknown, and `joint_names`, of which those that lie at SMPL's joints are used. The videos run together.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from avatar.body.skeleton import SMPL_JOINTS
from avatar.datasets.capture import R_WORLD_CAPTURE, CaptureClip, Skeleton
from avatar.datasets.posed import camera_in
from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_json, read_npz
from avatar.types import ImageList

CAMERAS, JOINTS = "cameras.json", "joints.npz"


@dataclass(frozen=True)
class Station:
    """One camera of the capture: its video as a clip (without masks), and its lens' distortion k1, k2, p1, p2."""

    clip: CaptureClip
    distortion: Float[np.ndarray, " 4"]


def is_multicamera(folder: Path) -> bool:
    """Whether the folder has this layout rather than that of `avatar.datasets.capture`."""
    return (folder / JOINTS).is_file() and (folder / CAMERAS).is_file()


def read_stations(folder: Path) -> dict[str, Station]:
    """All cameras whose video is there, by name, in this program's world.

    Raises:
        UsageError: no camera has a video.
        AvatarError: a file is broken.
    """
    content, joints = read_json(folder / CAMERAS), _joints(folder / JOINTS)
    stations = {}
    try:
        fps, entries = float(content["fps"]), dict(content["cameras"])
        for name, entry in entries.items():
            video = folder / f"{name}.mp4"
            if video.is_file():
                K, R, t = (np.array(entry[key], np.float64) for key in ("K", "R", "t"))
                size = int(entry["width"]), int(entry["height"])
                camera = camera_in(torch.tensor(R_WORLD_CAPTURE), K, R, t, size)[[0] * len(joints)]
                lens = np.array(entry["distortion_k1k2p1p2"], np.float64).reshape(4)
                stations[name] = Station(
                    CaptureClip(name, video, fps, Skeleton(joints), camera, ImageList.of(())), lens
                )
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise AvatarError(f"{folder / CAMERAS} is no camera file of this layout: {error!r}.") from error
    if not stations:
        raise UsageError(f"{folder} has none of the videos {', '.join(f'{name}.mp4' for name in entries)}.")
    return stations


def _joints(path: Path) -> Float[torch.Tensor, "frames 24 3"]:
    """SMPL's joints, NaN where the file has none."""
    arrays = read_npz(path)
    try:
        given, names = arrays["joints"].astype(np.float32), [str(name) for name in arrays["joint_names"]]
        joints = np.full((len(given), len(SMPL_JOINTS), 3), np.nan, np.float32)
        for row, name in enumerate(names):
            if name in SMPL_JOINTS:
                joints[:, SMPL_JOINTS.index(name)] = given[:, row]
    except (KeyError, ValueError, IndexError) as error:
        raise AvatarError(f"{path} does not hold joints (frames, n, 3) and their joint_names: {error}.") from error
    return torch.from_numpy(joints) @ torch.tensor(R_WORLD_CAPTURE).T
