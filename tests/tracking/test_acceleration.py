"""The prior against accelerations gives way to those that the image shows."""

from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.tracking.acceleration import STEP, visible_accelerations
from avatar.tracking.fit import fit, track
from avatar.tracking.kinematics import pose_chain
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import FitProblem, build_problem

from .synthetic import FOCAL, RATE, observed, truth
from .test_fit import LIMBS, aligned_error, joints_of


@pytest.mark.parametrize("rate", [4.0, 15.0, 60.0])
def test_free_fall_is_measured_at_any_rate_and_noise_hardly(rate: float) -> None:
    times = torch.arange(0, 3, 1 / rate, dtype=torch.float64)
    falling = torch.stack([0 * times, 4.9 * times**2], 1)[:, None]
    trust = torch.ones(len(times), 1, dtype=torch.float64)
    assert visible_accelerations(falling, trust, times) == pytest.approx(9.8, rel=1e-6)
    random = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(len(times), 1, 2, generator=random, dtype=torch.float64)
    assert visible_accelerations(noise, trust, times).median() < 3 * 0.01 * 6**0.5 / STEP**2
    assert visible_accelerations(falling, 0 * trust, times).max() == 0


@pytest.mark.parametrize(("rate", "lowered"), [(5.0, False), (15.0, True)])
def test_of_frames_far_apart_two_sure_ones_tell(rate: float, lowered: bool) -> None:
    times = torch.arange(0, 3, 1 / rate, dtype=torch.float64)
    falling = torch.stack([0 * times, 4.9 * times**2], 1)[:, None]
    trust = torch.ones(len(times), 1, dtype=torch.float64)
    trust[::3] = 0.1
    middle = visible_accelerations(falling, trust, times)[2:-2, 0]
    assert (middle.min() < 9) == lowered


def test_a_jumping_person_is_followed() -> None:
    """0.3 m up and down once per second: 12 m/s^2."""
    body = load_body("open")
    true = truth(body, 24, 0.3)
    height = 0.3 * torch.sin(2 * torch.pi * torch.arange(24) / RATE)
    position = true.position.clone()
    position[:, 1] -= height - 0.3
    true = replace(true, position=position)
    result, report = track(observed(body, true, 0.5), body, TrackOptions(focal=FOCAL))
    estimate, expected = joints_of(body, result)[:, LIMBS], pose_chain(body, true).position[:, LIMBS].float()
    assert aligned_error(estimate, expected) < 0.035 and report.reprojection < 1.5
    root = result.poses.root_position[:, 1] - result.poses.root_position[:, 1].mean()
    assert (root - height + height.mean()).abs().max() < 0.06


def test_a_prior_that_knows_no_jumps_moves_the_person_to_the_camera() -> None:
    """0.5 m up and down once per second, 20 m/s^2, as a child on a bed: a prior of 5 m/s^2 alone gave another fit."""
    body = load_body("open")
    true = truth(body, 24, 0.3)
    position = true.position.clone()
    position[:, 1] -= 0.5 * torch.sin(2 * torch.pi * torch.arange(24) / RATE)
    true = replace(true, position=position)
    expected = pose_chain(body, true).position[:, LIMBS]
    problem = build_problem(observed(body, true, 0.5), body, FOCAL, 1.7)
    calm = replace(problem, joint_acceleration=torch.zeros_like(problem.joint_acceleration))

    def result(variant: FitProblem) -> tuple[float, float]:
        """Error of the joints, and distance from the camera relative to the true one."""
        _, state = fit(variant)
        distance = state.position[:, 2].median() / true.position[:, 2].median()
        return aligned_error(pose_chain(body, state).position[:, LIMBS], expected), float(distance)

    error, distance = result(problem)
    assert error < 0.035 and distance > 0.9
    error, distance = result(calm)
    assert error > 0.08 and distance < 0.7
