"""One person before two standing cameras whose places and clocks are known, made up for the tests."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from avatar.body import Body
from avatar.geometry import rotation_from_rotvec
from avatar.tracking.kinematics import State
from avatar.types import Observations

from .synthetic import observed, truth

# The second camera stands to the side of the first; both look at the person, 2.6 m away.
R_SIDE = rotation_from_rotvec(torch.tensor([0.0, 1.2, 0.0], dtype=torch.float64))
MIDDLE = torch.tensor([0.0, 0.0, 2.6], dtype=torch.float64)
T_SIDE = MIDDLE - R_SIDE @ MIDDLE


def moving(body: Body, times: torch.Tensor, pitch: float = 0.0, repeats: bool = False) -> State:
    """A person who swings arms and legs, as they are at some times.

    Args:
        repeats: whether the motion repeats every second; otherwise nothing repeats.
    """
    state = truth(body, len(times), 0.0, pitch=pitch, moving=0.0)
    rotvec = torch.zeros(len(times), len(body.parents), 3, dtype=torch.float64)
    names = ("shoulder", "elbow", "hip", "knee")
    for number, name in enumerate(f"{side}_{part}" for side in ("left", "right") for part in names):
        rate = 1.0 if repeats else 0.5 + 0.17 * number
        swing = torch.sin(2 * math.pi * (rate * times + 0.1 * number))
        rotvec[:, body.joint_names.index(name), number % 2] = 0.4 * swing
    rotations = state.rotations @ rotation_from_rotvec(rotvec)
    return replace(state, rotations=rotations, position=MIDDLE.expand(len(times), 3))


def from_the_side(state: State) -> State:
    """The person as they stand before the second camera."""
    rotations = state.rotations.clone()
    rotations[:, 0] = R_SIDE @ rotations[:, 0]
    return replace(state, position=state.position @ R_SIDE.T + T_SIDE, rotations=rotations)


def filmed(body: Body, state: State, times: torch.Tensor, name: str, seed: int) -> Observations:
    """What a detector finds in a video, whose clock shows these times."""
    return replace(observed(body, state, 0.5, seed, several_cameras=True), times=times.float(), source=name)
