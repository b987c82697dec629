"""ActorsHQ (Işık et al. 2023): actors before 160 cameras, with SMPL-X poses that its followers fitted.

`Actor01/Sequence1/` holds `4x/` (or `2x/`, `1x/`): `calibration.csv`, `rgbs/Cam001/Cam001_rgb000000.jpg` and
`masks/Cam001/Cam001_mask000000.png`; and beside them `smpl_params.npz`, which the authors of Animatable Gaussians give
(Li et al. 2024): the neutral SMPL-X, straight hands at zero. The data set itself has meshes and no body. A camera is at
`translation`, turned by the rotation vector; focal lengths and principal points are in widths and heights of the image.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.datasets.posed import (
    DatasetFrame,
    PosedDataset,
    ReadImage,
    SmplPoses,
    camera_in,
    floats,
    numbers,
    require_all,
)
from avatar.datasets.smplx_files import smplx_rotvecs
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_rotvec
from avatar.io.files import read_npz
from avatar.io.images import read_image, read_mask

SCALES = ("4x", "2x", "1x")  # the smallest that is there is used
POSES = "smpl_params.npz"
EVERY, EVERY_TEST = 20, 50  # frames from one pose to the next
HELD_OUT = 8  # every eighth camera is tested on


def read_actorshq(folder: Path) -> PosedDataset:
    """Our own division: all cameras but every eighth, every 20th frame; tested from the others every 50th.

    Of cameras on end and lying, those of which there are more are used, since all images must be of one size.

    Raises:
        UsageError: there is no such folder.
        AvatarError: files are missing (each is named) or broken.
    """
    require_all(folder, [folder / POSES])
    place = next((folder / scale for scale in SCALES if (folder / scale).is_dir()), folder / SCALES[0])
    require_all(folder, [place / "calibration.csv"])
    poses = _poses(folder / POSES)
    cameras = [one for one in _cameras(place / "calibration.csv") if (place / "rgbs" / one.name).is_dir()]
    sizes = Counter(camera.size for camera in cameras)
    if not sizes:
        raise AvatarError(f"{place / 'rgbs'} has images of no camera in calibration.csv.")
    cameras = [camera for camera in cameras if camera.size == sizes.most_common(1)[0][0]]
    tested = cameras[HELD_OUT // 2 :: HELD_OUT] or cameras[-1:]
    shown = [camera for camera in cameras if camera not in tested]
    if not shown:
        raise AvatarError(f"{place / 'rgbs'} has images of one camera only: two are needed, one to test from.")
    count = len(poses.transl)
    train = [(frame, camera) for frame in range(0, count, EVERY) for camera in shown]
    test = [(frame, camera) for frame in range(0, count, EVERY_TEST) for camera in tested]
    require_all(folder, [path for frame, camera in (*train, *test) for path in camera.files(place, frame)])
    upright = poses.upright()
    shots = [camera.shot(place, frame, upright) for frame, camera in (*train, *test)]
    about = f"{POSES}, of Animatable Gaussians"
    return PosedDataset(poses, tuple(shots[: len(train)]), tuple(shots[len(train) :]), about)


@dataclass(frozen=True, eq=False)
class _Camera:
    """One row of calibration.csv."""

    name: str
    size: tuple[int, int]
    K: Float[np.ndarray, "3 3"]
    R: Float[np.ndarray, "3 3"]
    t: Float[np.ndarray, "3"]

    def files(self, place: Path, frame: int) -> tuple[Path, Path]:
        """Image and mask."""
        image = place / "rgbs" / self.name / f"{self.name}_rgb{frame:06d}.jpg"
        return image, place / "masks" / self.name / f"{self.name}_mask{frame:06d}.png"

    def shot(self, place: Path, frame: int, upright: Float[Tensor, "3 3"]) -> DatasetFrame:
        image, mask = self.files(place, frame)
        camera = camera_in(upright, self.K, self.R, self.t, self.size)
        return DatasetFrame(f"frame {frame}, {self.name}", frame, frame, camera, _reader(image, mask, self.size))


def _reader(image: Path, mask: Path, size: tuple[int, int]) -> ReadImage:
    def read() -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        pixels, person = read_image(image)[..., :3], read_mask(mask)
        if not pixels.shape[:2] == person.shape == size[::-1]:
            raise AvatarError(f"{image}, its mask and calibration.csv are of different sizes.")
        return pixels, person

    return read


def _cameras(path: Path) -> list[_Camera]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    cameras = []
    try:
        for row in rows:
            width, height = int(row["w"]), int(row["h"])
            turn, place = (np.array([float(row[f"{kind}{axis}"]) for axis in "xyz"]) for kind in "rt")
            fx, fy, px, py = (float(row[name]) for name in ("fx", "fy", "px", "py"))
            R = rotation_from_rotvec(floats(turn)).double().numpy().T
            K = np.array([[fx * width, 0, px * width], [0, fy * height, py * height], [0, 0, 1]])
            cameras.append(_Camera(row["name"], (width, height), K, R, -R @ place))
    except (KeyError, TypeError, ValueError) as error:
        raise AvatarError(f"{path} is no calibration of ActorsHQ: {error!r}.") from error
    return cameras


def _poses(path: Path) -> SmplPoses:
    arrays = read_npz(path)
    transl = numbers(path, arrays, "transl", (None, 3))
    betas = numbers(path, arrays, "betas", (None, 10))[0]
    return SmplPoses(floats(betas), floats(smplx_rotvecs(path, arrays, len(transl))), floats(transl), gender="neutral")
