"""Depth images that lie beside a video: a folder of PNGs, an array of NumPy, or a 16-bit video.

- a folder of 16-bit grey PNGs, numbered from 0 by frame, or as many as the video has frames, in their names' order;
- `.npy`, or `.npz` with one array or one called `depth`, of shape (frames, height, width);
- a lossless video of 16-bit grey (FFV1 `gray16le` in `.mkv`).

Cameras that write them: RealSense, Azure Kinect, Orbbec, after their depth was registered to the colour image.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from avatar.errors import AvatarError, UsageError, short_message
from avatar.io.depth_recording import FARTHEST
from avatar.io.ffmpeg import messages, opened_safely
from avatar.io.files import require_file
from avatar.io.images import read_depth
from avatar.io.video_header import main_stream, video_streams
from avatar.io.videos import Video

MILLIMETRES = 0.001
MOST_AT_ENDS = 2  # frames by which colours and depth may differ at their ends; more of them would hide a gap
MOST_SIDE = 8192
STACKS = (".npy", ".npz")
DECODING_SECONDS = 3600.0

Depths = Callable[[int], Float32[np.ndarray, "h w"]]


@dataclass(frozen=True)
class DepthFiles:
    """The depth images that a user gives beside a video.

    Attributes:
        path: a folder, an array or a video, see above.
        scale: metres per unit; None: whole numbers are millimetres, others metres.
        camera: a file that tells the camera of the video; None: it is estimated.
    """

    path: Path
    scale: float | None = None
    camera: Path | None = None


def open_depth_images(files: DepthFiles, video: Video, work: Path) -> Depths:
    """Open the depth images of a whole video; see `DepthRecording.depth` for what is returned.

    Args:
        work: a folder for what must be unpacked.

    Raises:
        UsageError: there is no such file, or it is of another kind. AvatarError: it is broken, or belongs to another
            video.
    """
    path, frames = files.path, frame_count(video)
    if path.is_dir():
        return _from_folder(path, frames, files.scale or MILLIMETRES)
    require_file(path)
    stack = _array(path, work) if path.suffix.lower() in STACKS else _decoded(path, work)
    _check_count(path, len(stack), frames)
    whole = np.issubdtype(stack.dtype, np.integer)
    scale = files.scale or (MILLIMETRES if whole else 1.0)

    def depth(index: int) -> Float32[np.ndarray, "h w"]:
        if index >= len(stack):
            raise AvatarError(f"{path} ends before frame {index}.")
        return _plausible(stack[index].astype(np.float32) * np.float32(scale), f"Frame {index} of {path}")

    return depth


def frame_count(video: Video) -> int:
    """How many frames a whole video file holds, by its packets, which need no decoding.

    Raises:
        AvatarError: they cannot be counted.
    """
    copying = ("-map", f"0:{video.stream.index}", "-c", "copy", "-f", "null", "-")
    counts = re.findall(r"frame= *(\d+)", messages(video.path, *copying))
    if not counts:
        raise AvatarError(f"The frames of {video.path} cannot be counted: it is broken.")
    return int(counts[-1])


def _plausible(metres: Float32[np.ndarray, "h w"], name: str) -> Float32[np.ndarray, "h w"]:
    """The depth where it is a distance within a room, 0 elsewhere.

    Raises:
        AvatarError: it is so nowhere.
    """
    good = np.isfinite(metres) & (metres > 0) & (metres < FARTHEST)
    if not good.any():
        raise AvatarError(f"{name} holds no depth between 0 and {FARTHEST:g} m: is --depth-scale right?")
    return np.where(good, metres, 0.0).astype(np.float32)


def _check_count(path: Path, count: int, frames: int) -> None:
    if abs(count - frames) > MOST_AT_ENDS:
        raise AvatarError(
            f"{path} has {count} depth images, but the video has {frames} frames: they do not belong together."
        )


def _from_folder(folder: Path, frames: int, scale: float) -> Depths:
    names = sorted((path for path in folder.iterdir() if path.suffix.lower() == ".png"), key=_natural)
    if not names:
        raise UsageError(f"{folder} holds no PNG images: give a folder of 16-bit depth images.")
    by_frame = _by_frame(folder, names, frames)
    usual = Counter(size for size in map(_size, names) if size is not None).most_common(1)

    def depth(index: int) -> Float32[np.ndarray, "h w"]:
        path = by_frame.get(index)
        if path is None:
            raise AvatarError(f"{folder} has no image of frame {index}.")
        metres = read_depth(path, scale)
        if metres.shape[::-1] != usual[0][0]:
            raise AvatarError(f"{path} has {metres.shape[1]}x{metres.shape[0]} pixels, unlike the others.")
        return _plausible(metres, str(path))

    return depth


def _natural(path: Path) -> tuple[list[int], str]:
    """Sorts names by the numbers in them."""
    return [int(number) for number in re.findall(r"[0-9]+", path.stem)], path.name


def _by_frame(folder: Path, names: list[Path], frames: int) -> dict[int, Path]:
    """The image of each frame: by its number, or by its place among as many names as there are frames.

    Raises:
        AvatarError: the names leave open which image is whose.
    """
    numbers = [int((re.findall(r"[0-9]+", path.stem) or [-1])[-1]) for path in names]
    consecutive = len(set(numbers)) == len(numbers) and numbers[0] >= 0
    if consecutive and numbers[0] == 0:
        _check_count(folder, numbers[-1] + 1, frames)
        return dict(zip(numbers, names, strict=True))
    if consecutive and numbers[-1] - numbers[0] + 1 == frames:
        return {number - numbers[0]: name for number, name in zip(numbers, names, strict=True)}
    if len(names) == frames:
        return dict(enumerate(names))
    _check_count(folder, len(names), frames)
    raise AvatarError(
        f"{folder} has {len(names)} depth images for {frames} frames, and their names do not tell whose they are: "
        "number them from 0 by frame."
    )


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height by the header of a PNG; None where there is none."""
    with path.open("rb") as file:
        head = file.read(24)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or len(head) < 24:
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _array(path: Path, work: Path) -> np.ndarray:
    """The array of an npy or npz file, on disk."""
    try:
        if path.suffix.lower() == ".npz":
            path = _unpacked(path, work)
        stack: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(stack, np.ndarray) or stack.ndim != 3 or not len(stack):
            raise ValueError(f"an array of shape {getattr(stack, 'shape', None)} instead of (frames, height, width)")
        real = np.issubdtype(stack.dtype, np.integer) or np.issubdtype(stack.dtype, np.floating)
        if not real or stack.dtype.itemsize < 2:
            raise ValueError(f"numbers of the type {stack.dtype}, too coarse for depth")
        _check_sides(stack.shape[2], stack.shape[1])
        return stack
    except Exception as error:  # zipfile, zlib and NumPy each raise their own kinds on broken files
        raise AvatarError(f"{path} holds no depth images: {short_message(error)}.") from error


