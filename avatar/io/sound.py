"""The sound of a video, as numbers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from avatar.errors import AvatarError
from avatar.io.ffmpeg import opened_safely

MOST_SECONDS = 1800  # of sound that is read
WAIT_SECONDS = 120.0


def read_sound(path: Path, rate: int) -> Float32[np.ndarray, " samples"]:
    """The first sound track, its channels mixed, `rate` times per second from the file's beginning; may be empty.

    Raises:
        AvatarError: decoding takes longer than two minutes.
    """
    command = [
        *opened_safely(path), "-map", "0:a:0?", "-t", str(MOST_SECONDS), "-ac", "1", "-ar", str(rate),
        "-af", "aresample=async=1:first_pts=0", "-f", "f32le", "pipe:1",
    ]  # fmt: skip
    try:
        run = subprocess.run(command, capture_output=True, timeout=WAIT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise AvatarError(f"{path}: its sound cannot be read: no end came in {WAIT_SECONDS:.0f} s.") from error
    samples: Float32[np.ndarray, " samples"] = np.frombuffer(run.stdout[: len(run.stdout) // 4 * 4], "<f4")
    finite: Float32[np.ndarray, " samples"] = np.nan_to_num(samples)
    return finite
