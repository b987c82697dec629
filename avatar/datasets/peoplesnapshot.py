"""PeopleSnapshot (Alldieck et al. 2018): one person turning before one camera, in the folders as they are downloaded.

`SUBJECT/` holds `SUBJECT.mp4`, `camera.pkl`, `masks.hdf5` and `reconstructed_poses.hdf5`. InstantAvatar and its
followers use better poses, `poses/anim_nerf_train.npz` and `poses/anim_nerf_test.npz` from its repository; where both
lie in the folder they are used, and the table says which poses were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from avatar.datasets.posed import DatasetFrame, PosedDataset, SmplPoses, camera_in, prepared, require_all
from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_npz
from avatar.io.pickles import read_pickle
from avatar.io.videos import open_video

# First and last frame of training and of test, and the step of both (InstantAvatar's configuration of each subject).
SPLITS = {
    "male-3-casual": ((0, 455), (456, 675), 4),
    "male-4-casual": ((0, 659), (660, 872), 6),
    "female-3-casual": ((0, 445), (446, 647), 4),
    "female-4-casual": ((0, 335), (335, 523), 4),
}
SHRINK = 2
MASKS, POSES = "masks.hdf5", "reconstructed_poses.hdf5"
BETTER_POSES = ("poses/anim_nerf_train.npz", "poses/anim_nerf_test.npz")


def read_peoplesnapshot(folder: Path) -> PosedDataset:
    """InstantAvatar's split of one subject, at half resolution.

    Raises:
        UsageError: there is no such folder, it is not one of the four subjects, or h5py is not installed.
        AvatarError: files are missing (each is named) or broken.
    """
    subject = folder.resolve().name
    if folder.is_dir() and subject not in SPLITS:
        raise UsageError(f"The protocol is about {', '.join(SPLITS)}, and the folder is {folder}.")
    better = all((folder / name).is_file() for name in BETTER_POSES)
    files = ["camera.pkl", MASKS, f"{subject}.mp4", *(() if better else (POSES,))]
    require_all(folder, (folder / name for name in files))
    first, last, step = SPLITS[subject]
    train, test = (list(range(start, end + 1, step)) for start, end in (first, last))
    poses = _better_poses(folder, train, test) if better else _poses(folder, train + test)
    lens = _Lens(folder / "camera.pkl")
    camera = camera_in(poses.upright(), lens.K, lens.R, lens.t, lens.size, SHRINK)

    def shots(frames: list[int], row: int) -> tuple[DatasetFrame, ...]:
        recording = _Recording(folder, frames, lens)
        return tuple(
            DatasetFrame(f"frame {frame}", frame, row + i, camera, recording.reader(frame))
            for i, frame in enumerate(frames)
        )

    origin = "Anim-NeRF's, as InstantAvatar gives them" if better else POSES
    return PosedDataset(poses, shots(train, 0), shots(test, len(train)), origin)


class _Lens:
    """The camera of a sequence: K, distortion, and its place in the world."""

    def __init__(self, path: Path) -> None:
        import cv2

        content = read_pickle(path)
        try:
            focal, centre, self.distortion, turn, self.t = (
                np.asarray(content[f"camera_{name}"], np.float64).ravel() for name in ("f", "c", "k", "rt", "t")
            )
            self.size = int(content["width"]), int(content["height"])
            self.K = np.array([[focal[0], 0, centre[0]], [0, focal[1], centre[1]], [0, 0, 1]])
            self.R = cv2.Rodrigues(turn.reshape(3, 1))[0]
        except (KeyError, TypeError, ValueError, IndexError, cv2.error) as error:
            raise AvatarError(f"{path} is no camera of PeopleSnapshot: {error}.") from error


@dataclass(frozen=True)
class _Recording:
    """The prepared images of some frames. A video is decoded from its beginning, so all are read at the first call."""

    folder: Path
    frames: Sequence[int]
    lens: _Lens

    def reader(self, frame: int) -> Any:
        return lambda: self.images[frame]

    @cached_property
    def images(self) -> dict[int, tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]]:
        """Raises AvatarError where the video or the masks end before the last frame, or differ in size."""
        masks = _hdf5(self.folder / MASKS, "masks", self.frames)
        masks_by_frame = {frame: masks[i] for i, frame in enumerate(self.frames)}
        path = self.folder / f"{self.folder.resolve().name}.mp4"
        images = {}
        for index, (_, image) in enumerate(open_video(path).frames()):
            if index in masks_by_frame:
                mask = (masks_by_frame[index] > 0).astype(np.uint8) * 255
                if not image.shape[:2] == mask.shape == self.lens.size[::-1]:
                    raise AvatarError(f"{path}: its frames, {MASKS} and camera.pkl are of different sizes.")
                images[index] = prepared(image, mask, self.lens.K, self.lens.distortion, SHRINK)
            if index >= self.frames[-1]:
                break
        if len(images) < len(masks_by_frame):
            raise AvatarError(f"{path} ends before frame {self.frames[-1]}: download it again.")
        return images


def _poses(folder: Path, frames: list[int]) -> SmplPoses:
    path = folder / POSES
    return _smpl(path, _hdf5(path, "betas"), _hdf5(path, "pose", frames), _hdf5(path, "trans", frames))


def _better_poses(folder: Path, train: list[int], test: list[int]) -> SmplPoses:
    parts = []
    for name, frames in zip(BETTER_POSES, (train, test), strict=True):
        arrays = read_npz(folder / name)
        try:
            pose = np.concatenate([arrays["global_orient"], arrays["body_pose"]], axis=1)
            parts.append(_smpl(folder / name, arrays["betas"], pose, arrays["transl"]))
        except (KeyError, ValueError) as error:
            raise AvatarError(f"{folder / name} does not hold SMPL poses: {error}.") from error
        if len(pose) != len(frames):
            raise AvatarError(f"{folder / name} has {len(pose)} poses where the protocol has {len(frames)} frames.")
    first, second = parts
    return SmplPoses(first.betas, torch.cat([first.rotvecs, second.rotvecs]), torch.cat([first.transl, second.transl]))


def _smpl(path: Path, betas: np.ndarray, pose: np.ndarray, transl: np.ndarray) -> SmplPoses:
    if pose.ndim != 2 or pose.shape[1] != 72 or transl.shape != (len(pose), 3):
        raise AvatarError(f"{path}: poses of shape {pose.shape} and {transl.shape} are not SMPL's 72 and 3 per frame.")

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(array, np.float32))

    return SmplPoses(tensor(betas).reshape(-1), tensor(pose).reshape(-1, 24, 3), tensor(transl))


def _hdf5(path: Path, name: str, rows: Sequence[int] | None = None) -> np.ndarray:
    """One array of an HDF5 file, or the given rows (ascending) of it."""
    try:
        import h5py
    except ImportError as error:
        raise UsageError(f"Reading {path.name} needs h5py: pip install splat-avatar[datasets].") from error
    try:
        with h5py.File(path, "r") as file:
            array = file[name]
            if rows is not None and array.shape[0] <= max(rows):
                raise AvatarError(f"{path}: {name} ends at frame {array.shape[0] - 1}, before {max(rows)}.")
            return np.asarray(array[()] if rows is None else array[list(rows)])
    except (OSError, KeyError, TypeError, AttributeError) as error:
        raise AvatarError(f"{path} is broken or has no array {name}: {error}.") from error
