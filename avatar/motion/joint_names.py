"""Which joint of a foreign skeleton is which of SMPL's, from the joint names of the common tools."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_json

SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
# Prefixes of rigs (Mixamo, 3ds Max Biped, VRM, Rigify, Character Creator) that do not identify the joint.
NOISE = {"mixamorig", "bip", "j", "c", "def", "org", "jnt", "joint", "skel", "cc", "base", "character", "ctrl"}

PARTS = {
    "hip": ("upleg", "upperleg", "thigh", "hip"),
    "knee": ("leg", "lowleg", "lowerleg", "shin", "calf", "knee"),
    "ankle": ("ankle", "foot"),
    "foot": ("toe", "toebase", "toes", "ball", "foot"),
    "collar": ("collar", "clavicle", "collarbone", "shoulder"),
    "shoulder": ("arm", "upperarm", "uparm", "shoulder"),
    "elbow": ("forearm", "lowerarm", "lowarm", "elbow"),
    "wrist": ("wrist", "hand"),
    "hand": ("hand",),
}
PELVIS = ("hips", "pelvis", "hip")
NEEDED = ("pelvis",) + tuple(
    f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle", "shoulder", "elbow")
)


def tokens(name: str) -> tuple[str | None, str]:
    """Side ("left", "right" or None) and the rest of a name: "mixamorig:LeftUpLeg" -> ("left", "upleg")."""
    name = re.sub(r"^.*[:|]", "", name)
    name = re.sub(r"^mixamorig\d*_?", "", name)
    words = [w.lower() for w in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+", name)]
    # "Bip01 L Thigh" and "thigh_l" write the side as a word of its own, "lThigh" too once it is taken apart.
    side = next((SIDES[w] for w in words if w in SIDES), None)
    rest = [w for w in words if w not in SIDES and w not in NOISE]
    while rest and rest[0].isdigit():
        rest.pop(0)
    return side, "".join(rest)


def match_joints(
    path: Path, names: Sequence[str], parents: Sequence[int], given: dict[str, str] | None = None
) -> dict[str, int]:
    """SMPL joint name -> index in the foreign skeleton, for all joints that have a counterpart.

    Args:
        path: the file, for messages.
        names, parents: the skeleton; -1 for roots.
        given: the user's own map, SMPL joint -> name in the file; it takes precedence over the guess.

    Raises:
        UsageError: joints needed to drive a body are missing, or the map names unknown ones.
    """
    matches = _limbs(names) | _middle(names, parents)
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


def _limbs(names: Sequence[str]) -> dict[str, int]:
    by_token = {tokens(name): index for index, name in reversed(list(enumerate(names)))}
    matches: dict[str, int] = {}
    for side in ("left", "right"):
        for part, words in PARTS.items():
            for word in words:
                index = by_token.get((side, word))
                # "foot" is the ankle where no "ankle" is, and "shoulder" the collar where an "arm" follows.
                if index is not None and index not in matches.values() and not _claimed(word, part, side, by_token):
                    matches[f"{side}_{part}"] = index
                    break
    return matches


def _claimed(word: str, part: str, side: str, by_token: dict[tuple[str | None, str], int]) -> bool:
    """Whether a word with two meanings means another part of this skeleton."""
    arms = any((side, w) in by_token for w in ("arm", "upperarm", "uparm"))
    collars = any((side, w) in by_token for w in ("collar", "clavicle", "collarbone"))
    if word == "shoulder":
        return arms == (part == "shoulder") and (arms or collars or part == "collar")
    return False


def _middle(names: Sequence[str], parents: Sequence[int]) -> dict[str, int]:
    """Pelvis, spine, neck and head, from the chain between the pelvis and the head."""
    parts = [tokens(name) for name in names]
    plain = [part for side, part in parts if side is None]
    matches: dict[str, int] = {}
    pelvis = next((parts.index((None, word)) for word in PELVIS if word in plain), None)
    head = parts.index((None, "head")) if "head" in plain else None
    if pelvis is None:
        return matches
    matches["pelvis"] = pelvis
    if head is None:
        return matches
    matches["head"] = head
    chain: list[int] = []
    joint = parents[head]
    while joint not in (-1, pelvis):
        chain.insert(0, joint)
        joint = parents[joint]
    neck = [j for j in chain if parts[j][1].startswith("neck")]
    spine = [j for j in chain if j not in neck]
    if neck:
        matches["neck"] = neck[0]
    if spine:
        matches["spine3"] = spine[-1]
    if len(spine) > 1:
        matches["spine1"] = spine[0]
    if len(spine) > 2:
        matches["spine2"] = spine[len(spine) // 2]
    return matches
