"""ZJU-MoCap: one person in the middle of about 23 cameras, with SMPL parameters of EasyMocap.

Two downloads of the same videos exist, and their numbers must not be mixed:

- *original* (Peng et al. 2021): `annots.npy`, `Camera_B1/000000.jpg`, `mask/...`, `mask_cihp/...`, `new_params/0.npy`
  (or `params/`);
- *refined* (Instant-NVR): `annots.npy`, `images/00/000000.jpg`, `mask/00/000000.png`, `smpl_params/0.npy`, better
  masks and poses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatar.datasets.posed import DatasetFrame, PosedDataset, ReadImage, SmplPoses, camera_in, prepared, require_all
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.io.images import read_image, read_mask
from avatar.io.pickles import read_pickle

SHRINK = 2
MILLIMETRES = 1000.0
EVERY = 30  # frames from one test pose to the next
# Frames that 3DGS-Avatar's configurations take; of the subjects not named all frames.
ORIGINAL_FRAMES = {"CoreView_377": 570, "CoreView_386": 540, "CoreView_387": 540, "CoreView_394": 475}


@dataclass(frozen=True)
class _Layout:
    """Where one of the two downloads keeps things, given the path of an image as annots.npy names it."""

    parameters: tuple[str, ...]
    masks: Callable[[str], tuple[str, ...]]


REFINED = _Layout(("smpl_params",), lambda image: (image.replace("images", "mask", 1),))
ORIGINAL = _Layout(("new_params", "params"), lambda image: (f"mask/{image}", f"mask_cihp/{image}"))


def read_zju_refined(folder: Path) -> PosedDataset:
    """GauHuman's split: camera 4, frames 0 to 495 in steps of 5; tested from the others, 17 poses in steps of 30.

    Raises:
        UsageError: there is no such folder.
        AvatarError: files are missing (each is named) or broken.
    """
    sequence = _Sequence(folder, REFINED)
    test = [(frame, camera) for frame in range(0, 17 * EVERY, EVERY) for camera in sequence.cameras if camera != 4]
    return sequence.divided([(frame, 4) for frame in range(0, 500, 5)], test)


def read_zju_original(folder: Path) -> PosedDataset:
    """HumanNeRF's split as 3DGS-Avatar configures it: all frames of the first camera; the others, every 30th frame.

    Raises: see `read_zju_refined`.
    """
    sequence = _Sequence(folder, ORIGINAL)
    count = ORIGINAL_FRAMES.get(folder.resolve().name, sequence.frames)
    test = [(frame, camera) for frame in range(0, count, EVERY) for camera in sequence.cameras[1:23]]
    return sequence.divided([(frame, 0) for frame in range(count)], test)


class _Sequence:
    """`annots.npy` of one folder: its cameras and the names of its images."""

    def __init__(self, folder: Path, layout: _Layout) -> None:
        self.folder, self.layout = folder, layout
        self.path = folder / "annots.npy"
        require_all(folder, [self.path])
        content = read_pickle(self.path)
        try:
            lenses = content["cams"]
            self.lenses = {name: [np.asarray(one, np.float64) for one in lenses[name]] for name in ("K", "D", "R", "T")}
            self.images = [[str(name).replace("\\", "/") for name in entry["ims"]] for entry in content["ims"]]
        except (KeyError, TypeError, ValueError) as error:
            raise AvatarError(f"{self.path} does not hold cameras and images as ZJU-MoCap does: {error}.") from error
        self.frames = len(self.images)
        self.cameras = range(min(len(self.lenses["K"]), len(self.images[0]) if self.images else 0))

    def divided(self, train: Sequence[tuple[int, int]], test: Sequence[tuple[int, int]]) -> PosedDataset:
        """The dataset of the given pairs of frame and camera."""
        pairs = [*train, *test]
        last = max(frame for frame, _ in pairs)
        if last >= self.frames or any(camera not in self.cameras for _, camera in pairs):
            raise AvatarError(
                f"{self.path} has {self.frames} frames of {len(self.cameras)} cameras, and the protocol needs frame "
                f"{last} and camera {max(camera for _, camera in pairs)}: it is another subject or cut off."
            )
        parameters = self._parameters({frame: self.images[frame][camera] for frame, camera in pairs})
        masks = {pair: self._masks(self.images[pair[0]][pair[1]]) for pair in pairs}
        needed = [self.folder / self.images[frame][camera] for frame, camera in pairs]
        require_all(self.folder, [*needed, *parameters.values(), *(path for paths in masks.values() for path in paths)])
        poses = _poses(list(parameters.values()))
        upright, rows = poses.upright(), {frame: row for row, frame in enumerate(parameters)}

        def shot(frame: int, camera: int) -> DatasetFrame:
            K, D, R, t = (self.lenses[name][camera] for name in ("K", "D", "R", "T"))
            path = self.folder / self.images[frame][camera]
            width, height = _size(path)
            view = camera_in(upright, K, R, t / MILLIMETRES, (width, height), SHRINK)
            read = _reader(path, masks[frame, camera], K, D)
            return DatasetFrame(f"frame {frame}, camera {camera}", frame, rows[frame], view, read)

        return PosedDataset(
            poses,
            tuple(shot(*pair) for pair in train),
            tuple(shot(*pair) for pair in test),
            f"{next(iter(parameters.values())).parent.name}, of the dataset",
        )

    def _parameters(self, images: dict[int, str]) -> dict[int, Path]:
        """The file of SMPL parameters of each frame; they are numbered as the images are, not by the frames."""
        places = self.layout.parameters
        place = next((name for name in places if (self.folder / name).is_dir()), places[0])
        try:
            return {frame: self.folder / place / f"{int(Path(images[frame]).stem)}.npy" for frame in sorted(images)}
        except ValueError as error:
            raise AvatarError(f"{self.path} names images that are not numbers: {error}.") from error

    def _masks(self, image: str) -> tuple[Path, ...]:
        """The mask's files. The original has two kinds, and whatever either shows is the person."""
        paths = [self.folder / Path(name).with_suffix(".png") for name in self.layout.masks(image)]
        return tuple(path for path in paths if path.is_file()) or tuple(paths[:1])


