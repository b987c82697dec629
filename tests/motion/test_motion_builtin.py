"""Built-in motions: feet stay put, joints stay in range, and cycles close without a jump."""

import pytest
import torch
from torch import Tensor

from avatar.body import RestBody, load_body
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import geodesic_angle
from avatar.motion.foot_contact import contact_weights, soles_of
from avatar.motion.procedural import BUILTIN, builtin_motion
from avatar.motion.retarget import Retargeting, retarget
from avatar.types import BodyTrack

MOVING = ("walk", "run", "wave", "squat", "jumping-jack", "dance", "arm-circles")


@pytest.fixture(scope="module")
def tall() -> RestBody:
    """A body with other proportions than the one the motions were made on."""
    body = load_body("open")
    return body.rest(torch.linspace(1.0, -1.0, body.shape_dirs.shape[-1]))


def soles(track: BodyTrack, rest: RestBody) -> Tensor:
    joints = rest.smpl_joints
    points = soles_of(joints, float(rest.vertices[:, 1].min()))
    return points.positions(joint_transforms(joints, SMPL_PARENTS, track.poses))


@pytest.mark.parametrize("name", list(BUILTIN))
def test_feet_stand_on_the_floor_and_do_not_slide(name: str, tall: RestBody) -> None:
    track = retarget(builtin_motion(name), tall, Retargeting(fps=60.0, loop=2))
    places = soles(track, tall)
    assert float(places[..., 1].min()) > -0.01
    if name == "turntable":  # the feet rotate with the turntable
        return
    firm = contact_weights(places, 60.0) > 0.9
    for point in range(4):
        inside = firm[1:, point] & firm[:-1, point]
        edges = torch.diff(torch.nn.functional.pad(inside.int(), (1, 1)))
        starts, ends = torch.nonzero(edges == 1)[:, 0], torch.nonzero(edges == -1)[:, 0]
        for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
            contact = places[a : b + 1, point][:, [0, 2]]
            assert float((contact - contact.mean(0)).norm(dim=-1).max()) < 0.01, (name, point, a)


@pytest.mark.parametrize("name", MOVING)
def test_a_cycle_closes_without_a_jump(name: str) -> None:
    poses = builtin_motion(name).track.poses
    step = geodesic_angle(poses.rotations[1:], poses.rotations[:-1]).amax()
    seam = geodesic_angle(poses.rotations[-1], poses.rotations[0]).amax()
    assert float(seam) < 1.6 * float(step) + 0.01
    assert float(step.rad2deg()) < 25


def test_walking_and_running_go_forwards_at_human_pace(tall: RestBody) -> None:
    for name, slowest, fastest in (("walk", 0.8, 1.8), ("run", 2.0, 5.0)):
        track = retarget(builtin_motion(name), tall, Retargeting(loop=3))
        distance = track.poses.root_position[-1] - track.poses.root_position[0]
        pace = float(distance[2]) / float(track.times[-1])
        assert slowest < pace < fastest, (name, pace)
        assert abs(float(distance[0])) < 0.1


def test_runners_leave_the_ground_and_walkers_never_do(tall: RestBody) -> None:
    lowest = {
        n: soles(retarget(builtin_motion(n), tall, Retargeting(loop=3)), tall)[..., 1].amin(-1) for n in ("walk", "run")
    }
    middle = slice(40, -40)
    assert float(lowest["walk"][middle].max()) < 0.03 < float(lowest["run"].max())


def test_arms_swing_against_the_legs() -> None:
    poses = builtin_motion("walk").track.poses
    from avatar.motion.bone_lengths import model_rest

    joints = joint_transforms(model_rest().float(), SMPL_PARENTS, poses)[..., :3, 3] - poses.root_position[:, None]
    hand, foot = (joints[:, SMPL_JOINTS.index(f"left_{part}"), 2] for part in ("wrist", "ankle"))
    assert float(torch.corrcoef(torch.stack([hand, foot]))[0, 1]) < -0.7


def test_an_unknown_name_lists_the_built_in_ones() -> None:
    with pytest.raises(UsageError, match="walk, run"):
        builtin_motion("moonwalk")
