"""Skeletons of any rest pose, axes, units and names, against the forward kinematics of `rigs.py`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import Body, load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError, UsageError
from avatar.motion import Motion, ReadOptions, load_motion
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.formats.bvh import parse_bvh
from avatar.motion.retarget import Retargeting, retarget
from avatar.types import BodyPose
from tests.motion.rigs import LIMBS, PLACES, Y_TO_Z, Rig, Truth, about, truth_of, walk, write_rig

Array = np.ndarray


def posed(pose: BodyPose, rest: torch.Tensor) -> dict[str, Array]:
    """Places of our joints by forward kinematics of this test's own."""
    from avatar.body.skeleton import SMPL_PARENTS

    places: list[Array] = []
    turns: list[Array] = []
    R, own = pose.rotations.double().numpy(), rest.double().numpy()
    for joint, parent in enumerate(SMPL_PARENTS):
        if parent < 0:
            turns.append(R[:, joint])
            places.append(pose.root_position.double().numpy())
        else:
            turns.append(turns[parent] @ R[:, joint])
            places.append(places[parent] + turns[parent] @ (own[joint] - own[parent]))
    return dict(zip(SMPL_JOINTS, places, strict=True))


def limb_degrees(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> Array:
    """Angles (limbs, t) between the limbs of two bodies that may face in different directions.

    The whole motion is turned about the vertical as one; everything else counts.
    """
    limbs = [(ours[b] - ours[a], theirs[b] - theirs[a]) for a, b in LIMBS]
    mine, other = (np.stack([pair[k] for pair in limbs]) for k in (0, 1))
    mine, other = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (mine, other))
    cross = (mine[..., 2] * other[..., 0] - mine[..., 0] * other[..., 2]).sum()
    dot = (mine[..., 0] * other[..., 0] + mine[..., 2] * other[..., 2]).sum()
    turned = mine @ about("y", np.degrees(np.arctan2(cross, dot))).T
    chords: Array = np.linalg.norm(turned - other, axis=-1)
    angles: Array = np.degrees(2 * np.arcsin(np.clip(chords / 2, 0, 1)))
    return angles


def path_ratio(ours: Mapping[str, Array], truth: Truth, leg: float) -> float:
    """The length of our path over that of the truth, each in lengths of the leg."""

    def run(places: Mapping[str, Array], leg: float) -> float:
        hips = (places["left_hip"] + places["right_hip"]) / 2
        return float(np.linalg.norm(hips[-1] - hips[0]) / leg)

    return run(ours, leg) / run(truth.places, 0.82)


def check_read(motion: Motion, truth: Truth, most_degrees: float = 0.5) -> None:
    rest = model_rest()
    ours = posed(motion.track.poses, rest)
    angles = limb_degrees(ours, truth.places)
    assert angles.mean() < 1 and angles.max() < most_degrees
    scaled = posed(motion.track.poses, rest * motion.leg_length / leg_length(rest))
    assert abs(path_ratio(scaled, truth, motion.leg_length) - 1) < 0.05
    assert motion.check is not None and motion.check.worst_degrees < most_degrees
    # Upright and in front of where it goes: the shoulders lie above the hips, and the walk leads to where the toes are.
    up = (ours["left_shoulder"] + ours["right_shoulder"] - ours["left_hip"] - ours["right_hip"])[:, 1]
    assert (up > 0.5).all()
    toes = (ours["left_foot"] - ours["left_ankle"] + ours["right_foot"] - ours["right_ankle"]).mean(0)
    way = ours["pelvis"][-1] - ours["pelvis"][0]
    assert np.dot(toes[[0, 2]], way[[0, 2]]) > 0.5 * np.linalg.norm(toes[[0, 2]]) * np.linalg.norm(way[[0, 2]])


