"""The body track of a video: through the lens that took it, and past what hides the person."""

from __future__ import annotations

from avatar.body import Body
from avatar.io.camera_motion_file import CameraMotion
from avatar.pipeline.camera import through_pinhole
from avatar.pipeline.dense import with_iuv
from avatar.runtime.logging import logger
from avatar.tracking.fit import track
from avatar.tracking.occlusion import distrusted_where_hidden, hidden_pixels, note_on_hidden, without_hidden_landmarks
from avatar.tracking.options import TrackOptions
from avatar.tracking.report import TrackReport
from avatar.types import BodyTrack, Observations


def fit_video(
    observations: Observations,
    body: Body,
    options: TrackOptions,
    motion: CameraMotion,
    start: BodyTrack | None = None,
) -> tuple[BodyTrack, TrackReport]:
    """`avatar.tracking.fit.track` of a video.

    Where the first fit shows that something hides a part of the person, the landmarks there are guesses of the
    detector, and a second fit leaves them out.

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
        estimated, report = track(visible, body, options, start, motion)
    report.warnings.extend(notes)
    return estimated, report
