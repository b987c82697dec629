"""Heads and arms that tremble cost, steady turns and steps do not."""

from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.geometry import rotation_from_rotvec
from avatar.tracking.kinematics import State
from avatar.tracking.objective import SCHEDULE, residual_terms
from avatar.tracking.problem import FitProblem, build_problem
from tests.tracking.synthetic import FOCAL, observed, truth

FRAMES, DEGREES = 6, 10.0


@pytest.fixture(scope="module")
def clip() -> tuple[FitProblem, State]:
    body = load_body("open")
    state = truth(body, FRAMES, turn=0.0, moving=0.0)
    return build_problem(observed(body, state, noise=0.0), body, FOCAL, 1.7), state


def swing_cost(problem: FitProblem, state: State) -> float:
    (term,) = [term for term in residual_terms(problem, SCHEDULE[-1], None, None, state) if term.name == "swing"]
    return float(term.costs.sum())


def turned(problem: FitProblem, state: State, joint: str, degrees: list[float]) -> State:
    """The state with a joint turned about the vertical by an angle in each frame."""
    rotations = state.rotations.clone()
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    rotvec = angles[:, None] * torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64)
    index = problem.body.joint_names.index(joint)
    rotations[:, index] = rotations[:, index] @ rotation_from_rotvec(rotvec)
    return replace(state, rotations=rotations)


def test_what_trembles_costs(clip: tuple[FitProblem, State]) -> None:
    problem, state = clip
    steady = [DEGREES * frame for frame in range(FRAMES)]
    trembling = [DEGREES * (frame % 2) for frame in range(FRAMES)]
    for joint in ("head", "neck", "left_wrist", "right_elbow"):
        still, turning = swing_cost(problem, state), swing_cost(problem, turned(problem, state, joint, steady))
        assert turning == pytest.approx(still, abs=1e-6)
        assert swing_cost(problem, turned(problem, state, joint, trembling)) > still + 1
    for joint in ("left_knee", "right_hip", "pelvis"):
        assert swing_cost(problem, turned(problem, state, joint, trembling)) == pytest.approx(still, abs=1e-6)
