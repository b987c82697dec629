"""What ffmpeg prints about a video file: its tracks, and which of them is the video that the person recorded."""

from __future__ import annotations

import re
from dataclasses import dataclass

HDR_TRANSFERS = ("smpte2084", "arib-std-b67")


@dataclass(frozen=True)
class VideoStream:
    """One video track of a file.

    Attributes:
        index: its number among all tracks of the file, as ffmpeg's `-map 0:INDEX` takes it.
        width, height: as stored, before any rotation.
        fps: mean frames per second as the file states it.
        default: whether the file marks it as the one to show.
        hdr: whether its colours are of high dynamic range.
        interlaced: whether each frame holds two fields, taken one after the other.
    """

    index: int
    width: int
    height: int
    fps: float
    default: bool
    hdr: bool
    interlaced: bool


def video_streams(header: str) -> list[VideoStream]:
    """The video tracks of a file, without the cover images of music files."""
    lines = [line for line in header.splitlines() if re.search(r"Stream #0:\d+.*: Video:", line)]
    return [_video_stream(line) for line in lines if "attached pic" not in line]


def main_stream(streams: list[VideoStream]) -> VideoStream:
    """The track that the file marks as default; among several or without a mark the one with the most pixels."""
    marked = [stream for stream in streams if stream.default]
    return max(marked or streams, key=lambda stream: stream.width * stream.height)


def duration(header: str) -> float | None:
    """Seconds of the longest track as the file states it."""
    match = re.search(r"Duration: (\d+):(\d+):([\d.]+)", header)
    return None if match is None else int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def has_other_tracks(header: str) -> bool:
    """Whether the file has sound or data, which may last longer than the video."""
    return bool(re.search(r"Stream #0:\d+.*: (Audio|Data|Subtitle):", header))


def _video_stream(line: str) -> VideoStream:
    # After the name of the codec the fields are separated by commas; one of them is the size.
    size = re.search(r", (\d+)x(\d+)", line)
    rate = re.search(r"([\d.]+) fps", line) or re.search(r"([\d.]+) tbr", line)
    index = re.search(r"Stream #0:(\d+)", line)
    assert index is not None
    return VideoStream(
        index=int(index[1]),
        width=int(size[1]) if size else 0,
        height=int(size[2]) if size else 0,
        fps=float(rate[1]) if rate and float(rate[1]) > 0 else 30.0,
        default="(default)" in line,
        hdr=any(name in line for name in HDR_TRANSFERS),
        interlaced=bool(re.search(r"\b(top|bottom) (coded )?first\b", line)),
    )
