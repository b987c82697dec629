"""The body track of a video: through the lens that took it, and past what hides the person."""

from __future__ import annotations

import math
from dataclasses import replace

from avatar.body import Body
from avatar.io.camera_motion_file import CameraMotion
from avatar.pipeline.camera import through_pinhole
from avatar.pipeline.dense import with_iuv
from avatar.pipeline.shared_world import motion_of_frames
from avatar.runtime.logging import logger
from avatar.tracking.fit import LEAST_FRAMES, track
from avatar.tracking.occlusion import (
    Hidden,
    distrusted_where_hidden,
    hidden_pixels,
    note_on_hidden,
    without_hidden_landmarks,
)
from avatar.tracking.options import TrackOptions
from avatar.tracking.report import TrackReport
from avatar.types import BodyTrack, Observations

LEAST_CLEAR = 0.25  # share of the frames


def fit_video(
    observations: Observations,
    body: Body,
    options: TrackOptions,
    motion: CameraMotion,
    start: BodyTrack | None = None,
) -> tuple[BodyTrack, TrackReport]:
    """`avatar.tracking.fit.track` of a video.

    Where the first fit shows that something hides a part of the person, the landmarks there are guesses of the
    detector, and a second fit leaves them out. The camera's pitch is then that of the frames without anything before
    the person, if these show a full turn: above hidden legs the trunk seems to lean.

    Args:
        motion: how the camera moved; start: see `track`.

    Raises:
        UsageError, AvatarError: see `track`.
    """
    observations = through_pinhole(with_iuv(observations, options), motion)
    estimated, report = track(observations, body, options, start, motion)
    hidden = hidden_pixels(observations, estimated, body)
    notes = note_on_hidden(hidden, observations)
    if notes:
        logger.info("fitting again without the landmarks that something hides")
        visible = distrusted_where_hidden(without_hidden_landmarks(observations, hidden), hidden)
        pitch = _pitch_of_clear_frames(observations, body, options, motion, hidden)
        estimated, report = track(visible, body, replace(options, pitch=pitch), start, motion)
    report.warnings.extend(notes)
    return estimated, report


def _pitch_of_clear_frames(
    observations: Observations, body: Body, options: TrackOptions, motion: CameraMotion, hidden: Hidden
) -> float | None:
    """The pitch, in degrees, of a camera that stands still, as the frames show it in which nothing hides the person.

    Returns:
        The given one, if it is given; None where these frames are few or show no full turn.
    """
    clear = [row for row, part in enumerate(hidden) if part is None]
    if (
        options.pitch is not None
        or motion.regime != "still"
        or len(clear) < max(LEAST_FRAMES, LEAST_CLEAR * len(hidden))
    ):
        return options.pitch
    alone = replace(observations.part(clear), hands=None, hands_3d=None, face=None, face_units=None)
    _, report = track(alone, body, replace(options, keep_going=True), None, motion_of_frames(motion, clear))
    return None if report.turn_pitch is None else math.degrees(report.turn_pitch)
