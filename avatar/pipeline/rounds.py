"""The training stage of a run: one or several rounds, each from the poses of the one before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from avatar.body import Body
from avatar.io.files import write_json
from avatar.io.track_file import load_track, save_track
from avatar.model.avatar import Avatar
from avatar.pipeline.report_page import load_history
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.stages import Stage, cached
from avatar.pipeline.training_data import TrainingData
from avatar.training.config import TrainConfig
from avatar.training.result import Preview, TrainResult
from avatar.training.split import held_out_frames
from avatar.training.trainer import Trainer
from avatar.types import BodyTrack


@dataclass(frozen=True)
class Training:
    """How a run is trained.

    Attributes:
        device, backend: where, and the renderer.
        preview: watches the training.
    """

    body: Body
    config: TrainConfig
    device: str
    backend: str
    preview: Preview | None = None

    def train(self, data: TrainingData, checkpoint: Path) -> TrainResult:
        """Train once; a checkpoint that exists is resumed."""
        trainer = Trainer(data.observations, data.track, self.body, self.config, self.device, self.backend, checkpoint)
        return trainer.run(self.preview, resume=checkpoint.is_file())


def trained(
    run: RunFolder, data: TrainingData, training: Training, stage: Callable[[str, tuple[Path, ...]], Stage]
) -> TrainResult:
    """Train in all rounds, or load what is there of an earlier start of the run.

    Args:
        stage: makes a stage from its name and its files.
    """
    for number in range(1, training.config.rounds):
        file, checkpoint = run.round_track(number), run.round_checkpoint(number)
        load, save = partial(load_track, file), partial(_save_poses, file)
        refine = partial(_poses, training, data, checkpoint)
        data = replace(data, track=cached(stage(f"train, round {number}", (file,)), load, save, refine))
        checkpoint.unlink(missing_ok=True)
    load_result, save_result = partial(_load, run, training, data), partial(_save, run)
    last = stage("train", (run.avatar, run.track))
    result: TrainResult = cached(last, load_result, save_result, partial(training.train, data, run.checkpoint))
    run.checkpoint.unlink(missing_ok=True)
    return result


def _poses(training: Training, data: TrainingData, checkpoint: Path) -> BodyTrack:
    return training.train(data, checkpoint).track


def _save_poses(file: Path, track: BodyTrack) -> None:
    save_track(track, file)


def _load(run: RunFolder, training: Training, data: TrainingData) -> TrainResult:
    """The result that `_save` wrote."""
    avatar = Avatar.load(run.avatar, training.body).to(training.device)
    held_out = held_out_frames(data.observations, training.config.hold_out)
    return TrainResult(avatar, load_track(run.track), held_out, **load_history(run))


def _save(run: RunFolder, result: TrainResult) -> None:
    write_json(run.history, {"history": result.history, "losses": result.losses})
    save_track(result.track, run.track)
    result.avatar.save(run.avatar)
