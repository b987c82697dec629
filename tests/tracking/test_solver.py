"""Derivatives against finite differences, the banded solver against a dense one, limits against their mirror."""

from __future__ import annotations

from dataclasses import replace

import torch

from avatar.body import load_body
from avatar.body.joint_limits import joint_prior
from avatar.body.skeleton import MIRROR
from avatar.geometry import rotation_from_rotvec
from avatar.tracking.kinematics import State, joint_points, move_points, pose_chain, surface_points
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.problem import sole_vertices
from avatar.tracking.residuals import (
    angular_velocity,
    joint_rotvecs,
    lift_point_residual,
    point_to_contour,
    pose_constancy,
    reprojection,
    reprojection_with_pitch_bias,
)
from avatar.tracking.solver import LinearizedResidual, NormalEquations

from .synthetic import truth


def test_points_move_as_their_derivatives_say() -> None:
    body = load_body("open")
    state = truth(body, 3, 1.0)
    generator = torch.Generator().manual_seed(1)
    local = 1e-5 * torch.randn(3, state.frame_size, generator=generator, dtype=torch.float64)
    shared = 1e-5 * torch.randn(state.shared_size, generator=generator, dtype=torch.float64)
    moved = state.moved(local, shared)
    each = surface_points(body, torch.tensor([[5, 900], [40, 7000], [13000, 2]]))
    for points in (
        landmark_points(body, "blazepose33")[0], joint_points(body), surface_points(body, sole_vertices(body)), each
    ):  # fmt: skip
        before = move_points(pose_chain(body, state), state, points)
        after = move_points(pose_chain(body, moved), moved, points).x
        predicted = torch.einsum("npad,nd->npa", before.jac_frame, local) + before.jac_shared @ shared
        assert torch.allclose(after - before.x, predicted, atol=2e-9)


def test_landmarks_that_miss_the_whole_pitch_are_those_of_a_level_camera() -> None:
    """A detector that misses all of the pitch returns the landmarks of a level camera."""
    body = load_body("open")
    pitched, level = (truth(body, 3, 1.0, pitch) for pitch in (0.3, 0.0))
    hips = [body.joint_names.index(f"{side}_hip") for side in ("left", "right")]
    groups = torch.tensor([[joint, *hips] for joint in range(24)])
    data = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64).expand(3, 24, 4)
    values = []
    for state, residual, width in ((pitched, reprojection_with_pitch_bias, 4), (level, reprojection, 3)):
        # The same place before the camera: the pose is turned about the middle of the hips, not about the pelvis.
        middle = pose_chain(body, state).position[:, hips].mean(1)
        state = replace(state, position=state.position - middle + torch.tensor([0.0, 0.0, 2.6]))
        points = move_points(pose_chain(body, state), state, joint_points(body))
        index = groups if residual is reprojection_with_pitch_bias else groups[:, :1]
        values.append(lift_point_residual(residual, points, index, state, data[..., :width]).value)
    assert torch.allclose(values[0], values[1], atol=1e-6)


def test_a_held_pose_is_its_own_mean() -> None:
    body = load_body("open")
    state = truth(body, 4, 1.0)
    held = replace(state, rotations=state.rotations[:1].expand(4, -1, -1, -1))
    every = torch.arange(1, 24)
    assert pose_constancy(held, every).value.abs().max() < 1e-6
    knee = body.joint_names.index("left_knee") - 1
    bent = pose_constancy(state, every).value[:, knee, 0]
    assert bent.abs().max() > 0.1
    assert bent.mean().abs() < 1e-3


def test_residuals_change_as_their_derivatives_say() -> None:
    body = load_body("open")
    state = truth(body, 4, 1.0)
    generator = torch.Generator().manual_seed(2)
    local = 1e-5 * torch.randn(4, state.frame_size, generator=generator, dtype=torch.float64)
    shared = 1e-5 * torch.randn(state.shared_size, generator=generator, dtype=torch.float64)
    moved = state.moved(local, shared)
    data = torch.randn(4, 24, 5, generator=generator, dtype=torch.float64) + 3
    every = torch.arange(24)

    def outline(s: State) -> LinearizedResidual:
        points = move_points(pose_chain(body, s), s, joint_points(body))
        return lift_point_residual(point_to_contour, points, every[:, None], s, data)

    def pitched(s: State) -> LinearizedResidual:
        points = move_points(pose_chain(body, s), s, joint_points(body))
        return lift_point_residual(
            reprojection_with_pitch_bias, points, torch.tensor([[20, 1, 2]]).repeat(24, 1), s, data[..., :4]
        )

    for lift in (outline, pitched, lambda s: joint_rotvecs(s, every[1:]), lambda s: angular_velocity(s, every)):
        before, after = lift(state), lift(moved)
        predicted = torch.zeros_like(before.value)
        if before.jac_shared is not None:
            predicted = predicted + before.jac_shared @ shared
        for ahead, slope in before.jac_frame.items():
            predicted = predicted + torch.einsum("tgmd,td->tgm", slope, local[ahead : ahead + len(slope)])
        assert torch.allclose(after.value - before.value, predicted, rtol=1e-3, atol=1e-8)


def test_the_band_is_solved_like_a_dense_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (3, 6, 7):
        normal = NormalEquations(n, 4, 3)
        size = 4 * n + 3
        dense = torch.zeros(size, size, dtype=torch.float64)
        for row in range(n - 2):
            J = torch.zeros(20, size, dtype=torch.float64)
            J[:, 4 * row : 4 * row + 12] = torch.randn(20, 12, generator=generator, dtype=torch.float64)
            J[:, -3:] = torch.randn(20, 3, generator=generator, dtype=torch.float64)
            dense += J.T @ J
        for k, band in enumerate(normal.band):
            for row in range(n - k):
                band[row] = dense[4 * row : 4 * row + 4, 4 * (row + k) : 4 * (row + k) + 4]
        normal.arrow[:] = dense[:-3, -3:].view(n, 4, 3)
        normal.corner[:] = dense[-3:, -3:]
        gradient = torch.randn(size, generator=generator, dtype=torch.float64)
        normal.frame_gradient[:], normal.shared_gradient[:] = gradient[:-3].view(n, 4), gradient[-3:]
        local, shared = normal.step(0.0)
        expected = -torch.linalg.solve(dense, gradient)
        assert torch.allclose(torch.cat([local.flatten(), shared]), expected, rtol=1e-3, atol=1e-5)


def test_limits_are_the_same_on_both_sides() -> None:
    table = joint_prior(load_body("open"))
    mirrored = table[:, list(MIRROR)] * torch.tensor([1.0, -1, -1], dtype=torch.float64)
    assert torch.allclose(mirrored[1], table[1])
    for axis in (1, 2):
        assert torch.allclose(mirrored[0, 1:, axis], table[2, 1:, axis])
    assert (table[0, 1:] <= table[1, 1:]).all() and (table[1, 1:] <= table[2, 1:]).all()


def test_a_bent_knee_moves_the_heel_back() -> None:
    body = load_body("open")
    state = truth(body, 1, 0.0)
    rotvec = torch.zeros(1, 24, 3, dtype=torch.float64)
    rotvec[:, body.joint_names.index("left_knee"), 0] = joint_prior(body)[2, body.joint_names.index("left_knee"), 0]
    bent = pose_chain(body, type(state)(state.position, rotation_from_rotvec(rotvec), *list(vars(state).values())[2:]))
    knee, ankle = (bent.position[0, body.joint_names.index(f"left_{part}")] for part in ("knee", "ankle"))
    assert ankle[2] < knee[2] - 0.1
