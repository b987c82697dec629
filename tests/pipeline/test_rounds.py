"""Several rounds of training: each from the poses of the one before, resumed where they were stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.errors import UsageError
from avatar.io.assets import asset_path
from avatar.io.track_file import save_track
from avatar.io.videos import open_video
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.motion.motion import uniform_track
from avatar.pipeline.rounds import Training, trained
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.stages import Stage
from avatar.pipeline.starting_motion import starting_motion
from avatar.pipeline.training_data import TrainingData
from avatar.training.config import TrainConfig
from avatar.training.result import TrainResult
from avatar.types import BodyTrack, ImageList, Observations


def track_of(count: int, fps: float = 30.0) -> BodyTrack:
    """A person who walks along x at one metre per second."""
    root = torch.zeros(count, 3)
    root[:, 0] = torch.arange(count) / fps
    return uniform_track(torch.eye(3).repeat(count, 24, 1, 1), root, fps)


def observations_at(times: list[float]) -> Observations:
    count = len(times)
    images, masks = (ImageList.of([np.zeros(shape, np.uint8)] * count) for shape in ((8, 8, 3), (8, 8)))
    return Observations(
        images, masks, torch.zeros(count, 33, 3), torch.zeros(count, 33, 3),
        "blazepose33", torch.arange(count), torch.tensor(times), 8, 8,
    )  # fmt: skip


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    splats = sample_on_surface(frames, torch.ones(len(frames.area)), 50, torch.Generator().manual_seed(0))
    return Avatar(body, betas, splats, deform=False)


def test_each_round_starts_from_the_poses_of_the_one_before(
    avatar: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trainer is replaced by one that lifts the person by a metre, and is stopped in the second round."""
    run, starts = RunFolder(tmp_path), list[float]()

    def lift(_: Training, data: TrainingData, checkpoint: Path) -> TrainResult:
        poses = data.track.poses
        starts.append(float(poses.root_position[0, 1]))
        if len(starts) == 2:
            checkpoint.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt
        raised = replace(poses, root_position=poses.root_position + torch.tensor([0.0, 1.0, 0.0]))
        return TrainResult(avatar, replace(data.track, poses=raised), [], [], [])

    monkeypatch.setattr(Training, "train", lift)
    data = TrainingData(observations_at([0.0, 0.1, 0.2]), track_of(3))
    training = Training(avatar.body, TrainConfig(rounds=3), "cpu", "cpu")

    def stage(name: str, files: tuple[Path, ...]) -> Stage:
        return Stage(name, files, {})

    with pytest.raises(KeyboardInterrupt):
        trained(run, data, training, stage)
    assert run.round_track(1).is_file() and run.round_checkpoint(2).is_file() and not run.round_checkpoint(1).exists()
    result = trained(run, data, training, stage)
    assert starts == [0.0, 1.0, 1.0, 2.0], "the first round is not repeated"
    assert float(result.track.poses.root_position[0, 1]) == 3.0
    assert len(result.avatar) == len(avatar) and not list(tmp_path.glob("checkpoint*"))


@pytest.mark.parametrize("start", [None, 1.0])
@pytest.mark.parametrize("of_part", [False, True])
def test_a_motion_of_every_frame_starts_the_fit_of_some(tmp_path: Path, start: float | None, of_part: bool) -> None:
    """The poses are those at the times of the observations, whether the file has the whole video or the part."""
    clip = asset_path("clips", "turn.mp4")
    video = open_video(clip)
    part = video if start is None else video.part(start, None)
    frames = (part if of_part else video).expected_frames
    assert frames is not None
    save_track(track_of(frames, 30.0), tmp_path / "a.npz")  # another rate than the video's: its poses are its frames
    times = [0.0, 0.4, 1.1]
    got = starting_motion(tmp_path / "a.npz", observations_at(times), clip, start)
    offset = 0.0 if of_part or start is None else start
    expected = torch.tensor(times) + offset
    torch.testing.assert_close(got.poses.root_position[:, 0], expected * video.fps / 30.0, atol=2e-3, rtol=1e-3)


def test_a_motion_of_other_frames_is_refused(tmp_path: Path) -> None:
    save_track(track_of(7), tmp_path / "a.npz")
    with pytest.raises(UsageError, match="has 7 poses, but 2 frames of the video's"):
        starting_motion(tmp_path / "a.npz", observations_at([0.0, 0.1]), asset_path("clips", "turn.mp4"))
