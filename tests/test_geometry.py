"""Rotations, transforms and projection by the laws they must obey, near the places where formulas break down."""

import math

import pytest
import torch

from avatar import geometry as g

torch.manual_seed(0)
AXES = torch.nn.functional.normalize(torch.randn(50, 3, dtype=torch.float64), dim=-1)
ANGLES = [0.0, 1e-12, 1e-8, 1e-5, 1e-4, 1e-3, 1e-2, 0.5, 1.5, 3.0, math.pi - 1e-3, math.pi - 1e-6, math.pi - 1e-9]
EYE = torch.eye(3, dtype=torch.float64)


def random_rotations(n: int) -> torch.Tensor:
    return g.rotation_from_6d(torch.randn(n, 6, dtype=torch.float64))


def assert_rotations(R: torch.Tensor) -> None:
    eye = torch.eye(3, dtype=R.dtype).expand_as(R)
    torch.testing.assert_close(R @ R.mT, eye, atol=100 * torch.finfo(R.dtype).eps, rtol=0)
    torch.testing.assert_close(torch.det(R), torch.ones(R.shape[:-2], dtype=R.dtype))


@pytest.mark.parametrize("angle", ANGLES)
def test_rotvec_gives_a_rotation_by_its_angle_that_keeps_its_axis(angle: float) -> None:
    R = g.rotation_from_rotvec(AXES * angle)
    assert_rotations(R)
    torch.testing.assert_close((R @ AXES[..., None])[..., 0], AXES)
    torch.testing.assert_close(
        R.diagonal(dim1=-2, dim2=-1).sum(-1), torch.full((50,), 1 + 2 * math.cos(angle)).double()
    )


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_log_undoes_exp(angle: float, dtype: torch.dtype) -> None:
    if dtype == torch.float32 and math.pi - angle < 1e-4:
        pytest.skip("float32 cannot tell which side of pi this is")
    v = (AXES * angle).to(dtype)
    atol = 1e-7 if dtype == torch.float64 else 5e-6
    torch.testing.assert_close(g.rotation_to_rotvec(g.rotation_from_rotvec(v)), v, atol=atol, rtol=0)


def test_half_turns_have_an_axis() -> None:
    R = 2 * AXES[:, :, None] * AXES[:, None] - EYE
    v = g.rotation_to_rotvec(R)
    torch.testing.assert_close(v.norm(dim=-1), torch.full((50,), math.pi).double())
    torch.testing.assert_close(g.rotation_from_rotvec(v), R, atol=1e-9, rtol=0)


def test_exp_is_the_matrix_exponential_of_skew() -> None:
    v = torch.randn(20, 3, dtype=torch.float64) * 2
    torch.testing.assert_close(g.rotation_from_rotvec(v), torch.linalg.matrix_exp(g.skew(v)))


@pytest.mark.parametrize("scale", [0.0, 1e-9, 1e-4, 1.0])
def test_gradients_of_exp_and_log_are_right_at_and_near_the_identity(scale: float) -> None:
    v = (AXES[:3] * scale).requires_grad_()
    assert torch.autograd.gradcheck(g.rotation_from_rotvec, (v,), atol=1e-5)
    # Through exp the rotation stays a rotation under the checker's small steps, which log takes for granted.
    assert torch.autograd.gradcheck(lambda x: g.rotation_to_rotvec(g.rotation_from_rotvec(x)), (v,), atol=1e-4)


def test_six_numbers_describe_a_rotation() -> None:
    R = random_rotations(20)
    assert_rotations(R)
    torch.testing.assert_close(g.rotation_from_6d(g.rotation_to_6d(R)), R)


def test_quaternions_follow_matrices() -> None:
    A, B = random_rotations(100), random_rotations(100)
    a, b = g.quat_from_rotation(A), g.quat_from_rotation(B)
    torch.testing.assert_close(g.rotation_from_quat(a), A)
    torch.testing.assert_close(g.rotation_from_quat(g.quat_multiply(a, b)), A @ B)


def test_every_branch_of_the_quaternion_is_reached_and_right() -> None:
    turns = torch.cat([torch.zeros(1, 3).double(), EYE * math.pi])
    q = g.quat_from_rotation(g.rotation_from_rotvec(turns))
    torch.testing.assert_close(q.abs(), torch.eye(4).double(), atol=1e-9, rtol=0)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.9e-3, 1.1e-3, 0.1, 2.0, 3.0])
