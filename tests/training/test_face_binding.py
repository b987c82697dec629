"""A mouth that lies higher than the body's opens where it is."""

from __future__ import annotations

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import load_body
from avatar.body.face import FACE_UNITS
from avatar.body.skinning import skinning_transforms
from avatar.geometry import project
from avatar.landmark_layouts import LAYOUTS
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.observation.keypoints import NO_IMAGES
from avatar.rendering.camera_paths import front
from avatar.training.face_binding import bind_face, feature_places
from avatar.types import BodyPose, BodyTrack, Observations
from tests.training.people import turning

FRAMES, WIDTH, HEIGHT, RAISED = 12, 400, 640, 0.015  # metres by which the person's face lies above the body's
NAMES = LAYOUTS["blazepose33"].names


@pytest.fixture
def avatar() -> Avatar:
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    density = torch.where(frames.vertices.mean(1)[:, 1] > 1.4, 20.0, 0.2)
    rng = torch.Generator().manual_seed(0)
    return Avatar(body, betas, sample_on_surface(frames, density, 12000, rng), deform=False)


def clip(avatar: Avatar, layout: str = "blazepose33") -> tuple[BodyTrack, Observations]:
    """A turning person whose eyes, nose and mouth lie above the body's, and the landmarks of all frames."""
    poses = turning(FRAMES)
    means = avatar.pose(poses[0]).means.detach()
    cameras = front(means.amin(0) - 0.05, means.amax(0) + 0.05, FRAMES, WIDTH, HEIGHT)
    track = BodyTrack(
        "open", avatar.betas, poses, torch.arange(FRAMES) / 10, torch.ones(FRAMES, 24), torch.arange(FRAMES), cameras
    )
    body = avatar.body
    assert body.with_hands_and_face is not None
    keypoints = torch.zeros(FRAMES, len(NAMES), 3)
    Ts = skinning_transforms(avatar.rest.joints, body.parents, poses)[:, body.joint_names.index("head")]
    for name, place in feature_places(body.with_hands_and_face, avatar.rest.vertices).items():
        world = (Ts[:, :3, :3] @ (place + torch.tensor([0.0, RAISED, 0.0]))) + Ts[:, :3, 3]
        for frame in range(FRAMES):
            pixels = project(cameras.K[frame], cameras.T_camera_world[frame], world[frame : frame + 1])[0]
            keypoints[frame, NAMES.index(name)] = torch.cat([pixels[0], torch.ones(1)])
    observations = Observations(
        images=NO_IMAGES, masks=NO_IMAGES, keypoints=keypoints, keypoints_3d=keypoints, layout=layout,
        instant=torch.arange(FRAMES), times=track.times, width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    return track, observations


def opened(avatar: Avatar) -> Float[Tensor, " n"]:
    """How far down each Gaussian goes when the mouth opens, metres."""
    rest = BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1))
    face = torch.zeros(len(FACE_UNITS))
    still = avatar.pose(BodyPose(rest.root_position, rest.rotations, face=face)).means
    face = face.clone()
    face[FACE_UNITS.index("jawOpen")] = 1
    return (still - avatar.pose(BodyPose(rest.root_position, rest.rotations, face=face)).means)[:, 1].detach()


def test_lips_part_where_the_person_has_them(avatar: Avatar) -> None:
    track, observations = clip(avatar)
    body = avatar.body
    assert body.with_hands_and_face is not None
    places = feature_places(body.with_hands_and_face, avatar.rest.vertices)
    means = avatar.rest_means().detach()
    seam = places["mouth_left"][1] + RAISED
    front_of_mouth = (means[:, 0].abs() < 0.015) & (means[:, 2] > places["nose"][2] - 0.02)
    lower = front_of_mouth & (means[:, 1] < seam - 0.005) & (means[:, 1] > seam - 0.012)
    upper = front_of_mouth & (means[:, 1] > seam + 0.004) & (means[:, 1] < seam + 0.012)
    assert lower.sum() > 5 and upper.sum() > 5
    assert opened(avatar)[lower].median() < 0.005  # which is the body's upper lip
    bind_face(avatar, track, observations)
    torch.testing.assert_close(avatar.rest_means(), means, atol=1e-6, rtol=0)
    assert opened(avatar)[lower].median() > 0.01
    assert opened(avatar)[upper].median() < 0.004


def test_without_a_mouth_or_a_face_nothing_changes(avatar: Avatar) -> None:
    track, observations = clip(avatar)
    before = avatar.gaussians.face.clone()
    observations.keypoints[..., 2] = 0
    bind_face(avatar, track, observations)
    assert torch.equal(avatar.gaussians.face, before)
