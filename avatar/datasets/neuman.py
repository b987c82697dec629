"""NeuMan (Jiang et al. 2022): a person in a street, filmed by a moving phone, as HUGS prepared it.

`SCENE/` holds `images/00000.png`, COLMAP's `sparse/cameras.txt` and `sparse/images.txt`, the split files of the
dataset, and from HUGS `4d_humans/smpl_optimized_aligned_scale.npz` and `4d_humans/sam_segmentations/*.png`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from avatar.datasets.posed import DatasetFrame, PosedDataset, ReadImage, SmplPoses, camera_in, prepared, require_all
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_quat
from avatar.io.files import read_npz
from avatar.io.images import read_image, read_mask

CAMERAS, IMAGES = "sparse/cameras.txt", "sparse/images.txt"
POSES, MASKS = "4d_humans/smpl_optimized_aligned_scale.npz", "4d_humans/sam_segmentations"
# COLMAP's models: where fx, fy, cx, cy stand among the parameters, and how many of OpenCV's distortion follow.
MODELS = {
    "SIMPLE_PINHOLE": ((0, 0, 1, 2), 0),
    "PINHOLE": ((0, 1, 2, 3), 0),
    "SIMPLE_RADIAL": ((0, 0, 1, 2), 1),
    "RADIAL": ((0, 0, 1, 2), 2),
    "OPENCV": ((0, 1, 2, 3), 4),
}


def read_neuman_hugs(folder: Path) -> PosedDataset:
    """HUGS' split: trained on all but every fifth frame or so; tested on the first half of those left out.

    Raises:
        UsageError: there is no such folder.
        AvatarError: files are missing (each is named) or broken.
    """
    scene = _Scene(folder)
    train, test = hugs_split(len(scene.names))
    return scene.divided(train, test)


def read_neuman_exavatar(folder: Path) -> PosedDataset:
    """ExAvatar's split: the dataset's own `train_split.txt` and `test_split.txt`. Raises: see `read_neuman_hugs`."""
    lists = [folder / f"{kind}_split.txt" for kind in ("train", "test")]
    require_all(folder, [*lists, *(folder / name for name in (CAMERAS, IMAGES, POSES))])
    scene = _Scene(folder)
    rows = {name: row for row, name in enumerate(scene.names)}
    parts: list[list[int]] = []
    for path in lists:
        names = path.read_text(encoding="utf-8").split()
        strange = [name for name in names if name not in rows]
        if strange or not names:
            raise AvatarError(f"{path} names images that {IMAGES} does not have: {', '.join(strange[:5]) or 'none'}.")
        parts.append([rows[name] for name in names])
    return scene.divided(*parts)


def hugs_split(count: int) -> tuple[list[int], list[int]]:
    """Rows of training and of test among `count` frames; the second half of the frames left out is used by neither.

    Raises:
        AvatarError: there are fewer than ten frames.
    """
    if count < 10:
        raise AvatarError(f"NeuMan's split needs at least ten frames, and there are {count}.")
    step = int(count / (count // 5))
    left_out = list(range(count))[step // 2 :: step]
    return [row for row in range(count) if row not in set(left_out)], left_out[: len(left_out) // 2]


class _Scene:
    """COLMAP's cameras and the SMPL poses of one scene, brought from COLMAP's units to metres by the body's scale."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        require_all(folder, (folder / name for name in (CAMERAS, IMAGES, POSES)))
        try:
            cameras, views = _cameras(folder / CAMERAS), _views(folder / IMAGES)
        except (ValueError, IndexError, KeyError) as error:
            raise AvatarError(f"{folder / 'sparse'} is no text model of COLMAP: {error}.") from error
        self.names = sorted(views)
        used = {views[name][2] for name in self.names}
        if len(used) != 1 or not used <= set(cameras):
            raise AvatarError(f"{folder / CAMERAS} should hold the one camera of all images; they name {sorted(used)}.")
        self.K, self.distortion, self.size = cameras[used.pop()]
        self.R = np.stack([views[name][0] for name in self.names])
        t = np.stack([views[name][1] for name in self.names])
        self.poses, self.t = _poses(folder / POSES, self.R, t)

    def divided(self, train: Sequence[int], test: Sequence[int]) -> PosedDataset:
        """The dataset of the given rows."""
        images = [self.folder / "images" / name for name in self.names]
        # Masks belong to the images by their order; those that are not there are named as the images are.
        files = sorted((self.folder / MASKS).glob("*.png"))
        masks = files if len(files) == len(images) else [self.folder / MASKS / name for name in self.names]
        require_all(self.folder, [*images, *masks])
        upright = self.poses.upright()

        def shot(row: int) -> DatasetFrame:
            camera = camera_in(upright, self.K, self.R[row], self.t[row], self.size)
            return DatasetFrame(self.names[row], row, row, camera, self._reader(images[row], masks[row]))

        about = f"{POSES} (SMPL, aligned by HUGS)"
        return PosedDataset(self.poses, tuple(map(shot, train)), tuple(map(shot, test)), about)

    def _reader(self, image: Path, mask: Path) -> ReadImage:
        def read() -> tuple[np.ndarray, np.ndarray]:
            pixels, person = read_image(image)[..., :3], read_mask(mask)
            if not pixels.shape[:2] == person.shape == self.size[::-1]:
                raise AvatarError(f"{image}, its mask and {CAMERAS} are of different sizes.")
            return prepared(pixels, person, self.K, self.distortion)

        return read


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]


