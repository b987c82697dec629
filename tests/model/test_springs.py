"""Skirts and long hair swing as pendulums do, come to rest where the images show them, and stay out of the legs."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.geometry import geodesic_angle, rotation_from_rotvec
from avatar.model import spring_motion
from avatar.model.avatar import Avatar
from avatar.model.garments import HAIR
from avatar.model.joint_transforms import joint_transforms_and_quats
from avatar.model.spring_bones import SpringBones
from avatar.model.spring_motion import PHYSICS, Carried, SpringMotion, with_swing
from avatar.model.spring_rings import spring_bones
from avatar.model.spring_vectors import dot, rotated, unit
from avatar.types import BodyPose, BodyTrack
from tests.model.skirts import long_hair, person_in, skirt, trouser_legs


@pytest.fixture(scope="module")
def dressed() -> Avatar:
    """A person in a skirt, with its spring bones on."""
    avatar, labels = person_in(skirt())
    return avatar.with_springs(spring_bones(avatar, lambda: labels))


def bones_of(avatar: Avatar) -> SpringBones:
    assert avatar.springs is not None
    return avatar.springs


def motion_of(avatar: Avatar, **physics: float) -> SpringMotion:
    return SpringMotion(avatar.rig, avatar.body.joint_names, replace(PHYSICS, **physics))  # type: ignore[arg-type]


def carried(avatar: Avatar, motion: SpringMotion, pose: BodyPose) -> Carried:
    joints = joint_transforms_and_quats(avatar.rig.joints, avatar.rig.parents, avatar.body.complete(pose))
    return motion.carried(joints)


def still(**turns: tuple[float, float, float]) -> BodyPose:
    """A pose by the rotation vectors of joints, degrees."""
    rotvecs = torch.zeros(24, 3)
    for name, degrees in turns.items():
        rotvecs[SMPL_JOINTS.index(name)] = torch.tensor(degrees).deg2rad()
    return BodyPose(torch.tensor([0.0, 0.95, 0.0]), rotation_from_rotvec(rotvecs))


def track_of(poses: list[BodyPose], fps: float) -> BodyTrack:
    count = len(poses)
    roots, rotations = (torch.stack([getattr(p, name) for p in poses]) for name in ("root_position", "rotations"))
    times = (torch.arange(count, dtype=torch.float64) / fps).float()
    return BodyTrack(
        "open", torch.zeros(10), BodyPose(roots, rotations), times, torch.ones(count, 24), torch.arange(count)
    )


def spin(fps: float, seconds: float = 3.0, degrees: float = 360.0) -> BodyTrack:
    """A turn in the first second, then standing."""
    times = np.arange(int(seconds * fps) + 1) / fps
    share = np.clip(times, 0, 1)
    angles = degrees * (share - np.sin(2 * math.pi * share) / (2 * math.pi))
    return track_of([still(pelvis=(0.0, float(angle), 0.0)) for angle in angles], fps)


def test_only_what_hangs_gets_bones() -> None:
    def never() -> Int[Tensor, " n"]:
        raise AssertionError("nobody without loose parts pays for labels")

    for cloth in (torch.zeros(0, 3), trouser_legs()):
        assert spring_bones(person_in(cloth)[0], never) is None


def test_the_bones_of_a_skirt_are_rings_around_it(dressed: Avatar) -> None:
    bones, cloth = bones_of(dressed), skirt()
    hem = bones.places[list(bones.rings[-1])]
    assert abs(float(hem[:, 1].mean() - cloth[:, 1].min())) < 0.03
    assert float(torch.cdist(hem, cloth).min(1).values.max()) < 0.04
    # Who hangs lower follows farther.
    follows = bones.shares.sum(1)
    height = dressed.rest_means()[bones.followers, 1]
    low, high = height < height.quantile(0.2), height > height.quantile(0.8)
    assert float(follows[low].mean()) > 0.8 and float(follows[high].mean()) < 0.3


def test_a_person_who_stands_looks_as_before(dressed: Avatar) -> None:
    """To the bit where nothing hangs; and a skirt stays where the images show it."""
    swinging = with_swing(track_of([still()] * 20, 30.0), dressed)
    with torch.no_grad():
        before, after = dressed.pose(still()), dressed.pose(swinging.poses[19])
    others = torch.ones(len(dressed), dtype=torch.bool)
    others[bones_of(dressed).followers] = False
    assert torch.equal(before.means[others], after.means[others])
    assert torch.equal(before.quats[others], after.quats[others])
    assert torch.allclose(before.means, after.means, atol=1e-4)


def test_without_bones_a_motion_stays_as_it_is() -> None:
    avatar, _ = person_in(torch.zeros(0, 3))
    track = spin(30.0)
    assert with_swing(track, avatar) is track


def _hem(avatar: Avatar, track: BodyTrack) -> Float[np.ndarray, "frames nodes 3"]:
    """Places of the lowest nodes in the frames."""
    swinging, frames = with_swing(track, avatar), []
    bones = bones_of(avatar)
    assert avatar.rig.springs is not None and swinging.poses.swing is not None
    for frame in range(len(track)):
        pose = avatar.body.complete(swinging.poses[frame])
        assert pose.swing is not None
        joints = joint_transforms_and_quats(avatar.rig.joints, avatar.rig.parents, pose)
        rows = avatar.rig.springs.with_nodes(joints, pose.swing)[len(joints) :]
        places = torch.einsum("nab,nb->na", rows[:, :12].unflatten(1, (3, 4))[:, :, :3], bones.places)
        frames.append((places + rows[:, [3, 7, 11]])[list(bones.rings[-1])])
    return torch.stack(frames).numpy()


def test_a_skirt_flies_up_in_a_turn_and_comes_to_rest(dressed: Avatar) -> None:
    hem = _hem(dressed, spin(30.0))
    radius = np.linalg.norm(hem[:, :, [0, 2]], axis=2).mean(1)
    assert radius.max() > 1.1 * radius[0]
    end = hem[-1] - hem[-4]
    assert np.abs(end).max() < 0.001
    assert abs(radius[-1] - radius[0]) < 0.002


def test_the_rate_of_the_frames_does_not_matter(dressed: Avatar) -> None:
    truth = _hem(dressed, spin(120.0, 2.0, 180.0))
    assert np.linalg.norm(truth[60:120] - truth[-1], axis=2).max() > 0.04
    for fps in (24, 30, 50):
        frames = _hem(dressed, spin(fps, 2.0, 180.0))
        at = {round(120 / fps * frame): frame for frame in range(len(frames)) if 120 * frame % fps == 0}
        apart = np.linalg.norm(truth[list(at)] - frames[list(at.values())], axis=2)
        assert apart.max() < 0.003, fps


def _let_go(avatar: Avatar, motion: SpringMotion, aside: float) -> Carried:
    """All lowest nodes displaced outwards by a share of their bones."""
    at = carried(avatar, motion, still())
    motion.settle(at)
    lowest = motion.rings[-1]
    out = unit((motion.state.places - at.root) * np.array([1.0, 0, 1.0]))
    places = motion.state.places.copy()
    bone = np.linalg.norm(at.places[lowest] - at.places[motion.above[lowest]], axis=1, keepdims=True)
    places[lowest] += aside * bone * out[lowest]
    pivots = places[motion.above[lowest]]
    places[lowest] = pivots + bone * unit(places[lowest] - pivots)
    motion.state = replace(motion.state, places=places)
    return at


@pytest.mark.parametrize("shape", [0.0, 1.0])
def test_the_frequency_is_that_of_a_hanging_rod(dressed: Avatar, shape: float) -> None:
    """Of a rod at its end, sqrt(3 g / 2 L): gravity by the cosine of the slope, and the pull of the shape."""
    motion = motion_of(dressed, damping=0.0, shape=shape, widest=9.0, narrowest=0.0, step=1 / 240)
    motion.clearance = motion.clearance * 0
    at = _let_go(dressed, motion, 0.08)
    lowest = motion.rings[-1]
    aside = []
    for _ in range(300):
        motion.advance(at, 1 / 240)
        out = unit((at.places - at.root) * np.array([1.0, 0, 1.0]))
        aside.append(dot(motion.state.places - at.places, out)[lowest, 0])
    signs = np.sign(np.array(aside))
    bone = unit(at.places[lowest] - at.places[motion.above[lowest]])
    length = float(bones_of(dressed).length[lowest[0]])
    for node in range(len(lowest)):
        crossings = np.flatnonzero(np.diff(signs[:, node]))
        frequency = (len(crossings) - 1) / 2 / ((crossings[-1] - crossings[0]) / 240)
        expected = math.sqrt(1.5 * 9.81 / length * (shape - bone[node, 1])) / (2 * math.pi)
        assert frequency == pytest.approx(expected, rel=0.03)


def test_energy_falls(dressed: Avatar) -> None:
    motion = motion_of(dressed)
    at = _let_go(dressed, motion, 0.3)
    lowest = motion.rings[-1]
    hung = rotated(at.turns, motion.support) + np.array([0.0, -1, 0])
    bone = np.linalg.norm(at.places[lowest] - at.places[motion.above[lowest]], axis=1, keepdims=True)

    def energy() -> float:
        moved = (motion.state.places - at.places)[lowest]
        stiffness = motion.stiffness[lowest]
        kinetic = 0.5 * (motion.state.speeds[lowest] ** 2).sum()
        potential = stiffness * (0.5 * motion.physics.shape * dot(moved, moved) - bone * dot(hung[lowest], moved))
        return float(kinetic + potential.sum())

    course = [energy()]
    for _ in range(20):
        motion.advance(at, 0.1)
        course.append(energy())
    assert all(later < earlier + 1e-4 * course[0] for earlier, later in pairwise(course))
    assert course[-1] < 0.01 * course[0]


def test_the_hem_stays_out_of_the_legs(dressed: Avatar) -> None:
    """Legs that stride quickly: no node comes nearer than its clearance, but for what the length of a bone demands."""
    motion = motion_of(dressed)
    deepest = 0.0
    for frame in range(60):
        swing = 35 * math.sin(2 * math.pi * frame / 30)
        at = carried(dressed, motion, still(left_hip=(-swing, 0, 0), right_hip=(swing, 0, 0)))
        motion.advance(at, 1 / 30)
        first, last = at.ends
        along = last - first
        from_first = motion.state.places[:, None] - first
        share = np.clip((from_first * along).sum(-1) / (along**2).sum(-1), 0, 1)
        distance = np.linalg.norm(from_first - share[..., None] * along, axis=-1)
        deepest = max(deepest, float((motion.clearance - distance)[motion.rings[-1]].max()))
    assert deepest < 0.02


def _deepest_cloth(avatar: Avatar, motion: SpringMotion, poses: list[BodyPose]) -> float:
    """How far the points half-way between neighbours at the hem come into legs at most, metres."""
    deepest = 0.0
    lowest = [pair for pair in bones_of(avatar).beside if pair[0] in bones_of(avatar).rings[-1]]
    one, other = np.array(lowest).T
    for pose in poses:
        at = carried(avatar, motion, pose)
        motion.advance(at, 1 / 30)
        middle = (motion.state.places[one] + motion.state.places[other]) / 2
        clearance = (motion.clearance[one] + motion.clearance[other]) / 2
        first, last = at.ends
        from_first = middle[:, None] - first
        share = np.clip((from_first * (last - first)).sum(-1) / ((last - first) ** 2).sum(-1), 0, 1)
        distance = np.linalg.norm(from_first - share[..., None] * (last - first), axis=-1)
        deepest = max(deepest, float((clearance - distance).max()))
    return deepest


@pytest.mark.parametrize("axis", [(-95.0, 0.0, 0.0), (0.0, 0.0, -60.0)])
def test_a_kicked_leg_does_not_pass_between_two_nodes(
    dressed: Avatar, axis: tuple[float, float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leg that goes up in a fifth of a second, to the front and to the side."""
    course = [0.0] * 10 + [0.5 - 0.5 * math.cos(math.pi * frame / 6) for frame in range(7)] + [1.0] * 5
    poses = [still(right_hip=(axis[0] * share, axis[1] * share, axis[2] * share)) for share in course]
    with_cloth = _deepest_cloth(dressed, motion_of(dressed), poses)
    monkeypatch.setattr(spring_motion, "_keep_out", lambda *_: None)
    nodes_alone = _deepest_cloth(dressed, motion_of(dressed), poses)
    assert with_cloth < 0.015
    assert nodes_alone > 0.03


