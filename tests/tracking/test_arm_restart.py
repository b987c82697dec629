"""Arms that a wrong guess left in a local minimum start again from the poses that their landmarks allow."""

import math
from dataclasses import replace
from itertools import product

import pytest
import torch

from avatar.body import Body
from avatar.geometry import rotation_from_rotvec
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.arm_restart import lost_frames, on_ray, posed_arm, runs
from avatar.tracking.fit import track
from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import FitProblem, build_problem
from avatar.types import Observations
from tests.tracking.synthetic import FOCAL, observed, truth

NAMES = LAYOUTS["blazepose33"].names
ARM = ("shoulder", "elbow", "wrist")
FRAMES = 16


@pytest.fixture(scope="module")
def hand_at_the_mouth(body: Body) -> State:
    """A person seen from the front whose right hand is at the mouth in the second half of the clip."""
    state = truth(body, FRAMES, turn=0.0, moving=0.1)
    raised = torch.linspace(0, 1, FRAMES, dtype=torch.float64).sub(0.25).mul(4).clamp(0, 1)[:, None]
    rotations = state.rotations.clone()
    for name, start, end in (("shoulder", (0, 0, 0.9), (0.0, 0.7, 0.1)), ("elbow", (0, 0.5, 0), (0.0, 2.2, 0))):
        turn = torch.tensor(start) * (1 - raised) + torch.tensor(end) * raised
        rotations[:, body.joint_names.index(f"right_{name}")] = rotation_from_rotvec(turn.double())
    return replace(state, rotations=rotations)


def with_arm_behind(observations: Observations, body: Body) -> Observations:
    """The detector takes the raised right arm for one that points backwards."""
    guess = observations.keypoints_3d.clone()
    arm = [NAMES.index(f"right_{name}") for name in ARM]
    raised = guess[:, arm[1], 1] < guess[:, NAMES.index("right_hip"), 1] - 0.25
    depth = guess[raised][:, arm, 2]
    guess[raised.nonzero()[:, :1], torch.tensor(arm[1:])[None], 2] = 2 * depth[:, :1] - depth[:, 1:]
    return replace(observations, keypoints_3d=guess)


def joints(body: Body, state: State, side: str = "right") -> torch.Tensor:
    return pose_chain(body, state).position[:, [body.joint_names.index(f"{side}_{name}") for name in ARM]]


def from_pelvis(body: Body, rotations: torch.Tensor) -> torch.Tensor:
    """The right wrist in the frame of the pelvis, metres."""
    state = truth(body, len(rotations), turn=0.0)
    rotations = torch.cat([torch.eye(3, dtype=torch.float64).expand(len(rotations), 1, 3, 3), rotations[:, 1:]], 1)
    posed = replace(state, rotations=rotations, position=torch.zeros_like(state.position))
    return joints(body, posed)[:, ARM.index("wrist")]


def problem_of(body: Body, state: State) -> FitProblem:
    return build_problem(observed(body, state, 0.0), body, FOCAL, 1.7)


def test_a_hand_at_the_mouth_is_not_lost(body: Body, hand_at_the_mouth: State) -> None:
    observations = with_arm_behind(observed(body, hand_at_the_mouth, 0.5), body)
    fitted, _ = track(observations, body, TrackOptions(focal=FOCAL))
    away = (from_pelvis(body, fitted.poses.rotations.double()) - from_pelvis(body, hand_at_the_mouth.rotations)).norm(
        dim=-1
    )
    assert float(away[FRAMES // 2 :].max()) < 0.12


def test_an_arm_that_fits_is_not_lost(body: Body, hand_at_the_mouth: State) -> None:
    problem = problem_of(body, hand_at_the_mouth)
    marks = [NAMES.index(f"right_{name}") for name in ARM[1:]]
    assert not lost_frames(problem, hand_at_the_mouth, marks).any()
    moved = hand_at_the_mouth.rotations.clone()
    moved[9, body.joint_names.index("right_elbow")] = torch.eye(3, dtype=torch.float64)
    assert lost_frames(problem, replace(hand_at_the_mouth, rotations=moved), marks).nonzero()[:, 0].tolist() == [
        8,
        9,
        10,
    ]


def test_one_of_the_four_poses_is_the_true_one(body: Body, hand_at_the_mouth: State) -> None:
    problem = problem_of(body, hand_at_the_mouth)
    marks = [NAMES.index(f"right_{name}") for name in ARM[1:]]
    true = joints(body, hand_at_the_mouth)
    away = torch.stack(
        [
            (joints(body, posed_arm(problem, hand_at_the_mouth, "right", marks, far)) - true).norm(dim=-1)
            for far in product((False, True), repeat=2)
        ]
    )
    # The landmarks lie on the skin, a few centimetres from the joints.
    assert float(away.max(2).values.min(0).values.max()) < 0.12


def test_a_ray_is_met_at_the_given_distance() -> None:
    origin, centre = torch.zeros(1, 3).double(), torch.tensor([[0.0, 0.1, 2.0]]).double()
    ahead = torch.tensor([[0.0, 0.0, 1.0]]).double()
    for far in (False, True):
        point = on_ray(origin, ahead, centre, 0.3, far)
        assert math.isclose(float((point - centre).norm()), 0.3)
        assert (float(point[0, 2]) > 2) == far
    assert torch.equal(on_ray(origin, ahead, centre, 0.05, True), torch.tensor([[0.0, 0.0, 2.0]]).double())


def test_runs_of_frames() -> None:
    chosen = torch.tensor([True, True, False, False, True, False, True])
    assert runs(chosen) == [slice(0, 2), slice(4, 5), slice(6, 7)]
