"""A video in, `Observations` out."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

from avatar.errors import AvatarError, UsageError
from avatar.io.videos import Video, open_video
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.person_observations import SurveyedPerson
from avatar.observation.survey import Thinning, survey_video
from avatar.types import LandmarkDetector, Observations

SMALLEST_SIDE = 128
LONGEST_SIDE = 1920


def observe(
    video: str | Path,
    out: str | Path | None = None,
    *,
    person: int | None = None,
    start: float | None = None,
    end: float | None = None,
    max_frames: int = 300,
    thinning: Thinning = "telling",
    detector: LandmarkDetector | None = None,
    warn: Callable[[str], None] | None = None,
) -> Observations:
    """Find one person in every frame of a video: landmarks, their 3D guess, sharp masks and confidences.

    Args:
        video: the file; frames larger than 1920 pixels are scaled down to that.
        out: folder for the frames, masks and `observations.npz`; None keeps them in a temporary folder that is
            removed with the last reference to the images.
        person: which person, 1 being the largest and most persistent, or None for that one.
        start, end: only this part of the video, in seconds; None: from its first, or to its last frame.
        max_frames: a longer video is thinned to this many frames.
        thinning: which frames of a longer video: "telling" takes sharp ones that differ in pose and view, as a
            training needs them, "even" takes them evenly in time, as a motion needs them.
        detector: finds the landmarks; None: what `choose_detector` takes by default.
        warn: called with each of the observations' notes.

    Raises:
        UsageError: the file, the part or the person does not exist.
        AvatarError: the file is not a readable video, too small, or shows nobody for long enough or only an upper
            body.
    """
    if max_frames < 1:
        raise UsageError(f"max_frames is {max_frames}: at least one frame must be kept.")
    source = open_video(Path(video), longest=LONGEST_SIDE)
    if start is not None or end is not None:
        source = source.part(start or 0.0, end)
    if min(source.width, source.height) < SMALLEST_SIDE:
        raise AvatarError(
            f"{video} is {source.width}x{source.height}: frames need at least {SMALLEST_SIDE} pixels per side."
        )
    if detector is None:
        detector, _ = choose_detector()
    folder = Path(tempfile.mkdtemp(prefix="avatar-observations-")) if out is None else Path(out)
    (folder / "observations.npz").unlink(missing_ok=True)
    work = folder / "unfinished"
    try:
        observations = _observe(source, detector, work, folder, person, max_frames, thinning)
    except BaseException:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if warn is not None:
        for note in observations.notes:
            warn(note)
    if out is None:
        weakref.finalize(observations.images, shutil.rmtree, folder, ignore_errors=True)
    return observations


def _observe(
    source: Video,
    detector: LandmarkDetector,
    work: Path,
    folder: Path,
    requested: int | None,
    max_frames: int,
    thinning: Thinning,
) -> Observations:
    survey = survey_video(source, detector, work, max_frames, thinning)
    who, note = survey.people.choose(requested, str(survey.source.path), survey.frames, survey.shot)
    person = SurveyedPerson(survey, work, survey.people.tracks[who], detector.layout)
    return person.observations(person.keyframes(max_frames, thinning), folder, [note] if note else [])
