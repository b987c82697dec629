"""Fingers are fitted to the points of a hand network: known hands come back, hidden ones are bridged."""

from dataclasses import replace

import pytest
import torch

from avatar.body import Body
from avatar.body.hand_angles import angle_ranges, finger_rotations, relaxed_fingers
from avatar.body.skeleton import FINGER_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import geodesic_angle
from avatar.observation.keypoints import NO_IMAGES
from avatar.tracking.hand_model import HandModel
from avatar.tracking.hands import thumbs_hidden, with_fingers
from avatar.types import BodyPose, BodyTrack, Cameras, Observations

FRAMES, WIDTH, HEIGHT, FOCAL = 12, 540, 960, 900.0


def moving_angles() -> torch.Tensor:
    """Both hands open and close between the straight hand and a fist, each finger in its own time."""
    phase = torch.linspace(0, 3, FRAMES)[:, None, None] + torch.rand(2, 5, generator=torch.Generator().manual_seed(0))
    share = 0.5 - 0.5 * torch.cos(phase)
    low, _, high = angle_ranges()
    angles = (high * torch.tensor([0.0, 0.8, 0.8, 0.6])) * share[..., None]
    return torch.minimum(torch.maximum(angles, low), high)


FRONT = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 1], [0, 0, -1, 2.5], [0, 0, 0, 1]])  # T_camera_world
ABOVE = torch.tensor([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 3], [0, 0, 0, 1]])  # where backs of hands show


def clip(body: Body, angles: torch.Tensor, noise: float, T: torch.Tensor = FRONT) -> tuple[BodyTrack, Observations]:
    """A person in the T-pose seen by a camera, and the points that a hand network would give."""
    gen = torch.Generator().manual_seed(1)
    betas, times = torch.zeros(10), torch.arange(FRAMES) / 15.0
    rest = body.rest(betas)
    pose = BodyPose(rest.joints[0].repeat(FRAMES, 1), torch.eye(3).repeat(FRAMES, 24, 1, 1))
    K = torch.tensor([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])
    cameras = Cameras(K.repeat(FRAMES, 1, 1), T.repeat(FRAMES, 1, 1), WIDTH, HEIGHT)
    track = BodyTrack("open", betas, pose, times, torch.ones(FRAMES, 24), torch.arange(FRAMES), cameras)
    model = HandModel.of(body, betas)
    assert model is not None
    wrists = joint_transforms(rest.joints, body.parents, pose)[:, 20:22]
    world = wrists[:, :, None, :3, 3] + model.points(angles)
    camera = world @ T[:3, :3].T + T[:3, 3]
    camera_noisy = camera + noise * torch.randn(camera.shape, generator=gen)
    pixels = FOCAL * camera_noisy[..., :2] / camera_noisy[..., 2:] + torch.tensor([WIDTH / 2, HEIGHT / 2])
    keypoints = torch.zeros(FRAMES, 33, 3)
    observations = Observations(
        images=NO_IMAGES, masks=NO_IMAGES, keypoints=keypoints, keypoints_3d=keypoints, layout="blazepose33",
        instant=torch.arange(FRAMES), times=times, width=WIDTH, height=HEIGHT,
        hands=torch.cat([pixels, torch.ones(FRAMES, 2, 21, 1)], dim=-1),
        hands_3d=camera_noisy - camera_noisy[:, :, :1],
    )  # fmt: skip
    return track, observations


def test_the_points_are_those_of_the_posed_body(body: Body) -> None:
    angles, betas = moving_angles()[3], torch.linspace(-1, 1, 10)
    model, rich, rest = HandModel.of(body, betas), body.with_hands_and_face, body.rest(betas)
    assert model is not None and rich is not None
    pose = BodyPose(rest.joints[0], torch.eye(3).repeat(24, 1, 1), finger_rotations(angles))
    joints = joint_transforms(rich.joint_regressor @ rest.vertices, rich.parents, rich.complete(pose))[:, :3, 3]
    points = model.points(angles)
    thumb = [22 + FINGER_JOINTS.index(f"right_thumb{k}") for k in (1, 2, 3)]
    little = [22 + FINGER_JOINTS.index(f"left_pinky{k}") for k in (1, 2, 3)]
    torch.testing.assert_close(points[1, 1:4], joints[thumb] - joints[21], atol=1e-5, rtol=0)
    torch.testing.assert_close(points[0, 17:20], joints[little] - joints[20], atol=1e-5, rtol=0)
    # A fingertip lies on the skin, some two centimetres beyond the last joint.
    tips = (points[:, [4, 8, 12, 16, 20]] - points[:, [3, 7, 11, 15, 19]]).norm(dim=-1)
    assert tips.min() > 0.012 and tips.max() < 0.035


