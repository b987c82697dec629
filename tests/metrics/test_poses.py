"""Pose metrics against SciPy and values worked out by hand."""

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.transform import Rotation
from torch import Tensor

from avatar.geometry import rigid
from avatar.metrics import poses as metrics


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    truth = torch.randn(6, 14, 3, generator=generator)
    return truth + 0.05 * torch.randn(6, 14, 3, generator=generator), truth


def test_mpjpe_of_one_moved_joint_and_of_a_moved_body(pair: tuple[Tensor, Tensor]) -> None:
    _, truth = pair
    joints = truth.clone()
    joints[:, 3, 1] += 0.14
    assert torch.allclose(metrics.mpjpe(joints, truth), torch.full((6,), 0.01), atol=1e-6)
    assert metrics.mpjpe(truth + 1.0, truth, root=(0, 1)).max() < 1e-6


def test_pa_mpjpe_is_that_of_scipy(pair: tuple[Tensor, Tensor]) -> None:
    joints, truth = pair
    for ours, true, value in zip(
        joints.double().numpy(), truth.double().numpy(), metrics.pa_mpjpe(joints, truth), strict=True
    ):
        a, b = ours - ours.mean(0), true - true.mean(0)
        R, strength = orthogonal_procrustes(a, b)
        assert np.linalg.det(R) > 0  # SciPy allows mirrors; the noise is too small to need one
        expected = np.linalg.norm(strength / (a * a).sum() * a @ R - b, axis=-1).mean()
        assert float(value) == pytest.approx(expected, abs=1e-5)


def test_pa_mpjpe_does_not_see_a_similarity_but_sees_a_mirror(pair: tuple[Tensor, Tensor]) -> None:
    _, truth = pair
    R = torch.tensor(Rotation.from_rotvec([0.3, -1.0, 2.0]).as_matrix(), dtype=torch.float32)
    assert metrics.pa_mpjpe(1.7 * truth @ R.T + 3.0, truth).max() < 1e-4
    assert metrics.pa_mpjpe(truth * torch.tensor([-1.0, 1.0, 1.0]), truth).min() > 0.1


def test_constant_offsets_in_the_bones_frames_are_removed_and_others_are_not() -> None:
    turns = Rotation.random(20 * 3, rng=np.random.default_rng(0)).as_matrix().reshape(20, 3, 3, 3)
    R = torch.tensor(turns, dtype=torch.float32)
    joints = torch.randn(20, 3, 3, generator=torch.Generator().manual_seed(1))
    Ts = rigid(R, joints)
    offsets = torch.tensor([[0.05, 0, 0], [0, 0.02, 0.01], [0, 0, 0]])
    riding = joints + (R @ offsets[..., None]).squeeze(-1)
    assert torch.allclose(metrics.with_constant_offsets(Ts, riding), riding, atol=1e-5)
    fixed_in_world = joints + offsets
    assert (metrics.with_constant_offsets(Ts, fixed_in_world) - fixed_in_world)[:, 0].norm(dim=-1).mean() > 0.03


def test_acceleration_error_of_a_thrown_joint() -> None:
    t = torch.arange(10) / 25.0
    truth = torch.zeros(10, 1, 3)
    joints = truth.clone()
    joints[:, 0, 1] = 2.0 * t - 0.5 * 9.81 * t**2
    assert torch.allclose(metrics.acceleration_error(joints, truth, fps=25.0), torch.full((8,), 9.81), atol=1e-2)


def test_foot_sliding_counts_only_standing_feet_along_the_floor() -> None:
    feet = torch.zeros(11, 2, 3)
    feet[:, 1, 0] = torch.linspace(0, 10, 11)  # the right foot strides at 10 m/s
    contact = metrics.standing(feet, fps=10.0)
    assert contact[:, 0].all() and not contact[:, 1].any()
    slid = feet.clone()
    slid[:, 0, 2] = torch.linspace(0, 0.1, 11)
    slid[:, 0, 1] = torch.linspace(0, 5, 11)  # up and down is not sliding
    assert metrics.foot_sliding(slid, contact, fps=10.0) == pytest.approx(0.1, abs=1e-5)
    assert metrics.foot_sliding(slid, contact & False, fps=10.0) is None