def _cameras(path: Path) -> dict[int, tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
    """K, OpenCV's distortion and the size of each camera."""
    cameras = {}
    for line in filter(str.strip, _lines(path)):
        name, model, width, height, *rest = line.split()
        values = [float(value) for value in rest]
        if model not in MODELS:
            raise ValueError(f"its camera is of the model {model}, and {', '.join(MODELS)} are read")
        places, lens = MODELS[model]
        fx, fy, cx, cy = (values[place] for place in places)
        distortion = np.zeros(4)
        distortion[:lens] = values[max(places) + 1 : max(places) + 1 + lens]
        cameras[int(name)] = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]]), distortion, (int(width), int(height))
    return cameras


def _views(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray, int]]:
    """R, t and the camera's number of each image; every second line lists points and is passed over."""
    views = {}
    for line in _lines(path)[::2]:
        if line.strip():
            _, *numbers, camera, name = line.split()
            values = [float(number) for number in numbers]
            R = rotation_from_quat(torch.tensor(values[:4], dtype=torch.float64)).numpy()
            views[Path(name).name] = R, np.array(values[4:7]), int(camera)
    return views


def _poses(
    path: Path, R: Float[np.ndarray, "t 3 3"], t: Float[np.ndarray, "t 3"]
) -> tuple[SmplPoses, Float[np.ndarray, "t 3"]]:
    """The poses and the cameras' translations in metres.

    The file's body has a size in COLMAP's units, in the mean s. Each frame is scaled about its camera, which no
    pixel shows, so that the body has its own size in all of them.
    """
    arrays = read_npz(path)
    try:
        scale = np.asarray(arrays["scale"], np.float64).reshape(-1, 1)
        centre = -(R.transpose(0, 2, 1) @ t[..., None])[..., 0]
        transl = centre / scale.mean() + (arrays["transl"] - centre) / scale
        rotvecs = np.concatenate([arrays["global_orient"], arrays["body_pose"]], axis=1).reshape(len(t), 24, 3)
        betas = np.asarray(arrays["betas"], np.float32).reshape(-1, arrays["betas"].shape[-1]).mean(0)
        if not scale.min() > 0:
            raise ValueError("a scale is not positive")
    except (KeyError, ValueError) as error:
        raise AvatarError(f"{path} does not hold one SMPL pose for each image of {IMAGES}: {error}.") from error
    poses = SmplPoses(
        torch.from_numpy(betas),
        torch.from_numpy(rotvecs.astype(np.float32)),
        torch.from_numpy(transl.astype(np.float32)),
    )
    return poses, t / scale.mean()
