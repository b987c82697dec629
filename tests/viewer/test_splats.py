"""What reaches the browser of the splats: rigid groups while moving, covariances when still."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.geometry import quat_from_rotation, rotation_from_quat, rotation_from_rotvec
from avatar.model.avatar import Avatar
from avatar.types import BodyPose, Gaussians
from avatar.viewer.posing import t_pose
from avatar.viewer.rigid_clusters import Clusters, cluster, rigid_motion, unposed
from avatar.viewer.session import PosedState, Session, heat
from avatar.viewer.splat_layer import splat_arrays
from avatar.viewer.state import ViewState

from .sample import sample_avatar, sample_track


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return sample_avatar(1500)


def rigid_means(clusters: Clusters, avatar: Avatar, pose: BodyPose) -> Tensor:
    """Where the groups put the splats' centres."""
    quats, shifts = rigid_motion(clusters, avatar, pose)
    R = rotation_from_quat(quats)[clusters.group]
    return (R @ avatar.rest_means()[..., None]).squeeze(-1) + shifts[clusters.group]


@torch.no_grad()
def moved_rigidly(pose: BodyPose) -> BodyPose:
    turn = rotation_from_rotvec(torch.tensor([0.3, 1.1, -0.4]))
    rotations = torch.cat([(turn @ pose.rotations[0])[None], pose.rotations[1:]])
    return BodyPose(pose.root_position + torch.tensor([0.5, -0.2, 1.0]), rotations)


@torch.no_grad()
def test_moving_the_whole_body_is_exact(avatar: Avatar) -> None:
    pose = moved_rigidly(t_pose(torch.tensor([0.0, 0.9, 0.0])))
    exact = avatar.pose(pose).means
    assert (rigid_means(cluster(avatar, 20), avatar, pose) - exact).abs().max() < 1e-4


@torch.no_grad()
def test_more_groups_come_nearer_to_skinning(avatar: Avatar) -> None:
    pose = sample_track(avatar, 3).poses[0]
    exact = avatar.pose(pose).means
    few, many = ((rigid_means(cluster(avatar, n), avatar, pose) - exact).norm(dim=1) for n in (24, 160))
    assert many.mean() < 0.8 * few.mean()
    assert many.mean() < 0.002


@torch.no_grad()
def test_groups_show_the_pose_they_were_made_in_exactly(avatar: Avatar) -> None:
    pose = sample_track(avatar, 3).poses[0]
    groups, posed = cluster(avatar, 40), avatar.pose(pose)
    carried = unposed(groups, avatar, pose, posed)
    quats, shifts = rigid_motion(groups, avatar, pose)
    R = rotation_from_quat(quats)[groups.group]
    assert torch.allclose((R @ carried.means[..., None]).squeeze(-1) + shifts[groups.group], posed.means, atol=1e-5)
    turned = R @ rotation_from_quat(carried.quats)
    assert torch.allclose(turned, rotation_from_quat(posed.quats), atol=1e-4)


def test_covariances_have_the_splats_axes() -> None:
    R = rotation_from_rotvec(torch.tensor([[0.2, -0.5, 1.0]]))
    scales = torch.tensor([[0.03, 0.01, 0.002]])
    splat = Gaussians(torch.zeros(1, 3), quat_from_rotation(R), scales, torch.ones(1), torch.ones(1, 3))
    values, vectors = np.linalg.eigh(splat_arrays(splat).covariances[0])
    assert np.allclose(np.sqrt(values[::-1]), scales[0].numpy(), rtol=1e-3)
    assert abs(vectors[:, 2] @ R[0, :, 0].numpy()) > 0.999


def test_a_moment_is_the_same_object_until_something_changes(avatar: Avatar) -> None:
    from avatar.viewer.clips import clip_of_track

    clip = clip_of_track("as filmed", sample_track(avatar, 5))
    session = Session(avatar, {clip.name: clip})
    state = ViewState(clip.name, (0.0,))
    first = session.posed_state(state)
    assert session.posed_state(replace(state, playing=True, mesh=True)) is first
    assert session.posed_state(replace(state, frame=2.0)) is not first
    edited = replace(state, edited=clip.poses[3])
    assert session.posed_state(edited).pose is edited.edited
    assert session.gaussians(first) is session.gaussians(first)


def test_less_detail_keeps_the_silhouette(avatar: Avatar) -> None:
    session = Session(avatar, {})
    pose = t_pose(torch.tensor([0.0, 0.9, 0.0]))
    whole, less = (session.gaussians(PosedState(pose, "neutral", detail)) for detail in (1.0, 0.25))
    assert len(less) == round(0.25 * len(whole))
    size = whole.means.amax(0) - whole.means.amin(0)
    assert torch.allclose(less.means.amax(0) - less.means.amin(0), size, atol=0.12)


def test_the_heat_map_rises_in_lightness() -> None:
    colors = heat(torch.linspace(0, 1, 50))
    lightness = colors @ torch.tensor([0.21, 0.72, 0.07])
    assert (lightness.diff() > 0).all()
