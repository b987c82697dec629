"""A run whose avatar wears a skirt: its videos swing, unless they are asked not to."""

from dataclasses import replace
from pathlib import Path

import torch

from avatar.cli.animate import PlayingOptions
from avatar.model.avatar import Avatar
from avatar.model.spring_motion import with_swing
from avatar.model.spring_rings import spring_bones
from avatar.pipeline.finished_run import open_run, save_garments
from avatar.pipeline.motions import builtin_track
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyPose
from tests.model.skirts import person_in, skirt


def test_a_run_with_a_skirt_swings(tmp_path: Path) -> None:
    avatar, labels = person_in(skirt())
    run = RunFolder(tmp_path)
    avatar.save(run.avatar)
    save_garments(run, labels)
    plain, swinging = open_run(tmp_path).avatar, open_run(tmp_path).with_springs()
    track = builtin_track(plain, "walk")
    poses = [PlayingOptions().finished(track, person).poses for person in (plain, swinging)]
    assert poses[0].swing is None
    assert poses[1].swing is not None and len(poses[1].swing) == len(track)
    assert float((_means(swinging, poses[1], 15) - _means(plain, poses[0], 15)).norm(dim=1).max()) > 0.02


def test_an_avatar_moves_and_converts_with_its_springs() -> None:
    avatar, labels = person_in(skirt())
    avatar.with_springs(spring_bones(avatar, lambda: labels))
    track = with_swing(builtin_track(avatar, "walk"), avatar)
    single = _means(avatar, track.poses, 10)
    pose = track.poses[10]
    parts = {name: part.double() for name, part in vars(pose).items() if part is not None}
    double = avatar.double().pose(replace(pose, **parts))
    assert double.means.dtype == torch.float64
    assert torch.allclose(double.means.float(), single, atol=1e-5)
    assert avatar.reshape(avatar.betas).springs is None


@torch.no_grad()
def _means(avatar: Avatar, poses: BodyPose, frame: int) -> torch.Tensor:
    return avatar.pose(poses[frame]).means
