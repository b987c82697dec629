"""Recordings of Record3D in its own format `.r3d`: a zip archive.

- `metadata`: JSON with `w`, `h` (colour images), `dw`, `dh` (depth images), `K` column by column, `fps`, `poses` (qx qy
  qz qw x y z of each frame, from the camera with OpenGL's axes to ARKit's world, y up, metres), and in newer files
  `frameTimestamps` and `perFrameIntrinsicCoeffs` (fx fy cx cy);
- `rgbd/0.jpg`, `rgbd/0.depth` (float32 metres, LZFSE), `rgbd/0.conf` (0 to 2, LZFSE), and so on.

Nothing is unpacked to a name of the archive's choosing, and no member is read before its size is checked.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from avatar.errors import AvatarError, UsageError, short_message
from avatar.io.camera_motion_file import record3d_cameras
from avatar.io.depth_recording import DepthRecording, usual_intrinsics
from avatar.io.ffmpeg import MAX_PIXELS, ffmpeg_program
from avatar.io.files import MOST_JSON_BYTES, require_file
from avatar.types import Cameras

SUFFIX = ".r3d"
MOST_IMAGE_BYTES = 64 * 1024**2
MOST_DEPTH_SIDE = 4096
SLACK = 65536  # bytes by which LZFSE may lengthen what does not compress


def read_record3d(path: Path, work: Path) -> DepthRecording:
    """Read the cameras of a recording, and collect its JPEGs, as they are, in one video in the folder `work`.

    Raises:
        UsageError: there is no such file, or lzfse is not installed.
        AvatarError: the file is broken.
    """
    require_file(path)
    _require_lzfse()
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(_member(archive, "metadata", MOST_JSON_BYTES))
            numbers = _frames(archive)
            cameras = _cameras(metadata, numbers)
            size = int(metadata.get("dw", 192)), int(metadata.get("dh", 256))
            if not all(1 <= side <= MOST_DEPTH_SIDE for side in size):
                raise ValueError(f"depth images of {size[0]}x{size[1]} pixels")
            work.mkdir(parents=True, exist_ok=True)
            video = work / "record3d.mov"
            width, height = _write_video(archive, numbers, _rate(metadata, numbers), video)
    except AvatarError:
        raise
    except Exception as error:  # zipfile, zlib, json and Pillow each raise their own kinds on broken files
        raise AvatarError(f"{path} is not a readable Record3D file: {short_message(error)}.") from error
    cameras = cameras.resized(width, height)

    def depth(index: int) -> Float32[np.ndarray, "h w"]:
        return _depth(path, numbers[index], size)

    return DepthRecording(path, video, cameras, depth)


def _require_lzfse() -> Any:
    try:
        import lzfse
    except ImportError as error:
        raise UsageError(
            "Reading Record3D's depth needs the package lzfse: pip install 'splat-avatar[depth]'."
        ) from error
    return lzfse


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file of the archive, of at most this many bytes.

    Raises:
        KeyError: it is missing. ValueError: it is larger.
    """
    info = archive.getinfo(name)
    if info.file_size > most:
        raise ValueError(f"{name} has {info.file_size} bytes")
    return archive.read(info)


def _frames(archive: zipfile.ZipFile) -> list[int]:
    """The numbers of the frames that have an image, increasing."""
    names = (Path(name) for name in archive.namelist() if name.startswith("rgbd/") and name.endswith(".jpg"))
    numbers = sorted(int(name.stem) for name in names if name.stem.isascii() and name.stem.isdigit())
    if not numbers:
        raise ValueError("it holds no images")
    return numbers


