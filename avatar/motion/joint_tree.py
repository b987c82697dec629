"""The limbs of a skeleton from its tree alone: two legs at the pelvis, above it two arms, a neck and a head.

A limb is the pair of longest bones that follow one another in a chain, so collars, empty joints and fingers need no
names. Left and right come from any name in the limb that tells, or else from where the toes point.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

LIKE = 1.15  # both limbs of a pair are equally long, up to this factor
BALANCE = 2.0  # the two bones of a limb differ by less than this factor
SHORTEST = 1e-3  # of the longest bone: below it a joint adds nothing to a chain


def ancestors(parents: Sequence[int], joint: int) -> list[int]:
    """The joints above a joint, from its parent to the root."""
    above = []
    joint = parents[joint]
    while joint >= 0 and joint not in above:
        above.append(joint)
        joint = parents[joint]
    return above


def limbs_of_tree(parents: Sequence[int], places: Float[Tensor, "j 3"], sides: Sequence[str | None]) -> dict[str, int]:
    """SMPL joint name -> index, for the pelvis, legs, arms, neck and head that the tree shows; empty if it does not.

    Args:
        parents: of each joint, -1 for roots.
        places: of the joints in some pose, in any unit.
        sides: of each joint as far as its name tells.
    """
    tree = _Tree(parents, places)
    pairs = {joint: pair for joint in range(len(parents)) if (pair := tree.pair(joint))}
    # The lowest pair that has another above it which is not part of its own limbs: legs and arms.
    for pelvis in sorted(pairs, key=tree.depth):
        legs = pairs[pelvis]
        inside = {j for leg in legs for j in tree.below(leg.path[0])}
        chests = [j for j in pairs if j != pelvis and j not in inside and pelvis in ancestors(parents, j)]
        if chests:
            chest = min(chests, key=tree.depth)
            return _named(tree, pelvis, chest, (legs, pairs[chest]), sides)
    return {}


class _Limb:
    """A chain of joints; `start` is where its two longest bones begin."""

    def __init__(self, path: list[int], bones: list[float]) -> None:
        self.path = path
        self.start = max(range(len(bones) - 1), key=lambda i: bones[i] + bones[i + 1])
        self.lengths = bones[self.start], bones[self.start + 1]

    def like(self, other: _Limb) -> bool:
        pairs = zip(self.lengths, other.lengths, strict=True)
        return all(1 / LIKE < a / b < LIKE for a, b in pairs) and self.start == other.start

    @property
    def joints(self) -> list[int]:
        """The joint before the two bones if there is one, the three that they join, and the one after."""
        return self.path[self.start :]


class _Tree:
    def __init__(self, parents: Sequence[int], places: Float[Tensor, "j 3"]) -> None:
        self.parents, self.places = parents, places.double()
        self.children: list[list[int]] = [[] for _ in parents]
        for joint, parent in enumerate(parents):
            if parent >= 0:
                self.children[parent].append(joint)
        self.bones = [float((self.places[j] - self.places[p]).norm()) if p >= 0 else 0.0 for j, p in enumerate(parents)]

    def depth(self, joint: int) -> int:
        return len(ancestors(self.parents, joint))

    def below(self, joint: int) -> list[int]:
        return [joint] + [j for child in self.children[joint] for j in self.below(child)]

    def reach(self, joint: int) -> float:
        """Length of the longest chain below a joint."""
        return max((self.bones[c] + self.reach(c) for c in self.children[joint]), default=0.0)

    def limb(self, joint: int) -> _Limb | None:
        """The longest chain that begins with a joint, if two of its bones could be those of an arm or a leg."""
        path, bones = [joint], []
        while self.children[path[-1]]:
            path.append(max(self.children[path[-1]], key=lambda c: self.bones[c] + self.reach(c)))
            bones.append(self.bones[path[-1]])
        while len(bones) > 1 and bones[0] < SHORTEST * max(bones):  # an empty joint above the limb
            path, bones = path[1:], bones[1:]
        if len(bones) < 2:
            return None
        limb = _Limb(path, bones)
        a, b = limb.lengths
        return limb if min(a, b) > 0 and max(a, b) < BALANCE * min(a, b) else None

    def pair(self, joint: int) -> tuple[_Limb, _Limb] | None:
        """The two longest of the limbs at a joint that are alike."""
        limbs = [limb for child in self.children[joint] if (limb := self.limb(child))]
        alike = [(a, b) for a, b in combinations(limbs, 2) if a.like(b)]
        return max(alike, key=lambda pair: sum(pair[0].lengths), default=None)


def _named(
    tree: _Tree, pelvis: int, chest: int, pairs: tuple[tuple[_Limb, _Limb], ...], sides: Sequence[str | None]
) -> dict[str, int]:
    matches = {"pelvis": pelvis}
    inside = {j for pair in pairs for limb in pair for j in tree.below(limb.path[0])}
    heads = [child for child in tree.children[chest] if child not in inside]
    if heads:
        path = [max(heads, key=tree.reach)]
        while len(path) < 2 and tree.children[path[-1]]:
            path.append(max(tree.children[path[-1]], key=tree.reach))
        matches |= {"head": path[-1]} | ({"neck": path[0]} if len(path) > 1 else {})
    left = _left(tree, pelvis, chest, pairs[0])
    for limbs, parts in zip(pairs, (("hip", "knee", "ankle", "foot"), ("shoulder", "elbow", "wrist")), strict=True):
        named = [next((s for j in limb.path if (s := sides[j])), None) for limb in limbs]
        if named[0] == named[1] or None in named:
            if left is None:
                return {}
            across = tree.places[limbs[0].joints[0]] - tree.places[limbs[1].joints[0]]
            named = ["left", "right"] if float(across @ left) > 0 else ["right", "left"]
        for side, limb in zip(named, limbs, strict=True):
            matches |= {f"{side}_{part}": j for part, j in zip(parts, limb.joints, strict=False)}
            if parts[0] == "shoulder" and limb.start:
                matches[f"{side}_collar"] = limb.path[limb.start - 1]
    return matches


def _left(tree: _Tree, pelvis: int, chest: int, legs: tuple[_Limb, _Limb]) -> Float[Tensor, " 3"] | None:
    """Where the left is: across the trunk and the toes; None if the feet have no toes that point forwards."""
    up = torch.nn.functional.normalize(tree.places[chest] - tree.places[pelvis], dim=0)
    toes = [tree.places[leg.joints[3]] - tree.places[leg.joints[2]] for leg in legs if len(leg.joints) > 3]
    if not toes:
        return None
    forward = torch.stack(toes).mean(0)
    forward = forward - (forward @ up) * up
    if float(forward.norm()) < 0.05 * sum(legs[0].lengths):
        return None
    left: Tensor = torch.linalg.cross(up, forward)
    return left
