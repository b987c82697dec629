"""Gaussians on triangles: where they lie, how they split and change triangles; a sphere stands in for a body."""

import pytest
import torch
import trimesh
from torch import Tensor

from avatar.geometry import rotation_from_quat, vertex_normals
from avatar.model.gaussians import (
    PARAMETERS,
    TriangleFrames,
    TriangleGaussians,
    sample_on_surface,
    triangle_frames,
)
from avatar.training.densification import (
    barycentric_of_nearest,
    rebind_to_nearest_face,
    select_for_densification,
    split_gaussians,
)


def sphere() -> tuple[Tensor, Tensor]:
    mesh = trimesh.creation.icosphere(subdivisions=3)
    return torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces)


@pytest.fixture
def frames() -> TriangleFrames:
    return triangle_frames(*sphere())


@pytest.fixture
def gaussians(frames: TriangleFrames) -> TriangleGaussians:
    return sample_on_surface(frames, torch.ones(len(frames.area)), 2000, torch.Generator().manual_seed(0))


def test_normals_of_a_sphere_point_outwards() -> None:
    vertices, faces = sphere()
    assert torch.allclose(vertex_normals(vertices, faces), vertices, atol=0.02)


def test_frames_are_rotations(frames: TriangleFrames) -> None:
    R = frames.rotation
    assert torch.allclose(R.mT @ R, torch.eye(3).expand_as(R), atol=1e-5)
    assert torch.allclose(torch.linalg.det(R), torch.ones(len(R)), atol=1e-5)


def test_sampling_is_even_and_on_the_surface(frames: TriangleFrames, gaussians: TriangleGaussians) -> None:
    means = gaussians.means(frames)
    assert (means.norm(dim=1) - 1).abs().max() < 0.02
    # Eight octants of equal area get equal shares, up to chance.
    octant = ((means > 0).long() * torch.tensor([4, 2, 1])).sum(1)
    assert (torch.bincount(octant, minlength=8) / 2000 - 0.125).abs().max() < 0.02


def test_density_draws_more_and_smaller_gaussians(frames: TriangleFrames) -> None:
    upper = frames.vertices.mean(1)[:, 1] > 0
    g = sample_on_surface(frames, 1 + 3 * upper.float(), 2000, torch.Generator().manual_seed(0))
    is_upper = upper[g.face]
    assert is_upper.float().mean() == pytest.approx(0.8, abs=0.02)
    assert g.scales[is_upper].mean() < 0.6 * g.scales[~is_upper].mean()


def test_thin_axis_stands_on_the_surface(frames: TriangleFrames, gaussians: TriangleGaussians) -> None:
    axes = rotation_from_quat(gaussians.orientations(gaussians.frame_quats(frames)))
    thin = gaussians.scales.argmin(1)
    axis = axes.gather(2, thin[:, None, None].expand(-1, 3, 1)).squeeze(2)
    assert ((axis * gaussians.normals(frames)).sum(1).abs() > 0.98).all()


def adam(gaussians: TriangleGaussians) -> torch.optim.Adam:
    groups = [{"params": [getattr(gaussians, name)], "name": name} for name in PARAMETERS]
    optimizer = torch.optim.Adam(groups, lr=1e-3)
    torch.stack([(getattr(gaussians, name) + 1).square().sum() for name in PARAMETERS]).sum().backward()
    optimizer.step()
    return optimizer


def test_split_replaces_one_by_two_beside_it_and_keeps_the_optimiser_in_step(
    frames: TriangleFrames, gaussians: TriangleGaussians
) -> None:
    optimizer = adam(gaussians)
    before = gaussians.means(frames).detach().clone()
    error = torch.zeros(2000)
    error[[3, 5]] = 1.0
    keep, split = select_for_densification(gaussians.opacities.detach(), error, cap=3000, growth=0.5, min_opacity=0.02)
    assert split.tolist() == [3, 5] and len(keep) == 1998
    split_gaussians(gaussians, optimizer, keep, split, gaussians.quats.detach())
    assert len(gaussians) == 2002
    children = gaussians.means(frames).detach()[-4:]
    assert torch.allclose((children[:2] + children[2:]) / 2, before[[3, 5]], atol=1e-5)
    for group in optimizer.param_groups:
        (parameter,) = group["params"]
        assert parameter is getattr(gaussians, group["name"])
        moments = optimizer.state[parameter]["exp_avg"]
        assert moments.shape == parameter.shape
        assert (moments[-4:] == 0).all() and (moments[:-4] != 0).any()


def test_growth_stops_at_the_cap_and_the_faint_are_dropped() -> None:
    opacities = torch.full((100,), 0.5)
    opacities[:10] = 0.001
    keep, split = select_for_densification(opacities, torch.rand(100), cap=95, growth=1.0, min_opacity=0.02)
    assert len(split) == 5
    assert set(range(10)).isdisjoint(keep.tolist() + split.tolist())


def test_rebinding_moves_nothing_but_the_parent(frames: TriangleFrames, gaussians: TriangleGaussians) -> None:
    with torch.no_grad():
        gaussians.offset.normal_(std=0.05, generator=torch.Generator().manual_seed(1))
    means = gaussians.means(frames).detach().clone()
    axes = rotation_from_quat(gaussians.orientations(gaussians.frame_quats(frames))).detach().clone()
    offset = gaussians.offset.detach().norm(dim=1)
    rebind_to_nearest_face(gaussians, frames)
    assert torch.allclose(gaussians.means(frames), means, atol=1e-5)
    assert torch.allclose(rotation_from_quat(gaussians.orientations(gaussians.frame_quats(frames))), axes, atol=1e-4)
    assert gaussians.offset.norm(dim=1).mean() < 0.8 * offset.mean()


def test_nearest_point_of_a_triangle() -> None:
    triangle = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    bary, distance = barycentric_of_nearest(triangle, torch.tensor([0.25, 0.25, 0.7]))
    assert torch.allclose(bary, torch.tensor([0.5, 0.25, 0.25])) and distance == pytest.approx(0.7)
    bary, _ = barycentric_of_nearest(triangle, torch.tensor([-1.0, -1.0, 0.0]))
    assert (bary >= 0).all() and bary.sum() == pytest.approx(1)
