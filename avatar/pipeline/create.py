"""The main job: a video, a photo or a public dataset in, an avatar out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from avatar.body import Body, load_body
from avatar.body.shape_attributes import parse_shape
from avatar.errors import UsageError
from avatar.io.camera_motion_file import load_camera_motion, save_camera_motion
from avatar.io.depth_images import DepthFiles
from avatar.io.files import read_json, write_json
from avatar.io.observations_file import load_observations
from avatar.io.recordings import check_depth_files, is_depth_recording
from avatar.model.garments import garment_labels
from avatar.motion import load_motion
from avatar.observation.detectors.registry import check_detector, choose_detector
from avatar.observation.options import ObserveOptions
from avatar.observation.photo import is_photo
from avatar.observation.video import observe
from avatar.pipeline.camera import camera_file, camera_motion, depth_files
from avatar.pipeline.dataset import dataset_training_data
from avatar.pipeline.dense import check_iuv
from avatar.pipeline.finished_run import save_garments
from avatar.pipeline.people import check_people, observed_people, people_settings, separate_people, track_people
from avatar.pipeline.people_folder import PeopleFolder
from avatar.pipeline.photo import PhotoTraining, photo_training_data
from avatar.pipeline.previews import write_previews
from avatar.pipeline.report import make_report
from avatar.pipeline.report_images import write_report_images
from avatar.pipeline.report_page import write_report_page
from avatar.pipeline.rounds import Training, trained
from avatar.pipeline.run_folder import RunFolder, locked_run
from avatar.pipeline.settings import Settings, build
from avatar.pipeline.several_videos import SeveralVideos, check_several
from avatar.pipeline.stages import Stage, cached, saved_by_compute, timed
from avatar.pipeline.starting_motion import starting_motion
from avatar.pipeline.training_data import TrainingData, load_training_data, save_estimated_track, save_training_data
from avatar.pipeline.video_fit import fit_video
from avatar.runtime.logging import logger
from avatar.tracking.occlusion import past_what_hides
from avatar.tracking.prior_knowledge import resolve_shape
from avatar.training.result import Preview
from avatar.types import BodyTrack, Observations


@runtime_checkable
class Watcher(Preview, Protocol):
    """Watches a whole run, not only its training. Nothing waits for it."""

    def started(self, folder: Path) -> None: ...

    def observed(self, observations: Observations) -> None: ...

    def tracked(self, observations: Observations, track: BodyTrack, body: Body) -> None: ...


def create_run(
    run: RunFolder,
    settings: Settings | None,
    overwrite: bool = False,
    resume: bool = False,
    preview: Preview | None = None,
) -> dict[str, Any]:
    """Check the settings, lock the run folder, write the configuration there, and make the avatar; see `create`.

    Args:
        settings: with `resume` only their source counts, which must be the run's; None takes the run's own.
        overwrite: replace an older run in the folder; resume: finish one that was stopped, with the configuration that
            it was started with.

    Raises:
        UsageError: the source does not exist or does not fit the settings, or the folder holds another run.
        AvatarError: the source is broken or shows no person, or a file cannot be written.
    """
    if resume and run.config.is_file():
        given = None if settings is None else settings.sources
        settings = build(Settings, read_json(run.config), str(run.config))
        stored = settings.sources
        if given is not None and [path.resolve() for path in stored][: len(given)] != [
            path.resolve() for path in given
        ]:
            old, new = (", ".join(map(str, paths)) for paths in (stored, given))
            raise UsageError(f"{run.folder} was started with {old}, not with {new}.")
    elif settings is None:
        raise UsageError(f"There is no run to resume in {run.folder}.")
    else:
        _check(settings)
    if settings.protocol is not None:  # a protocol holds out its own frames
        settings = replace(settings, train=replace(settings.train, hold_out=0))
    settings = settings.resolved()
    with locked_run(run, overwrite, resume):
        write_json(run.config, settings.as_dict())
        names = ", ".join(map(str, settings.sources))
        logger.info(f"{names} -> {run.folder}, on {settings.device} with the {settings.backend} renderer")
        return create(run, settings, preview) if settings.people is None else create_people(run, settings, preview)


def create_people(run: RunFolder, settings: Settings, preview: Preview | None = None) -> dict[str, Any]:
    """Make an avatar of each of several people, as `create` does of one, in run folders within the folder of `run`.

    Returns:
        The content of the report, or {"persons": their reports}.
    """
    folder = PeopleFolder(run)
    seconds: dict[str, float] = {}
    people = observed_people(folder, settings, seconds)
    if len(people) == 1:
        settings = replace(settings, people=None)
        write_json(run.config, settings.as_dict())
        return create(run, settings, preview)
    track_people(folder, people, settings, seconds)
    separate_people(folder, settings, seconds)
    reports = []
    for number, person in enumerate(folder.load(), start=1):
        logger.info(f"{person.folder.name} of {len(people)}")
        reports.append(create(person, people_settings(settings, number), preview))
    return {"persons": reports}


def _check(settings: Settings) -> None:
    """Refuse wrong settings before any work and before the run folder is touched."""
    source = Path(settings.source)
    if not source.exists():
        raise UsageError(f"There is no file {source}.")
    if settings.protocol is None and source.is_dir() and not is_depth_recording(source):
        raise UsageError(
            f"{source} is a folder, and no recording of Stray Scanner: give a video or a photo, or --protocol for a "
            "public dataset."
        )
    check_people(settings)
    check_several(settings)
    if settings.observe.depth is not None and is_photo(source):
        raise UsageError(f"--depth is for videos, and {source} is a photo.")
    check_depth_files(source, depth_files(settings.observe, settings.track), camera_file(settings.track))
    if settings.novel_views.generator != "none" and not is_photo(source):
        raise UsageError(f"--views is for photos, and {source} is not a photo.")
    if is_photo(source) and (settings.observe.start, settings.observe.end) != (None, None):
        raise UsageError(f"--start and --end choose a part of a video, and {source} is a photo.")
    if settings.train.masks == "learned" and is_photo(source):
        raise UsageError(f"--masks learned is for videos, and {source} is a photo.")
    if settings.init is not None:
        if settings.protocol is not None or is_photo(source):
            raise UsageError(f"--init is for videos, and {source} is not one.")
        load_motion(Path(settings.init))
    if settings.track.iuv is not None and is_photo(source):
        raise UsageError(f"--iuv is for videos, and {source} is a photo.")
    check_detector(settings.observe.detector)
    body = load_body(settings.body)
    resolve_shape(body, settings.track)
    check_iuv(settings.track, body)


def create(run: RunFolder, settings: Settings, preview: Preview | None = None) -> dict[str, Any]:
    """Make an avatar in the folder of `run`, which the caller has locked, by settings that it has resolved.

    Stages whose files are complete are loaded and not computed again.

    Returns:
        The content of the report.
    """
    source, config, body = Path(settings.source), settings.train, load_body(settings.body)
    height, _ = resolve_shape(body, settings.track)
    # Its matrices here are small, and its pool would spin against the threads of images and of the CPU's renderer.
    torch.set_num_threads(1)
    seconds: dict[str, float] = {}
    stage = partial(Stage, seconds=seconds)
    load_data, save_data = partial(load_training_data, run), partial(save_training_data, run)
    data_files = (run.observations_file, run.estimated_track)

    watcher = preview if isinstance(preview, Watcher) else None
    if watcher is not None:
        watcher.started(run.observations)
    if settings.protocol is not None:
        read_dataset = partial(dataset_training_data, source, settings.protocol, body)
        data = cached(stage("dataset", data_files), load_data, save_data, read_dataset)
    elif settings.others:
        several = SeveralVideos(run, settings, body, stage)
        data = cached(stage("together", data_files), load_data, several.save, several.compute)
        data = replace(data, observations=past_what_hides(data.observations, data.track, body))
    elif is_photo(source):
        training = PhotoTraining(config, settings.device, settings.backend)
        fit_photo = partial(
            photo_training_data, source, body, settings.observe, settings.track, settings.novel_views, training
        )
        data = cached(stage("photo", data_files), load_data, save_data, fit_photo)
        config = training.config_for(len(data.observations))
    else:
        load_frames = partial(load_observations, run.observations)
        depth = depth_files(settings.observe, settings.track)
        observe_video = partial(_observe, source, run.observations, settings.observe, depth)
        observations = cached(stage("observe", (run.observations_file,)), load_frames, saved_by_compute, observe_video)
        if watcher is not None:
            watcher.observed(observations)
        save_track_alone = partial(save_estimated_track, run)
        camera_stage = stage("camera", (run.camera_motion,))
        track_body = partial(_track, observations, body, settings, camera_stage)
        data = cached(stage("track", (run.estimated_track,)), load_data, save_track_alone, track_body)
        data = replace(data, observations=past_what_hides(data.observations, data.track, body))
    if watcher is not None:
        watcher.tracked(data.observations, data.track, body)
    for warning in data.all_warnings:
        logger.info(f"warning: {warning}")

    result = trained(run, data, Training(body, config, settings.device, settings.backend, preview), stage)

    save_garments(run, garment_labels(result.avatar))
    with timed("previews", seconds):
        write_previews(run, result.avatar, result.track, data.observations, settings.backend)
        write_report_images(run, result.avatar, result.track, data.observations, settings.backend)
    given = parse_shape(settings.track.shape)
    report = make_report(settings.source, data, result, height, given, settings.backend, seconds)
    if settings.others:
        report["videos"] = read_json(run.videos_file)
    write_json(run.report, report)
    write_report_page(run)
    return report


def _observe(video: Path, folder: Path, options: ObserveOptions, depth: DepthFiles | None) -> Observations:
    detector, sentence = choose_detector(options.detector)
    logger.info(sentence)
    return observe(
        video,
        folder,
        person=options.person,
        start=options.start,
        end=options.end,
        max_frames=options.max_frames,
        detector=detector,
        depth=depth,
    )


def _track(observations: Observations, body: Body, settings: Settings, camera_stage: Stage) -> TrainingData:
    options, part = settings.track, (settings.observe.start, settings.observe.end)
    beginning = None
    if settings.init is not None:
        beginning = starting_motion(Path(settings.init), observations, Path(settings.source), *part)
    (file,) = camera_stage.files
    estimate, save = partial(camera_motion, observations, options), partial(save_camera_motion, file)
    motion = cached(camera_stage, partial(load_camera_motion, file), save, estimate)
    logger.info(motion.sentence())
    estimated, report = fit_video(observations, body, options, motion, beginning)
    return TrainingData(observations, estimated, (*motion.notes, *report.warnings), motion)