def test_slerp_turns_at_even_speed_along_the_shorter_way(angle: float) -> None:
    A = random_rotations(50)
    step = AXES * angle
    a, b = g.quat_from_rotation(A), g.quat_from_rotation(A @ g.rotation_from_rotvec(step))
    t = torch.rand(50, dtype=torch.float64)
    expected = A @ g.rotation_from_rotvec(step * t[:, None])
    for end in (b, -b):
        torch.testing.assert_close(g.rotation_from_quat(g.slerp(a, end, t)), expected, atol=1e-9, rtol=0)


def test_slerp_has_gradients_where_its_ends_agree() -> None:
    q = g.quat_from_rotation(random_rotations(5))
    a, b = q.clone().requires_grad_(), q.clone().requires_grad_()
    g.slerp(a, b, torch.full((5,), 0.3).double()).sum().backward()
    assert a.grad is not None and b.grad is not None
    assert a.grad.isfinite().all() and b.grad.isfinite().all()
    torch.testing.assert_close(a.grad * 0.3, b.grad * 0.7)


def test_geodesic_angle_is_a_distance() -> None:
    A, B, C = random_rotations(30), random_rotations(30), random_rotations(30)
    torch.testing.assert_close(g.geodesic_angle(A, B), g.geodesic_angle(B, A))
    torch.testing.assert_close(g.geodesic_angle(C @ A, C @ B), g.geodesic_angle(A, B))
    assert (g.geodesic_angle(A, C) <= g.geodesic_angle(A, B) + g.geodesic_angle(B, C) + 1e-9).all()


def test_rigid_transforms_compose_and_invert() -> None:
    A, B = (g.rigid(random_rotations(6), torch.randn(6, 3).double()) for _ in range(2))
    points = torch.randn(6, 9, 3).double()
    torch.testing.assert_close(g.transform(A @ B, points), g.transform(A, g.transform(B, points)))
    torch.testing.assert_close(g.transform(g.invert_rigid(A), g.transform(A, points)), points)


def test_projection_meets_the_ray_it_came_from() -> None:
    K = torch.tensor([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]]).double()
    T = g.rigid(random_rotations(4), torch.randn(4, 3).double())
    camera = torch.randn(4, 7, 3).double() + torch.tensor([0.0, 0, 5])
    world = g.transform(g.invert_rigid(T), camera)
    pixels, depth = g.project(K.expand(4, 3, 3), T, world)
    torch.testing.assert_close(depth, camera[..., 2])
    torch.testing.assert_close((pixels - K[:2, 2]) / K.diagonal()[:2] * depth[..., None], camera[..., :2])


@pytest.mark.parametrize("flat", [False, True])
def test_procrustes_recovers_a_similarity(flat: bool) -> None:
    source = torch.randn(5, 12, 3).double() * torch.tensor([1.0, 1.0, 0.0 if flat else 1.0]).double()
    s, R, t = torch.rand(5).double() + 0.5, random_rotations(5), torch.randn(5, 3).double()
    estimate = g.procrustes(source, s[:, None, None] * source @ R.mT + t[:, None])
    for value, truth in zip(estimate, (s, R, t), strict=True):
        torch.testing.assert_close(value, truth)
    unscaled = g.procrustes(source, source @ R.mT + t[:, None], scaled=False)
    torch.testing.assert_close(unscaled[0], torch.ones(5).double())
    torch.testing.assert_close(unscaled[1], R)


def test_procrustes_never_mirrors() -> None:
    source = torch.randn(12, 3).double()
    _, R, _ = g.procrustes(source, source * torch.tensor([-1.0, 1, 1]).double())
    assert_rotations(R)


def test_nearest_rotation_is_a_rotation_and_leaves_rotations_alone() -> None:
    R = random_rotations(20)
    torch.testing.assert_close(g.nearest_rotation(R), R)
    noisy = R + 0.3 * torch.randn_like(R)
    nearest = g.nearest_rotation(noisy)
    assert_rotations(nearest)
    for other in (R, random_rotations(20)):
        assert ((noisy - nearest).flatten(1).norm(dim=1) <= (noisy - other).flatten(1).norm(dim=1) + 1e-12).all()
