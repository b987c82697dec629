"""Depth images beside a video, in the forms in which depth cameras' programs write them."""

import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

from avatar.io.ffmpeg import ffmpeg_program
from avatar.io.videos import VideoWriter

from .made_up_recordings import FPS, FRAMES, HEIGHT, WIDTH, K, depth, image


def video(path: Path, frames: int = FRAMES) -> Path:
    with VideoWriter(path, fps=FPS) as writer:
        for _ in range(frames):
            writer.add(image())
    return path


def millimetres(frames: int = FRAMES) -> np.ndarray:
    """The scene, and one more millimetre in each frame, which tells the frames apart."""
    return np.stack([(1000 * depth() + frame).astype(np.uint16) for frame in range(frames)])


def pngs(folder: Path, stack: np.ndarray, first: int = 0) -> Path:
    folder.mkdir(parents=True)
    for frame, one in enumerate(stack):
        Image.fromarray(one).save(folder / f"depth_{frame + first}.png")
    return folder


def ffv1(path: Path, stack: np.ndarray, pixels: str = "gray16le", codec: str = "ffv1") -> Path:
    command = [
        ffmpeg_program(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "gray16le",
        "-s", f"{stack.shape[2]}x{stack.shape[1]}", "-r", str(FPS), "-i", "-", "-c:v", codec, "-pix_fmt", pixels,
        str(path),
    ]  # fmt: skip
    subprocess.run(command, input=stack.tobytes(), check=True)
    return path


def open3d_intrinsics(path: Path) -> Path:
    matrix = K.T.flatten().tolist()
    path.write_text(json.dumps({"width": WIDTH, "height": HEIGHT, "intrinsic_matrix": matrix}), "utf-8")
    return path


def realsense_intrinsics(path: Path) -> Path:
    numbers = {"fx": K[0, 0], "fy": K[1, 1], "ppx": K[0, 2], "ppy": K[1, 2]}
    path.write_text(
        json.dumps({"width": WIDTH, "height": HEIGHT} | {name: float(k) for name, k in numbers.items()}), "utf-8"
    )
    return path
