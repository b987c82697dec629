"""X-Humans (Shen et al. 2023): scans of people in motion, rendered by a virtual camera that goes round them.

`SUBJECT/` holds `gender.txt`, `mean_shape_smplx.npy` and, under `train/` and `test/`, sequences with
`render/image/color_000001.png`, `render/depth/depth_000001.tiff`, `render/cameras.npz` (`intrinsic` 3x3, `extrinsic`
n x 4 x 4, OpenCV's) and `SMPLX/mesh-f00001_smplx.pkl`. What lies at a depth of at most 10 is the person. Fingers are
given away from the model's mean hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from avatar.datasets.posed import DatasetFrame, PosedDataset, ReadImage, SmplPoses, camera_in, numbers, require_all
from avatar.datasets.smplx_files import smplx_of_frames
from avatar.errors import AvatarError, short_message
from avatar.io.files import read_npz, read_text
from avatar.io.images import read_image

FARTHEST = 10.0  # of the person in the depth images; the background is beyond
EVERY, EVERY_TEST = 5, 10  # frames from one image to the next


def read_xhumans(folder: Path) -> PosedDataset:
    """The division of the data set, thinned: every fifth frame of `train/`, every tenth of `test/`.

    Raises:
        UsageError: there is no such folder.
        AvatarError: files are missing (each is named) or broken.
    """
    require_all(folder, [folder / "gender.txt", folder / "mean_shape_smplx.npy"])
    gender = read_text(folder / "gender.txt").strip().lower()
    if gender not in ("female", "male"):
        raise AvatarError(f"{folder / 'gender.txt'} should say female or male, and says {gender[:20]!r}.")
    betas = _shape(folder / "mean_shape_smplx.npy")
    parts = [_frames(folder, "train", EVERY), _frames(folder, "test", EVERY_TEST)]
    frames = [frame for part in parts for frame in part]
    require_all(folder, [path for frame in frames for path in frame.files])
    poses = smplx_of_frames([frame.pose for frame in frames], betas, from_mean_hand=True, gender=gender)
    shots = [frame.shot(row, poses) for row, frame in enumerate(frames)]
    count = len(parts[0])
    return PosedDataset(poses, tuple(shots[:count]), tuple(shots[count:]), "SMPLX/, of the dataset")


@dataclass(frozen=True)
class _Frame:
    """Where one frame's files lie, and its camera."""

    name: str
    image: Path
    depth: Path
    pose: Path
    K: Float[np.ndarray, "3 3"]
    T: Float[np.ndarray, "4 4"]

    @property
    def files(self) -> tuple[Path, ...]:
        return self.image, self.depth, self.pose

    def shot(self, row: int, poses: SmplPoses) -> DatasetFrame:
        from PIL import Image

        with Image.open(self.image) as image:
            size = image.size
        camera = camera_in(poses.upright(), self.K, self.T[:3, :3], self.T[:3, 3], size)
        return DatasetFrame(self.name, row, row, camera, self._reader())

    def _reader(self) -> ReadImage:
        def read() -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
            image, depth = read_image(self.image)[..., :3], _depth(self.depth)
            if image.shape[:2] != depth.shape:
                raise AvatarError(f"{self.image} and its depth {self.depth.name} are of different sizes.")
            return image, ((depth > 0) & (depth <= FARTHEST)).astype(np.uint8) * 255

        return read


def _frames(folder: Path, part: str, every: int) -> list[_Frame]:
    sequences = sorted(path for path in (folder / part).glob("*") if (path / "render").is_dir())
    if not sequences:
        raise AvatarError(f"{folder / part} has no sequence with render/: the images are a part of the download.")
    return [frame for sequence in sequences for frame in _sequence(sequence, part)[::every]]


def _sequence(folder: Path, part: str) -> list[_Frame]:
    path = folder / "render" / "cameras.npz"
    require_all(folder, [path])
    arrays = read_npz(path)
    K, T = numbers(path, arrays, "intrinsic", (3, 3)), numbers(path, arrays, "extrinsic", (None, 4, 4))
    # Poses are numbered by the scans, images from 1 on.
    poses: Sequence[Path] = sorted((folder / "SMPLX").glob("mesh-f*_smplx.pkl"))
    if len(poses) != len(T):
        raise AvatarError(f"{folder} has {len(poses)} poses in SMPLX/ and {len(T)} cameras in render/cameras.npz.")
    render = folder / "render"
    return [
        _Frame(
            f"{part}/{folder.name}, frame {number}",
            render / "image" / f"color_{number:06d}.png",
            render / "depth" / f"depth_{number:06d}.tiff",
            pose,
            K,
            T[number - 1],
        )
        for number, pose in enumerate(poses, start=1)
    ]


def _shape(path: Path) -> np.ndarray:
    try:
        array = np.load(path, allow_pickle=False)
    except Exception as error:  # NumPy raises many kinds on broken files
        raise AvatarError(f"{path} is not a readable npy file of numbers: {short_message(error)}.") from error
    return numbers(path, {path.stem: array}, path.stem, (None,), (1, None)).ravel()


def _depth(path: Path) -> Float[np.ndarray, "h w"]:
    from PIL import Image

    try:
        with Image.open(path, formats=["TIFF"]) as file:
            return np.array(file, np.float32)
    except Exception as error:  # Pillow's readers raise many kinds on broken files
        raise AvatarError(f"{path} is not a readable tiff image: {short_message(error)}.") from error