def lying_along(axis: Array) -> Rig:
    """A rig in which every bone lies along one axis while all rotations are zero, as in Rokoko's and LAFAN1's files."""
    from tests.motion.rigs import PARENTS

    frames = {}
    for joint in PLACES:
        ends = [k for k, above in PARENTS.items() if above == joint]
        main = {"pelvis": "spine1", "spine3": "neck"}.get(joint, ends[0] if ends else None)
        start, end = (joint, main) if main else (PARENTS[joint] or "", joint)
        bone = np.subtract(PLACES[end], PLACES[start])
        along = bone / np.linalg.norm(bone)
        aside = np.cross(along, [0.0, 0.0, 1.0])
        aside = aside / np.linalg.norm(aside)
        frames[joint] = np.stack([along, aside, np.cross(along, aside)], -1) @ _frame_of(axis).T
    return Rig(frames=frames)


def _frame_of(axis: Array) -> Array:
    other = np.roll(axis, 1)
    return np.stack([axis, other, np.cross(axis, other)], -1)


def random_frames(seed: int) -> Rig:
    """A rig whose joints have axes of their own, so that its rest pose is a tangle."""
    random = np.random.default_rng(seed)
    turn = {joint: np.linalg.qr(random.normal(size=(3, 3)))[0] for joint in PLACES}
    return Rig(frames={joint: Q * np.linalg.det(Q) for joint, Q in turn.items()})


