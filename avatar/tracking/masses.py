"""Where the mass of a person lies, and on what it stands."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

# Masses of body parts, each at a joint (after Winter 2009, halved at both ends of a bone); feet come last.
MASSES = {
    "head": 0.08, "left_shoulder": 0.14, "right_shoulder": 0.14, "left_elbow": 0.03, "right_elbow": 0.03,
    "left_wrist": 0.015, "right_wrist": 0.015, "left_hip": 0.175, "right_hip": 0.175, "left_knee": 0.075,
    "right_knee": 0.075, "left_ankle": 0.03, "right_ankle": 0.03, "left_foot": 0.005, "right_foot": 0.005,
}  # fmt: skip
FEET = ("left_ankle", "right_ankle", "left_foot", "right_foot")


def standing_weights(joint_names: tuple[str, ...]) -> Float[Tensor, "2 j"]:
    """The weights of the joints in the centre of mass and in the middle of the feet."""
    weights = torch.zeros(2, len(joint_names), dtype=torch.float64)
    for name, mass in MASSES.items():
        weights[0, joint_names.index(name)] = mass
    for name in FEET:
        weights[1, joint_names.index(name)] = 1.0
    return weights / weights.sum(1, keepdim=True)
