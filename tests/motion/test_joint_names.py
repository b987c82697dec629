"""Joint names of the rigs that people use, each on a figure whose truth is that of `rigs.py`.

The names are facts about the tools; the figures are made here.
"""

from pathlib import Path

import numpy as np
import pytest

from avatar.errors import UsageError
from avatar.motion import ReadOptions, load_motion
from avatar.motion.formats.bvh import parse_bvh
from avatar.motion.joint_names import NEEDED, match_joints, parse_names
from avatar.motion.joint_tree import limbs_of_tree
from tests.motion.rigs import PLACES, Rig, walk, write_rig
from tests.motion.test_skeletons import check_read, random_frames

MIDDLE = ("pelvis", "spine1", "spine2", "spine3", "neck", "head")
PARTS = ("collar", "shoulder", "elbow", "wrist", "hip", "knee", "ankle", "foot")


def rigs() -> dict[str, dict[str, str]]:
    """For each rig of the table: our joint -> its name there."""
    table = {}
    lines = (Path(__file__).parent / "data/rigs.txt").read_text(encoding="utf-8").splitlines()
    for line in (line for line in lines if not line.startswith("#")):
        rig, middle, limb, parts, sides, whole = line.split(" | ")
        names = dict(zip(MIDDLE, middle.split(","), strict=True))
        for side, short in zip(("left", "right"), sides.split(), strict=True):
            for part, theirs in zip(PARTS, parts.split(), strict=True):
                # A space stands for the words of Xsens and of "words apart"; others write the underscore itself.
                spaced = theirs.replace("_", " ") if " " in limb else theirs
                names[f"{side}_{part}"] = limb.replace("{p}", spaced).replace("{s}", short)
        table[rig] = {joint: whole.format(name=name, n=n) for n, (joint, name) in enumerate(names.items())}
    return table


RIGS = rigs()


@pytest.mark.parametrize("name", RIGS)
def test_rigs_of_common_tools_are_read(tmp_path: Path, name: str) -> None:
    truth = walk(frames=12)
    write_rig(tmp_path / "a.bvh", Rig(names=RIGS[name]), truth)
    check_read(load_motion(tmp_path / "a.bvh"), truth)
    animation = parse_bvh(tmp_path / "a.bvh", (tmp_path / "a.bvh").read_text(encoding="utf-8"))
    matches = match_joints(tmp_path / "a.bvh", animation.names, animation.parents)
    for joint in NEEDED:
        assert animation.names[matches[joint]] == RIGS[name][joint], joint


def test_controls_twists_and_ends_are_no_joints_of_the_body() -> None:
    names = ["root", "ik_foot_l", "ik_hand_l", "pelvis", "spine_01", "neck_01", "head", *(
        f"{part}_{side}" for side in "lr"
        for part in ("thigh_twist_01", "thigh", "calf_twist", "calf", "foot", "foot_end", "upperarm",
                     "upperarm_twist_01", "lowerarm", "hand")
    )]  # fmt: skip
    matches = match_joints(Path("x"), names, [-1, *range(len(names) - 1)])
    assert {joint: names[matches[joint]] for joint in ("left_hip", "left_ankle", "left_wrist", "left_shoulder")} == {
        "left_hip": "thigh_l", "left_ankle": "foot_l", "left_wrist": "hand_l", "left_shoulder": "upperarm_l",
    }  # fmt: skip


def test_sides_words_and_numbers_of_names() -> None:
    parsed = parse_names(
        ["mixamorig:LeftUpLeg_12", "Bip01 L Thigh", "thigh.R.001", "rThighBend", "左足", "CenterOfMass"]
    )
    assert [(name.side, name.part) for name in parsed] == [
        ("left", "upleg"), ("left", "thigh"), ("right", "thigh"), ("right", "thigh"), ("left", "thigh"),
        (None, "centerofmass"),
    ]  # fmt: skip


@pytest.mark.parametrize("rig", ["plain", "tangle", "extra joints"])
def test_the_tree_tells_what_names_do_not(tmp_path: Path, rig: str) -> None:
    """Names without any meaning: limbs by their bones, sides by the toes."""
    figure = random_frames(3) if rig == "tangle" else Rig()
    if rig == "extra joints":
        for side, sign in (("left", 1.0), ("right", -1.0)):
            figure = figure.with_joint(f"{side}_empty", "pelvis", PLACES["pelvis"], (f"{side}_hip",))
            for finger, z in (("a", 0.03), ("b", 0.0), ("c", -0.03)):
                for knuckle, x in enumerate((0.8, 0.84, 0.87)):
                    above = f"{side}_wrist" if not knuckle else f"{side}_{finger}{knuckle - 1}"
                    figure = figure.with_joint(f"{side}_{finger}{knuckle}", above, (x * sign, 1.45, z), ())
    codes = {joint: f"bone{number:03d}" for number, joint in enumerate(figure.places)}
    truth = walk(figure, frames=12)
    figure = Rig(places=figure.places, parents=figure.parents, names=codes, frames=figure.frames)
    write_rig(tmp_path / "a.bvh", figure, truth)
    check_read(load_motion(tmp_path / "a.bvh"), truth)


def test_without_names_and_toes_nobody_knows_left_from_right(tmp_path: Path) -> None:
    places = {joint: place for joint, place in PLACES.items() if not joint.endswith("foot")}
    parents = {joint: above for joint, above in Rig().parents.items() if joint in places}
    codes = {joint: f"bone{number:03d}" for number, joint in enumerate(places)}
    truth = walk(Rig(places=places, parents=parents), frames=4)
    write_rig(tmp_path / "a.bvh", Rig(places=places, parents=parents, names=codes), truth)
    with pytest.raises(UsageError, match="unknown skeleton with the joints bone000"):
        load_motion(tmp_path / "a.bvh")
    given = {joint: codes[joint] for joint in NEEDED}
    motion = load_motion(tmp_path / "a.bvh", ReadOptions(names=given))
    assert motion.check is not None and motion.check.worst_degrees < 0.5


def test_a_tree_without_two_pairs_of_limbs_shows_nothing() -> None:
    import torch

    assert limbs_of_tree([-1, 0, 1, 2], torch.from_numpy(np.eye(4, 3)), [None] * 4) == {}
