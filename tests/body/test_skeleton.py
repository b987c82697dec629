"""Richer skeletons of the SMPL family read as SMPL's 24 joints by name."""

from __future__ import annotations

import pytest
import torch

from avatar.body.model import RestBody, smpl_pose
from avatar.body.skeleton import SMPL_JOINTS, SMPLH_JOINTS, SMPLX_JOINTS, smpl_joint_indices
from avatar.types import BodyPose


@pytest.mark.parametrize("names", [SMPL_JOINTS, SMPLH_JOINTS, SMPLX_JOINTS])
def test_the_hands_are_hands_and_not_jaw_or_eyes(names: tuple[str, ...]) -> None:
    chosen = [names[index] for index in smpl_joint_indices(names)]
    assert chosen[:22] == list(SMPL_JOINTS[:22])
    hand = "hand" if len(names) == 24 else "middle1"
    assert chosen[22:] == [f"left_{hand}", f"right_{hand}"]
    assert smpl_joint_indices(len(names)) == smpl_joint_indices(names)


def test_the_rest_joints_of_a_body_with_fingers_are_picked_by_name() -> None:
    joints = torch.arange(55.0)[:, None].expand(55, 3)
    hands = RestBody(torch.zeros(1, 3), joints).smpl_joints[22:, 0].tolist()
    assert [SMPLX_JOINTS[int(index)] for index in hands] == ["left_middle1", "right_middle1"]


def test_a_pose_with_fingers_loses_neither_jaw_nor_eyes_into_the_hands() -> None:
    rotations = torch.eye(3).repeat(1, 55, 1, 1)
    rotations[:, 22:25] = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # jaw and eyes turned
    assert torch.equal(smpl_pose(BodyPose(torch.zeros(1, 3), rotations)).rotations, torch.eye(3).repeat(1, 24, 1, 1))


def test_other_skeletons_are_refused() -> None:
    with pytest.raises(ValueError, match="16 joints"):
        smpl_joint_indices(16)
