"""Arms do not point backwards where shoulders do not let them."""

import math

import pytest
import torch

from avatar.tracking.arm_reach import beyond_reach


@pytest.mark.parametrize(
    ("raised", "backward", "allowed"),
    [(30.0, 60.0, False), (30.0, 10.0, True), (-30.0, -60.0, True), (-60.0, 40.0, True), (0.0, 45.0, False)],
)
@pytest.mark.parametrize("turn", [0.0, 2.0])
def test_only_hanging_arms_reach_far_back(raised: float, backward: float, allowed: bool, turn: float) -> None:
    """Angles in degrees: of the arm above the horizontal, and of its horizontal part behind the shoulders."""
    up, back = math.radians(raised), math.radians(backward)
    arm = torch.tensor([math.cos(up) * math.cos(back), math.sin(up), -math.cos(up) * math.sin(back)])
    shoulder = torch.tensor([0.2, 1.4, 0.0])
    trunk = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.5, 0.0], [0.2, 1.4, 0.0], [-0.2, 1.4, 0.0]])
    points = torch.cat([trunk, shoulder[None], (shoulder + 0.3 * arm)[None]]).double()
    R = torch.tensor([[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]).double()
    excess = float(beyond_reach(points @ R.T, torch.zeros(4).double(), torch.zeros(1).double()))
    assert (excess == 0) == allowed