def _reader(path: Path, masks: Sequence[Path], K: np.ndarray, D: np.ndarray) -> ReadImage:
    def read() -> tuple[np.ndarray, np.ndarray]:
        # Masks hold the numbers of body parts; whatever is not zero is the person.
        person = np.logical_or.reduce([read_mask(mask) > 0 for mask in masks]).astype(np.uint8) * 255
        image = read_image(path)[..., :3]
        if image.shape[:2] != person.shape:
            raise AvatarError(f"{path} and its mask {masks[0]} are of different sizes.")
        return prepared(image, person, K, D, SHRINK)

    return read


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def _poses(paths: Sequence[Path]) -> SmplPoses:
    tables: list[dict[str, Any]] = [read_pickle(path) for path in paths]
    try:
        turns, places, joints = (
            torch.from_numpy(np.stack([np.asarray(one[name], np.float32).reshape(-1) for one in tables]))
            for name in ("Rh", "Th", "poses")
        )
        betas = torch.from_numpy(np.asarray(tables[0]["shapes"], np.float32).reshape(-1))
        rotvecs = joints.reshape(len(joints), 24, 3).clone()
        # The turn of the whole model comes on top of the root joint's own, which is zero in most files.
        rotvecs[:, 0] = rotation_to_rotvec(rotation_from_rotvec(turns) @ rotation_from_rotvec(rotvecs[:, 0]))
        # The model turns about its origin by Rh alone; the root's own turn leaves the pelvis where it is.
        return SmplPoses(betas, rotvecs, places.reshape(-1, 3), about=rotation_from_rotvec(turns))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise AvatarError(
            f"{paths[0].parent} does not hold SMPL parameters (Rh, Th, poses, shapes): {error}."
        ) from error
