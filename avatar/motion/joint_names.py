"""Which joint of a foreign skeleton is which of SMPL's: by the names of the common tools, then by the tree."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_json
from avatar.motion.joint_tree import ancestors, limbs_of_tree

SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
# Words of rigs (Mixamo, 3ds Max Biped, VRM, Rigify, Auto-Rig Pro, Daz) that do not identify the joint.
NOISE = {"mixamorig", "bip", "j", "c", "m", "x", "def", "org", "jnt", "joint", "bone", "skel", "bend", "stretch",
         "cc", "character", "ctrl"}  # fmt: skip
# Bones beside the chain that the body moves by: they never stand for one of ours.
BESIDE = {"twist", "roll", "ik", "fk", "pole", "target", "end", "nub", "tip", "heel", "helper", "dummy", "gun", "pivot",
          "effector", "site", "socket", "weapon", "buttock", "offset", "null"}  # fmt: skip

# Japanese names of MikuMikuDance; the longer ones contain the shorter ones.
JAPANESE = {"左": "Left", "右": "Right", "足首": "Ankle", "手首": "Wrist", "下半身": "LowerBody", "上半身": "Spine",
            "つま先": "Toe", "ひざ": "Knee", "ひじ": "Elbow", "センター": "Center", "足": "Thigh", "肩": "Collar",
            "腕": "UpperArm", "首": "Neck", "頭": "Head", "親": "Parent", "捩": "Twist", "ＩＫ": "Ik"}  # fmt: skip

# What names a part, in order of preference. A word of two meanings stands behind those of one.
PARTS = {
    "hip": ("upleg", "upperleg", "legupper", "thigh", "femur", "hip", "leg", "hipjoint"),
    "knee": ("lowleg", "lowerleg", "leglower", "shin", "calf", "tibia", "knee", "leg"),
    "ankle": ("ankle", "foot"),
    "foot": ("toe", "toebase", "toes", "ball", "forefoot", "foot"),
    "collar": ("collar", "clavicle", "collarbone", "scapula", "shoulder"),
    "shoulder": ("upperarm", "uparm", "uarm", "armupper", "humerus", "shldr", "arm", "shoulder"),
    "elbow": ("forearm", "lowerarm", "lowarm", "farm", "armlower", "radius", "elbow"),
    "wrist": ("wrist", "hand", "palm"),
    "hand": ("hand",),
}
VOCABULARY = {word for words in PARTS.values() for word in words} | {"buttock"}
PELVIS = ("hips", "pelvis", "hip", "lowerbody", "spinebase", "hipcenter")
ROOTS = ("root", "spine", "center", "cog")
HEADS = ("head", "face")
ARM = ("collar", "shoulder", "elbow", "wrist", "hand")
LEG = ("hip", "knee", "ankle", "foot")
NEEDED = ("pelvis",) + tuple(
    f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle", "shoulder", "elbow")
)


@dataclass(frozen=True)
class JointName:
    """A joint's name, taken apart.

    Attributes:
        side: "left", "right" or None.
        part: the words that are left, without numbers, in lower case: "upperleg".
        numbers: all numbers in it, in order; they order the joints of one part.
        beside: it is a twist, an end, or a control, and no joint of the body itself.
    """

    side: str | None
    part: str
    numbers: tuple[int, ...]
    beside: bool


def parse_names(names: Sequence[str]) -> list[JointName]:
    """All names of a skeleton, taken apart; words with which nearly all of them begin or end are dropped.

    "mixamorig:LeftUpLeg_12", "Bip01 L Thigh", "thigh.L.001", "lThighBend" and "左足" all name a thigh of the left.
    """
    split = [_words(name) for name in names]
    for at in (0, -1):
        while True:
            counts = Counter(words[at].lower() for words in split if len(words) > 1)
            word, count = counts.most_common(1)[0] if counts else ("", 0)
            is_part = word in SIDES or word in VOCABULARY or word in PELVIS + ROOTS + HEADS or word.isdigit()
            if is_part or count < 0.9 * sum(len(words) > 1 for words in split) or count < 5:
                break
            split = [words[1:] if at == 0 else words[:-1]
                     if len(words) > 1 and words[at].lower() == word else words for words in split]  # fmt: skip
    return [_parsed(words) for words in split]


def match_joints(
    path: Path,
    names: Sequence[str],
    parents: Sequence[int],
    given: dict[str, str] | None = None,
    places: Float[Tensor, "j 3"] | None = None,
) -> dict[str, int]:
    """SMPL joint name -> index in the foreign skeleton, for all joints that have a counterpart.

    Args:
        path: the file, for messages.
        names, parents: the skeleton; -1 for roots.
        given: the user's own map, SMPL joint -> name in the file; it takes precedence over everything.
        places: of the joints in some pose of the motion. With them the tree tells what the names do not.

    Raises:
        UsageError: joints needed to drive a body are missing, or the map names unknown ones.
    """
    parsed = parse_names(names)
    matches = _limbs(parsed)
    tree = limbs_of_tree(parents, places, [name.side for name in parsed]) if places is not None else {}
    _complete(matches, tree)
    matches |= _middle(parsed, parents, matches, tree)
    for ours, theirs in (given or {}).items():
        if ours not in SMPL_JOINTS or theirs not in names:
            wrong = ours if ours not in SMPL_JOINTS else theirs
            raise UsageError(
                f"The name map has the unknown name {wrong!r}: it must map names of {', '.join(SMPL_JOINTS)} to names "
                f"in {path}, which are {', '.join(names)}."
            )
        matches[ours] = list(names).index(theirs)
    missing = [name for name in NEEDED if name not in matches]
    if missing:
        raise UsageError(
            f"{path} has an unknown skeleton with the joints {', '.join(names[:80])}: give a JSON file with --map that "
            f'maps our names to these, e.g. {{"{missing[0]}": "{names[0]}"}}; required: {", ".join(missing)}.'
        )
    return matches


def read_name_map(path: Path) -> dict[str, str]:
    """A user's map from our joint names to those of an unknown skeleton.

    Raises:
        UsageError: there is no such file. AvatarError: it is not a JSON object of names.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise AvatarError(f'{path} is not a name map: it must be a JSON object such as {{"pelvis": "Hips", ...}}.')
    return content


