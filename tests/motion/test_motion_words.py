"""Poses in words: parsing, describing, and the report of unknown words."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.geometry import geodesic_angle
from avatar.motion.bone_lengths import model_rest
from avatar.motion.text.describe import describe_pose
from avatar.motion.text.parse import VOCABULARY, parse_pose
from avatar.motion.text.pose_file import pose_from_json, pose_from_option, pose_to_json
from avatar.types import BodyPose


def joints(text: str) -> dict[str, Tensor]:
    rest = model_rest().float()
    places = joint_transforms(rest, SMPL_PARENTS, BodyPose(rest[0], parse_pose(text)))[:, :3, 3]
    return dict(zip(SMPL_JOINTS, places, strict=True))


def test_left_and_right_are_the_persons_own() -> None:
    at = joints("left arm raised, right arm forward, right knee bent 90")
    assert float((at["left_wrist"] - at["left_shoulder"])[1]) > 0.35
    assert float((at["right_wrist"] - at["right_shoulder"])[2]) > 0.35
    shin, thigh = at["right_ankle"] - at["right_knee"], at["right_knee"] - at["right_hip"]
    assert abs(float(torch.nn.functional.cosine_similarity(shin, thigh, dim=0))) < 0.1
    assert float(shin[2]) < -0.3  # the foot goes back


def test_looking_and_leaning() -> None:
    rotations = parse_pose("looking left 60, leaning forward 30")
    head = rotations[0] @ rotations[3] @ rotations[6] @ rotations[9] @ rotations[12] @ rotations[15]
    assert float(head[0, 2]) > 0.5  # the face points to +X, the person's left
    at = joints("leaning forward 30")
    assert float((at["neck"] - at["pelvis"])[2]) > 0.1
    assert float((joints("leaning left")["neck"] - at["pelvis"])[0]) > 0.1


def test_hands_on_hips_are_near_the_hips() -> None:
    at = joints("hands on hips")
    for side in ("left", "right"):
        assert float((at[f"{side}_wrist"] - at[f"{side}_hip"]).norm()) < 0.25
        assert abs(float(at[f"{side}_elbow"][0])) > abs(float(at[f"{side}_wrist"][0])) + 0.05


PHRASES = [
    "left arm raised, right knee bent 90, looking left", "both arms forward, squatting",
    "hands on hips, head tilted right",
    "left arm up and right arm sideways, right leg back 30", "left knee raised, right elbow bent 100", "t-pose",
    "back turned right, arms bent 45, looking up", "left foot pointed, facing left", "standing",
]  # fmt: skip


@pytest.mark.parametrize("text", PHRASES)
def test_a_described_pose_parses_to_the_same_pose(text: str) -> None:
    rotations = parse_pose(text)
    again = parse_pose(describe_pose(rotations))
    assert float(geodesic_angle(rotations, again).rad2deg().max()) < 9


def test_standing_at_ease_needs_no_words() -> None:
    assert describe_pose(parse_pose("standing")) == "standing"


@pytest.mark.parametrize(
    ("text", "word"),
    [("left arm wiggled", "wiggled"), ("flarp", "flarp"), ("right tentacle up", "tentacle"), ("left leg", "leg")],
)
def test_an_unknown_word_is_reported(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        parse_pose(text)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*VOCABULARY, "45", "-20", ",", "and"]), max_size=8))
def test_any_words_give_a_pose_or_one_sentence(words: list[str]) -> None:
    try:
        rotations = parse_pose(" ".join(words))
    except UsageError as error:
        assert "\n" not in str(error)
    else:
        assert bool(rotations.isfinite().all())
        assert describe_pose(rotations)


def test_joint_angles_as_json(tmp_path: Path) -> None:
    rotations = parse_pose(PHRASES[0])
    path = tmp_path / "pose.json"
    path.write_text(pose_to_json(rotations))
    assert float(geodesic_angle(pose_from_option(str(path)).rotations, rotations).rad2deg().max()) < 0.1
    for content, match in (({}, "avatar-pose"), ({"format": "avatar-pose", "degrees": {"tail": [1, 2, 3]}}, "tail"),
                           ({"format": "avatar-pose", "degrees": {"head": [1, 2]}}, "head")):  # fmt: skip
        with pytest.raises(AvatarError, match=match):
            pose_from_json(path, json.loads(json.dumps(content)))
