"""Several people of one video: each becomes an avatar of their own, all in one world."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from avatar.body import Body, load_body
from avatar.errors import AvatarError, UsageError
from avatar.io.camera_motion_file import CameraMotion, load_camera_motion, save_camera_motion
from avatar.io.depth_images import DepthFiles
from avatar.io.files import read_json, write_json
from avatar.io.observations_file import load_observations, save_arrays
from avatar.io.track_file import load_track
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.options import ObserveOptions
from avatar.observation.photo import is_photo
from avatar.observation.video import observe_people
from avatar.pipeline.camera import camera_motion, depth_files
from avatar.pipeline.instance_masks import CoarsePerson, separate
from avatar.pipeline.landmarks_alone import with_landmarks_of_each_alone
from avatar.pipeline.people_folder import PeopleFolder
from avatar.pipeline.rounds import Training
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings, build, read_preset
from avatar.pipeline.shared_world import camera_height, everybody, motion_of_frames, motion_of_track, moved_to, rows_in
from avatar.pipeline.stages import Stage, cached, saved_by_compute
from avatar.pipeline.training_data import TrainingData, load_training_data, save_estimated_track
from avatar.pipeline.video_fit import fit_video
from avatar.runtime.logging import logger
from avatar.tracking.options import TrackOptions
from avatar.tracking.prior_knowledge import ASSUMED_HEIGHT_M, LEAST_HEIGHT_M, MOST_HEIGHT_M
from avatar.training.config import TrainConfig
from avatar.training.split import shown_frames
from avatar.types import BodyTrack, Observations

# Of the coarse avatars that tell people apart: half the resolution, and hardly any detail.
COARSE = {"steps": 250, "coarse": 1.0, "hold_out": 0, "deform": "none", "registrations": 2}
LEAST_SHOWN = 5  # frames that show a person without somebody else in the way
SAME_HEIGHT = 0.01  # relative difference of two people's heights that no second fit is worth


def number_of_people(people: str) -> int | None:
    """How many people --people asks for; None for all.

    Raises:
        UsageError: it is neither "all" nor a number above 0.
    """
    if people == "all":
        return None
    if not people.isdecimal() or int(people) < 1:
        raise UsageError(f"--people is all, or how many of the largest, such as 2, not {people!r}.")
    return int(people)


def check_people(settings: Settings) -> None:
    """Refuse settings that do not fit several people.

    Raises:
        UsageError: see above.
    """
    if settings.people is None:
        return
    number_of_people(settings.people)
    if settings.protocol is not None or is_photo(Path(settings.source)):
        raise UsageError(f"--people is for videos, and {settings.source} is not one.")
    for flag, value, why in (
        ("--person", settings.observe.person, "chooses one of them"),
        ("--init", settings.init, "is the motion of one of them"),
        ("--shape", settings.track.shape, "is that of one of them"),
    ):
        if value is not None:
            raise UsageError(f"--people makes an avatar of several people, and {flag} {why}: leave one out.")


def people_settings(settings: Settings, number: int) -> Settings:
    """The settings of one person's run.

    Only the height of the first can be given: the others' follows from the floor on which all stand.
    """
    track = settings.track if number == 1 else replace(settings.track, height=None)
    return replace(settings, people=None, observe=replace(settings.observe, person=number), track=track)


def observed_people(folder: PeopleFolder, settings: Settings, seconds: dict[str, float]) -> list[Observations]:
    """The observations of everybody, stored in their run folders.

    Where one person is in view, their observations lie in the folder itself.
    """

    def compute() -> list[Observations]:
        options, most = settings.observe, number_of_people(settings.people or "all")
        depth = depth_files(options, settings.track)
        people = _without_hidden(folder, _observe(folder, Path(settings.source), options, most, depth))
        if len(people) == 1:
            shutil.rmtree(folder.run.observations, ignore_errors=True)
            folder.person(1).observations.rename(folder.run.observations)
            shutil.rmtree(folder.person(1).folder)
            logger.info("one person is in view: the run is the same as without --people")
            return people
        for number in range(1, len(people) + 1):
            configured = people_settings(settings, number)
            write_json(folder.person(number).config, configured.as_dict())
        folder.save(settings.source, len(people))
        logger.info(f"{len(people)} people are in view: {', '.join(run.folder.name for run in folder.load())}")
        return people

    def load() -> list[Observations]:
        runs = folder.load() if folder.is_complete else [folder.run]
        return [load_observations(run.observations) for run in runs]

    marks = (folder.run.observations_file,) if folder.run.observations_file.is_file() else (folder.run.people,)
    return cached(Stage("observe", marks, seconds), load, saved_by_compute, compute)


def _without_hidden(folder: PeopleFolder, people: list[Observations]) -> list[Observations]:
    """Those of whom enough frames show more than somebody else before them; the folders of the others are removed.

    Raises:
        AvatarError: there is nobody.
    """
    shown = [number for number, one in enumerate(people, 1) if len(shown_frames(one)) >= LEAST_SHOWN]
    if not shown:
        raise AvatarError(
            "Everybody is in somebody else's way in nearly all frames: let them stand apart, or one by one."
        )
    for number in range(1, len(people) + 1):
        if number not in shown:
            shutil.rmtree(folder.person(number).folder)
    for new, number in enumerate(shown, start=1):
        if new != number:
            folder.person(number).folder.rename(folder.person(new).folder)
    if len(shown) < len(people):
        logger.info(f"warning: {len(people) - len(shown)} of {len(people)} people are hidden nearly always: left out")
    return [load_observations(folder.person(new).observations) for new in range(1, len(shown) + 1)]


def _observe(
    folder: PeopleFolder, video: Path, options: ObserveOptions, most: int | None, depth: DepthFiles | None
) -> list[Observations]:
    detector, sentence = choose_detector(options.detector)
    logger.info(sentence)
    return observe_people(
        video,
        lambda number: folder.person(number).observations,
        most=most,
        start=options.start,
        end=options.end,
        max_frames=options.max_frames,
        detector=detector,
        depth=depth,
    )


def track_people(
    folder: PeopleFolder, people: list[Observations], settings: Settings, seconds: dict[str, float]
) -> list[BodyTrack]:
    """Fit everybody in the world of the first, through one camera; the tracks are stored in their run folders."""
    body, together = load_body(settings.body), everybody(people)
    file = folder.run.camera_motion
    save, estimate = partial(save_camera_motion, file), partial(camera_motion, together, settings.track)
    motion = cached(Stage("camera", (file,), seconds), partial(load_camera_motion, file), save, estimate)
    logger.info(motion.sentence())
    tracks: list[BodyTrack] = []
    shared = motion
    for number, observations in enumerate(people, start=1):
        run, rows = folder.person(number), rows_in(together.times, observations.times)
        own = motion_of_frames(shared, rows)
        fit = partial(_fit_person, observations, body, settings.track, own, tracks[0] if tracks else None)
        stage = Stage(f"track {run.folder.name}", (run.estimated_track,), seconds)
        tracks.append(cached(stage, partial(load_track, run.estimated_track), partial(_save, run), fit))
        if number == 1:
            shared = motion_of_track(motion, rows, tracks[0])
    return tracks


def _save(run: RunFolder, data: TrainingData) -> None:
    assert data.motion is not None
    save_camera_motion(run.camera_motion, data.motion)
    save_estimated_track(run, data)


def _fit_person(
    observations: Observations, body: Body, options: TrackOptions, motion: CameraMotion, first: BodyTrack | None
) -> TrainingData:
    """One person's track, in the world of the first person's."""
    if first is None:
        track, report = fit_video(observations, body, options, motion)
        return TrainingData(observations, track, (*motion.notes, *report.warnings), motion)
    # Everything but the height is shared: the camera stands as high above this person's floor as above the first's.
    given = replace(options, height=ASSUMED_HEIGHT_M, focal=None, pitch=None)
    track, report = fit_video(observations, body, given, motion)
    height = ASSUMED_HEIGHT_M * camera_height(first) / camera_height(track)
    warnings = list(report.warnings)
    if not LEAST_HEIGHT_M <= height <= MOST_HEIGHT_M:
        warnings.append(f"the floor does not tell the person's height: assumed {ASSUMED_HEIGHT_M:.2f} m")
    elif abs(height / ASSUMED_HEIGHT_M - 1) > SAME_HEIGHT:
        logger.info(f"fitting again with the height that follows from the floor, {height:.2f} m")
        track, report = fit_video(observations, body, replace(given, height=height), motion)
        warnings = list(report.warnings)
    return TrainingData(observations, moved_to(motion.cameras, track), tuple(warnings), motion)


def separate_people(folder: PeopleFolder, settings: Settings, seconds: dict[str, float]) -> None:
    """Tell whose pixels are whose where people touch or hide each other, by coarse avatars of all of them.

    Their masks and the trust in these frames are replaced, and then their landmarks and tracks, since the first ones
    were found where nobody knew whose arm is whose.
    """
    runs = folder.load()
    config = build(TrainConfig, read_preset("fast")["train"] | COARSE)
    training = Training(load_body(settings.body), config, settings.device, settings.backend)

    def compute() -> int:
        everyone = [load_training_data(run) for run in runs]
        if all(data.observations.trust is None for data in everyone):
            return 0
        if any(data.motion is not None and data.motion.distortion is not None for data in everyone):
            logger.info("the lens distorts: where people touch, their pixels stay left out")
            return 0
        people = []
        for run, data in zip(runs, everyone, strict=True):
            logger.info(f"a coarse avatar of {run.folder.name}, to tell people apart")
            coarse = training.train(data, run.checkpoint)
            run.checkpoint.unlink(missing_ok=True)
            people.append(CoarsePerson(run, data.observations, coarse.avatar, coarse.track))
        count = separate(people, settings.backend)
        logger.info(f"people were separated in {count} frames in which they touch or hide each other")
        if count:
            _look_again(folder, runs, settings)
        return count

    mark = folder.run.separation
    load, save = partial(read_json, mark), partial(write_json, mark)
    cached(Stage("tell people apart", (mark,), seconds), load, save, compute)


def _look_again(folder: PeopleFolder, runs: list[RunFolder], settings: Settings) -> None:
    """Give the people the landmarks that each has when everybody else is painted away, and tracks fitted to these."""
    detector, _ = choose_detector(settings.observe.detector)
    people = with_landmarks_of_each_alone([load_observations(run.observations) for run in runs], detector)
    for run, observations in zip(runs, people, strict=True):
        save_arrays(observations, run.observations)
        run.estimated_track.unlink()
    track_people(folder, people, settings, {})
