"""The spring bones of loose clothes and hair as players read them."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from avatar.model.diffused_skinning import STRONGEST
from avatar.model.spring_bones import SpringRig
from avatar.model.spring_motion import physics_table

DIGITS = 6


def spring_table(springs: SpringRig, joint_names: tuple[str, ...]) -> dict[str, Any]:
    """The nodes, what carries them and what they may not enter, and the numbers of the simulation.

    Args:
        springs: on the body's joints; joint_names: of that body.
    """
    bones = springs.bones
    weights, joints = springs.weights.topk(STRONGEST, dim=1)
    return {
        "places": _rounded(bones.places),
        "above": list(bones.above),
        "beside": [list(pair) for pair in bones.beside],
        "lengths": _rounded(bones.length),
        "bones": joints.tolist(),
        "weights": _rounded(weights),
        "capsules": [[joint_names.index(name) for name in pair] for pair in bones.capsules],
        "clearance": _rounded(bones.clearance),
        "physics": physics_table(),
    }


def _rounded(values: Tensor) -> Any:
    if values.dim() > 1:
        return [_rounded(row) for row in values]
    return [round(value, DIGITS) for value in values.tolist()]
