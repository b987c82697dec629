"""The ffmpeg program that imageio-ffmpeg brings, and how it opens a file from somewhere."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from avatar.errors import AvatarError

STALL_SECONDS = 60.0
LINES_AT_ONCE = 100
MAX_PIXELS = 50_000_000  # a frame of 8K has 33 million
# Containers of recorded video only. Playlists and scripts (hls, concat, dash) can point ffmpeg at other files.
CONTAINERS = "mov,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,gif,ogg,asf,h264,hevc,m4v,yuv4mpegpipe,apng,dv"


def ffmpeg_program() -> str:
    """Path of the program."""
    import imageio_ffmpeg

    return str(imageio_ffmpeg.get_ffmpeg_exe())


def opened_safely(path: Path) -> list[str]:
    """The start of a command that opens `path` as a local file of a known container, whatever its name suggests."""
    return [
        ffmpeg_program(), "-hide_banner", "-nostdin", "-protocol_whitelist", "file,pipe", "-format_whitelist",
        CONTAINERS, "-max_pixels", str(MAX_PIXELS), "-i", f"file:{path.resolve()}",
    ]  # fmt: skip


def messages(path: Path, *options: str, seconds: float = STALL_SECONDS) -> str:
    """What ffmpeg prints about a file; without options only its header.

    Raises:
        AvatarError: it takes longer than `seconds`.
    """
    try:
        run = subprocess.run([*opened_safely(path), *options], capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise AvatarError(f"{path} cannot be read: no data came in {seconds:.0f} s.") from error
    return run.stderr.decode(errors="replace")


def output_lines(path: Path, *options: str, seconds: float = STALL_SECONDS) -> Iterator[str]:
    """What ffmpeg's filters print about a file on its standard output, line by line.

    Raises:
        AvatarError: some lines take longer than `seconds`.
    """
    command = [*opened_safely(path), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    stalled = threading.Event()

    def give_up() -> None:
        stalled.set()
        process.kill()

    try:
        while True:
            watchdog = threading.Timer(seconds, give_up)
            watchdog.start()
            try:
                lines = list(itertools.islice(process.stdout, LINES_AT_ONCE))
            finally:
                watchdog.cancel()
            if stalled.is_set():
                raise AvatarError(f"{path} cannot be read further: no frame came in {seconds:.0f} s.")
            if not lines:
                return
            yield from (line.decode(errors="replace") for line in lines)
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
