"""Poses made by hand."""

from __future__ import annotations

import pytest
import torch

from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import geodesic_angle
from avatar.model.avatar import Avatar
from avatar.types import BodyPose
from avatar.viewer.hands_face_folder import closed, expressed, with_expression, with_hand
from avatar.viewer.posing import (
    HANDS_AND_FEET,
    a_pose,
    between,
    joint_angles,
    mirrored,
    on_the_floor,
    pulled,
    rotation_of_angles,
    t_pose,
    turned,
)

from .sample import sample_avatar, sample_track

ROOT = torch.tensor([0.1, 0.9, -0.2])


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return sample_avatar(50)


def joints(avatar: Avatar, pose: BodyPose) -> torch.Tensor:
    from avatar.body.skinning import joint_transforms

    return joint_transforms(avatar.rest.joints, avatar.body.parents, avatar.body.complete(pose))[:, :3, 3]


def test_the_mirror_is_its_own_inverse_and_swaps_sides(avatar: Avatar) -> None:
    pose = turned(a_pose(ROOT), SMPL_JOINTS.index("left_elbow"), rotation_of_angles((10.0, -60.0, 20.0)))
    there = mirrored(pose)
    assert torch.allclose(mirrored(there).rotations, pose.rotations, atol=1e-6)
    left, right = (SMPL_JOINTS.index(f"{side}_wrist") for side in ("left", "right"))
    relative = joints(avatar, pose)[left] - ROOT
    assert torch.allclose(joints(avatar, there)[right] - ROOT, relative * torch.tensor([-1.0, 1.0, 1.0]), atol=0.02)


def test_arms_hang_lower_in_the_a_pose(avatar: Avatar) -> None:
    wrists = [SMPL_JOINTS.index("left_wrist"), SMPL_JOINTS.index("right_wrist")]
    assert (joints(avatar, a_pose(ROOT))[wrists, 1] < joints(avatar, t_pose(ROOT))[wrists, 1] - 0.25).all()


def test_angles_of_a_joint_come_back() -> None:
    pose = turned(t_pose(ROOT), 16, rotation_of_angles((20.0, -35.0, 50.0)))
    assert joint_angles(pose, 16) == pytest.approx((20.0, -35.0, 50.0), abs=1e-3)


@pytest.mark.parametrize("joint", HANDS_AND_FEET)
def test_a_pulled_hand_or_foot_arrives_and_the_others_stay(avatar: Avatar, joint: int) -> None:
    start = a_pose(ROOT)
    before = joints(avatar, start)
    target = before[joint] + torch.tensor([0.02, 0.15, 0.12])
    x, y, z = target.tolist()
    pose = pulled(avatar.body, avatar.rest, start, joint, (x, y, z))
    after = joints(avatar, pose)
    assert (after[joint] - target).norm() < 0.03
    others = [other for other in HANDS_AND_FEET if other != joint]
    assert (after[others] - before[others]).norm(dim=1).max() < 0.05


def test_pulling_nowhere_changes_nothing(avatar: Avatar) -> None:
    start = sample_track(avatar, 3).poses[1]
    place = joints(avatar, start)[HANDS_AND_FEET[0]].tolist()
    pose = pulled(avatar.body, avatar.rest, start, HANDS_AND_FEET[0], tuple(place))
    assert geodesic_angle(pose.rotations, start.rotations).max() < 0.02


def test_a_pose_is_put_on_the_floor(avatar: Avatar) -> None:
    pose = on_the_floor(avatar.body, avatar.rest, a_pose(torch.tensor([0.3, 5.0, 0.0])))
    assert avatar.body.vertices(avatar.rest, pose)[:, 1].min().abs() < 1e-5
    assert pose.root_position[0] == pytest.approx(0.3)


def test_keyframes_are_met_and_passed_smoothly() -> None:
    keys = (t_pose(ROOT), a_pose(ROOT + 0.1), t_pose(ROOT))
    motion = between(keys, 10)
    assert len(motion) == 21
    for index, key in enumerate(keys):
        assert torch.allclose(motion.rotations[10 * index], key.rotations, atol=1e-5)
        assert torch.allclose(motion.root_position[10 * index], key.root_position)
    steps = geodesic_angle(motion.rotations[:-1, 16], motion.rotations[1:, 16])
    assert steps.max() < 0.16 and steps[0] < steps[5]


def test_sliders_close_a_hand_and_move_the_face_and_come_back() -> None:
    pose = with_expression(with_hand(a_pose(ROOT), "left", 1.0), "smiling", 0.5)
    assert closed(pose, "left") == pytest.approx(1.0, abs=0.02) and closed(pose, "right") < 0.4
    assert expressed(pose, "smiling") == pytest.approx(0.5) and expressed(pose, "mouth open") == 0
    there = mirrored(pose)
    assert closed(there, "right") == pytest.approx(1.0, abs=0.02) and closed(there, "left") < 0.4
    wink = with_expression(pose, "winking left", 1.0)
    assert expressed(mirrored(wink), "winking right") > 0.99


def test_hands_and_face_survive_posing_and_keyframes(avatar: Avatar) -> None:
    pose = with_expression(with_hand(a_pose(ROOT), "left", 1.0), "smiling", 1.0)
    standing = on_the_floor(avatar.body, avatar.rest, turned(pose, 16, torch.eye(3)))
    pulled_up = pulled(avatar.body, avatar.rest, standing, HANDS_AND_FEET[0], (0.4, 1.2, 0.3))
    assert closed(pulled_up, "left") > 0.9 and expressed(pulled_up, "smiling") > 0.99
    motion = between((t_pose(ROOT), pose), 10)
    assert motion.fingers is not None and motion.face is not None
    assert closed(motion[0], "left") < 0.4 < closed(motion[7], "left") < closed(motion[10], "left")
    assert motion.face[0].max() == 0
    assert between((t_pose(ROOT), a_pose(ROOT)), 10).fingers is None
