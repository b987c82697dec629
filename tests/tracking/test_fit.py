"""The fit against made-up clips whose truth is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from avatar.body import Body
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.geometry import geodesic_angle, invert_rigid, procrustes, transform
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.fit import track
from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.objective import POSE_CONSTANCY, SCHEDULE, residual_terms
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import build_problem
from avatar.tracking.report import TrackReport
from avatar.types import BodyPose, BodyTrack

from .synthetic import FOCAL, observed, truth

LIMBS = [1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21]


def joints_of(body: Body, result: BodyTrack) -> torch.Tensor:
    rest = body.rest(result.betas)
    return joint_transforms(rest.joints, body.parents, result.poses)[..., :3, 3]


def aligned_error(estimate: torch.Tensor, true: torch.Tensor) -> float:
    """Mean distance in metres after the best similarity of each instant."""
    scale, R, t = procrustes(estimate, true)
    return float((scale[:, None, None] * estimate @ R.mT + t[:, None] - true).norm(dim=-1).mean())


@pytest.fixture(scope="module")
def turned(body: Body) -> tuple[State, BodyTrack, TrackReport]:
    """A whole turn seen by a detector with half a pixel of noise, and its fit."""
    true = truth(body, 24, 2 * math.pi)
    height = float(body.rest(true.betas.float()).vertices[:, 1].max())
    result, report = track(observed(body, true, 0.5), body, TrackOptions(focal=FOCAL, height=height))
    return true, result, report


def test_recovers_a_known_motion(body: Body, turned: tuple[State, BodyTrack, TrackReport]) -> None:
    true, result, report = turned
    estimate, expected = joints_of(body, result)[:, LIMBS], pose_chain(body, true).position[:, LIMBS].float()
    # Arms that swing once in a turn look like a held pose seen wrongly from one side, and half a centimetre is lost.
    assert aligned_error(estimate, expected) < 0.014
    assert report.reprojection < 1.5
    assert result.cameras is not None
    in_camera = transform(result.cameras.T_camera_world, estimate)
    assert (in_camera.mean(1) - expected.mean(1)).norm(dim=-1).mean() < 0.03


def test_a_held_pose_is_not_bent_by_a_detector_that_errs_with_the_side(
    body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elbows and wrists are seen farther from the body when they are on the far side."""
    true = truth(body, 24, 2 * math.pi, moving=0.0)
    observations = observed(body, true, 0.5)
    arms = [
        index for index, name in enumerate(LAYOUTS[observations.layout].names) if "elbow" in name or "wrist" in name
    ]
    observations.keypoints[:, arms, 1] += 15 * observations.keypoints_3d[:, arms, 2]
    joints = [body.joint_names.index(f"{side}_{name}") for side in ("left", "right") for name in ("elbow", "wrist")]
    expected = pose_chain(body, true).position.float()
    errors = []
    for held in (POSE_CONSTANCY, 1e3):
        monkeypatch.setattr("avatar.tracking.objective.POSE_CONSTANCY", held)
        result, _ = track(observations, body, TrackOptions(focal=FOCAL))
        errors.append(aligned_error(joints_of(body, result)[:, LIMBS + joints], expected[:, LIMBS + joints]))
    assert errors[0] < 0.8 * errors[1]


def test_a_whole_turn_has_no_jump(turned: tuple[State, BodyTrack, TrackReport]) -> None:
    _, result, _ = turned
    root = result.poses.rotations[:, 0]
    steps = geodesic_angle(root[:-1], root[1:])
    assert steps.max() < 1.6 * 2 * math.pi / 23
    forward = root[..., :, 2]
    yaw = torch.atan2(forward[1:, 0], forward[1:, 2]) - torch.atan2(forward[:-1, 0], forward[:-1, 2])
    yaw = torch.remainder(yaw + math.pi, 2 * math.pi) - math.pi
    assert abs(float(yaw.sum()) - 2 * math.pi) < 0.15


def test_bones_keep_their_lengths(body: Body, turned: tuple[State, BodyTrack, TrackReport]) -> None:
    _, result, _ = turned
    joints = joints_of(body, result)
    bones = torch.stack([(joints[:, c] - joints[:, p]).norm(dim=-1) for c, p in enumerate(body.parents) if c])
    assert bones.std(dim=1).max() < 1e-5


