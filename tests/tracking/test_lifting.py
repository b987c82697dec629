"""Clips that were observed in 2D alone, whose truth is known: where depth comes from, and how near the fit gets."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from avatar.body import Body
from avatar.body.skinning import joint_transforms
from avatar.geometry import procrustes
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.fit import track
from avatar.tracking.kinematics import move_points, pose_chain
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.lifting import lift_to_3d
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import LIFTED_CONFIDENCE, build_problem
from avatar.types import Observations

from .synthetic import FOCAL, observed, truth

LIMBS = [1, 2, 4, 5, 7, 8, 12, 16, 17, 18, 19, 20, 21]
ALL = LAYOUTS["blazepose33"].names


def flat(observations: Observations) -> Observations:
    """The same without depth."""
    return replace(observations, keypoints_3d=torch.full_like(observations.keypoints_3d, math.nan))


def errors(estimate: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Mean distance of each instant in metres after the best similarity."""
    scale, R, t = procrustes(estimate, true)
    distances: torch.Tensor = (scale[:, None, None] * estimate @ R.mT + t[:, None] - true).norm(dim=-1).mean(1)
    return distances


@pytest.mark.parametrize("turn", [0.0, 2 * math.pi, -2 * math.pi])
@pytest.mark.parametrize("layout", ["coco17", "coco17_feet", "blazepose33"])
def test_depth_follows_from_widths_lengths_and_noses(body: Body, turn: float, layout: str) -> None:
    true = truth(body, 24, turn)
    observations = flat(observed(body, true, 0.5, layout=layout))
    points, _ = landmark_points(body, layout)
    exact = move_points(pose_chain(body, true), true, points).x
    pixels = observations.keypoints[..., :2].double()
    guess = lift_to_3d(pixels, points.rest, LAYOUTS[layout].names, observations.times.double())
    assert errors(guess, exact).mean() < 0.06 and errors(guess, exact).max() < 0.15
    # Turned by half a circle where the person is: the front was never taken for the back.
    wide = [LAYOUTS[layout].names.index(f"{side}_shoulder") for side in ("left", "right")]
    across, expected = (x[:, wide[0], [0, 2]] - x[:, wide[1], [0, 2]] for x in (guess, exact))
    assert torch.cosine_similarity(across, expected).min() > 0.7


def test_only_what_was_never_guessed_is_lifted(body: Body) -> None:
    true = truth(body, 24, math.pi)
    observations = observed(body, true, 0.5)
    whole = build_problem(observations, body, FOCAL, 1.7)
    holes = observations.keypoints_3d.clone()
    elbow, wrist, knee = (ALL.index(name) for name in ("left_elbow", "left_wrist", "right_knee"))
    holes[:, wrist], holes[10, knee] = math.nan, math.nan
    part = build_problem(replace(observations, keypoints_3d=holes), body, FOCAL, 1.7)
    others = [index for index in range(len(ALL)) if index not in (wrist, knee)]
    assert part.guess[:, others].equal(whole.guess[:, others])
    forearm, whole_forearm = (problem.guess[:, wrist] - problem.guess[:, elbow] for problem in (part, whole))
    alike = torch.cosine_similarity(forearm, whole_forearm, dim=-1)
    assert alike.mean() > 0.8 and alike.min() > 0
    # A bone's weight follows the confidence of both ends: low where lifted, zero in a gap.
    name = body.joint_names.index
    trust = {
        tuple(bone): column for bone, column in zip(part.bones.tolist(), part.bone_confidence.unbind(1), strict=True)
    }
    assert trust[name("left_elbow"), name("left_wrist")].eq(LIFTED_CONFIDENCE).all()
    thigh = trust[name("right_hip"), name("right_knee")]
    assert thigh[10] == 0 and thigh[:10].eq(1).all()


def test_recovers_a_known_motion_from_2d_alone(body: Body) -> None:
    true = truth(body, 16, 2 * math.pi)
    height = float(body.rest(true.betas.float()).vertices[:, 1].max())
    observations = flat(observed(body, true, 0.5, layout="coco17"))
    result, report = track(observations, body, TrackOptions(focal=FOCAL, height=height))
    joints = joint_transforms(body.rest(result.betas).joints, body.parents, result.poses)[:, LIMBS, :3, 3]
    expected = pose_chain(body, true).position[:, LIMBS].float()
    assert errors(joints, expected).mean() < 0.02
    assert report.reprojection < 1.5
