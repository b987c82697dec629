"""The main job: a video, a photo or a public dataset in, an avatar out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from avatar.body import load_body
from avatar.body.shape_attributes import parse_shape
from avatar.errors import UsageError
from avatar.io.files import read_json, write_json
from avatar.io.recordings import check_depth_files, is_depth_recording
from avatar.model.garments import garment_labels
from avatar.motion import load_motion
from avatar.observation.detectors.registry import check_detector
from avatar.observation.photo import is_photo
from avatar.pipeline.camera import camera_file, depth_files
from avatar.pipeline.dense import check_iuv
from avatar.pipeline.finished_run import save_garments
from avatar.pipeline.people import check_people, observed_people, people_settings, separate_people, track_people
from avatar.pipeline.people_folder import PeopleFolder
from avatar.pipeline.previews import write_previews
from avatar.pipeline.report import make_report
from avatar.pipeline.report_images import write_report_images
from avatar.pipeline.report_page import write_report_page
from avatar.pipeline.rounds import Training, trained
from avatar.pipeline.run_folder import RunFolder, locked_run
from avatar.pipeline.settings import Settings, build
from avatar.pipeline.several_videos import check_several
from avatar.pipeline.sources import Job, training_config, training_data
from avatar.pipeline.stages import timed
from avatar.pipeline.training_data import TrainingData
from avatar.runtime.logging import logger
from avatar.tracking.prior_knowledge import resolve_shape
from avatar.training.result import Preview, TrainResult


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
    body, seconds = load_body(settings.body), dict[str, float]()
    job = Job(run, settings, body, seconds, preview)
    # Its matrices here are small, and its pool would spin against the threads of images and of the CPU's renderer.
    torch.set_num_threads(1)
    if job.watcher is not None:
        job.watcher.started(run.observations)
    data = training_data(job)
    if job.watcher is not None:
        job.watcher.tracked(data.observations, data.track, body)
    for warning in data.all_warnings:
        logger.info(f"warning: {warning}")
    training = Training(body, training_config(job, data), settings.device, settings.backend, preview)
    result = trained(run, data, training, job.stage)
    save_garments(run, garment_labels(result.avatar))
    with timed("previews", seconds):
        write_previews(run, result.avatar, result.track, data.observations, settings.backend)
        write_report_images(run, result.avatar, result.track, data.observations, settings.backend)
    report = _report(job, data, result)
    write_json(run.report, report)
    write_report_page(run)
    return report


def _report(job: Job, data: TrainingData, result: TrainResult) -> dict[str, Any]:
    """The content of report.json."""
    settings = job.settings
    height, _ = resolve_shape(job.body, settings.track)
    given = parse_shape(settings.track.shape)
    report = make_report(settings.source, data, result, height, given, settings.backend, job.seconds)
    if settings.others:
        report["videos"] = read_json(job.run.videos_file)
    return report