def name_tables() -> dict[str, Any]:
    """The words by which names are recognized, for the page, whose player/joint_names.js follows the same rules."""
    return {
        "sides": SIDES, "noise": sorted(NOISE), "beside": sorted(BESIDE), "japanese": JAPANESE, "parts": PARTS,
        "vocabulary": sorted(VOCABULARY), "pelvis": PELVIS, "roots": ROOTS, "heads": HEADS,
    }  # fmt: skip


def _words(name: str) -> list[str]:
    name = re.sub(r"^.*[:|]", "", unicodedata.normalize("NFKC", name))
    for theirs, ours in JAPANESE.items():
        name = name.replace(theirs, f" {ours} ")
    name = re.sub(r"^mixamorig\d*_?", "", name)
    return re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)


def _parsed(words: Sequence[str]) -> JointName:
    numbers = tuple(int(w) for w in words if w.isdigit())
    small = [w.lower() for w in words if not w.isdigit()]
    side = next((SIDES[w] for w in small if w in SIDES), None)
    rest = [w for w in small if w not in SIDES and w not in NOISE]
    part = "".join(rest)
    if part == "hip" and "joint" in small:
        part = "hipjoint"  # the empty joint above the thigh, in CMU's files
    if side is None and part[:1] in SIDES and part[1:] in VOCABULARY:  # "lthigh", "LUArm"
        side, part = SIDES[part[0]], part[1:]
    sided_twist = side is not None and any(word in part for word in ("twist", "buttock"))
    return JointName(side, part, numbers, sided_twist or any(w in BESIDE for w in rest))


