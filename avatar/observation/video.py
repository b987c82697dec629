"""A video in, `Observations` out."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np

from avatar.errors import AvatarError, UsageError
from avatar.io.depth_images import DepthFiles
from avatar.io.depth_recording import DepthVideo
from avatar.io.recordings import is_depth_recording, open_depth_recording
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
    depth: DepthFiles | None = None,
    warn: Callable[[str], None] | None = None,
) -> Observations:
    """Find one person in every frame of a video: landmarks, their 3D guess, sharp masks and confidences.

    Args:
        video: the file, or a recording with depth (see `avatar.io.recordings`); frames larger than 1920 pixels are
            scaled down to that.
        out: folder for the frames, masks and `observations.npz`; None keeps them in a temporary folder that is
            removed with the last reference to the images.
        person: which person, 1 being the largest and most persistent, or None for that one.
        start, end: only this part of the video, in seconds; None: from its first, or to its last frame.
        max_frames: a longer video is thinned to this many frames.
        thinning: which frames of a longer video: "telling" takes sharp ones that differ in pose and view, as a
            training needs them, "even" takes them evenly in time, as a motion needs them.
        detector: finds the landmarks; None: what `choose_detector` takes by default.
        depth: depth images beside the video.
        warn: called with each of the observations' notes.

    Raises:
        UsageError: the file, the part or the person does not exist.
        AvatarError: the file is not a readable video, too small, or shows nobody for long enough or only an upper
            body.
    """
    _require_frames(max_frames)
    if detector is None:
        detector, _ = choose_detector()
    folder = Path(tempfile.mkdtemp(prefix="avatar-observations-")) if out is None else Path(out)
    work, unpacked = folder / "unfinished", folder / "unpacked"
    try:
        source, recording = _opened(Path(video), depth, unpacked, start, end)
        (folder / "observations.npz").unlink(missing_ok=True)
        observations = _observe(source, recording, detector, work, folder, person, max_frames, thinning)
    except BaseException:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        for rest in (work, unpacked):
            shutil.rmtree(rest, ignore_errors=True)
    if warn is not None:
        for note in observations.notes:
            warn(note)
    if out is None:
        weakref.finalize(observations.images, shutil.rmtree, folder, ignore_errors=True)
    return observations


def _observe(
    source: Video,
    recording: DepthVideo | None,
    detector: LandmarkDetector,
    work: Path,
    folder: Path,
    requested: int | None,
    max_frames: int,
    thinning: Thinning,
) -> Observations:
    survey = survey_video(source, detector, work, max_frames, thinning)
    who, note = survey.people.choose(requested, str(survey.source.path), survey.frames, survey.shot)
    person = SurveyedPerson(survey, work, survey.people.tracks[who], detector.layout, recording)
    return person.observations(person.keyframes(max_frames, thinning), folder, [note] if note else [])


def observe_people(
    video: str | Path,
    folders: Callable[[int], Path],
    *,
    most: int | None = None,
    start: float | None = None,
    end: float | None = None,
    max_frames: int = 300,
    detector: LandmarkDetector | None = None,
    depth: DepthFiles | None = None,
) -> list[Observations]:
    """Find each of the people in a video; see `observe`. They share the frames in which they are used.

    Args:
        folders: gives the folder of a person by their number, which begins at 1, the largest and most persistent one.
        most: people, or None for all who are in view for long enough.

    Returns:
        The observations of each. People of whom only the upper body is in view are left out, which the notes say.

    Raises:
        UsageError, AvatarError: as `observe`.
    """
    _require_frames(max_frames)
    if detector is None:
        detector, _ = choose_detector()
    work, unpacked = folders(1) / "unfinished", folders(1) / "unpacked"
    try:
        source, recording = _opened(Path(video), depth, unpacked, start, end)
        survey = survey_video(source, detector, work, max_frames, "telling", everybody=True)
        survey.people.choose(None, str(survey.source.path), survey.frames, survey.shot)
        tracks = [survey.people.tracks[who] for who in survey.people.lasting(survey.shot)[:most]]
        people, notes = _whole([SurveyedPerson(survey, work, one, detector.layout, recording) for one in tracks])
        used = {
            person.track.frames[index]
            for person in people
            for index in person.keyframes(max(1, max_frames // len(people)), "telling")
        }
        observed = []
        for number, person in enumerate(people, start=1):
            chosen = np.array([index for index, frame in enumerate(person.track.frames) if frame in used])
            observed.append(person.observations(chosen, folders(number), notes if number == 1 else []))
        return observed
    finally:
        for rest in (work, unpacked):
            shutil.rmtree(rest, ignore_errors=True)


def _whole(people: list[SurveyedPerson]) -> tuple[list[SurveyedPerson], list[str]]:
    """Those of whom more than the upper body is in view, and a note on the others.

    Raises:
        AvatarError: there is nobody.
    """
    whole, failures = [], []
    for person in people:
        try:
            person.require_legs()
            whole.append(person)
        except AvatarError as error:
            failures.append(error)
    if not whole:
        raise failures[0]
    left_out = f"{len(failures)} of {len(people)} people were left out, since only their upper body is in view."
    return whole, [left_out] if failures else []


def _require_frames(max_frames: int) -> None:
    if max_frames < 1:
        raise UsageError(f"max_frames is {max_frames}: at least one frame must be kept.")


def _opened(
    path: Path, depth: DepthFiles | None, unpacked: Path, start: float | None, end: float | None
) -> tuple[Video, DepthVideo | None]:
    """The part of a video or of a recording with depth, which may be unpacked into a folder."""
    recording = None
    if depth is not None or is_depth_recording(path):
        recording = open_depth_recording(path, depth, unpacked, LONGEST_SIDE)
    source = open_video(path, longest=LONGEST_SIDE) if recording is None else recording.video
    if start is not None or end is not None:
        source = source.part(start or 0.0, end)
    if min(source.width, source.height) < SMALLEST_SIDE:
        raise AvatarError(
            f"{path} is {source.width}x{source.height}: frames need at least {SMALLEST_SIDE} pixels per side."
        )
    return source, recording
