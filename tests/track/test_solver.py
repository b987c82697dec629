"""Derivatives against finite differences, the banded solver against a dense one, limits against their mirror."""

from __future__ import annotations

import torch

from avatar.body import load_body
from avatar.body.skeleton import MIRROR
from avatar.geometry import rotation_from_rotvec
from avatar.track.clip import sole_vertices
from avatar.track.kinematics import joint_points, move_points, pose_chain, surface_points
from avatar.track.landmarks import landmark_points
from avatar.track.limits import usual_turns
from avatar.track.residuals import across_contour, local_turns, of_points, turning
from avatar.track.solve import Normal

from .synthetic import truth


def test_points_move_as_their_derivatives_say() -> None:
    body = load_body("open")
    state = truth(body, 3, 1.0)
    generator = torch.Generator().manual_seed(1)
    local = 1e-5 * torch.randn(3, state.local_size, generator=generator, dtype=torch.float64)
    shared = 1e-5 * torch.randn(state.shared_size, generator=generator, dtype=torch.float64)
    moved = state.moved(local, shared)
    each = surface_points(body, torch.tensor([[5, 900], [40, 7000], [13000, 2]]))
    for points in (
        landmark_points(body, "blazepose33")[0], joint_points(body), surface_points(body, sole_vertices(body)), each
    ):  # fmt: skip
        before = move_points(pose_chain(body, state), state, points)
        after = move_points(pose_chain(body, moved), moved, points).x
        told = torch.einsum("npad,nd->npa", before.by_local, local) + before.by_shared @ shared
        assert torch.allclose(after - before.x, told, atol=2e-9)


def test_residuals_change_as_their_derivatives_say() -> None:
    body = load_body("open")
    state = truth(body, 4, 1.0)
    generator = torch.Generator().manual_seed(2)
    local = 1e-5 * torch.randn(4, state.local_size, generator=generator, dtype=torch.float64)
    shared = 1e-5 * torch.randn(state.shared_size, generator=generator, dtype=torch.float64)
    moved = state.moved(local, shared)
    data = torch.randn(4, 24, 5, generator=generator, dtype=torch.float64) + 3
    every = torch.arange(24)

    def outline(s):
        moving = move_points(pose_chain(body, s), s, joint_points(body))
        return of_points(across_contour, moving, every[:, None], s, data)

    for lift in (outline, lambda s: local_turns(s, every[1:]), lambda s: turning(s, every)):
        before, after = lift(state), lift(moved)
        told = torch.zeros_like(before.value)
        if before.by_shared is not None:
            told = told + before.by_shared @ shared
        for ahead, slope in before.by_local.items():
            told = told + torch.einsum("tgmd,td->tgm", slope, local[ahead : ahead + len(slope)])
        assert torch.allclose(after.value - before.value, told, rtol=1e-3, atol=1e-8)


def test_the_band_is_solved_like_a_dense_matrix() -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (3, 6, 7):
        normal = Normal(n, 4, 3)
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
        normal.local_gradient[:], normal.shared_gradient[:] = gradient[:-3].view(n, 4), gradient[-3:]
        local, shared = normal.step(0.0)
        wanted = -torch.linalg.solve(dense, gradient)
        assert torch.allclose(torch.cat([local.flatten(), shared]), wanted, rtol=1e-3, atol=1e-5)


def test_limits_are_the_same_on_both_sides() -> None:
    table = usual_turns(load_body("open"))
    mirrored = table[:, list(MIRROR)] * torch.tensor([1.0, -1, -1], dtype=torch.float64)
    assert torch.allclose(mirrored[1], table[1])
    for axis in (1, 2):
        assert torch.allclose(mirrored[0, 1:, axis], table[2, 1:, axis])
    assert (table[0, 1:] <= table[1, 1:]).all() and (table[1, 1:] <= table[2, 1:]).all()


def test_a_bent_knee_moves_the_heel_back() -> None:
    body = load_body("open")
    state = truth(body, 1, 0.0)
    rotvec = torch.zeros(1, 24, 3, dtype=torch.float64)
    rotvec[:, body.joint_names.index("left_knee"), 0] = usual_turns(body)[2, body.joint_names.index("left_knee"), 0]
    bent = pose_chain(body, type(state)(state.position, rotation_from_rotvec(rotvec), *list(vars(state).values())[2:]))
    knee, ankle = (bent.place[0, body.joint_names.index(f"left_{part}")] for part in ("knee", "ankle"))
    assert ankle[2] < knee[2] - 0.1
