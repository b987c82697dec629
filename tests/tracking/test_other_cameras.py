"""The fit of one body to several cameras, where the truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from avatar.body import Body
from avatar.geometry import rotation_from_rotvec
from avatar.observation.camera_motion import standing_still
from avatar.tracking.fit import track
from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.objective import SCHEDULE, residual_terms
from avatar.tracking.options import TrackOptions
from avatar.tracking.other_cameras import OtherCamera, at_instants, nearest_frames, with_other_cameras
from avatar.tracking.problem import build_problem
from avatar.tracking.standing_cameras import StandingCamera
from avatar.types import BodyTrack, Observations

from .several import R_SIDE, T_SIDE, filmed, from_the_side, moving
from .synthetic import FOCAL

LIMBS = [4, 5, 7, 8, 18, 19, 20, 21]
FRAMES, RATE = 10, 12.0
TALL = 1.75
SCALE = 0.8  # of the distance between the cameras as they are solved


@pytest.fixture(scope="module")
def true(body: Body) -> State:
    return moving(body, torch.arange(FRAMES, dtype=torch.float64) / RATE)


def with_wrong_depths(observations: Observations) -> Observations:
    """The detector mistakes the depth of all limbs by a quarter of their lengths."""
    guess = observations.keypoints_3d.clone()
    guess[..., 2] *= 0.5
    return replace(observations, keypoints_3d=guess)


def other_camera(body: Body, focal: float = FOCAL) -> tuple[Observations, StandingCamera]:
    """What the second camera records: four frames more than the first, at times of its own."""
    times = (torch.arange(-2, FRAMES + 2, dtype=torch.float64) + 0.3) / RATE
    observations = filmed(body, from_the_side(moving(body, times)), times - times[0], "b.mp4", 2)
    return observations, StandingCamera(R_SIDE.numpy(), SCALE * T_SIDE.numpy(), focal, float(times[0]))


def joints(body: Body, track: BodyTrack) -> torch.Tensor:
    state = State(
        track.poses.root_position.double(), track.poses.rotations.double(), track.betas.double(),
        torch.zeros(1, 3, dtype=torch.float64), torch.zeros(4, dtype=torch.float64),
    )  # fmt: skip
    return pose_chain(body, state).position[:, LIMBS]


def error(body: Body, fitted: BodyTrack, true: State) -> float:
    """Mean distance of the limbs' joints from the truth, with the best rotation and translation of the clip."""
    from avatar.geometry import procrustes

    ours, theirs = joints(body, fitted).flatten(0, 1), pose_chain(body, true).position[:, LIMBS].flatten(0, 1)
    _, R, t = procrustes(ours, theirs, scaled=False)
    return float((ours @ R.T + t - theirs).norm(dim=-1).mean())


def test_two_cameras_show_what_one_does_not(body: Body, true: State) -> None:
    first = with_wrong_depths(filmed(body, true, torch.arange(FRAMES) / RATE, "a.mp4", 1))
    options, motion = TrackOptions(height=TALL, keep_going=True), standing_still(first, FOCAL, True)
    alone, _ = track(first, body, options, motion=motion)
    observations, camera = other_camera(body)
    other = OtherCamera.of(observations, camera, first.times.double(), body, TALL)
    together, report = track(first, body, options, motion=motion, others=[other])
    assert error(body, together, true) < 0.02 < 0.5 * error(body, alone, true)
    assert report.camera_scale * SCALE == pytest.approx(1.0, abs=0.05)
    assert not any("guess" in warning for warning in report.warnings)


def test_the_terms_of_the_truth_cost_nothing_in_any_camera(body: Body, true: State) -> None:
    """And pixels of another focal length are the same terms."""
    first = filmed(body, true, torch.arange(FRAMES) / RATE, "a.mp4", 1)
    observations, camera = other_camera(body)
    camera = replace(camera, t=T_SIDE.numpy())
    problem = build_problem(first, body, FOCAL, TALL)
    costs = []
    for factor in (1.0, 1.5):
        center = torch.tensor([observations.width / 2, observations.height / 2])
        keypoints = observations.keypoints.clone()
        keypoints[..., :2] = (keypoints[..., :2] - center) * factor + center
        longer = replace(camera, focal=factor * FOCAL)
        other = OtherCamera.of(replace(observations, keypoints=keypoints), longer, first.times.double(), body, TALL)
        views = with_other_cameras(problem, [other])
        state = replace(true, log_scale=torch.zeros(1, dtype=torch.float64))
        terms = [term for term in residual_terms(views, SCHEDULE[-1], None, None, state) if term.name == "landmarks"]
        assert len(terms) == 2
        costs.append([float(term.costs.mean()) for term in terms])
    assert costs[0][1] < 2 * costs[0][0] + 0.05
    assert costs[0] == pytest.approx(costs[1], rel=1e-3)


def test_frames_are_matched_within_half_of_their_distance() -> None:
    own, times = torch.tensor([0.0, 1.0, 2.0]), torch.tensor([-0.6, -0.4, 0.4, 0.6, 2.4, 2.6])
    assert nearest_frames(own, times).tolist() == [-1, 0, 0, 1, 2, -1]


def test_what_a_camera_shows_between_its_frames(body: Body) -> None:
    observations, camera = other_camera(body)
    times = torch.tensor([-1.0, 0.0, 0.2, 0.5])
    shown = at_instants(observations, camera.offset, times)
    assert shown.keypoints[0].isnan().all() and shown.keypoints[1:].isfinite().all()
    assert shown.masks[0].max() == 0 and shown.masks[1].max() == 255
    exact = moving(body, times[1:].double())
    expected = filmed(body, from_the_side(exact), times[1:], "b.mp4", 3)
    assert float((shown.keypoints[1:] - expected.keypoints).norm(dim=-1).median()) < 3
    turned = rotation_from_rotvec(torch.tensor([0.0, 1.2, 0.0], dtype=torch.float64))
    assert np.allclose(turned, camera.R)
