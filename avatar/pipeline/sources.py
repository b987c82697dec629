"""What an avatar is trained on, by kind of source: a video, videos of several phones, a photo, a public dataset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from avatar.body import Body
from avatar.io.camera_motion_file import load_camera_motion, save_camera_motion
from avatar.io.observations_file import load_observations
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.options import ObserveOptions
from avatar.observation.photo import is_photo
from avatar.observation.video import observe
from avatar.pipeline.camera import camera_motion, depth_files
from avatar.pipeline.dataset import dataset_training_data
from avatar.pipeline.photo import PhotoTraining, photo_training_data
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings
from avatar.pipeline.several_videos import SeveralVideos
from avatar.pipeline.stages import Stage, cached, saved_by_compute
from avatar.pipeline.starting_motion import starting_motion
from avatar.pipeline.training_data import TrainingData, load_training_data, save_estimated_track, save_training_data
from avatar.pipeline.video_fit import fit_video
from avatar.runtime.logging import logger
from avatar.tracking.occlusion import past_what_hides
from avatar.training.config import TrainConfig
from avatar.training.result import Preview
from avatar.types import BodyTrack, Observations


@runtime_checkable
class Watcher(Preview, Protocol):
    """Watches a whole run, not only its training. Nothing waits for it."""

    def started(self, folder: Path) -> None: ...

    def observed(self, observations: Observations) -> None: ...

    def tracked(self, observations: Observations, track: BodyTrack, body: Body) -> None: ...


@dataclass(frozen=True)
class Job:
    """A run that is being made.

    Attributes:
        seconds: of the stages by name, to which each one adds itself.
        preview: watches the training, and a `Watcher` everything before it as well.
    """

    run: RunFolder
    settings: Settings
    body: Body
    seconds: dict[str, float]
    preview: Preview | None = None

    @property
    def source(self) -> Path:
        """The first source."""
        return Path(self.settings.source)

    @property
    def watcher(self) -> Watcher | None:
        """Who watches the whole run."""
        return self.preview if isinstance(self.preview, Watcher) else None

    def stage(self, name: str, files: tuple[Path, ...]) -> Stage:
        """A stage of this run."""
        return Stage(name, files, self.seconds)


def training_data(job: Job) -> TrainingData:
    """The frames that the avatar is trained on and the body in them; stages whose files are complete are loaded.

    Raises:
        UsageError, AvatarError: as of the stages.
    """
    if job.settings.protocol is not None:
        return _of_dataset(job, job.settings.protocol)
    if is_photo(job.source):
        return _of_photo(job)
    data = _of_several_videos(job) if job.settings.others else _of_video(job)
    return replace(data, observations=past_what_hides(data.observations, data.track, job.body))


def training_config(job: Job, data: TrainingData) -> TrainConfig:
    """How the avatar of such a source is trained."""
    settings = job.settings
    if settings.protocol is None and is_photo(job.source):
        return _photo_training(settings).config_for(len(data.observations))
    return settings.train


def _of_dataset(job: Job, protocol: str) -> TrainingData:
    return _saved_whole(job, "dataset", partial(dataset_training_data, job.source, protocol, job.body))


def _of_several_videos(job: Job) -> TrainingData:
    several = SeveralVideos(job.run, job.settings, job.body, job.stage)
    load = partial(load_training_data, job.run)
    data: TrainingData = cached(job.stage("together", _data_files(job.run)), load, several.save, several.compute)
    return data


def _of_photo(job: Job) -> TrainingData:
    settings = job.settings
    options = settings.observe, settings.track, settings.novel_views, _photo_training(settings)
    return _saved_whole(job, "photo", partial(photo_training_data, job.source, job.body, *options))


def _of_video(job: Job) -> TrainingData:
    run = job.run
    observe_stage = job.stage("observe", (run.observations_file,))
    load, compute = partial(load_observations, run.observations), partial(_observe, job)
    observations = cached(observe_stage, load, saved_by_compute, compute)
    if job.watcher is not None:
        job.watcher.observed(observations)
    track_stage = job.stage("track", (run.estimated_track,))
    load_data, save_track = partial(load_training_data, run), partial(save_estimated_track, run)
    data: TrainingData = cached(track_stage, load_data, save_track, partial(_track, job, observations))
    return data


def _saved_whole(job: Job, name: str, compute: Callable[[], TrainingData]) -> TrainingData:
    """The data of a stage that computes observations and track at once."""
    load, save = partial(load_training_data, job.run), partial(save_training_data, job.run)
    data: TrainingData = cached(job.stage(name, _data_files(job.run)), load, save, compute)
    return data


def _data_files(run: RunFolder) -> tuple[Path, Path]:
    return run.observations_file, run.estimated_track


def _photo_training(settings: Settings) -> PhotoTraining:
    return PhotoTraining(settings.train, settings.device, settings.backend)


def _observe(job: Job) -> Observations:
    options: ObserveOptions = job.settings.observe
    detector, sentence = choose_detector(options.detector)
    logger.info(sentence)
    return observe(
        job.source,
        job.run.observations,
        person=options.person,
        start=options.start,
        end=options.end,
        max_frames=options.max_frames,
        detector=detector,
        depth=depth_files(options, job.settings.track),
    )


def _track(job: Job, observations: Observations) -> TrainingData:
    settings, file = job.settings, job.run.camera_motion
    beginning = None
    if settings.init is not None:
        part = settings.observe.start, settings.observe.end
        beginning = starting_motion(Path(settings.init), observations, job.source, *part)
    estimate, save = partial(camera_motion, observations, settings.track), partial(save_camera_motion, file)
    motion = cached(job.stage("camera", (file,)), partial(load_camera_motion, file), save, estimate)
    logger.info(motion.sentence())
    estimated, report = fit_video(observations, job.body, settings.track, motion, beginning)
    return TrainingData(observations, estimated, (*motion.notes, *report.warnings), motion)