def test_who_starts_again_elsewhere_takes_the_skirt_along(dressed: Avatar) -> None:
    here = spin(30.0)
    roots, rotations = here.poses.root_position.clone(), here.poses.rotations.clone()
    around = rotation_from_rotvec(torch.tensor([0.0, 2.0, 0.0]))
    roots[20:] = roots[20:] @ around.mT + torch.tensor([3.0, 0.0, 1.0])
    rotations[20:, 0] = around @ rotations[20:, 0]
    away = replace(here, poses=replace(here.poses, root_position=roots, rotations=rotations))
    one, other = (with_swing(track, dressed).poses.swing for track in (here, away))
    assert one is not None and other is not None
    assert torch.allclose(one[:20], other[:20])
    angles = [geodesic_angle(swing, torch.eye(3).expand_as(swing)).rad2deg() for swing in (one, other)]
    assert float(angles[0].max()) > 10
    assert float((angles[1][20:] - angles[0][19:-1]).max()) < 6  # it is not thrown about
    assert torch.allclose(around @ one[-1] @ around.mT, other[-1], atol=0.01)


def test_long_hair_hangs_from_the_head_and_swings() -> None:
    avatar, labels = person_in(long_hair(), HAIR)
    avatar.with_springs(spring_bones(avatar, lambda: labels))
    bones = bones_of(avatar)
    assert bones.capsules[0] == ("spine1", "neck")
    assert avatar.rig.springs is not None
    head = avatar.body.joint_names.index("head")
    assert float(avatar.rig.springs.weights[:, head].min()) > 0.5
    nod = [still(head=(0.0, 50 * math.sin(2 * math.pi * min(frame, 15) / 30), 0.0)) for frame in range(90)]
    hem = _hem(avatar, track_of(nod, 30.0))
    assert np.abs(hem[16:30] - hem[-1]).max() > 0.02
    assert np.abs(hem[-1] - hem[-4]).max() < 0.001


def test_a_body_with_fingers_takes_the_skirt_along(dressed: Avatar) -> None:
    track = spin(30.0, 1.0)
    fingers = torch.eye(3).expand(len(track), 30, 3, 3)
    rich = replace(track, poses=replace(track.poses, fingers=fingers))
    with torch.no_grad():
        one, other = (dressed.pose(with_swing(t, dressed).poses[15]).means for t in (track, rich))
    cloth = bones_of(dressed).followers
    assert torch.allclose(one[cloth], other[cloth], atol=1e-4)
