"""Hands and faces in words: each phrase shapes the hand it names, and poses carry them into motions."""

import pytest
import torch

from avatar.body.face import FACE_UNITS
from avatar.body.hand_angles import relaxed_fingers
from avatar.body.skeleton import FINGER_JOINTS
from avatar.errors import UsageError
from avatar.geometry import geodesic_angle
from avatar.motion.procedural import BUILTIN, builtin_motion
from avatar.motion.text.hands_face import PHRASES
from avatar.motion.text.key_poses import motion_of_words
from avatar.motion.text.parse import parse_pose
from avatar.motion.text.pose_file import pose_from_words


def bends(text: str, side: str) -> dict[str, float]:
    """How far each finger of a side is bent in all, degrees."""
    fingers = pose_from_words(text).fingers
    assert fingers is not None
    bent = geodesic_angle(fingers, torch.eye(3).expand_as(fingers)).rad2deg()
    return {
        finger: sum(float(bent[FINGER_JOINTS.index(f"{side}_{finger}{k}")]) for k in (1, 2, 3))
        for finger in ("index", "middle", "ring", "pinky", "thumb")
    }


@pytest.mark.parametrize(
    ("text", "straight"),
    [("left fist", ()), ("left hand pointing", ("index",)), ("left thumb up", ("thumb",)), ("thumbs up", ("thumb",)),
     ("left hand open", ("index", "middle", "ring", "pinky")), ("victory sign", ("index", "middle"))],
)  # fmt: skip
def test_hands(text: str, straight: tuple[str, ...]) -> None:
    bent = bends(text, "left")
    for finger, degrees in bent.items():
        if finger in straight:
            assert degrees < 30
        elif finger != "thumb":
            assert degrees > 200
    if "left" in text:  # the other hand is at rest
        assert 30 < bends(text, "right")["middle"] < 90


def test_faces() -> None:
    face = pose_from_words("left arm raised, smiling and with the mouth open, eyes closed").face
    assert face is not None
    moved = {FACE_UNITS[unit] for unit in face.nonzero()[:, 0]}
    assert {"mouthSmileLeft", "mouthSmileRight", "jawOpen", "eyeBlinkLeft", "eyeBlinkRight"} <= moved
    assert pose_from_words("left arm raised").face is None


def test_the_body_is_what_the_other_words_say() -> None:
    assert torch.equal(parse_pose("right arm forward, right fist, smiling, looking left"),
                       parse_pose("right arm forward, looking left"))  # fmt: skip
    assert torch.equal(parse_pose("fist"), parse_pose("standing"))
    assert pose_from_words("left hand up").fingers is None


@pytest.mark.parametrize("phrase", PHRASES)
def test_every_phrase_is_understood(phrase: str) -> None:
    pose = pose_from_words(phrase)
    assert pose.fingers is not None or pose.face is not None


def test_unknown_words_name_the_phrases() -> None:
    with pytest.raises(UsageError, match=r"unknown word 'wiggling'.*fist, pointing"):
        pose_from_words("left foot wiggling")


def test_key_poses_move_hands_and_face_between_them() -> None:
    poses = motion_of_words("standing, then both fists, smiling").track.poses
    assert poses.fingers is not None and poses.face is not None
    smile = poses.face[:, FACE_UNITS.index("mouthSmileLeft")]
    assert smile[0] == 0 and smile[-1] > 0.8 and (smile.diff() >= 0).all() and smile.diff().max() < 0.1
    assert torch.allclose(poses.fingers[0], relaxed_fingers(), atol=1e-4)
    closing = geodesic_angle(poses.fingers[:, 0], poses.fingers[:1, 0].expand(len(smile), 3, 3))
    assert closing[-1] > 0.5 and closing.diff().max() < 0.2


@pytest.mark.parametrize("name", list(BUILTIN))
def test_hands_of_builtin_motions_are_alive(name: str) -> None:
    fingers = builtin_motion(name).track.poses.fingers
    assert fingers is not None
    turned = geodesic_angle(fingers, fingers[:1].expand_as(fingers)).rad2deg()
    assert 2 < turned.amax() < 15
    seam = geodesic_angle(fingers[-1], fingers[0]).rad2deg()
    assert seam.max() < 1  # repeats without a jump
