"""4D-DRESS (Wang et al. 2024): people in loose clothes before four cameras.

`SUBJECT/OUTFIT/` (such as `00148/Inner`) holds sequences `Take1/` ..., each with `basic_info.pkl` (`scan_frames`),
`SMPLX/mesh-f00011_smplx.pkl` and `Capture/`: `cameras.pkl` (`intrinsics` 3x3 and `extrinsics` 3x4 of each camera) and
`0004/images/capture-f00011.png`, `0004/masks/mask-f00011.png`. The extrinsics are OpenCV's: the authors' code flips x
and y to bring them to PyTorch3D. Fingers are taken away from the model's mean hand, as in X-Humans of the same group.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from avatar.datasets.posed import DatasetFrame, PosedDataset, ReadImage, camera_in, numbers, require_all
from avatar.datasets.smplx_files import smplx_of_frames
from avatar.errors import AvatarError
from avatar.io.images import read_image, read_mask
from avatar.io.pickles import read_pickle

# The sequence that the benchmark of human reconstruction from videos tests on; of other outfits the last one.
TESTS = {
    ("00148", "Inner"): "Take7", ("00152", "Inner"): "Take8", ("00154", "Inner"): "Take9", ("00185", "Inner"): "Take7",
    ("00127", "Outer"): "Take18", ("00137", "Outer"): "Take16", ("00149", "Outer"): "Take21",
    ("00188", "Outer"): "Take14",
}  # fmt: skip
EVERY, EVERY_TEST = 10, 20  # frames from one pose to the next; each is seen by all cameras


def read_dress4d(folder: Path) -> PosedDataset:
    """The benchmark's sequences of one outfit, thinned: all its cameras, every tenth frame; tested every twentieth.

    Raises:
        UsageError: there is no such folder.
        AvatarError: files are missing (each is named) or broken; nothing in them is run.
    """
    require_all(folder, [])
    takes = sorted((path for path in folder.glob("Take*") if path.is_dir()), key=lambda path: (len(path.name), path))
    resolved = folder.resolve()
    test = folder / TESTS.get((resolved.parent.name, resolved.name), takes[-1].name if takes else "")
    if len(takes) < 2 or test not in takes:
        raise AvatarError(f"{folder} should hold at least two sequences Take..., {test.name or 'the last'} among them.")
    shown = [(take, frame) for take in takes if take != test for frame in _scan_frames(take)[::EVERY]]
    tested = [(test, frame) for frame in _scan_frames(test)[::EVERY_TEST]]
    files = [take / "SMPLX" / f"mesh-f{frame}_smplx.pkl" for take, frame in (*shown, *tested)]
    require_all(folder, files)
    poses = smplx_of_frames(files, None, from_mean_hand=True)
    upright = poses.upright()
    cameras = {take: _cameras(take / "Capture" / "cameras.pkl") for take in takes}

    def shots(pairs: Sequence[tuple[Path, str]], first: int) -> tuple[DatasetFrame, ...]:
        result = []
        for row, (take, frame) in enumerate(pairs, start=first):
            for name, (K, T) in cameras[take].items():
                place = take / "Capture" / name
                image, mask = place / "images" / f"capture-f{frame}.png", place / "masks" / f"mask-f{frame}.png"
                require_all(folder, [image, mask])
                camera = camera_in(upright, K, T[:, :3], T[:, 3], _size(image))
                label = f"{take.name}, frame {frame}, camera {name}"
                result.append(DatasetFrame(label, row, row, camera, _reader(image, mask)))
        return tuple(result)

    return PosedDataset(poses, shots(shown, 0), shots(tested, len(shown)), "SMPLX/, of the dataset")


def _scan_frames(take: Path) -> list[str]:
    """The names of the frames, such as 00011."""
    path = take / "basic_info.pkl"
    require_all(take, [path])
    content = read_pickle(path)
    frames = content.get("scan_frames") if isinstance(content, dict) else None
    if frames is None or not len(frames) or not all(str(frame).isdigit() for frame in frames):
        raise AvatarError(f"{path} has no list scan_frames of the numbers of frames.")
    return [f"{int(frame):05d}" for frame in frames]


def _cameras(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """K and the transform from the world of each camera whose images are there."""
    require_all(path.parent, [path])
    content = read_pickle(path)
    names = [str(name) for name in content] if isinstance(content, dict) else []
    present = [name for name in names if (path.parent / name / "images").is_dir()]
    if not present:
        raise AvatarError(f"{path} has no camera whose images are there; it has {', '.join(names[:8]) or 'none'}.")
    return {
        name: (
            numbers(path, content[name], "intrinsics", (3, 3)),
            numbers(path, content[name], "extrinsics", (3, 4), (4, 4))[:3],
        )
        for name in present
    }


def _size(path: Path) -> tuple[int, int]:
    from PIL import Image

    with Image.open(path) as image:
        return image.size


def _reader(image: Path, mask: Path) -> ReadImage:
    def read() -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        pixels, person = read_image(image)[..., :3], read_mask(mask)
        if pixels.shape[:2] != person.shape:
            raise AvatarError(f"{image} and its mask {mask.name} are of different sizes.")
        return pixels, person

    return read