def _cameras(metadata: dict[str, Any], numbers: list[int]) -> Cameras:
    cameras = record3d_cameras(metadata)
    if numbers[-1] >= len(cameras):
        raise ValueError(f"{len(cameras)} poses for frames up to {numbers[-1]}")
    cameras = cameras[numbers]
    lens = metadata.get("perFrameIntrinsicCoeffs")
    if isinstance(lens, list) and len(lens) > numbers[-1]:
        rows = torch.tensor([lens[number][:4] for number in numbers], dtype=torch.float32)
        K = torch.eye(3).repeat(len(rows), 1, 1)
        K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2] = rows.unbind(1)
        cameras = Cameras(usual_intrinsics(K), cameras.T_camera_world, cameras.width, cameras.height)
    if not cameras.T_camera_world.isfinite().all() or not (cameras.K[:, [0, 1], [0, 1]] > 0).all():
        raise ValueError("cameras that are no finite numbers")
    return cameras


def _rate(metadata: dict[str, Any], numbers: list[int]) -> float:
    """Frames per second."""
    times = metadata.get("frameTimestamps")
    rate = float(metadata.get("fps", 30))
    if isinstance(times, list) and len(times) > numbers[-1] and len(numbers) > 1:
        seconds = float(times[numbers[-1]]) - float(times[numbers[0]])
        rate = (len(numbers) - 1) / seconds if seconds > 0 else rate
    if not 0.5 <= rate <= 480:
        raise ValueError(f"{rate:g} frames per second")
    return rate


def _write_video(archive: zipfile.ZipFile, numbers: list[int], rate: float, video: Path) -> tuple[int, int]:
    """Write the JPEGs into a video without coding them again; their width and height."""
    command = [
        ffmpeg_program(), "-y", "-loglevel", "error", "-f", "mjpeg", "-framerate", f"{rate:.6f}", "-i", "pipe:0",
        "-c", "copy", str(video),
    ]  # fmt: skip
    size: tuple[int, int] | None = None
    with _piped(command) as process:
        assert process.stdin is not None
        for number in numbers:
            jpeg = _member(archive, f"rgbd/{number}.jpg", MOST_IMAGE_BYTES)
            own = _jpeg_size(jpeg, number)
            if size not in (None, own):
                raise ValueError(f"rgbd/{number}.jpg has {own[0]}x{own[1]} pixels, unlike those before")
            size = own
            process.stdin.write(jpeg)
    assert size is not None
    return size


@contextlib.contextmanager
def _piped(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that reads from us; it is ended with the block, and ValueError raised if it failed."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdin is not None and process.stderr is not None
    try:
        with contextlib.suppress(BrokenPipeError):
            yield process
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        message = process.stderr.read().decode(errors="replace").strip()
        if process.wait() != 0:
            raise ValueError(message.splitlines()[-1] if message else "its images cannot be put into a video")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def _jpeg_size(jpeg: bytes, number: int) -> tuple[int, int]:
    from PIL import Image

    with warnings.catch_warnings(), Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as file:
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        if file.width * file.height > MAX_PIXELS:
            raise ValueError(f"rgbd/{number}.jpg has {file.width}x{file.height} pixels")
        return file.width, file.height


def _depth(path: Path, number: int, size: tuple[int, int]) -> Float32[np.ndarray, "h w"]:
    width, height = size
    try:
        with zipfile.ZipFile(path) as archive:
            metres = _unpacked(archive, f"rgbd/{number}.depth", np.dtype("<f4"), width * height)
            sure = None
            if f"rgbd/{number}.conf" in archive.namelist():
                sure = _unpacked(archive, f"rgbd/{number}.conf", np.dtype(np.uint8), width * height)
    except Exception as error:  # see `read_record3d`
        raise AvatarError(f"{path}: the depth of frame {number} cannot be read: {short_message(error)}.") from error
    good = np.isfinite(metres) & (metres > 0) & (True if sure is None else sure > 0)
    return np.where(good, metres, 0.0).astype(np.float32).reshape(height, width)


def _unpacked(archive: zipfile.ZipFile, name: str, kind: np.dtype[Any], count: int) -> np.ndarray:
    """The numbers of a member that is packed by LZFSE."""
    whole = count * kind.itemsize
    data = _require_lzfse().decompress(_member(archive, name, whole + SLACK))
    if len(data) != whole:
        raise ValueError(f"{name} holds {len(data)} bytes instead of {whole}")
    return np.frombuffer(data, kind)
