"""Fingers of foreign skeletons: which bones they are, and their rotations away from the straight hand.

Finger bones are followed by the places of their joints: skeletons rest with straight or curled fingers, and name and
turn them in many ways, but a bone points where it points. What a bone turns about itself is left out. Only a last bone
whose end the file does not hold turns as its joint does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.hand_angles import AIMS, relaxed_fingers
from avatar.body.skeleton import FINGER_JOINTS
from avatar.geometry import shortest_rotation
from avatar.motion.joint_names import JointName, parse_names
from avatar.motion.joint_tree import ancestors

# Words in the names of finger bones. A word that is part of another stands behind it.
WORDS = {
    "thumb": ("thumb", "pollex"), "index": ("index", "pointer", "fore"), "middle": ("middle", "mid"),
    "ring": ("ring",), "pinky": ("pinky", "pinkie", "little", "small"),
}  # fmt: skip
NUMBERED = ("thumb", "index", "middle", "ring", "pinky")  # of 3ds Max' Biped: Finger0, Finger01, Finger1, ...
PALM_BONES = ("metacarpal", "carpal", "inhand", "palm")  # bones of the palm before a finger; the thumb's is its first


def match_fingers(names: Sequence[str], parents: Sequence[int], wrists: dict[str, int]) -> dict[str, list[int]]:
    """Finger such as "left_index" -> its joints from the knuckle outwards, at least two; a fourth is its end.

    Args:
        names, parents: of the joints of the skeleton.
        wrists: "left" and "right" -> the joint of that wrist.
    """
    parsed = parse_names(names)
    chains: dict[str, list[int]] = {}
    for side, wrist in wrists.items():
        paths = {joint: ancestors(parents, joint) for joint in range(len(parsed))}
        below = sorted((len(path), joint) for joint, path in paths.items() if wrist in path)
        for _, joint in below:
            finger = _finger(parsed[joint], names[joint])
            if finger is None and parents[joint] in (chain := _chain_of(chains, side, parents[joint])):
                chain.append(joint)  # an end without a name of its own
            elif finger is not None:
                chains.setdefault(f"{side}_{finger}", []).append(joint)
    branches = {name: _one_branch(chain, parents) for name, chain in chains.items()}
    return {name: chain[:4] for name, chain in branches.items() if len(chain) >= 2}


def _chain_of(chains: dict[str, list[int]], side: str, joint: int) -> list[int]:
    return next((chain for name, chain in chains.items() if name.startswith(side) and joint in chain), [])


def _one_branch(chain: list[int], parents: Sequence[int]) -> list[int]:
    """The joints of a chain that hang one on the other, from its first on."""
    branch = chain[:1]
    for joint in chain[1:]:
        if parents[joint] == branch[-1]:
            branch.append(joint)
    return branch


def _finger(name: JointName, written: str) -> str | None:
    """The finger that a joint of a hand belongs to."""
    finger = next((finger for finger, words in WORDS.items() if any(word in name.part for word in words)), None)
    numbered = re.search(r"finger[ _]?([0-4])", written.lower())
    if finger is None and numbered is not None:
        finger = NUMBERED[int(numbered[1])]
    if finger != "thumb" and any(word in name.part for word in PALM_BONES):
        return None
    return finger


def finger_rotations_of_bones(
    chains: dict[str, list[int]],
    places: Float[Tensor, "t j 3"],
    rotations: Float[Tensor, "t j 3 3"],
    rest_rotations: Float[Tensor, "j 3 3"],
    wrists: dict[str, Float[Tensor, "t 3 3"]],
) -> Float[Tensor, "t 30 3 3"] | None:
    """Rotations for `BodyPose.fingers` that point each bone where the file's points; None without fingers.

    Args:
        chains: from `match_fingers`.
        places, rotations: of all joints of the file, in our axes; rest_rotations: in its own.
        wrists: rotations of our wrists in the world, by side.
    """
    if not chains:
        return None
    fingers = relaxed_fingers().double().expand(len(places), 30, 3, 3).clone()
    for name, chain in chains.items():
        side, finger = name.split("_")
        straight, above = _straight(side, finger), wrists[side]
        for bone, (one, two) in enumerate(pairwise(chain)):
            pointing = F.normalize(places[:, two] - places[:, one], dim=-1)
            swung = shortest_rotation(above @ straight, pointing) @ above
            fingers[:, FINGER_JOINTS.index(f"{name}{bone + 1}")] = above.mT @ swung
            above = swung
        if 2 <= len(chain) <= 3:
            one, two = chain[-2:]
            bent = rotations[:, two] @ rest_rotations[two].mT @ rest_rotations[one] @ rotations[:, one].mT
            fingers[:, FINGER_JOINTS.index(f"{name}{len(chain)}")] = above.mT @ bent @ above
    return fingers


def _straight(side: str, finger: str) -> Float[Tensor, " 3"]:
    """Direction of a finger of the straight hand in the T-pose."""
    aim = math.radians(AIMS[("index", "middle", "pinky", "ring", "thumb").index(finger)])
    x = math.cos(aim) * (1 if side == "left" else -1)
    return torch.tensor([x, 0.0, math.sin(aim)], dtype=torch.float64)
