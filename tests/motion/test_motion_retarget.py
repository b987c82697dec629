"""Fitting a motion to a body: proportions, path, rate, joint ranges, feet."""

import logging

import pytest
import torch

from avatar.body import Body, load_body
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import geodesic_angle, rotation_from_rotvec
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.foot_contact import bend_legs, soles_of
from avatar.motion.motion import Motion, uniform_track
from avatar.motion.procedural import BUILTIN, builtin_motion
from avatar.motion.retarget import Retargeting, resample, retarget, within_limits
from avatar.types import BodyPose

REST = model_rest().float()


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open")


def some_motion(frames: int = 40, fps: float = 20.0) -> Motion:
    t = torch.arange(frames) / fps
    rotvecs = torch.zeros(frames, 24, 3)
    rotvecs[:, 16, 2] = -1.0 + 0.5 * torch.sin(3 * t)
    rotvecs[:, 0, 1] = 0.4 * t + 1.0
    path = torch.stack([t, 0.93 + 0 * t, 0.5 * t], -1)
    return Motion("test", uniform_track(rotation_from_rotvec(rotvecs), path, fps), leg_length(REST))


def test_the_path_grows_with_the_legs(body: Body) -> None:
    small = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    keep = Retargeting(facing="keep", feet="keep")
    motion = some_motion()
    there = retarget(motion, small, keep).poses.root_position
    factor = leg_length(small.smpl_joints) / motion.leg_length
    torch.testing.assert_close(there, motion.track.poses.root_position * factor)


@pytest.mark.parametrize(
    ("fps", "speed", "frames"), [(20.0, 1.0, 40), (60.0, 1.0, 118), (10.0, 1.0, 20), (20.0, 2.0, 20)]
)
def test_resampling_keeps_the_motion(fps: float, speed: float, frames: int) -> None:
    motion = some_motion()
    track = resample(motion.track, Retargeting(fps=fps, speed=speed))
    assert len(track) == frames and track.fps == pytest.approx(fps, rel=1e-4)
    # At common times both agree.
    step = round(fps / 10)
    theirs = motion.track.poses.rotations[:: round(2 * speed)]
    ours = track.poses.rotations[::step]
    count = min(len(ours), len(theirs))
    assert float(geodesic_angle(ours[:count], theirs[:count]).max().rad2deg()) < 0.1


def test_a_span_is_cut_out_and_an_empty_one_refused() -> None:
    track = resample(some_motion().track, Retargeting(start=0.5, end=1.0))
    assert float(track.times[-1]) == pytest.approx(0.5)
    for start, end in ((5.0, None), (1.0, 0.5), (-1.0, None)):
        with pytest.raises(UsageError, match=r"lasts 1\.95 s"):
            resample(some_motion().track, Retargeting(start=start, end=end))
    with pytest.raises(UsageError, match="positive"):
        resample(some_motion().track, Retargeting(speed=0.0))


