"""The camera's pitch shows in a person who turns, and in nobody else."""

import math
from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.tracking.camera_pitch import constant_lean, pitch_from_turn, pitch_from_turn_within
from avatar.tracking.kinematics import State
from avatar.tracking.problem import build_problem
from tests.tracking.synthetic import FOCAL, observed, truth


def headings(turn: float, count: int = 60) -> torch.Tensor:
    angle = torch.linspace(0, turn, count, dtype=torch.float64)
    return torch.stack([angle.sin(), angle.cos()], dim=-1)


def test_a_lean_turns_with_the_person_and_a_tilted_camera_does_not() -> None:
    heading = headings(2 * math.pi)
    side = torch.stack([heading[:, 1], -heading[:, 0]], dim=-1)
    tilt = torch.tensor([0.01, 0.06], dtype=torch.float64)
    estimate, unsteady = constant_lean(tilt + 0.05 * heading - 0.02 * side, heading)
    assert torch.allclose(estimate, tilt, atol=1e-6) and unsteady < 1e-6


def test_an_unsteady_lean_is_noticed() -> None:
    noise = 0.2 * torch.randn(60, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert constant_lean(noise, headings(2 * math.pi))[1] > 0.1


def turning_then_standing(turn: float) -> State:
    """A person who turns in the first third of the clip and faces the camera in the rest; the camera looks down 0.1."""
    body = load_body("open")
    first, rest = truth(body, 20, turn=turn, pitch=0.1), truth(body, 40, turn=0.0, pitch=0.1)
    position = torch.cat([first.position, rest.position])
    return replace(first, position=position, rotations=torch.cat([first.rotations, rest.rotations]))


@pytest.mark.parametrize("turn", [2 * math.pi, 1.5])
def test_a_turn_anywhere_in_the_clip_tells_the_pitch(turn: float) -> None:
    body, state = load_body("open"), turning_then_standing(turn)
    problem = build_problem(observed(body, state, 0.0), body, FOCAL, 1.7)
    tilted = replace(state, camera=state.camera + torch.tensor([0.0, -0.08, 0.0, 0.0]))
    assert pitch_from_turn(problem, tilted) is None, "the whole clip is no turn"
    pitch = pitch_from_turn_within(problem, tilted)
    assert (pitch is None) == (turn < 2)
    if pitch is not None:
        assert abs(pitch - 0.1) < 0.02
