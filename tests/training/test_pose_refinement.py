"""Pose corrections: zero at the start, and none of their own for held-out frames."""

from dataclasses import replace

import torch

from avatar.body.hand_angles import relaxed_fingers
from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import rotation_from_rotvec
from avatar.training.pose_refinement import PoseRefinement, interpolation_matrix
from avatar.types import BodyPose, BodyTrack


def track(instants: int) -> BodyTrack:
    g = torch.Generator().manual_seed(0)
    rotations = rotation_from_rotvec(torch.randn(instants, 24, 3, generator=g))
    poses = BodyPose(torch.randn(instants, 3, generator=g), rotations)
    steps = torch.arange(instants)
    return BodyTrack("open", torch.zeros(10), poses, steps / 30.0, torch.ones(instants, 24), steps)


def test_nothing_is_corrected_at_the_start() -> None:
    motion = track(6)
    refined = PoseRefinement(motion, torch.ones(6, dtype=torch.bool)).refined()
    assert torch.allclose(refined.poses.rotations, motion.poses.rotations, atol=1e-6)
    assert torch.equal(refined.poses.root_position, motion.poses.root_position)


def test_a_held_out_instant_moves_with_its_neighbours() -> None:
    trained = torch.tensor([True, True, False, True, True])
    poses = PoseRefinement(track(5), trained)
    assert len(poses.delta_translation) == 4
    bend = torch.tensor([0.0, 0.1, 0.4, 0.9, 1.6])
    with torch.no_grad():
        poses.delta_translation[:, 1] = bend[trained]
    moved = poses.refined().poses.root_position - poses.track.poses.root_position
    assert torch.allclose(moved[:, 1], bend, atol=1e-5)
    assert torch.allclose(poses.pose(2).root_position, poses.refined().poses.root_position[2])


def test_long_gaps_are_bridged_by_straight_lines_and_ends_are_held() -> None:
    trained = torch.tensor([False, *[True] * 6, *[False] * 8, *[True] * 6, False])
    times = torch.arange(len(trained)) / 30
    wiggle = torch.sin(20 * times)
    bridged = interpolation_matrix(times, trained) @ wiggle[trained]
    assert torch.allclose(bridged[7:15], torch.linspace(wiggle[6], wiggle[15], 10)[1:9], atol=1e-5)
    assert bridged[0] == wiggle[1] and bridged[-1] == wiggle[-2]


def test_interpolation_reproduces_straight_lines_in_uneven_time() -> None:
    times = torch.tensor([0.0, 0.1, 0.3, 0.4, 1.0])
    trained = torch.tensor([True, False, True, False, True])
    matrix = interpolation_matrix(times, trained)
    assert torch.allclose(matrix @ (3 * times[trained] + 1), 3 * times + 1, atol=1e-6)


def test_a_correction_of_the_hands_lasts_the_whole_clip() -> None:
    plain = track(5)
    motion = replace(plain, poses=replace(plain.poses, fingers=relaxed_fingers().repeat(5, 1, 1, 1)))
    poses = PoseRefinement(motion, torch.tensor([True, True, False, True, True]))
    wrist, thumb = torch.tensor([0.0, 0.3, 0.0]), torch.tensor([0.2, 0.0, -0.1])
    assert poses.delta_hands is not None
    with torch.no_grad():
        poses.delta_hands[0], poses.delta_hands[2 + 12] = wrist, thumb
    refined, joint = poses.refined().poses, SMPL_JOINTS.index("left_wrist")
    assert refined.fingers is not None and motion.poses.fingers is not None
    still = [row for row in range(24) if row != joint]
    torch.testing.assert_close(refined.rotations[:, still], motion.poses.rotations[:, still])
    turned = motion.poses.rotations[:, joint] @ rotation_from_rotvec(wrist)
    torch.testing.assert_close(refined.rotations[:, joint], turned)
    torch.testing.assert_close(refined.fingers[:, 12], motion.poses.fingers[:, 12] @ rotation_from_rotvec(thumb))
    torch.testing.assert_close(refined.fingers[:, 13:], motion.poses.fingers[:, 13:])
    assert PoseRefinement(plain, torch.ones(5, dtype=torch.bool)).delta_hands is None


def test_the_tracked_face_plays_in_training_as_it_is() -> None:
    plain = track(5)
    assert PoseRefinement(plain, torch.ones(5, dtype=torch.bool)).pose(2).face is None
    face = torch.rand(5, 52, generator=torch.Generator().manual_seed(0))
    poses = PoseRefinement(replace(plain, poses=replace(plain.poses, face=face)), torch.ones(5, dtype=torch.bool))
    assert torch.equal(_face(poses.pose(2)), face[2])
    assert torch.equal(_face(poses.refined().poses), face)


def _face(pose: BodyPose) -> torch.Tensor:
    assert pose.face is not None
    return pose.face
