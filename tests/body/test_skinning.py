"""Skinning by its laws: it follows the joints, turns with the root, and has right gradients."""

from pathlib import Path

import pytest
import torch

from avatar.body import load_body, smpl_pose
from avatar.body.skeleton import SMPL_PARENTS, chain_levels
from avatar.body.skinning import joint_transforms, skin, skinning_transforms
from avatar.geometry import rigid, rotation_from_rotvec, transform
from avatar.io.files import write_npz
from avatar.types import BodyPose

from .made_up_bodies import made_up, parents_of

GEN = torch.Generator().manual_seed(0)
JOINTS = torch.randn(24, 3, generator=GEN, dtype=torch.float64)
POINTS = torch.randn(40, 3, generator=GEN, dtype=torch.float64)
WEIGHTS = torch.softmax(3 * torch.randn(40, 24, generator=GEN, dtype=torch.float64), dim=1)


def poses(*batch: int) -> BodyPose:
    rotvecs = torch.randn(*batch, 24, 3, generator=GEN, dtype=torch.float64)
    return BodyPose(torch.randn(*batch, 3, generator=GEN, dtype=torch.float64), rotation_from_rotvec(rotvecs))


def test_levels_hold_every_joint_once_and_parents_first() -> None:
    for parents in (SMPL_PARENTS, (-1, *parents_of("smplx")[1:])):
        levels = chain_levels(parents)
        assert sorted(joint for level in levels for joint in level) == list(range(len(parents)))
        level_of = {joint: i for i, level in enumerate(levels) for joint in level}
        assert all(level_of[j] == level_of[p] + 1 for j, p in enumerate(parents) if p >= 0)


def test_joints_are_reached_step_by_step_along_the_chain() -> None:
    pose = poses()
    Ts = joint_transforms(JOINTS, SMPL_PARENTS, pose)
    for j, parent in enumerate(SMPL_PARENTS[1:], start=1):
        step = rigid(pose.rotations[j], JOINTS[j] - JOINTS[parent])
        torch.testing.assert_close(Ts[j], Ts[parent] @ step)


def test_the_rest_pose_moves_nothing() -> None:
    rest = BodyPose(JOINTS[0], torch.eye(3, dtype=torch.float64).expand(24, 3, 3))
    torch.testing.assert_close(skin(POINTS, WEIGHTS, skinning_transforms(JOINTS, SMPL_PARENTS, rest)), POINTS)


def test_a_point_on_one_joint_moves_rigidly_with_it() -> None:
    pose = poses(5)
    Ts = joint_transforms(JOINTS, SMPL_PARENTS, pose)
    one = torch.eye(24, dtype=torch.float64)[[7]]
    moved = skin(POINTS[:1], one, skinning_transforms(JOINTS, SMPL_PARENTS, pose))
    torch.testing.assert_close(moved, transform(Ts[:, 7], (POINTS[:1] - JOINTS[7]).expand(5, 1, 3)))


def test_turning_the_root_turns_the_whole_body_about_it() -> None:
    pose = poses()
    R = rotation_from_rotvec(torch.randn(3, generator=GEN, dtype=torch.float64))
    turned = BodyPose(pose.root_position, torch.cat([(R @ pose.rotations[0])[None], pose.rotations[1:]]))
    before, after = (skin(POINTS, WEIGHTS, skinning_transforms(JOINTS, SMPL_PARENTS, p)) for p in (pose, turned))
    torch.testing.assert_close(after - pose.root_position, (before - pose.root_position) @ R.mT)


def test_batches_are_posed_as_singles_are() -> None:
    pose = poses(2, 3)
    together = skin(POINTS, WEIGHTS, skinning_transforms(JOINTS, SMPL_PARENTS, pose))
    alone = skin(POINTS, WEIGHTS, skinning_transforms(JOINTS, SMPL_PARENTS, pose[1][2]))
    assert together.shape == (2, 3, 40, 3)
    torch.testing.assert_close(together[1, 2], alone)


def test_gradients_reach_every_input_and_are_right() -> None:
    rotvecs = (0.5 * torch.randn(24, 3, generator=GEN, dtype=torch.float64)).requires_grad_()
    inputs = [t.clone().requires_grad_() for t in (JOINTS, JOINTS[0], POINTS[:3], WEIGHTS[:3])]

    def posed(
        rotvecs: torch.Tensor, joints: torch.Tensor, root: torch.Tensor, points: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        pose = BodyPose(root, rotation_from_rotvec(rotvecs))
        return skin(points, weights, skinning_transforms(joints, SMPL_PARENTS, pose))

    assert torch.autograd.gradcheck(posed, (rotvecs, *inputs), fast_mode=True)


@pytest.mark.parametrize(("kind", "joints"), [("smpl", 24), ("smplh", 52), ("smplx", 55)])
def test_a_pose_goes_to_a_body_with_fingers_and_back(tmp_path: Path, kind: str, joints: int) -> None:
    write_npz(tmp_path / "body.npz", **made_up(kind))
    body, pose = load_body(tmp_path / "body.npz"), BodyPose(torch.zeros(2, 3), poses(2).rotations.float())
    there = body.complete(pose)
    assert there.rotations.shape[-3] == joints
    back = smpl_pose(there)
    assert torch.equal(back.rotations[:, :22], pose.rotations[:, :22])
    # Neither the jaw nor a finger is taken for a hand.
    hands = pose.rotations[:, 22:] if kind == "smpl" else torch.eye(3).expand(2, 2, 3, 3)
    assert torch.equal(back.rotations[:, 22:], hands)
