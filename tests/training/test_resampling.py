"""Unobserved regions are closed without contradicting an image, and observed Gaussians stay."""

import math
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from avatar.body import Body, load_body
from avatar.geometry import project
from avatar.io.images import to_float
from avatar.model.avatar import Avatar
from avatar.model.gaussians import PARAMETERS, TriangleGaussians, sample_on_surface, triangle_frames
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.tracking.silhouette import filled_mesh
from avatar.training.coverage import close_gaps
from avatar.training.inpainting import OBSERVED
from avatar.training.resampling import MAX_DEPTH, resample_unobserved
from avatar.training.views import TrainingView
from avatar.training.visibility import PosedView
from avatar.types import BodyPose, Cameras, Gaussians

WIDTH, HEIGHT, EXCESS = 240, 320, 0.015  # m by which the fitted body is thicker than the person


Scene = tuple[Avatar, torch.optim.Adam, list[PosedView], BodyPose]


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open")


def sampled(body: Body, count: int, seed: int) -> TriangleGaussians:
    frames = triangle_frames(body.rest(torch.zeros(body.shape_dirs.shape[-1])).vertices, body.faces)
    return sample_on_surface(frames, torch.ones(len(frames.area)), count, torch.Generator().manual_seed(seed))


def camera(azimuth: float) -> Cameras:
    centre = torch.tensor([0.0, 0.9, 0.0])
    a = math.radians(azimuth)
    T = look_at(centre + 3.0 * torch.tensor([math.sin(a), 0.1, math.cos(a)]), centre)
    return Cameras(intrinsics(WIDTH, HEIGHT, 42.0)[None], T[None], WIDTH, HEIGHT)


@pytest.fixture
def scene(body: Body) -> Scene:
    """A body whose back was never observed and whose sides were pruned, and images of a thinner person's front."""
    avatar = Avatar(body, torch.zeros(body.shape_dirs.shape[-1]), sampled(body, 6000, 0), deform=False)
    low = float(body.template[:, 1].min())
    pose = BodyPose(avatar.rest.joints[0] - torch.tensor([0.0, low, 0.0]), torch.eye(3).repeat(24, 1, 1))
    vertices = body.vertices(avatar.rest, body.complete(pose))
    a, b, c = vertices[body.faces].unbind(1)
    normals = torch.zeros_like(vertices).index_add_(
        0, body.faces.flatten(), torch.linalg.cross(b - a, c - a).repeat_interleave(3, 0)
    )
    thinner = vertices - EXCESS * torch.nn.functional.normalize(normals, dim=-1)
    views: list[PosedView] = []
    for index, azimuth in enumerate((-25, 0, 25)):
        view_camera = camera(azimuth)
        pixels, _ = project(view_camera.K[0], view_camera.T_camera_world[0], thinner)
        mask = filled_mesh(pixels.numpy(), body.faces.numpy().astype(np.int32), (WIDTH, HEIGHT))
        image = torch.ones(HEIGHT, WIDTH, 3)
        views.append((TrainingView(image, to_float(mask), view_camera, index, 0, 1.0), pose))
    avatar.gaussians.observed = (avatar.posed_normals(pose)[:, 2] > 0.5).float()
    optimizer = torch.optim.Adam([{"params": [getattr(avatar.gaussians, n)], "lr": 1e-3} for n in PARAMETERS])
    torch.stack([getattr(avatar.gaussians, n).square().sum() for n in PARAMETERS]).sum().backward()
    optimizer.step()
    avatar.refresh()
    return avatar, optimizer, views, pose


def test_holes_are_closed_without_contradicting_an_image(body: Body, scene: Scene) -> None:
    avatar, optimizer, views, pose = scene
    old = int((avatar.observed >= 0.5).sum())
    before = avatar.rest_means().detach()[avatar.observed >= 0.5]
    resample_unobserved(avatar, optimizer, lambda count: sampled(body, count, 1), 6000, 9000, views)
    assert torch.equal(avatar.rest_means().detach()[:old], before)
    new = torch.arange(old, len(avatar))
    places = avatar.pose(pose).means.detach()[new]
    # The thin fingers and the nose have no room for the whole excess.
    broad = avatar.weights[new][:, [0, 1, 2, 3, 6, 9]].sum(1) > 0.9
    for frame, _ in views:
        pixels, _ = project(frame.camera.K[0], frame.camera.T_camera_world[0], places)
        x, y = pixels[:, 0].long().clamp(0, WIDTH - 1), pixels[:, 1].long().clamp(0, HEIGHT - 1)
        assert frame.mask[y, x][broad].mean() > 0.98
    depths = -avatar.gaussians.offset.detach()[new, 2]
    assert depths.min() >= 0 and depths.max() <= MAX_DEPTH
    # Only the sides are pulled in: no silhouette bounds the depth of the back.
    sideways = avatar.posed_normals(pose)[new]
    assert depths[broad & (sideways[:, 0].abs() > 0.9)].median() > 0.5 * EXCESS
    assert depths[broad & (sideways[:, 2] < -0.95)].median() == 0


