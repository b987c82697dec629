"""Several phones that stand still and film one person at the same time: one body, one avatar from all videos."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float

from avatar.body import Body
from avatar.errors import AvatarError, UsageError
from avatar.io.camera_motion_file import CameraMotion, load_camera_motion, save_camera_motion
from avatar.io.files import write_json
from avatar.io.observations_file import load_observations, save_observations
from avatar.io.recordings import is_depth_recording
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import is_photo
from avatar.observation.sound import offset_by_sound
from avatar.observation.video import observe
from avatar.pipeline.camera import at_usual_exposure, camera_motion
from avatar.pipeline.frames_of_videos import FilmedBy, all_frames
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings
from avatar.pipeline.stages import Stage, cached, saved_by_compute
from avatar.pipeline.training_data import TrainingData, save_estimated_track
from avatar.pipeline.video_gains import at_first_exposure, measure_gains
from avatar.runtime.logging import logger
from avatar.tracking.fit import track
from avatar.tracking.other_cameras import OtherCamera
from avatar.tracking.prior_knowledge import ASSUMED_HEIGHT_M, focal_prior, resolve_focal, resolve_shape
from avatar.tracking.problem import build_problem
from avatar.tracking.standing_cameras import Adjustment, CameraClip, OffsetHint, StandingCamera, solve_cameras
from avatar.types import BodyTrack, Cameras, Observations

MOST_FRAMES = 300  # of each video, evenly in time: they tell the clocks and the motion
LEAST_RATE = 8.0  # of these frames, per second; fewer do not show how the joints move


def check_several(settings: Settings) -> None:
    """Refuse what several videos of one moment do not take.

    Raises:
        UsageError: see above.
    """
    given_offsets(settings)
    if not settings.others:
        return
    sources = settings.sources
    for path in sources:
        if not path.exists():
            raise UsageError(f"There is no file {path}.")
        if path.is_dir() or is_photo(path) or is_depth_recording(path):
            raise UsageError(f"{path} is no video: several sources must all be videos of the same moments.")
    if len({path.resolve() for path in sources}) < len(sources):
        raise UsageError("One video was given twice: give one video of each phone.")
    refused = {
        "--protocol": settings.protocol,
        "--init": settings.init,
        "--iuv": settings.track.iuv,
        "--people": settings.people,
        "--depth": settings.observe.depth,
        "--start": settings.observe.start,
        "--end": settings.observe.end,
        "--masks learned": True if settings.train.masks == "learned" else None,
        "--camera": settings.track.camera if settings.track.camera not in ("auto", "still") else None,
    }
    for flag, value in refused.items():
        if value is not None:
            raise UsageError(f"{flag} is for one video, not for several: leave it out.")


def given_offsets(settings: Settings) -> list[float] | None:
    """How many seconds after the first video each other one began, as the user says; None where they do not.

    Raises:
        UsageError: these are no numbers, or not one for each other video.
    """
    if settings.offset is None:
        return None
    try:
        offsets = [float(word) for word in settings.offset.split(",")]
    except ValueError:
        offsets = [math.nan]
    if not all(math.isfinite(offset) for offset in offsets):
        raise UsageError(f"--offset is in seconds, one number for each further video, not {settings.offset!r}.")
    if len(offsets) != len(settings.others):
        raise UsageError(
            f"--offset has {len(offsets)} numbers for {len(settings.others)} further videos: give one for each, "
            "separated by commas."
        )
    return offsets


@dataclass(frozen=True)
class SeveralVideos:
    """Videos of one person by several standing phones, and how they become training data; the first is the reference.

    Attributes:
        stage: makes a stage of the run from its name and its files.
    """

    run: RunFolder
    settings: Settings
    body: Body
    stage: Callable[[str, tuple[Path, ...]], Stage]

    def compute(self) -> TrainingData:
        """The training data of all videos together.

        Raises:
            AvatarError: a video cannot be used, its phone moved, or it does not show the same moments as the first.
        """
        filmed = [self._filmed(number, video) for number, video in enumerate(self.settings.sources, start=1)]
        observations = [at_usual_exposure(clip, motion) for clip, motion in filmed]
        motions = [motion for _, motion in filmed]
        adjustment = self._cameras(observations, motions)
        fitted, scale, warnings = self._fitted(observations, motions[0], adjustment.cameras)
        filmed_by = [
            FilmedBy(clip, camera, video.name)
            for clip, camera, video in zip(observations, adjustment.cameras, self.settings.sources, strict=True)
        ]
        frames = all_frames(filmed_by, fitted, scale, self.settings.observe.max_frames)
        gains = measure_gains(frames.observations, frames.track, self.body, frames.counts)
        self._describe(adjustment.cameras, frames.counts, gains)
        notes = [
            f"{video.name}: {note}" for video, m in zip(self.settings.sources, motions, strict=True) for note in m.notes
        ]
        even = at_first_exposure(frames.observations, gains, frames.counts)
        return TrainingData(even, frames.track, (*notes, *warnings))

    def _fitted(
        self, observations: Sequence[Observations], motion: CameraMotion, cameras: Sequence[StandingCamera]
    ) -> tuple[BodyTrack, float, list[str]]:
        """The track at the frames of the first video, metres per unit of the cameras' distances, and the warnings."""
        height, _ = resolve_shape(self.body, self.settings.track)
        times = observations[0].times.double()
        others = [
            OtherCamera.of(clip, camera, times, self.body, height or ASSUMED_HEIGHT_M)
            for clip, camera in zip(observations[1:], cameras[1:], strict=True)
        ]
        own = motion.cameras
        lens = Cameras.centred(cameras[0].focal, own.T_camera_world, own.width, own.height)
        options = replace(self.settings.track, focal=None)
        motion = replace(motion, cameras=lens, focal_given=True)
        fitted, report = track(observations[0], self.body, options, motion=motion, others=others)
        return fitted, report.camera_scale, report.warnings

    def save(self, data: TrainingData) -> None:
        """Write the training data, and remove what each video gave alone."""
        save_observations(data.observations, self.run.observations, frames=".jpg")
        save_estimated_track(self.run, data)
        shutil.rmtree(self.run.videos, ignore_errors=True)

    def _filmed(self, number: int, video: Path) -> tuple[Observations, CameraMotion]:
        """What one video shows, and how its camera moved: not at all."""
        folder, motion_file = self.run.videos / str(number), self.run.videos / f"{number}.json"
        load, look = partial(load_observations, folder), partial(self._observe, video, folder)
        stage = self.stage(f"observe {video.name}", (folder / "observations.npz",))
        observations = cached(stage, load, saved_by_compute, look)
        rate = (len(observations) - 1) / max(float(observations.times[-1] - observations.times[0]), 1e-6)
        if rate < LEAST_RATE:
            raise AvatarError(
                f"{video} is too long for several videos, of which {MOST_FRAMES} frames each are used: cut it to less "
                f"than {MOST_FRAMES / LEAST_RATE:.0f} seconds."
            )
        estimate, save = (
            partial(camera_motion, observations, self.settings.track),
            partial(save_camera_motion, motion_file),
        )
        motion_stage = self.stage(f"camera of {video.name}", (motion_file,))
        motion = cached(motion_stage, partial(load_camera_motion, motion_file), save, estimate)
        if motion.regime != "still":
            raise AvatarError(
                f"{video}: the phone moved. Several phones must stand still while they record; --camera still takes "
                "one that only shook for one that stood."
            )
        return observations, motion

    def _observe(self, video: Path, folder: Path) -> Observations:
        options = self.settings.observe
        detector, sentence = choose_detector(options.detector)
        logger.info(f"{video.name}: {sentence}")
        return observe(video, folder, person=options.person, max_frames=MOST_FRAMES, thinning="even", detector=detector)

    def _cameras(self, observations: Sequence[Observations], motions: Sequence[CameraMotion]) -> Adjustment:
        """Where the phones stood, and how their clocks differ."""
        clips, options = [], self.settings.track
        for clip, motion, video in zip(observations, motions, self.settings.sources, strict=True):
            focal = resolve_focal(clip, options, motion)
            pixels, spread = (focal, 0.0) if focal is not None else focal_prior(clip, motion)
            problem = build_problem(clip, self.body, pixels, ASSUMED_HEIGHT_M)
            clips.append(CameraClip(str(video), clip.layout, problem, spread))
        given = given_offsets(self.settings)
        heard = [None] * len(self.settings.others) if given is not None else self._heard()
        hints = [
            None if seconds is None else OffsetHint(seconds, certain=given is not None)
            for seconds in (heard if given is None else given)
        ]
        return solve_cameras(clips, hints)

    def _heard(self) -> list[float | None]:
        return [offset_by_sound(self.settings.sources[0], video) for video in self.settings.sources[1:]]

    def _describe(
        self, cameras: Sequence[StandingCamera], counts: Sequence[int], gains: Float[np.ndarray, "cameras 3"]
    ) -> None:
        """Say how the clocks of the videos differ, and keep it in the run folder with their lenses and exposures."""
        for video, camera in zip(self.settings.sources[1:], cameras[1:], strict=True):
            when = "after" if camera.offset >= 0 else "before"
            logger.info(f"{video.name} began {abs(camera.offset):.3f} s {when} {self.settings.sources[0].name}")
        rows = zip(self.settings.sources, cameras, counts, gains, strict=True)
        write_json(
            self.run.videos_file,
            [
                {"source": str(video), "offset": one.offset, "focal": one.focal, "frames": count, "gain": gain.tolist()}
                for video, one, count, gain in rows
            ],
        )
