"""CSV of ARKit's face units: what Live Link Face records, one row per frame and one column per unit.

The body stands at ease meanwhile; `avatar animate --face` plays the face on another motion. How the head turns is left
out: apps disagree on its axes and units.
"""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import numpy as np
import torch

from avatar.body.face import FACE_UNITS
from avatar.errors import AvatarError, short_message
from avatar.motion.formats.container import Content
from avatar.motion.motion import Motion, ReadOptions, check_fps, numbers, uniform_track
from avatar.motion.text.key_poses import motion_of_words

LEAST_UNITS = 5  # columns named like units, from which a table is one of a face
RATES = (24.0, 25.0, 30.0, 60.0)
USUAL_RATE = 60.0  # of Live Link Face
PERCENT = 2.0  # a largest value beyond this means percent


class ArkitCsvFormat:
    """Reads CSV with columns named like ARKit's units."""

    name = "arkit-csv"
    description = "CSV of ARKit's face units (Live Link Face)"

    def recognizes(self, content: Content) -> bool:
        if content.kind != "text":
            return False
        header = content.data.lstrip().partition("\n")[0].split(",")
        return sum(unit_of_name(word) is not None for word in header) >= LEAST_UNITS

    def read(self, content: Content, options: ReadOptions) -> Motion:
        try:
            rows = [row for row in csv.reader(content.data.lstrip().splitlines()) if any(row)]
        except csv.Error as error:
            raise AvatarError(f"{content.path} is not a readable CSV file: {short_message(error)}.") from error
        header, body = rows[0], [row for row in rows[1:] if len(row) >= len(rows[0])]
        columns = {unit: column for column, word in enumerate(header) if (unit := unit_of_name(word)) is not None}
        if not body:
            raise AvatarError(f"{content.path} holds no frames.")
        values = [[row[column].strip() for column in columns.values()] for row in body]
        table = numbers(content.path, values, "the table of face units", None, len(columns))
        if table.max() > PERCENT:
            table = table / 100
        face = torch.zeros(len(table), len(FACE_UNITS))
        face[:, [FACE_UNITS.index(unit) for unit in columns]] = torch.from_numpy(table).float().clamp(0, 1)
        fps = options.fps or _rate(header, body)
        standing = motion_of_words("standing")
        pose = standing.track.poses[[0] * len(face)]
        check_fps(content.path, fps)
        track = uniform_track(pose.rotations, pose.root_position, fps, body="open", fingers=pose.fingers, face=face)
        return replace(standing, format=self.name, track=track)


def unit_of_name(name: str) -> str | None:
    """The face unit that a column or a morph target is, whatever stands before its name: "head_eyeBlink_L"."""
    plain = re.sub(r"[^a-z]", "", re.sub(r"_l$", "left", re.sub(r"_r$", "right", name.strip().lower())))
    return next((unit for unit in _LONGEST_FIRST if plain.endswith(unit.lower())), None)


_LONGEST_FIRST = sorted(FACE_UNITS, key=len, reverse=True)


def _rate(header: list[str], rows: list[list[str]]) -> float:
    """Frames per second by the frame numbers in a column of time codes, "hours:minutes:seconds:frames"."""
    column = next((i for i, word in enumerate(header) if word.strip().lower() == "timecode"), None)
    codes = [row[column].split(":") for row in rows] if column is not None else []
    frames = [float(code[3]) for code in codes if len(code) == 4 and re.fullmatch(r"\d+(\.\d+)?", code[3])]
    if not frames or np.diff(frames).min(initial=0.0) >= 0:  # without a full second they do not tell
        return USUAL_RATE
    return min((rate for rate in RATES if rate > max(frames)), default=USUAL_RATE)