@pytest.mark.parametrize(("noise", "degrees"), [(0.0, 6.0), (0.004, 9.0)])
def test_a_known_motion_of_the_fingers_comes_back(body: Body, noise: float, degrees: float) -> None:
    angles = moving_angles()
    track, observations = clip(body, angles, noise)
    fitted = with_fingers(track, observations, body).poses.fingers
    assert fitted is not None
    error = geodesic_angle(fitted, finger_rotations(angles)).rad2deg()
    still = geodesic_angle(relaxed_fingers().expand_as(fitted), finger_rotations(angles)).rad2deg()
    assert error.mean() < degrees < 0.5 * float(still.mean())


def test_hidden_hands_are_bridged_and_hands_never_detected_rest(body: Body) -> None:
    track, observations = clip(body, moving_angles(), 0.0)
    assert observations.hands is not None and observations.hands_3d is not None
    points, points_3d = observations.hands.clone(), observations.hands_3d.clone()
    for frames, hand in ((slice(5, 7), 0), (slice(None), 1)):
        points[frames, hand, :, 2] = 0
        points_3d[frames, hand] = torch.nan
    fitted = with_fingers(track, replace(observations, hands=points, hands_3d=points_3d), body).poses.fingers
    assert fitted is not None and fitted.isfinite().all()
    bridged = geodesic_angle(fitted[5:7, :15], finger_rotations(moving_angles())[5:7, :15]).rad2deg()
    assert bridged.mean() < 16
    assert geodesic_angle(fitted[:, 15:], relaxed_fingers()[15:].expand(FRAMES, 15, 3, 3)).rad2deg().mean() < 4


def test_without_a_hand_network_or_a_hand_nothing_changes(body: Body) -> None:
    track, observations = clip(body, moving_angles(), 0.0)
    assert with_fingers(track, replace(observations, hands=None, hands_3d=None), body) is track
    assert observations.hands is not None
    nothing = observations.hands * torch.tensor([1.0, 1.0, 0.0])
    assert with_fingers(track, replace(observations, hands=nothing), body) is track


def thumbs(folded: bool) -> torch.Tensor:
    """Both hands at rest, at every instant, perhaps with the thumb across the palm."""
    _, rest, high = angle_ranges()
    angles: torch.Tensor = rest.expand(FRAMES, 2, 5, 4).clone()
    if folded:
        angles[:, :, 4] = high[4]
    return angles


def test_the_back_of_a_hand_hides_a_folded_thumb_and_the_palm_none(body: Body) -> None:
    model = HandModel.of(body, torch.zeros(10))
    assert model is not None
    for folded in (True, False):
        points = 1000 * model.points(thumbs(folded)[:1])
        from_above, from_below = points[..., [0, 2]], points[..., [0, 2]] * torch.tensor([1.0, -1.0])
        assert thumbs_hidden(from_above).tolist() == [[folded, folded]]
        assert not thumbs_hidden(from_below).any()


def test_a_thumb_that_a_network_folds_behind_the_hand_stays(body: Body) -> None:
    true, guessed = thumbs(False), thumbs(False)
    hidden = slice(6, 10)
    guessed[hidden] = thumbs(True)[hidden]
    fitted = with_fingers(*clip(body, guessed, 0.0, ABOVE), body).poses.fingers
    assert fitted is not None
    joints = [FINGER_JOINTS.index(f"{side}_thumb{k}") for side in ("left", "right") for k in (1, 2, 3)]
    errors = geodesic_angle(fitted, finger_rotations(true))[:, joints].rad2deg()
    moved = geodesic_angle(finger_rotations(guessed), finger_rotations(true))[hidden][:, joints].rad2deg()
    assert errors[hidden].mean() < 8 < 0.4 * float(moved.mean())
