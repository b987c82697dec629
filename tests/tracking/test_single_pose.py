"""The poses that fit one set of 2D landmarks: they project onto them, differ, and the true one is among them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.metrics.poses import pa_mpjpe
from avatar.motion.bone_lengths import model_rest
from avatar.motion.motion import ReadOptions
from avatar.motion.text.parse import parse_pose
from avatar.pipeline.motions import keypoints_of, pose_of_option, poses_of_figure
from avatar.types import BodyPose
from tests.motion.keypoint_files import COCO, HEIGHT, WIDTH, coco_points

LIMBS = [
    SMPL_JOINTS.index(f"{side}_{part}")
    for side in ("left", "right")
    for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]


def figure(text: str, folder: Path) -> tuple[Path, torch.Tensor]:
    """A file with the points of a pose in words, seen from the front, and the pose's joints."""
    rest = model_rest().float()
    transforms = joint_transforms(rest, SMPL_PARENTS, BodyPose(rest[:1], parse_pose(text)[None]))
    points = dict(zip(COCO, coco_points(transforms.numpy())[0].tolist(), strict=True))
    path = folder / "points.json"
    path.write_text(json.dumps({"points": points, "width": WIDTH, "height": HEIGHT}), encoding="utf-8")
    return path, transforms[:, :, :3, 3]


@pytest.mark.parametrize("text", ["left arm forward, right knee bent 60", "both arms sideways, facing 40"])
def test_the_true_pose_is_among_the_likeliest(text: str, tmp_path: Path) -> None:
    path, truth = figure(text, tmp_path)
    hypotheses = poses_of_figure(keypoints_of(path, ReadOptions()))
    errors = [float(pa_mpjpe(one.joints[None, LIMBS], truth[:, LIMBS])) for one in hypotheses]
    assert min(errors) < 0.07
    assert [one.cost for one in hypotheses] == sorted(one.cost for one in hypotheses)
    for a, b in itertools.pairwise(hypotheses):
        assert float((a.joints - a.joints[0] - b.joints + b.joints[0]).norm(dim=-1).max()) > 0.1
    upright = hypotheses[0].joints
    assert float(upright[SMPL_JOINTS.index("head"), 1] - upright[SMPL_JOINTS.index("left_ankle"), 1]) > 1.0


def test_a_pose_by_points_on_the_command_line(tmp_path: Path) -> None:
    path, _ = figure("t-pose", tmp_path)
    first = pose_of_option(str(path)).rotations
    assert first.shape == (24, 3, 3)
    level = first[0] @ torch.tensor([0.0, 1.0, 0.0])
    assert float(level[1]) > 0.9  # the person stands
    with pytest.raises(UsageError, match="no --hypothesis 9"):
        pose_of_option(str(path), hypothesis=9)
    with pytest.raises(UsageError, match="--hypothesis"):
        pose_of_option("t-pose", hypothesis=2)


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        ({name: [100.0, 200.0] for name in COCO}, "in one place"),
        ({"nose": [1.0, 2.0], "left_hip": [30.0, 40.0]}, "has no right_hip"),
        ({}, "holds no person"),
    ],
)
def test_figures_that_are_none(points: dict[str, list[float]], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "points.json"
    path.write_text(json.dumps({"points": points, "width": WIDTH, "height": HEIGHT}), encoding="utf-8")
    with pytest.raises(AvatarError, match=reason):
        pose_of_option(str(path))


def test_several_frames_are_a_motion(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).uniform(50, 400, (4, 17, 2)))
    with pytest.raises(UsageError, match="--motion"):
        poses_of_figure(keypoints_of(tmp_path / "a.npy", ReadOptions(size=(WIDTH, HEIGHT))))