def test_every_bare_place_gets_a_neighbour_and_training_can_go_on(body: Body, scene: Scene) -> None:
    avatar, optimizer, views, pose = scene
    fresh = sampled(body, 6000, 1)
    everywhere = fresh.anchors(avatar.frames)
    resample_unobserved(avatar, optimizer, lambda count: fresh, 6000, 12000, views)
    gap = torch.cdist(everywhere, avatar.surface.anchors).min(1).values
    assert gap.max() <= fresh.scales.max() + 1e-6
    assert len(avatar.observed) == len(avatar) == len(avatar.weights)
    optimizer.zero_grad()
    avatar.pose(pose).means.square().sum().backward()
    for group in optimizer.param_groups:
        (parameter,) = group["params"]
        assert len(optimizer.state[parameter]["exp_avg"]) == len(avatar)
    before = avatar.gaussians.offset.detach().clone()
    optimizer.step()
    assert not torch.equal(avatar.gaussians.offset, before)


def test_there_are_never_more_than_the_cap(body: Body, scene: Scene) -> None:
    avatar, optimizer, views, _pose = scene
    observed_count = int((avatar.observed >= 0.5).sum())
    resample_unobserved(avatar, optimizer, lambda count: sampled(body, count, 1), 6000, observed_count + 500, views)
    assert observed_count + 250 < len(avatar) <= observed_count + 500


def test_nothing_is_added_where_the_images_show_nothing(body: Body, scene: Scene) -> None:
    """A thumb that the person holds elsewhere is no hole."""
    avatar, optimizer, views, pose = scene
    hand = body.joint_names.index("left_hand")
    places = body.vertices(avatar.rest, body.complete(pose))[body.weights[:, hand] > 0.9]
    empty: list[PosedView] = []
    for view, own in views:
        pixels, _ = project(view.camera.K[0], view.camera.T_camera_world[0], places)
        mask = view.mask.clone()
        left, top = (pixels.amin(0) - 4).long().tolist()
        right, bottom = (pixels.amax(0) + 5).long().tolist()
        mask[top:bottom, left:right] = 0
        empty.append((replace(view, mask=mask), own))
    old = int((avatar.observed >= 0.5).sum())
    resample_unobserved(avatar, optimizer, lambda count: sampled(body, count, 1), 6000, 9000, empty)
    new = avatar.weights[old:]
    assert len(new) > 1000 and (new[:, hand] > 0.95).sum() == 0
    other = body.joint_names.index("right_hand")
    assert (new[:, other] > 0.95).sum() > 10


def test_nothing_shines_through_a_side_that_was_never_filmed(body: Body, scene: Scene) -> None:
    avatar, optimizer, views, pose = scene
    resample_unobserved(avatar, optimizer, lambda count: sampled(body, count, 1), 6000, 12000, views)
    with torch.no_grad():
        avatar.gaussians.logit_opacities[:] = 3.0

    def shining_through() -> float:
        """Share of the back through which the front is visible."""
        posed, behind = avatar.pose(pose), avatar.posed_normals(pose)[:, 2] < 0
        whole, back = (
            render(Gaussians(*(getattr(posed, f.name)[chosen] for f in fields(posed))), camera(180.0), "cpu").alpha[0]
            for chosen in (behind | True, behind)
        )
        return float((back[whole > 0.99] < 0.9).float().mean())

    observed = avatar.observed >= OBSERVED
    before, kept = shining_through(), avatar.gaussians.log_scales.detach()[observed].clone()
    close_gaps(avatar)
    assert before > 0.05 and shining_through() < 0.2 * before
    assert torch.equal(avatar.gaussians.log_scales[observed], kept)
