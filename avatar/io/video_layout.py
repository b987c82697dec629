"""Where a video is cut, and its black bars: found by ffmpeg's own filters in one fast pass."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from avatar.io.ffmpeg import output_lines
from avatar.io.videos import Box, Video

CUT_SCORE = 8.0  # ffmpeg's scene change score, 0 to 100; a camera carried about stays below 5, a cut has 10 to 40
CUT_RATIO = 2.5  # the change at a cut against the usual one of the frames around it
NEIGHBORS = 5  # frames on each side that say what is usual
SHORTEST_SHOT = 0.3  # seconds; two changes closer to each other are a flash
LEAST_BAR = 0.02  # width of a black bar, as a share of the image's side
EVEN_BARS = 0.01  # bars of both sides may differ by this share; a dark scene is not dark evenly


@dataclass(frozen=True)
class VideoLayout:
    """How a video is put together.

    Attributes:
        cuts: seconds from its first frame at which another scene begins, increasing.
        content: the part of the frames between black bars, or None where there are none.
    """

    cuts: tuple[float, ...]
    content: Box | None


def video_layout(video: Video) -> VideoLayout:
    """Look for cuts and black bars; decodes the video once.

    Raises:
        AvatarError: the decoder gives nothing for a minute.
    """
    size = f"scale={video.width}:{video.height}"
    look = "scdet=threshold=100,cropdetect=round=2:reset=0:skip=0,metadata=mode=print:file=-"
    filters = f"{video.trim}{video.upright}{size},{look}"
    options = ("-map", f"0:{video.stream.index}", "-fps_mode", "passthrough", "-vf", filters, "-f", "null", "-")
    times: list[float] = []
    changes: list[float] = []
    scores: list[float] = []
    content: dict[str, int] = {}
    for name, value in _printed(output_lines(video.path, *options)):
        if name == "pts_time":
            times.append(value)
        elif name == "scd.mafd":
            changes.append(value)
        elif name == "scd.score":
            scores.append(value)
        elif name in ("x", "y", "w", "h"):
            content[name] = int(value)
    cuts = [times[index] - times[0] for index in scene_changes(changes, scores)]
    return VideoLayout(_without_flashes(cuts), _content(video, content))


def _printed(lines: Iterator[str]) -> Iterator[tuple[str, float]]:
    """The numbers that the filters print about each frame."""
    for line in lines:
        if match := re.search(r"pts_time:(\S+)", line):
            yield "pts_time", float(match[1]) if match[1] != "NOPTS" else 0.0
        elif match := re.match(r"lavfi\.(?:cropdetect\.)?(\S+)=(-?[\d.]+)", line):
            yield match[1], float(match[2])


def scene_changes(changes: list[float], scores: list[float]) -> list[int]:
    """Indices of the frames that begin another scene.

    Args:
        changes: mean absolute difference of each frame from the one before, 0 to 100.
        scores: the same, less where the frame before had changed as much: ffmpeg's scene change score.
    """
    cuts = []
    for index in range(2, len(scores)):  # the first difference has no one before to be compared with
        around = changes[max(1, index - NEIGHBORS) : index] + changes[index + 1 : index + 1 + NEIGHBORS]
        usual = float(np.median(around)) if around else 0.0
        # After a flash the next frame changes back as much.
        after = changes[index + 1] if index + 1 < len(changes) else 0.0
        if scores[index] >= CUT_SCORE and changes[index] >= CUT_RATIO * max(usual, after):
            cuts.append(index)
    return cuts


def _without_flashes(cuts: list[float]) -> tuple[float, ...]:
    close = {index for index, (a, b) in enumerate(itertools.pairwise(cuts)) if b - a < SHORTEST_SHOT}
    return tuple(cut for index, cut in enumerate(cuts) if index not in close and index - 1 not in close)


def _content(video: Video, box: dict[str, int]) -> Box | None:
    """The box that ffmpeg's `cropdetect` gives, if what it leaves out are bars."""
    if not box or min(box["w"], box["h"]) <= 0:
        return None
    rows = _between_bars(box["y"], box["h"], video.height)
    columns = _between_bars(box["x"], box["w"], video.width)
    return None if rows is columns is None else (rows or slice(0, video.height), columns or slice(0, video.width))


def _between_bars(start: int, length: int, side: int) -> slice | None:
    """The pixels of one side between two bars, or None if what is left out on both ends are no bars."""
    before, after = start, side - start - length
    if min(before, after) < LEAST_BAR * side or abs(before - after) > EVEN_BARS * side + 2:
        return None
    return slice(before, side - after)


def without_bars(video: Video, layout: VideoLayout) -> Video:
    """The video with its frames cut to what lies between the bars."""
    if layout.content is None:
        return video
    rows, columns = layout.content
    width, height = columns.stop - columns.start, rows.stop - rows.start
    note = (
        f"The video has black bars: they are left out, which leaves {width}x{height} of "
        f"{video.width}x{video.height} pixels."
    )
    return replace(video, width=width, height=height, content=layout.content, notes=(*video.notes, note))