SITTING = {f"{side}_hip": about("x", -90) for side in ("left", "right")}
HANGING = {
    f"{side}_{part}": about("z", -80 * sign)
    for side, sign in (("left", 1), ("right", -1))
    for part in ("shoulder", "elbow", "wrist")
}
A_POSE = {joint: about("z", -45 if joint.startswith("left") else 45) for joint in HANGING}
RIGS = {
    "plain": Rig(), "metres": Rig(unit=1.0), "millimetres": Rig(unit=1000.0), "inches": Rig(unit=39.37),
    "z up": Rig(axes=Y_TO_Z), "x up": Rig(axes=about("z", -90)), "z up in the frames only": Rig(world=Y_TO_Z),
    "y up in the frames only": Rig(axes=Y_TO_Z, world=Y_TO_Z.T), "turned by 90 degrees": Rig(axes=about("y", 90)), 
    "turned by 45 degrees": Rig(axes=about("y", 45)),
    "arms hang at rest": Rig().rest_pose(HANGING), "A-pose": Rig().rest_pose(A_POSE),
    "sits at rest": Rig().rest_pose(SITTING), "bones along x": lying_along(np.array([1.0, 0, 0])),
    "bones along y": lying_along(np.array([0.0, 1, 0])), "bones along z": lying_along(np.array([0.0, 0, 1])),
    "tangle": random_frames(1), "another tangle": random_frames(2),
    "order of channels": Rig(order="YZX"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGS)
def test_limbs_point_as_in_the_file_whatever_its_rest_pose_axes_and_units(tmp_path: Path, name: str) -> None:
    rig, truth = RIGS[name], walk()
    write_rig(tmp_path / "a.bvh", rig, truth)
    check_read(load_motion(tmp_path / "a.bvh"), truth)


@pytest.mark.parametrize("name", ["plain", "arms hang at rest", "z up", "z up in the frames only"])
def test_rotations_are_those_of_the_file_where_its_rest_pose_stands(tmp_path: Path, name: str) -> None:
    """Twists as well, which no position shows: against the truth's own rotations of legs, spine and head."""
    truth = walk()
    write_rig(tmp_path / "a.bvh", RIGS[name], truth)
    pose = load_motion(tmp_path / "a.bvh", ReadOptions()).track.poses
    ours = dict(zip(SMPL_JOINTS, pose.rotations.double().numpy().swapaxes(0, 1), strict=True))
    for joint, parent in (("spine2", "spine1"), ("head", "neck"), ("spine3", "spine2")):
        theirs = truth.rotations[parent].swapaxes(1, 2) @ truth.rotations[joint]
        assert np.abs(ours[joint] - theirs).max() < 0.01, joint


def dummy_hips() -> Rig:
    rig = Rig()
    for side, short in (("left", "L"), ("right", "R")):
        rig = rig.with_joint(f"{short}HipJoint", "pelvis", PLACES["pelvis"], (f"{side}_hip",))
    return rig


def test_an_empty_joint_beside_the_hip_is_not_the_hip(tmp_path: Path) -> None:
    rig = dummy_hips()
    names = {"left_hip": "LeftHip", "right_hip": "RightHip"}
    truth = walk(rig)
    write_rig(tmp_path / "a.bvh", Rig(places=rig.places, parents=rig.parents, names=names), truth)
    check_read(load_motion(tmp_path / "a.bvh"), truth)


def test_joints_between_ours_may_carry_the_rotation(tmp_path: Path) -> None:
    """Thighs in two pieces whose lower one bends too: the positions tell where the knee is."""
    rig = Rig()
    for side, sign in (("left", 1.0), ("right", -1.0)):
        rig = rig.with_joint(f"{side}_twist_thigh", f"{side}_hip", (0.1 * sign, 0.7, 0.0), (f"{side}_knee",))
    t = np.linspace(0, 1, 20)
    local = {f"{side}_hip": about("x", -20 * t) for side in ("left", "right")}
    local |= {f"{side}_twist_thigh": about("x", -30 * t) for side in ("left", "right")}
    truth = truth_of(rig, local, np.stack([0 * t, 0.95 + 0 * t, t], -1))
    write_rig(tmp_path / "a.bvh", rig, truth)
    motion = load_motion(tmp_path / "a.bvh")
    check_read(motion, truth)


@pytest.mark.parametrize("degrees", [100.0, -100.0, 60.0])
def test_a_control_bone_as_pelvis_does_not_turn_the_person(tmp_path: Path, degrees: float) -> None:
    plain = walk()
    local = {joint: plain.rotations[above].swapaxes(1, 2) @ plain.rotations[joint]
             for joint, above in Rig().parents.items() if above}  # fmt: skip
    turn = about("y", degrees)
    local |= {joint: turn.T @ plain.rotations["pelvis"].swapaxes(1, 2) @ plain.rotations[joint]
              for joint in ("spine1", "left_hip", "right_hip")}  # fmt: skip
    local["pelvis"] = plain.rotations["pelvis"] @ turn
    truth = truth_of(Rig(), local, plain.places["pelvis"])
    write_rig(tmp_path / "a.bvh", Rig(), truth)
    motion = load_motion(tmp_path / "a.bvh")
    check_read(motion, truth)
    assert motion.check is not None and "pelvis" in motion.check.summary
    # Nothing is left for the joint ranges to clamp.
    rest = load_body("open").rest(torch.zeros(load_body("open").shape_dirs.shape[-1]))
    track = retarget(motion, rest, Retargeting(facing="keep", feet="keep"))
    assert limb_degrees(posed(track.poses, rest.smpl_joints), truth.places).max() < 1


def test_a_person_who_lies_differs_from_frames_with_other_axes(tmp_path: Path) -> None:
    t = np.linspace(0, 1, 20)
    face_down = {"pelvis": np.tile(about("x", 90), (20, 1, 1))}
    lying = truth_of(Rig(), face_down, np.stack([0 * t, 0.12 + 0 * t, 3 + t], -1))
    write_rig(tmp_path / "lies.bvh", Rig(), lying)
    ours = posed(load_motion(tmp_path / "lies.bvh").track.poses, model_rest())
    assert limb_degrees(ours, lying.places).max() < 0.5
    # Where both are possible the user is asked.
    either = truth_of(Rig(), face_down, np.tile([0.0, 0.3, 0.95], (20, 1)))
    write_rig(tmp_path / "either.bvh", Rig(), either)
    with pytest.raises(UsageError, match="state --up y, otherwise --up z"):
        load_motion(tmp_path / "either.bvh")
    for up, height in (("y", 0.0), ("z", 0.5)):
        ours = posed(load_motion(tmp_path / "either.bvh", ReadOptions(up=up)).track.poses, model_rest())
        assert (ours["head"] - ours["pelvis"])[0, 1] == pytest.approx(height, abs=0.15)


def test_a_skeleton_without_legs_is_refused(tmp_path: Path) -> None:
    flat = {joint: ((0.0, 1.0, 0.0) if "knee" in joint or "ankle" in joint or "hip" in joint else place)
            for joint, place in PLACES.items()}  # fmt: skip
    rig = Rig(places=flat)
    write_rig(tmp_path / "a.bvh", rig, walk(rig))
    with pytest.raises(AvatarError, match="legs have no length"):
        load_motion(tmp_path / "a.bvh")


def test_bones_that_do_not_fit_are_named(tmp_path: Path) -> None:
    longer = {joint: (place if joint != "left_ankle" else (0.1, -0.02, 0.0)) for joint, place in PLACES.items()}
    rig = Rig(places=longer)
    write_rig(tmp_path / "a.bvh", rig, walk(rig))
    check = load_motion(tmp_path / "a.bvh").check
    assert check is not None and "left and right knee differ by 24 %" in check.summary


def test_swapped_sides_are_named(tmp_path: Path) -> None:
    rig = Rig(places={joint: (-x, y, z) for joint, (x, y, z) in PLACES.items()})
    write_rig(tmp_path / "a.bvh", rig, walk(rig))
    check = load_motion(tmp_path / "a.bvh").check
    assert check is not None and "left and right are swapped or its axes are mirrored" in check.summary


def test_a_root_in_metres_and_a_body_in_centimetres_walk_as_far_as_their_steps(tmp_path: Path) -> None:
    truth = walk()
    write_rig(tmp_path / "a.bvh", Rig(), truth)
    head, step, rows = (tmp_path / "a.bvh").read_text().partition("Frame Time: 0.03333333\n")
    lines = [line.split() for line in rows.strip().split("\n")]
    rows = "\n".join(" ".join([*(f"{float(x) / 100:.6f}" for x in line[:3]), *line[3:]]) for line in lines)
    (tmp_path / "a.bvh").write_text(head + step + rows + "\n")
    motion = load_motion(tmp_path / "a.bvh")
    check_read(motion, truth)
    assert motion.check is not None and "made 100 times longer" in motion.check.summary


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open")


@pytest.mark.parametrize("name", ["plain", "bones along x", "arms hang at rest", "z up in the frames only", "tangle"])
def test_planted_feet_leave_the_limbs_as_they_are(tmp_path: Path, body: Body, name: str) -> None:
    truth = walk(frames=120)
    write_rig(tmp_path / "a.bvh", RIGS[name], truth)
    motion = load_motion(tmp_path / "a.bvh")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    kept, planted = (
        posed(retarget(motion, rest, Retargeting(facing="keep", feet=feet)).poses, rest.smpl_joints)
        for feet in ("keep", "plant")
    )
    assert limb_degrees(kept, truth.places).mean() < 1
    assert limb_degrees(planted, truth.places).mean() < 3 and limb_degrees(planted, truth.places).max() < 10
    apart = [np.linalg.norm(at["left_knee"] - at["right_knee"], axis=-1).mean() for at in (kept, planted)]
    assert abs(apart[0] - apart[1]) < 0.003


def test_places_are_those_of_the_forward_kinematics_here(tmp_path: Path) -> None:
    truth = walk()
    write_rig(tmp_path / "a.bvh", random_frames(5), truth)
    animation = parse_bvh(tmp_path / "a.bvh", (tmp_path / "a.bvh").read_text())
    for index, joint in enumerate(animation.names):
        np.testing.assert_allclose(animation.positions[:, index] / 100, truth.places[joint], atol=1e-4)
