"""Finger bones of foreign skeletons: named in the ways of the common tools, and followed to within ten degrees."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from avatar.body import load_body
from avatar.body.hand_angles import angle_ranges, finger_rotations, relaxed_fingers
from avatar.body.skeleton import FINGER_JOINTS, SMPL_JOINTS, SMPLH_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import geodesic_angle, rotation_from_rotvec
from avatar.motion.fingers import match_fingers
from avatar.motion.motion import ReadOptions
from avatar.motion.retarget import Retargeting, retarget
from avatar.motion.skeletons import JointAnimation, motion_from_animation
from avatar.types import BodyPose

FRAMES = 8
BODY = load_body("open")
REST = BODY.rest(torch.zeros(10))
MIXAMO = {
    "pelvis": "Hips", "hip": "UpLeg", "spine1": "Spine", "knee": "Leg", "spine2": "Spine1", "ankle": "Foot", "spine3":
    "Spine2", "foot": "ToeBase", "neck": "Neck", "collar": "Shoulder", "head": "Head", "shoulder": "Arm", "elbow":
    "ForeArm", "wrist": "Hand",
}  # fmt: skip
NUMBERS = {"thumb": 0, "index": 1, "middle": 2, "ring": 3, "pinky": 4}
PHALANX = {1: "Proximal", 2: "Intermediate", 3: "Distal", 4: "Tip"}


def mixamo(side: str, finger: str, k: int) -> str:
    return f"mixamorig:{side.title()}Hand{finger.title()}{k}"


STYLES: dict[str, Callable[[str, str, int], str]] = {
    "Mixamo": mixamo,
    "3ds Max": lambda side, finger, k: f"Bip01 {side[0].upper()} Finger{NUMBERS[finger]}{'' if k == 1 else k - 1}",
    "VRM": lambda side, finger, k: side + ("Little" if finger == "pinky" else finger.title()) + PHALANX[k],
    "Unreal": lambda side, finger, k: f"{finger}_0{k}_{side[0]}",
    "Rigify": lambda side, finger, k: f"DEF-{'' if finger == 'thumb' else 'f_'}{finger}.0{k}.{side[0].upper()}",
    "Daz": lambda side, finger, k: f"{side[0]}{finger.replace('middle', 'mid').title()}{k}",
}


@pytest.mark.parametrize("style", list(STYLES))
def test_fingers_are_recognized_by_name(style: str) -> None:
    names, parents = ["l_hand", "r_hand"], [-1, -1]
    expected: dict[str, list[int]] = {}
    for hand, side in enumerate(("left", "right")):
        names.append(f"{side}_index_metacarpal")
        parents.append(hand)
        for finger in NUMBERS:
            above = hand
            for k in (1, 2, 3, 4):
                expected.setdefault(f"{side}_{finger}", []).append(len(names))
                names.append(STYLES[style](side, finger, k))
                parents.append(above)
                above = len(names) - 1
    assert match_fingers(names, parents, {"left": 0, "right": 1}) == expected


def moving() -> BodyPose:
    """A person who moves the arms, and whose fingers open and close."""
    gen = torch.Generator().manual_seed(3)
    turns = torch.zeros(FRAMES, 24, 3)
    turns[:, 16:22] = 0.5 * torch.randn(FRAMES, 6, 3, generator=gen)
    low, _, high = angle_ranges()
    share = torch.rand(FRAMES, 2, 5, 1, generator=gen)
    angles = torch.minimum(torch.maximum(high * share * torch.tensor([0.0, 0.9, 0.9, 0.8]), low), high)
    return BodyPose(REST.joints[:1].expand(FRAMES, 3), rotation_from_rotvec(turns), finger_rotations(angles))


def animation(pose: BodyPose) -> JointAnimation:
    """The open body itself as a Mixamo skeleton, its hands resting as they do."""
    rich = BODY.with_hands_and_face
    assert rich is not None
    joints = rich.joint_regressor @ REST.vertices
    Ts = joint_transforms(joints, rich.parents, rich.complete(pose))[:, :52]
    names = []
    for name in SMPLH_JOINTS:
        side, _, part = name.rpartition("_")
        if name in FINGER_JOINTS:
            names.append(mixamo(side, part[:-1], int(part[-1])))
        else:
            names.append(f"mixamorig:{side.title()}{MIXAMO[part]}")
    return JointAnimation(
        format="test", path=Path("a.bvh"), names=tuple(names), parents=rich.parents[:52],
        rest_rotations=torch.eye(3).repeat(52, 1, 1), rest_positions=joints[:52],
        rotations=Ts[..., :3, :3], positions=Ts[..., :3, 3], fps=30.0, up="y",
    )  # fmt: skip


def knuckle_angles(pose: BodyPose) -> torch.Tensor:
    """Angles between neighbouring bones from the wrist outwards (frames, 10, 2), degrees."""
    rich = BODY.with_hands_and_face
    assert rich is not None
    places = joint_transforms(rich.joint_regressor @ REST.vertices, rich.parents, rich.complete(pose))[:, :52, :3, 3]
    wrists = places[:, [20] * 5 + [21] * 5, None]
    chains = torch.cat([wrists, places[:, 22:].unflatten(1, (10, 3))], dim=2)
    bones = F.normalize(chains.diff(dim=2), dim=-1)
    return (bones[:, :, 1:] * bones[:, :, :-1]).sum(-1).clamp(-1, 1).arccos().rad2deg()


def test_knuckles_bend_as_in_the_file() -> None:
    pose = moving()
    motion = motion_from_animation(animation(pose), ReadOptions())
    played = retarget(motion, REST, Retargeting(facing="keep", feet="keep")).poses
    assert played.fingers is not None
    error = (knuckle_angles(played) - knuckle_angles(pose)).abs()
    assert error.max() < 10 and error.mean() < 3
    assert knuckle_angles(pose).amax(0).mean() > 50


def test_skeletons_without_fingers_have_none_and_missing_fingers_rest() -> None:
    pose = moving()
    whole = animation(pose)
    thumbless = [i for i, name in enumerate(whole.names) if "Thumb" not in name]
    kept = [i for i in thumbless if i < len(SMPL_JOINTS) - 2]
    for chosen, has in ((kept, False), (thumbless, True)):
        fewer = JointAnimation(
            "test", whole.path, tuple(whole.names[i] for i in chosen),
            tuple(chosen.index(whole.parents[i]) if whole.parents[i] >= 0 else -1 for i in chosen),
            whole.rest_rotations[chosen], whole.rest_positions[chosen], whole.rotations[:, chosen],
            whole.positions[:, chosen], 30.0, "y",
        )  # fmt: skip
        fingers = motion_from_animation(fewer, ReadOptions()).track.poses.fingers
        assert (fingers is not None) == has
    assert fingers is not None
    thumbs = [i for i, name in enumerate(FINGER_JOINTS) if "thumb" in name]
    assert geodesic_angle(fingers[:, thumbs], relaxed_fingers()[thumbs].expand(FRAMES, 6, 3, 3)).max() < 1e-3
