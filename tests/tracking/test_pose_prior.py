"""The prior learned from motion capture."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avatar.body import Body
from avatar.geometry import rotation_from_rotvec
from avatar.tracking.kinematics import State, joint_points, move_points, pose_chain
from avatar.tracking.pose_prior import (
    JOINTS,
    MIRRORED,
    SEGMENTS,
    PosePrior,
    directions,
    load_pose_prior,
    pose_prior_term,
)

from .synthetic import truth


def cost(body: Body, state: State, prior: PosePrior) -> Tensor:
    joints = move_points(pose_chain(body, state), state, joint_points(body))
    return pose_prior_term(prior, state, joints, body.joint_names, torch.ones(len(state)).double()).robust()[0]


def test_directions_are_those_of_the_person_wherever_they_face(body: Body) -> None:
    state = truth(body, 6, 2 * math.pi, moving=0.0)
    joints = pose_chain(body, state).position[:, [body.joint_names.index(name) for name in JOINTS]]
    features_of = torch.func.vmap(directions, in_dims=(0, None, None))
    every = features_of(joints, state.camera, torch.zeros(1).double()).unflatten(1, (len(SEGMENTS), 3))
    # One pose, turned: the same features; the trunk points up.
    assert (every - every[:1]).abs().max() < 1e-6 and every[0, 0, 1] > 0.99
    assert every[0].norm(dim=-1) == pytest.approx(1, abs=1e-4)


def test_standing_is_likelier_than_a_backward_bend(body: Body) -> None:
    prior, state = load_pose_prior(), truth(body, 4, 0.3)
    bent = state.rotations.clone()
    back = rotation_from_rotvec(torch.tensor([-0.6, 0.0, 0.0]).double())
    bent[:, body.joint_names.index("spine1")] = bent[:, body.joint_names.index("spine1")] @ back
    assert cost(body, replace(state, rotations=bent), prior) > 1.3 * cost(body, state, prior)
    means = prior.means.unflatten(1, (len(SEGMENTS), 3))
    mirrored = means[:, list(MIRRORED)] * means.new_tensor([-1.0, 1.0, 1.0])
    average = prior.penalty.softmax(0)
    assert (means - mirrored).mul(average[:, None, None]).sum(0).abs().max() < 0.5


def test_derivatives_agree_with_differences(body: Body) -> None:
    prior, state = load_pose_prior(), truth(body, 3, 0.3)
    joints = move_points(pose_chain(body, state), state, joint_points(body))
    term = pose_prior_term(prior, state, joints, body.joint_names, torch.ones(3).double())
    step = 1e-6
    random = torch.Generator().manual_seed(0)
    local = torch.randn(3, state.frame_size, generator=random, dtype=torch.float64)
    shared = torch.zeros(state.shared_size, dtype=torch.float64)
    shared[-4:] = torch.tensor([0.1, 0.2, -0.3, 0.1])
    moved = state.moved(step * local, step * shared)
    then = pose_prior_term(
        prior,
        moved,
        move_points(pose_chain(body, moved), moved, joint_points(body)),
        body.joint_names,
        torch.ones(3).double(),
    )
    expected = (then.residual.value - term.residual.value) / step
    assert term.residual.jac_shared is not None
    slope = torch.einsum("tgmd,td->tgm", term.residual.jac_frame[0], local) + term.residual.jac_shared @ shared
    assert (slope - expected).abs().max() < 1e-3 * expected.abs().max()


def test_the_likeliest_component_counts() -> None:
    means = torch.tensor([[0.0, 0.0], [4.0, 0.0]]).double()
    covariances = torch.stack([torch.eye(2).double(), 0.25 * torch.eye(2).double()])
    prior = PosePrior.of(torch.tensor([0.5, 0.5]).double(), means, covariances)
    rows = torch.tensor([[0.5, 0.0], [3.5, 0.2], [40.0, 0.0]]).double()
    log_density = torch.stack(
        [torch.distributions.MultivariateNormal(m, c).log_prob(rows) for m, c in zip(means, covariances, strict=True)],
        1,
    )
    assert prior.likeliest(rows).tolist() == log_density.argmax(1).tolist()