def test_stands_on_the_floor_facing_the_camera(body: Body, turned: tuple[State, BodyTrack, TrackReport]) -> None:
    _, result, _ = turned
    lowest = body.vertices(body.rest(result.betas), result.poses)[..., 1].amin(1)
    assert lowest.abs().median() < 0.03
    assert result.cameras is not None
    camera = invert_rigid(result.cameras.T_camera_world)[0, :3, 3]
    facing = result.poses.rotations[0, 0, :, 2]
    assert facing @ torch.nn.functional.normalize(camera * torch.tensor([1.0, 0, 1]), dim=0) > 0.9


def test_a_turn_tells_of_the_focal_length(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avatar.tracking.prior_knowledge.ASSUMED_FOCAL", 1.02)
    observations = observed(body, truth(body, 24, 2 * math.pi), 0.5)
    assumed = 1.02 * observations.height
    _, report = track(observations, body)
    assert abs(report.focal / FOCAL - 1) < 0.8 * abs(assumed / FOCAL - 1)
    assert any("focal length is unknown" in warning for warning in report.warnings)


def test_gaps_are_filled_from_neighbours(body: Body) -> None:
    true = truth(body, 14, 0.6)
    observations = observed(body, true, 0.3)
    keypoints, guess = observations.keypoints.clone(), observations.keypoints_3d.clone()
    keypoints[6:8, :, :2], keypoints[6:8, :, 2], guess[6:8] = math.nan, 0.0, math.nan
    result, report = track(
        replace(observations, keypoints=keypoints, keypoints_3d=guess), body, TrackOptions(focal=FOCAL)
    )
    estimate, expected = joints_of(body, result)[:, LIMBS], pose_chain(body, true).position[:, LIMBS].float()
    assert aligned_error(estimate[6:8], expected[6:8]) < 0.03
    assert result.confidence[6:8].max() < 0.3 < result.confidence[2].min()
    assert any("2 of 14 frames" in sentence for sentence in report.warnings)
    assert "the back was never in view" in report.warnings
    assert any("assumed 1.70 m" in sentence for sentence in report.warnings)


def test_too_few_frames_are_refused(body: Body) -> None:
    with pytest.raises(AvatarError, match="too few"):
        track(observed(body, truth(body, 3, 0.1), 0.0), body)


def test_starts_from_the_result_of_another_program(body: Body) -> None:
    """The detector's 3D guess is spoilt (flattened in depth), the given start is not."""
    true = truth(body, 12, 0.5)
    observations = observed(body, true, 0.3)
    spoilt = replace(observations, keypoints_3d=observations.keypoints_3d * torch.tensor([1.0, 1.0, 0.3]))
    poses = BodyPose(torch.zeros(12, 3), true.rotations.float())
    start = BodyTrack("open", true.betas.float(), poses, observations.times, torch.ones(12, 24), observations.instant)
    result, _ = track(spoilt, body, TrackOptions(focal=FOCAL), start)
    estimate, expected = joints_of(body, result)[:, LIMBS], pose_chain(body, true).position[:, LIMBS].float()
    assert aligned_error(estimate, expected) < 0.02
    with pytest.raises(UsageError, match="12 poses, but 11 frames"):
        shorter = replace(
            observations,
            keypoints=observations.keypoints[1:],
            keypoints_3d=observations.keypoints_3d[1:],
            instant=observations.instant[:-1],
            times=observations.times[1:],
        )
        track(shorter, body, TrackOptions(focal=FOCAL), start)


def test_landmarks_without_confidence_do_not_count(body: Body) -> None:
    true = truth(body, 6, 0.5)
    clip = build_problem(observed(body, true, 0.5), body, FOCAL, 1.7)
    blind = replace(clip, confidence=torch.zeros_like(clip.confidence))
    weights = [residual_terms(one, SCHEDULE[0], None, None, true)[0].weight.sum() for one in (clip, blind)]
    assert weights[0] > 0
    assert weights[1] == 0