def _check_sides(width: int, height: int) -> None:
    if not (1 <= width <= MOST_SIDE and 1 <= height <= MOST_SIDE):
        raise ValueError(f"images of {width}x{height} pixels")


def _unpacked(path: Path, work: Path) -> Path:
    """An npz file's array called `depth`, or its only one, as a file of a name of our own."""
    with zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
        chosen = members.get("depth") or (next(iter(members.values())) if len(members) == 1 else None)
        if chosen is None:
            raise ValueError(f"its arrays are {', '.join(members) or 'none'}, and none of them is called depth")
        with archive.open(chosen) as member:
            shape, _, dtype = _npy_header(member)
            if dtype.hasobject or len(shape) != 3:
                raise ValueError(f"{chosen} is an array of shape {shape} of {dtype}")
            _check_sides(shape[2], shape[1])
            expected = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            if not expected <= archive.getinfo(chosen).file_size <= expected + 2**16:
                raise ValueError(f"{chosen} is cut off")
        work.mkdir(parents=True, exist_ok=True)
        with archive.open(chosen) as member, (work / "depth.npy").open("wb") as file:
            shutil.copyfileobj(member, file)
    return work / "depth.npy"


def _npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return header(file)


def _decoded(path: Path, work: Path) -> np.ndarray:
    """The frames of a 16-bit video, on disk."""
    header = messages(path)
    streams = video_streams(header)
    if not streams:
        raise UsageError(
            f"{path} is no depth: give a folder of 16-bit PNGs, an .npy or .npz array, or a 16-bit video (FFV1, .mkv)."
        )
    stream = main_stream(streams)
    line = next(line for line in header.splitlines() if re.search(rf"Stream #0:{stream.index}\b.*: Video:", line))
    if "gray16" not in line:
        raise UsageError(
            f"{path} is a video of{line.partition('Video:')[2].partition(',')[0]}, and depth needs 16-bit grey: write "
            "it as FFV1 with gray16le."
        )
    work.mkdir(parents=True, exist_ok=True)
    raw, size = work / "depth.raw", 2 * stream.width * stream.height
    command = [
        *opened_safely(path), "-map", f"0:{stream.index}", "-fps_mode", "passthrough", "-f", "rawvideo",
        "-pix_fmt", "gray16le", "-y", str(raw),
    ]  # fmt: skip
    try:
        subprocess.run(command, capture_output=True, timeout=DECODING_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise AvatarError(f"{path} cannot be decoded within an hour.") from error
    count = raw.stat().st_size // size if raw.is_file() else 0
    if not count:
        raise AvatarError(f"{path} holds no frame that can be decoded: it is empty or broken.")
    return np.memmap(raw, np.dtype("<u2"), "r", shape=(count, stream.height, stream.width))