def _limbs(parsed: Sequence[JointName]) -> dict[str, int]:
    """Arms and legs by their names alone."""
    candidates: dict[tuple[str | None, str], list[int]] = defaultdict(list)
    for index in sorted(range(len(parsed)), key=lambda i: (parsed[i].numbers, i)):
        if not parsed[index].beside:
            candidates[parsed[index].side, parsed[index].part].append(index)
    matches: dict[str, int] = {}
    for side in ("left", "right"):
        words = {part for (at, part) in candidates if at == side}
        for part, choices in PARTS.items():
            for word in choices:
                indices = [i for i in candidates.get((side, word), ()) if i not in matches.values()]
                if indices and _means(word, part, words):
                    matches[f"{side}_{part}"] = indices[0]
                    break
        # "arm_L0_0", "arm_L0_1", "arm_L0_2": only the number tells.
        for word, parts in (("leg", LEG), ("arm", ARM[1:])):
            chain = candidates.get((side, word), [])
            if len(chain) >= 3 and not words & {w for w in PARTS[parts[1]] if w != word}:
                matches |= {f"{side}_{part}": index for part, index in zip(parts, chain, strict=False)}
    return matches


def _means(word: str, part: str, words: set[str]) -> bool:
    """Whether a word of two meanings, among the words of one side, means this part."""
    if word == "leg":
        shins = words & set(PARTS["knee"][:-1])
        thighs = words & set(PARTS["hip"][:6])
        return part == ("hip" if shins and not thighs else "knee")
    if word == "shoulder":
        arms = words & set(PARTS["shoulder"][:-1])
        return part == ("collar" if arms else "shoulder")
    return True


def _complete(matches: dict[str, int], tree: dict[str, int]) -> None:
    """Take a whole limb from the tree where its names leave a needed joint open."""
    for side in ("left", "right"):
        for parts in (LEG, ARM):
            limb = [f"{side}_{part}" for part in parts]
            if any(joint in NEEDED and joint not in matches for joint in limb):
                for joint in limb:
                    if limb[1] in tree:
                        matches.pop(joint, None)
                    if joint in tree:
                        matches[joint] = tree[joint]


def _middle(
    parsed: Sequence[JointName], parents: Sequence[int], limbs: dict[str, int], tree: dict[str, int]
) -> dict[str, int]:
    """Pelvis, spine, neck and head, from the chain between the pelvis and the head."""
    plain = {i: name for i, name in enumerate(parsed) if name.side is None and i not in limbs.values()}

    def named(words: Sequence[str]) -> int | None:
        return next((i for i, name in plain.items() if name.part in words and not name.beside), None)

    spines = sorted((i for i, name in plain.items() if name.part == "spine"), key=lambda i: parsed[i].numbers)
    head, neck = named(HEADS), None
    if head is None and len(spines) >= 6 and not any("neck" in name.part for name in plain.values()):
        head, neck = spines[-1], spines[-3]  # Blender's metarig calls the neck and the head spine, too
    head = tree.get("head") if head is None else head
    pelvis = named(PELVIS)
    if pelvis is None:
        pelvis = next((i for i in _above_both_legs(parents, limbs) if i in plain), None)
    if pelvis is None:
        pelvis = next((i for word in ROOTS if (i := named((word,))) is not None), None)
    if pelvis is None:
        return {}
    matches = {"pelvis": pelvis}
    end = head if head is not None else limbs.get("left_collar", limbs.get("left_shoulder", pelvis))
    below = {pelvis, *ancestors(parents, pelvis)}
    chain = [i for i in reversed(ancestors(parents, end)) if i in plain and i not in below]
    if head is not None:
        matches["head"] = head
    necks = [i for i in chain if i == neck or "neck" in parsed[i].part or i == tree.get("neck")]
    if necks:
        matches["neck"] = necks[0]
        chain = chain[: chain.index(necks[0])]
    if chain:
        matches["spine3"] = chain[-1]
    if len(chain) > 1:
        matches["spine1"] = chain[0]
    if len(chain) > 2:
        matches["spine2"] = chain[len(chain) // 2]
    return matches


def _above_both_legs(parents: Sequence[int], limbs: dict[str, int]) -> list[int]:
    """The joints from which both legs hang, the lowest first."""
    if not {"left_hip", "right_hip"} <= limbs.keys():
        return []
    left, right = (ancestors(parents, limbs[f"{side}_hip"]) for side in ("left", "right"))
    if limbs["left_hip"] in right or limbs["right_hip"] in left:
        return []
    return [i for i in right if i in left]
