"""Blinking and breath: eyes close now and then, the chest moves while a person stands, and the rest stays."""

from dataclasses import replace

import pytest
import torch

from avatar.body.face import FACE_UNITS
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import geodesic_angle
from avatar.motion.alive import blinks, with_blinks_and_breath, with_face_of
from avatar.motion.bone_lengths import model_rest
from avatar.motion.motion import Motion, uniform_track
from avatar.motion.text.key_poses import motion_of_words
from avatar.types import BodyTrack

FPS = 30.0


def standing(seconds: float, speed: float = 0.0) -> BodyTrack:
    pose = motion_of_words("standing").track.poses[[0] * round(seconds * FPS)]
    track = uniform_track(pose.rotations, pose.root_position, FPS, fingers=pose.fingers)
    path = pose.root_position + speed * track.times[:, None] * torch.tensor([0.0, 0.0, 1.0])
    return replace(track, poses=replace(track.poses, root_position=path))


def test_eyes_blink_every_few_seconds() -> None:
    closed = blinks(torch.arange(0, 60, 1 / 60))
    starts = ((closed[1:] > 0.5) & (closed[:-1] <= 0.5)).nonzero()[:, 0] / 60
    assert 10 <= len(starts) <= 30 and starts.diff().min() > 1.9 and starts.diff().max() < 6.1
    assert closed.max() > 0.9 and (closed > 0.5).float().mean() < 0.06


def test_the_chest_rises_while_the_feet_stand() -> None:
    track = standing(8)
    alive = with_blinks_and_breath(track)
    rest = model_rest().float()
    before, after = (joint_transforms(rest, SMPL_PARENTS, t.poses)[..., :3, 3] for t in (track, alive))
    moved = (after - before).norm(dim=-1).amax(0)
    feet = [SMPL_JOINTS.index(name) for name in ("left_ankle", "right_foot", "pelvis")]
    assert moved[feet].max() == 0 and 1e-3 < moved[SMPL_JOINTS.index("left_shoulder")] < 0.02
    level = geodesic_angle(alive.poses.rotations[:, 15], track.poses.rotations[:, 15])
    assert level.max() < 1e-3  # the head's own joint stays
    assert torch.equal(alive.poses.fingers, track.poses.fingers)  # type: ignore[arg-type]


def test_who_walks_does_not_show_the_breath() -> None:
    track = standing(4, speed=1.2)
    assert torch.allclose(with_blinks_and_breath(track).poses.rotations, track.poses.rotations, atol=1e-5)


def test_a_face_is_played_on_another_motion() -> None:
    track, pose = standing(2), standing(1).poses
    face = torch.zeros(len(pose), len(FACE_UNITS))
    face[:, 24] = torch.linspace(0, 1, len(pose))
    acting = Motion("x", uniform_track(pose.rotations, pose.root_position, FPS, face=face))
    played = with_face_of(track, acting, "a.csv").poses.face
    assert played is not None
    torch.testing.assert_close(played[: len(face)], face)
    assert (played[len(face) :, 24] == 1).all()
    blinking = with_blinks_and_breath(with_face_of(track, acting, "a.csv")).poses.face
    assert blinking is not None and torch.equal(blinking[:, 24], played[:, 24])
    with pytest.raises(UsageError, match=r"b\.csv moves no face"):
        with_face_of(track, Motion("x", track), "b.csv")