def test_it_starts_at_the_origin_facing_front(body: Body) -> None:
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    poses = retarget(some_motion(), rest, Retargeting(feet="keep")).poses
    facing = torch.nn.functional.normalize(poses.rotations[:20, 0, :, 2].mean(0), dim=0)
    torch.testing.assert_close(facing, torch.tensor([0.0, 0.0, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(poses.root_position[0, [0, 2]], torch.zeros(2), atol=1e-5, rtol=0)


def test_joints_beyond_their_range_are_limited_and_others_are_unchanged() -> None:
    rotvecs = torch.zeros(2, 24, 3)
    rotvecs[:, 4, 0] = torch.tensor([1.0, -1.2])  # a knee bent well, and one bent the wrong way
    rotations = rotation_from_rotvec(rotvecs)
    limited = within_limits(rotations)
    assert torch.equal(limited[0], rotations[0])
    turn = geodesic_angle(limited[1, 4], torch.eye(3)).rad2deg()
    assert float(turn) == pytest.approx(22.0, abs=0.1)


def test_sliding_feet_are_locked_and_the_knees_do_not_pop(body: Body) -> None:
    """A squat on an escalator: the root slides away under standing feet."""
    squat = builtin_motion("squat")
    poses = squat.track.poses
    slide = torch.linspace(0, 0.4, len(poses))[:, None] * torch.tensor([0.0, 0.0, 1.0])
    sliding = Motion("test", uniform_track(poses.rotations, poses.root_position + slide, 60.0), squat.leg_length)
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    track = retarget(sliding, rest)
    joints = rest.smpl_joints
    places = soles_of(joints, float(rest.vertices[:, 1].min())).positions(
        joint_transforms(joints, SMPL_PARENTS, track.poses)
    )
    spread = (places - places.mean(0))[..., [0, 2]].norm(dim=-1).max()
    assert float(spread) < 0.01
    faster = geodesic_angle(track.poses.rotations[1:], track.poses.rotations[:-1]).amax().rad2deg()
    assert float(faster) < 6


def test_legs_bend_until_the_ankles_are_in_place() -> None:
    generator = torch.Generator().manual_seed(0)
    pose = BodyPose(torch.zeros(50, 3), rotation_from_rotvec(0.3 * torch.randn(50, 24, 3, generator=generator)))
    rotvecs = torch.zeros(50, 24, 3)
    rotvecs[:, 4:6, 0] = 1.3
    pose = BodyPose(pose.root_position, pose.rotations @ rotation_from_rotvec(rotvecs))
    moves = 0.04 * torch.randn(50, 2, 3, generator=generator)
    before = joint_transforms(REST, SMPL_PARENTS, pose)
    after = joint_transforms(REST, SMPL_PARENTS, bend_legs(REST, pose, moves))
    ankles = [SMPL_JOINTS.index(f"{side}_ankle") for side in ("left", "right")]
    torch.testing.assert_close(after[:, ankles, :3, 3], before[:, ankles, :3, 3] + moves, atol=2e-3, rtol=0)
    torch.testing.assert_close(after[:, ankles, :3, :3], before[:, ankles, :3, :3], atol=1e-4, rtol=0)


def joint_places(pose: BodyPose, *names: str) -> torch.Tensor:
    """Places (t, names, 3) of joints of the mean body."""
    Ts = joint_transforms(REST, SMPL_PARENTS, pose)
    return Ts[:, [SMPL_JOINTS.index(name) for name in names], :3, 3]


def leg_poses() -> BodyPose:
    """T-pose; knees bent by 5, 30 and 90 degrees, and by 3 backwards; legs crossed and apart; turned thighs."""
    rotvecs = torch.zeros(8, 24, 3)
    rotvecs[:5, [4, 5], 0] = torch.tensor([0.0, 5, 30, 90, -3]).deg2rad()[:, None]
    rotvecs[3, [1, 2], 0] = -0.8
    rotvecs[5, [1, 2], 2] = torch.tensor([-0.3, 0.3])
    rotvecs[6, [1, 2], 2] = torch.tensor([0.6, -0.6])
    rotvecs[7, [1, 2], 1] = torch.tensor([1.2, -1.2])
    return BodyPose(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)), rotation_from_rotvec(rotvecs))


def test_legs_that_nothing_moves_stay_as_they_are() -> None:
    pose = leg_poses()
    after = bend_legs(REST, pose, torch.zeros(8, 2, 3))
    torch.testing.assert_close(after.rotations, pose.rotations, atol=1e-6, rtol=0)


def test_straight_legs_bend_forwards_about_the_axis_of_the_knee() -> None:
    places = REST[[SMPL_JOINTS.index(f"left_{n}") for n in ("hip", "knee", "ankle")]]
    thigh, shin = (places[1] - places[0]).norm(), (places[2] - places[1]).norm()
    # A body whose legs are exactly straight, as in most rigs.
    straight = REST.clone()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        hip, knee, ankle, foot = (SMPL_JOINTS.index(f"{side}_{n}") for n in ("hip", "knee", "ankle", "foot"))
        toes = REST[foot] - REST[ankle]
        straight[knee] = straight[hip] + torch.tensor([0.05 * sign, -1.0, 0.0]) * thigh
        straight[ankle] = straight[knee] + torch.tensor([0.05 * sign, -1.0, 0.0]) * shin
        straight[foot] = straight[ankle] + toes
    up = torch.tensor([0.0, 0.03, 0.0]).expand(1, 2, 3)
    pose = BodyPose(torch.zeros(1, 3), torch.eye(3).expand(1, 24, 3, 3))
    bent = bend_legs(straight, pose, up)
    before = joint_transforms(straight, SMPL_PARENTS, pose)[0]
    after = joint_transforms(straight, SMPL_PARENTS, bent)[0]
    for side in ("left", "right"):
        hip, knee, ankle = (SMPL_JOINTS.index(f"{side}_{n}") for n in ("hip", "knee", "ankle"))
        moved = after[knee, :3, 3] - before[knee, :3, 3]
        assert float(moved[2]) > 0.05 and abs(float(moved[0])) < 0.004
        # The knee is a hinge: its own axis stays in both bones.
        axis = bent.rotations[0, knee] @ torch.tensor([1.0, 0.0, 0.0])
        torch.testing.assert_close(axis, torch.tensor([1.0, 0.0, 0.0]), atol=1e-5, rtol=0)
        torch.testing.assert_close(after[ankle, :3, 3], before[ankle, :3, 3] + up[0, 0], atol=1e-4, rtol=0)
        torch.testing.assert_close(after[ankle, :3, :3], before[ankle, :3, :3], atol=1e-5, rtol=0)


def test_knees_bend_smoothly_from_backwards_to_forwards() -> None:
    steps = torch.linspace(0, 0.06, 121)
    pose = leg_poses()[4]
    poses = BodyPose(pose.root_position.expand(121, 3), pose.rotations.expand(121, 24, 3, 3))
    moves = torch.zeros(121, 2, 3)
    moves[..., 1] = steps[:, None]
    bent = bend_legs(REST, poses, moves)
    knees = joint_places(bent, "left_knee", "right_knee")
    assert float((knees[1:] - knees[:-1]).norm(dim=-1).max()) < 0.02
    assert float(knees[-1, 0, 2] - knees[0, 0, 2]) > 0.05
    torch.testing.assert_close(bent.rotations[0], pose.rotations, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_planted_feet_leave_the_knees_where_they_were(body: Body, name: str) -> None:
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    kept, planted = (
        joint_transforms(rest.smpl_joints, SMPL_PARENTS, retarget(builtin_motion(name), rest, how).poses)[..., :3, 3]
        for how in (Retargeting(facing="keep", feet="keep"), Retargeting(facing="keep"))
    )
    left, right = SMPL_JOINTS.index("left_knee"), SMPL_JOINTS.index("right_knee")
    apart = [(joints[:, left] - joints[:, right]).norm(dim=-1) for joints in (kept, planted)]
    assert float((apart[0] - apart[1]).abs().max()) < 0.003
    for side in ("left", "right"):
        for a, b, most in (("hip", "knee", 8.0), ("knee", "ankle", 8.0), ("ankle", "foot", 0.5)):
            i, j = SMPL_JOINTS.index(f"{side}_{a}"), SMPL_JOINTS.index(f"{side}_{b}")
            cosine = torch.nn.functional.cosine_similarity(kept[:, j] - kept[:, i], planted[:, j] - planted[:, i], -1)
            assert float(cosine.clamp(max=1).acos().rad2deg().max()) < most, (side, a, b)


def test_limbs_that_turn_visibly_are_named(body: Body, caplog: pytest.LogCaptureFixture) -> None:
    """A knee bent backwards is clamped; feet that are driven apart and together are held."""
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    rotvecs = torch.zeros(30, 24, 3)
    rotvecs[:, 4, 0] = -1.2
    still = Motion("test", uniform_track(rotation_from_rotvec(rotvecs), torch.zeros(30, 3), 30.0), leg_length(REST))
    with caplog.at_level(logging.WARNING, logger="avatar"):
        logging.getLogger("avatar").propagate = True
        retarget(still, rest, Retargeting(feet="keep"))
    assert "turned back: left knee by up to 47 degrees" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger="avatar"):
        retarget(builtin_motion("walk"), rest)
    assert not caplog.text
