"""Motions in words, moments of a motion by words, and the schema for language models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.cli.main import main
from avatar.errors import UsageError
from avatar.motion.bone_lengths import model_rest
from avatar.motion.text.describe import describe_pose
from avatar.motion.text.find import find_moments, intervals
from avatar.motion.text.key_poses import ACTIONS, motion_of_words
from avatar.motion.text.parse import parse_pose
from avatar.motion.text.pose_file import pose_from_json
from avatar.motion.text.schema import pose_prompt, pose_schema
from avatar.pipeline.motions import find_motion
from avatar.types import BodyPose


def posed(text: str) -> BodyPose:
    rotations = parse_pose(text)[None]
    return BodyPose(torch.zeros(1, 3), rotations)


def places(pose: BodyPose) -> dict[str, Tensor]:
    """Each joint's path, (frames, 3)."""
    at = joint_transforms(model_rest().float(), SMPL_PARENTS, pose)[..., :3, 3]
    return {name: at[:, index] for index, name in enumerate(SMPL_JOINTS)}


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("both arms raised", "left arm raised, right arm raised"),
        ("left arm raised right knee bent 90", "left arm raised, right knee bent 90"),
        ("left arm and right leg raised", "left arm raised, right leg raised"),
        ("squatting arms forward", "squatting, arms forward"),
        ("head turned left right arm raised", "head turned left, right arm raised"),
        ("arms up legs apart looking down 20", "arms up, legs apart, looking down 20"),
        ("he kneels on the left knee with both arms raised", "kneeling left, arms raised"),
        ("raised left arm", "left arm raised"),
        ("arms folded", "cross the arms"),
    ],
)
def test_commas_may_be_left_out(text: str, same: str) -> None:
    assert torch.equal(parse_pose(text), parse_pose(same))


def test_kneeling_and_crossed_arms_look_like_it() -> None:
    at = places(posed("kneeling"))
    assert float((at["left_hip"] - at["left_knee"])[0, 1]) > 0.3  # thighs upright
    assert float((at["left_knee"] - at["left_ankle"])[0, 2]) > 0.25  # shins on the floor, behind
    crossed = places(posed("arms crossed"))
    assert float(crossed["left_wrist"][0, 0]) < 0 < float(crossed["right_wrist"][0, 0])
    assert float(crossed["left_wrist"][0, 2] - crossed["spine3"][0, 2]) > 0.1  # in front of the chest


@pytest.mark.parametrize("name", ACTIONS)
def test_actions_stay_on_the_floor_and_come_back(name: str) -> None:
    motion = find_motion(name)
    poses = motion.track.poses
    assert len(poses) > 30 and describe_pose(poses.rotations[0]) == describe_pose(poses.rotations[-1]) == "standing"
    at = places(poses)
    low = torch.stack([at[f"{side}_{part}"][:, 1] for side in ("left", "right") for part in ("foot", "ankle", "knee")])
    assert float(low.amin(0).min()) > -0.01
    assert float(low.amin(0).max()) > 0.25 if name == "jump" else float(low.amin(0).max()) < 0.12
    steps = (poses.rotations[1:] - poses.rotations[:-1]).flatten(1).norm(dim=1)
    assert float(steps.max()) < 1.5  # no leaps between frames


def test_poses_in_a_row() -> None:
    motion = motion_of_words("standing, then kneeling, then both arms raised")
    assert intervals(find_moments(motion.track.poses, "kneeling"), motion.track.times)
    assert describe_pose(motion.track.poses.rotations[-1]) == describe_pose(parse_pose("both arms raised"))
    with pytest.raises(UsageError, match="wobbling"):
        motion_of_words("standing, then wobbling")


@pytest.mark.parametrize(
    ("condition", "pose", "other"),
    [
        ("left hand above the head", "left arm up", "right arm up"),
        ("both hands above the head", "arms up", "left arm up"),
        ("right hand in front of the chest", "right arm forward", "right arm back"),
        ("left hand to the left of the left hip", "left arm sideways", "arms crossed"),
        ("hands on the hips", "hands on hips", "arms up"),
        ("feet apart", "legs sideways", "standing"),
        ("left foot off the floor", "left knee raised", "standing"),
        ("left foot higher than right knee", "left leg raised 100", "standing"),
        ("right knee bent 90", "right knee bent 85", "right knee bent 30"),
        ("arms raised", "arms up", "left arm up"),
        ("left hand above the head, right knee bent", "left arm up, right knee bent", "left arm up"),
        ("looking left", "looking left 60", "looking right"),
    ],
)
def test_moments_are_found_by_words(condition: str, pose: str, other: str) -> None:
    for facing in ("", ", facing left"):  # left and in front are the person's own
        assert find_moments(posed(pose + facing), condition).all()
        assert not find_moments(posed(other + facing), condition).any()


def test_what_find_does_not_understand_is_named() -> None:
    with pytest.raises(UsageError, match="purple"):
        find_moments(posed("standing"), "left hand purple")


def test_describe_prints_the_moments(capsys: pytest.CaptureFixture[str]) -> None:
    main(["describe", "jump", "--find", "both hands above the head"])
    line = capsys.readouterr().out.splitlines()
    assert len(line) == 1 and " s to " in line[0]
    main(["describe", "t-pose", "--find", "left hand above the head"])
    assert "no moment" in capsys.readouterr().out


def test_the_schema_and_the_prompt(capsys: pytest.CaptureFixture[str]) -> None:
    main(["animate", "--pose-schema"])
    printed = capsys.readouterr().out
    assert printed.strip() == pose_prompt().strip()
    line = next(line for line in printed.splitlines() if line.startswith('{"$schema"'))
    schema = json.loads(line)
    assert schema == pose_schema() and set(schema["properties"]["degrees"]["properties"]) == set(SMPL_JOINTS)


def test_the_example_of_the_prompt_is_a_pose() -> None:
    example = next(line for line in pose_prompt().splitlines() if line.startswith('{"format"'))
    rotations = pose_from_json(Path("answer.json"), json.loads(example)).rotations
    at = places(BodyPose(torch.zeros(1, 3), rotations[None]))
    assert float((at["right_wrist"] - at["right_shoulder"])[0, 1]) > 0
