"""The camera's pitch shows in a person who turns, and in nobody else."""

import math

import torch

from avatar.tracking.camera_pitch import constant_lean


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
