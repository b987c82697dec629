"""The open body's fingers, jaw, eyes and face: what each does, and that poses without them are as they were."""

import hashlib

import pytest
import torch

from avatar.body import load_body
from avatar.body.face import FACE_UNITS, face_of_turns, jaw_and_eyes
from avatar.body.hands import as_rested
from avatar.body.skeleton import FINGER_JOINTS, FINGER_PARENTS, HAND_FACE_JOINTS, SMPLH_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.types import BodyPose

BODY = load_body("open")
REST = BODY.rest(torch.zeros(10))
STILL = BodyPose(REST.joints[0], torch.eye(3).repeat(24, 1, 1))
# Of the file with 24 joints that this one replaces.
EARLIER = {
    "weights": "f05fdef7c7290459",
    "joint_regressor": "69a2e564ec040479",
    "pose_dirs": "d725ebf2c1c8b250",
}


def posed(fingers: torch.Tensor | None = None, face: torch.Tensor | None = None) -> torch.Tensor:
    return BODY.vertices(REST, BodyPose(STILL.root_position, STILL.rotations, fingers, face))


def units(**coefficients: float) -> torch.Tensor:
    face = torch.zeros(len(FACE_UNITS))
    for name, value in coefficients.items():
        face[FACE_UNITS.index(name)] = value
    return face


@pytest.mark.parametrize("name", list(EARLIER))
def test_poses_of_24_joints_use_the_very_numbers_of_the_earlier_file(name: str) -> None:
    values = getattr(BODY, name).contiguous().numpy().tobytes()
    assert hashlib.sha256(values).hexdigest()[:16] == EARLIER[name]
    assert len(BODY.parents) == 24 and BODY.earlier_digests == ("8806d0a0f8ee5f8f",)


def test_the_joints_are_those_of_smplh_then_jaw_and_eyes() -> None:
    rich = BODY.with_hands_and_face
    assert rich is not None and rich.joint_names == HAND_FACE_JOINTS
    assert rich.joint_names[:52] == SMPLH_JOINTS
    torch.testing.assert_close(rich.joint_regressor[:22] @ REST.vertices, REST.joints[:22])
    torch.testing.assert_close(rich.weights.sum(1), torch.ones(len(rich.weights)))
    assert BODY.playing(STILL) is BODY


def finger_bones(fingers: torch.Tensor) -> torch.Tensor:
    """Directions (10, 2, 3) of the two inner bones of every finger."""
    rich = BODY.with_hands_and_face
    assert rich is not None
    pose = rich.complete(BodyPose(STILL.root_position, STILL.rotations, fingers))
    joints = joint_transforms(rich.joint_regressor @ REST.vertices, rich.parents, pose)[rich.finger_joints, :3, 3]
    return torch.nn.functional.normalize(joints.view(10, 3, 3).diff(dim=1), dim=-1)


def test_fingers_at_zero_are_straight_and_level() -> None:
    bones = finger_bones(torch.eye(3).repeat(30, 1, 1))
    assert ((bones[:, 0] * bones[:, 1]).sum(-1) > 0.9999).all()
    four = [0, 1, 2, 3]
    assert (bones[four, 0, 0] > 0.75).all() and bones[four, 0, 1].abs().max() < 0.1  # along the arm, level
    torch.testing.assert_close(bones[5:] * torch.tensor([-1.0, 1, 1]), bones[:5], atol=5e-3, rtol=0)


def test_a_knuckle_bends_by_its_own_angle() -> None:
    fingers = torch.eye(3).repeat(30, 1, 1)
    straight = finger_bones(fingers)[1, 0]
    axis = torch.linalg.cross(straight, torch.tensor([0.0, -1.0, 0.0]))
    fingers[FINGER_JOINTS.index("left_middle2")] = rotation_from_rotvec(axis / axis.norm())
    bones = finger_bones(fingers)
    angle = (bones[1, 0] * bones[1, 1]).sum().clamp(-1, 1).arccos()
    assert abs(float(angle) - 1) < 0.03 and bones[1, 1, 1] < -0.7  # towards the palm
    moved = (posed(fingers) - posed(torch.eye(3).repeat(30, 1, 1))).norm(dim=-1) > 1e-3
    assert 50 < moved.sum() < 400 and (REST.vertices[moved][:, 0] > 0.7).all()


def test_a_body_whose_hands_were_posed_can_be_moved() -> None:
    posed(torch.eye(3).repeat(30, 1, 1), units(jawOpen=1.0))
    moved = BODY.to("cpu").with_hands_and_face
    assert moved is not None and moved.straight_hand is not None and moved.face_units is not None


def test_a_hand_at_rest_and_a_straight_one_point_the_same_way() -> None:
    """In the hand's frame each bone of the one is the other's with its turn at rest put before it."""
    rich = BODY.with_hands_and_face
    assert rich is not None and rich.straight_hand is not None
    fingers = rotation_from_rotvec(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)))

    def in_hand(rotations: torch.Tensor) -> torch.Tensor:
        chain: list[torch.Tensor] = []
        for rotation, parent in zip(rotations, FINGER_PARENTS, strict=True):
            chain.append(rotation if parent < 0 else chain[parent] @ rotation)
        return torch.stack(chain)

    rested = in_hand(as_rested(fingers, rich.straight_hand))
    torch.testing.assert_close(rested, in_hand(fingers) @ rich.straight_hand)


@pytest.mark.parametrize(
    ("unit", "least", "most"), [("jawOpen", 30, 50), ("eyeBlinkLeft", 9, 16), ("mouthSmileRight", 10, 25)]
)
def test_units_move_the_face_alone(unit: str, least: float, most: float) -> None:
    moved = (posed(face=units(**{unit: 1.0})) - posed(face=units())).norm(dim=-1) * 1000
    assert least < moved.max() < most
    assert (REST.vertices[moved > 0.5][:, 1] > 1.4).all()


def test_the_mouth_opens_downwards_and_eyes_turn_without_changing_shape() -> None:
    rich = BODY.with_hands_and_face
    assert rich is not None
    chin = rich.weights[:, HAND_FACE_JOINTS.index("jaw")] > 0.9
    assert (posed(face=units(jawOpen=1.0)) - REST.vertices)[chin, 1].mean() < -0.01
    ball = rich.weights[:, HAND_FACE_JOINTS.index("left_eye")] > 0.9
    looking = posed(face=units(eyeLookOutLeft=1.0))[ball]
    assert (looking - REST.vertices[ball])[:, 0].max() > 3e-3  # to the person's left
    torch.testing.assert_close(torch.pdist(looking), torch.pdist(REST.vertices[ball]), atol=3e-4, rtol=0)


def test_turns_of_jaw_and_eyes_become_coefficients() -> None:
    face = units(jawOpen=0.7, eyeLookDownLeft=0.4, eyeLookInRight=0.6)
    turns = rotation_to_rotvec(jaw_and_eyes(face))
    torch.testing.assert_close(face_of_turns(turns), face, atol=0.02, rtol=0)
