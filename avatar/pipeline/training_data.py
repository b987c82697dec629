"""The training data of an avatar, from a video, a photo or a public dataset."""

from __future__ import annotations

from dataclasses import dataclass

from avatar.io.camera_motion_file import CameraMotion, load_camera_motion
from avatar.io.files import read_json, write_json
from avatar.io.observations_file import load_observations, save_observations
from avatar.io.track_file import load_track, save_track
from avatar.pipeline.camera import at_usual_exposure
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyTrack, Observations


@dataclass(frozen=True)
class TrainingData:
    """Observations, their exposure evened out, and the body track estimated for them.

    Attributes:
        observations: images, masks and landmarks; track: poses and cameras of the same frames.
        warnings: what the user should know about the track, one sentence each.
        motion: how the camera moved, of a video.
    """

    observations: Observations
    track: BodyTrack
    warnings: tuple[str, ...] = ()
    motion: CameraMotion | None = None

    @property
    def all_warnings(self) -> list[str]:
        """The notes of the observations and the warnings of the track."""
        return [*self.observations.notes, *self.warnings]


def load_training_data(run: RunFolder) -> TrainingData:
    """Read what `save_training_data` wrote.

    Raises:
        UsageError: a file is missing. AvatarError: a file is broken.
    """
    warnings = read_json(run.track_warnings) if run.track_warnings.is_file() else []
    motion = load_camera_motion(run.camera_motion) if run.camera_motion.is_file() else None
    observations = at_usual_exposure(load_observations(run.observations), motion)
    return TrainingData(observations, load_track(run.estimated_track), tuple(warnings), motion)


def save_training_data(run: RunFolder, data: TrainingData) -> None:
    """Write everything into the run folder."""
    save_observations(data.observations, run.observations)
    save_estimated_track(run, data)


def save_estimated_track(run: RunFolder, data: TrainingData) -> None:
    """Write the track and its warnings, for observations that already lie in the run folder."""
    write_json(run.track_warnings, list(data.warnings))
    # The track comes last: a run that has it has everything before it.
    save_track(data.track, run.estimated_track)
