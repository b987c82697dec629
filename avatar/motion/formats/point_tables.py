"""Tables of points as text: TRC of OpenSim, OpenCap and Pose2Sim, and CSV of freemocap."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping

import numpy as np

from avatar.errors import AvatarError, short_message
from avatar.motion.formats.container import Content
from avatar.motion.formats.named_points import NamedPoints, check_table, motion_from_named_points
from avatar.motion.motion import Motion, ReadOptions, check_fps

AXES = ("x", "y", "z")


class TrcFormat:
    """Reads TRC: tab-separated text with the names of the points in its fourth line."""

    name = "trc"
    description = "TRC points of OpenSim, OpenCap or Pose2Sim"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "text" and content.data.lstrip().startswith("PathFileType")

    def read(self, content: Content, options: ReadOptions) -> Motion:
        lines = [line for line in content.data.splitlines() if line.strip()]
        if len(lines) < 6:
            raise AvatarError(f"{content.path} is cut off: a TRC file has a header of five lines, then frames.")
        settings = dict(zip(lines[1].split(), lines[2].split(), strict=False))
        names = [name for name in lines[3].replace("\t\t", "\t").split("\t")[2:] if name.strip()]
        fps = check_fps(content.path, float(settings.get("DataRate", "nan").replace(",", ".")))
        # The line of X1 Y1 Z1 may be missing, and the one before the first frame may be blank.
        rows = [_numbers(line.split("\t")) for line in lines[4:] if not line.strip().lower().startswith("x1")]
        table = check_table(content.path, [row for row in rows if np.isfinite(row[:1]).any()], 2 + 3 * len(names))
        points = table[:, 2:].reshape(len(table), len(names), 3)
        return motion_from_named_points(content, options, NamedPoints(tuple(names), points, fps), self.name)


class PointsCsvFormat:
    """Reads CSV with columns NAME_x, NAME_y, NAME_z, or with the columns frame, keypoint, x, y, z."""

    name = "points-csv"
    description = "CSV of 3D points: freemocap's, or columns NAME_x, NAME_y, NAME_z"

    def recognizes(self, content: Content) -> bool:
        if content.kind != "text":
            return False
        header = [word.strip().lower() for word in content.data.lstrip().partition("\n")[0].split(",")]
        return len(_columns(header)) > 4 or {"frame", "keypoint", "x", "y", "z"} <= set(header)

    def read(self, content: Content, options: ReadOptions) -> Motion:
        try:
            rows = list(csv.reader(content.data.lstrip().splitlines()))
        except csv.Error as error:
            raise AvatarError(f"{content.path} is not a readable CSV file: {short_message(error)}.") from error
        header = [word.strip() for word in rows[0]]
        lower = [word.lower() for word in header]
        if {"frame", "keypoint", "x", "y", "z"} <= set(lower):
            names, points = _long_form(content, lower, rows[1:])
        else:
            names, points = _wide_form(content, header, rows[1:])
        stamps = [index for index, word in enumerate(lower) if word in ("timestamp", "time", "timestamps")]
        fps = options.fps or _rate(rows[1:], stamps) or 30.0
        return motion_from_named_points(content, options, NamedPoints(names, points, fps), self.name)


def _columns(header: Iterable[str]) -> dict[str, dict[str, int]]:
    """Name of a point -> axis -> column, for points with all three."""
    columns: dict[str, dict[str, int]] = {}
    for index, word in enumerate(header):
        for separator in ("_", ".", ":", " "):
            name, mark, axis = word.rpartition(separator)
            if mark and axis.lower() in AXES:
                columns.setdefault(name, {})[axis.lower()] = index
                break
    return {name: axes for name, axes in columns.items() if len(axes) == 3}


def _wide_form(content: Content, header: list[str], rows: list[list[str]]) -> tuple[tuple[str, ...], np.ndarray]:
    columns = _columns(header)
    table = check_table(content.path, [_numbers(row) for row in rows if any(row)], len(header))
    points = np.stack([table[:, [axes[axis] for axis in AXES]] for axes in columns.values()], axis=1)
    # freemocap writes the part of the model before the name.
    return tuple(name.removeprefix("body_") for name in columns), points


def _long_form(content: Content, header: list[str], rows: list[list[str]]) -> tuple[tuple[str, ...], np.ndarray]:
    """One line per frame and point."""
    at: Mapping[str, int] = {word: index for index, word in enumerate(header)}
    rows = [row for row in rows if len(row) >= len(header)]
    frames = sorted({int(float(row[at["frame"]])) for row in rows})
    names = list(dict.fromkeys(row[at["keypoint"]] for row in rows))
    places = {frame: index for index, frame in enumerate(frames)}, {name: index for index, name in enumerate(names)}
    points = np.full((len(frames), len(names), 3), np.nan)
    for row in rows:
        frame, name = int(float(row[at["frame"]])), row[at["keypoint"]]
        points[places[0][frame], places[1][name]] = _numbers([row[at[axis]] for axis in AXES])
    if not frames:
        raise AvatarError(f"{content.path} holds no frames.")
    return tuple(name.removeprefix("body_").removeprefix("body.") for name in names), points


def _numbers(words: Iterable[str]) -> list[float]:
    """Numbers of a row; other words become NaN."""
    numbers = []
    for word in words:
        try:
            numbers.append(float(word))
        except ValueError:
            numbers.append(float("nan"))
    return numbers


def _rate(rows: list[list[str]], stamps: list[int]) -> float | None:
    """Frames per second by the column of times, in seconds."""
    if not stamps:
        return None
    times = np.unique([value for row in rows for value in _numbers(row[stamps[0] : stamps[0] + 1])])
    times = times[np.isfinite(times)]
    step = float(np.median(np.diff(times))) if len(times) > 1 else 0.0
    return 1 / step if 1e-4 < step < 10 else None
