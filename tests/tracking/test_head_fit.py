"""A head is turned to where a face network's points say that it is; what they do not tell stays."""

import math
from dataclasses import replace

import pytest
import torch

from avatar.body import Body
from avatar.body.skinning import joint_transforms
from avatar.geometry import geodesic_angle, project, rotation_from_rotvec
from avatar.observation.keypoints import NO_IMAGES
from avatar.tracking.head import ORIGIN, RIGID_POINTS, with_head
from avatar.types import BodyPose, BodyTrack, Cameras, Observations

FRAMES, WIDTH, HEIGHT, FOCAL = 24, 540, 960, 900.0
NECK, HEAD = 12, 15
TURNED_AWAY = slice(16, 20)  # of the frames


def truth(body: Body) -> BodyTrack:
    """A person 2.5 m before a camera who looks around, up and down, and for some frames over the shoulder."""
    phase = torch.linspace(0, 2 * math.pi, FRAMES)
    pose = BodyPose(body.rest(torch.zeros(10)).joints[0].repeat(FRAMES, 1), torch.eye(3).repeat(FRAMES, 24, 1, 1))
    look = torch.stack([0.25 * torch.sin(2 * phase), 0.5 * torch.sin(phase), 0.1 * torch.cos(phase)], 1)
    pose.rotations[:, HEAD] = rotation_from_rotvec(look)
    pose.rotations[TURNED_AWAY, 0] = rotation_from_rotvec(torch.tensor([0.0, math.pi, 0.0]))
    T = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0]))
    T[:3, 3] = torch.tensor([0.0, 1.0, 2.5])
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    cameras = Cameras(K.repeat(FRAMES, 1, 1), T.repeat(FRAMES, 1, 1), WIDTH, HEIGHT)
    times = torch.arange(FRAMES) / 15.0
    return BodyTrack("open", torch.zeros(10), pose, times, torch.ones(FRAMES, 24), torch.arange(FRAMES), cameras)


def observed(body: Body, track: BodyTrack, noise: float) -> Observations:
    """The points of a face a little larger than the usual one and of its own shape, where it is in view."""
    gen = torch.Generator().manual_seed(0)
    rows = torch.tensor(RIGID_POINTS)
    own = rows[:, 1:] / 1000 * 1.05 + 0.002 * torch.randn(len(rows), 3, generator=gen) + torch.tensor(ORIGIN)
    heads = joint_transforms(body.rest(track.betas).joints, body.parents, track.poses)[:, HEAD]
    world = own @ heads[:, :3, :3].mT + heads[:, None, :3, 3]
    assert track.cameras is not None
    pixels, _ = project(track.cameras.K, track.cameras.T_camera_world, world)
    face = torch.zeros(FRAMES, 478, 3)
    face[:, rows[:, 0], :2] = pixels + noise * torch.randn(pixels.shape, generator=gen)
    face[..., 2] = 0.9
    face[TURNED_AWAY] = 0
    return Observations(
        images=NO_IMAGES, masks=NO_IMAGES, keypoints=torch.zeros(FRAMES, 33, 3),
        keypoints_3d=torch.zeros(FRAMES, 33, 3), layout="blazepose33", instant=torch.arange(FRAMES),
        times=track.times, width=WIDTH, height=HEIGHT, face=face,
    )  # fmt: skip


def mistaken(track: BodyTrack, lasting: float, changing: float) -> BodyTrack:
    """The track with heads that are off by angles in degrees: for the whole clip, and as time goes by."""
    rotations = track.poses.rotations.clone()
    turn = torch.tensor([[0.6, -0.6, 0.5]]) * math.radians(lasting)
    turn = turn + math.radians(changing) * torch.sin(2.0 * track.times)[:, None] * torch.tensor([[0.0, 1.0, 0.0]])
    rotations[:, HEAD] = rotations[:, HEAD] @ rotation_from_rotvec(turn)
    return replace(track, poses=replace(track.poses, rotations=rotations))


def head_errors(body: Body, estimated: BodyTrack, true: BodyTrack) -> torch.Tensor:
    """Degrees between the heads in space."""
    joints = body.rest(true.betas).joints
    one, other = (joint_transforms(joints, body.parents, t.poses)[:, HEAD, :3, :3] for t in (estimated, true))
    return geodesic_angle(one, other).rad2deg()


def in_view() -> torch.Tensor:
    shown = torch.ones(FRAMES, dtype=torch.bool)
    shown[TURNED_AWAY] = False
    return shown


@pytest.mark.parametrize(("noise", "degrees"), [(0.0, 1.5), (1.0, 2.5)])
def test_the_head_turns_to_where_its_points_are(body: Body, noise: float, degrees: float) -> None:
    true = truth(body)
    start = mistaken(true, 25.0, 5.0)
    refined = with_head(start, observed(body, true, noise), body)
    errors = head_errors(body, refined, true)
    assert errors[in_view()].mean() < degrees
    # What lasts is right for the frames that show no face too.
    assert errors[~in_view()].mean() < 8 < head_errors(body, start, true)[~in_view()].mean()
    others = [joint for joint in range(24) if joint not in (NECK, HEAD)]
    assert torch.equal(refined.poses.rotations[:, others], start.poses.rotations[:, others])


def test_a_head_that_is_right_stays(body: Body) -> None:
    true = truth(body)
    assert head_errors(body, with_head(true, observed(body, true, 1.0), body), true).mean() < 1.5


def test_what_is_no_face_is_left_out(body: Body) -> None:
    true = truth(body)
    observations = observed(body, true, 0.0)
    assert observations.face is not None
    face = observations.face.clone()
    # Hair taken for a face: points in no order, while the person looks away and once while they do not.
    wrong = torch.rand(5, 478, 2, generator=torch.Generator().manual_seed(2)) * 40 + torch.tensor([250.0, 100.0])
    face[[3, 16, 17, 18, 19], :, :2], face[[3, 16, 17, 18, 19], :, 2] = wrong, 0.9
    errors = head_errors(body, with_head(true, replace(observations, face=face), body), true)
    assert errors.max() < 4


def test_without_a_face_nothing_changes(body: Body) -> None:
    true = truth(body)
    observations = observed(body, true, 0.0)
    assert observations.face is not None
    assert with_head(true, replace(observations, face=None), body) is true
    assert with_head(true, replace(observations, face=torch.zeros_like(observations.face)), body) is true
