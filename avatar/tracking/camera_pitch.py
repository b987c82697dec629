"""The camera's pitch from a full turn, anywhere in a clip: a standing person's lean is constant in their own frame.

A wrong pitch tilts the whole body towards or away from the camera. In the turning person's frame this tilt rotates,
while a real lean stays fixed. The part of the trunk's slope that does not rotate with the person is therefore the
camera's.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.kinematics import State, pose_chain
from avatar.tracking.problem import FitProblem
from avatar.tracking.residuals import up_of

# Maximum length of the mean unit heading; longer means that the clip shows too few sides (0: a full turn, 1: no turn).
LEAST_TURN = 0.35
# Maximum unsteady lean, radians; above it the pitch is not estimated: dancers lean freely.
STEADY = 0.08
FULL_TURN = 0.9 * 2 * math.pi  # radians between the first and the last frame of a turn within a clip
LEAST_FRAMES, MOST_S = 12, 20.0
HIDDEN = 0.1  # confidence of a hip that something hides
PITCH_FROM_TURN = 0.005  # standard deviation of the estimated pitch, radians


def pitch_from_turn(problem: FitProblem, state: State) -> float | None:
    """The camera's pitch in radians (positive: looking down), or None where the person does not turn steadily."""
    slope, heading = _slopes_and_headings(problem, state)
    visible = problem.confidence[:, problem.hips].amin(1) > HIDDEN  # elsewhere the trunk's slope is a guess
    return _pitch(slope[visible], heading[visible], state)


def pitch_from_turn_within(problem: FitProblem, state: State) -> float | None:
    """The same from the steadiest full turn that the clip contains, or None where it contains none."""
    slope, heading = _slopes_and_headings(problem, state)
    turned = torch.atan2(heading[:, 0], heading[:, 1]).diff()
    yaw = F.pad(torch.remainder(turned + math.pi, 2 * math.pi) - math.pi, (1, 0)).cumsum(0)
    best, steadiest = None, STEADY
    for start in range(len(yaw)):
        full = ((yaw[start:] - yaw[start]).abs() >= FULL_TURN).nonzero()
        if not len(full):
            break
        window = slice(start, start + int(full[0, 0]) + 1)
        if window.stop - window.start < LEAST_FRAMES or problem.times[window.stop - 1] - problem.times[start] > MOST_S:
            continue
        unsteady = constant_lean(slope[window], heading[window])[1]
        if unsteady < steadiest:
            best, steadiest = window, unsteady
    return None if best is None else _pitch(slope[best], heading[best], state)


def _slopes_and_headings(problem: FitProblem, state: State) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    """The trunk's slope, and where the person faces, both to the side and away from the camera, on level ground."""
    ends = pose_chain(problem.body, state).position[:, problem.trunk.flatten()]
    trunk = F.normalize(ends[:, 1] - ends[:, 0], dim=-1)
    level = _level_axes(state)
    return trunk @ level, F.normalize(state.rotations[:, 0, :, 2] @ level, dim=-1)


def _level_axes(state: State) -> Float[Tensor, "3 2"]:
    up = up_of(state.camera)
    side = F.normalize(torch.linalg.cross(up, up.new_tensor([0.0, 0.0, 1.0])), dim=-1)
    return torch.stack([side, torch.linalg.cross(side, up)], dim=-1)


def _pitch(slope: Float[Tensor, "n 2"], heading: Float[Tensor, "n 2"], state: State) -> float | None:
    if len(heading) < LEAST_FRAMES or float(heading.mean(0).norm()) > LEAST_TURN:
        return None
    tilt, unsteady = constant_lean(slope, heading)
    if unsteady > STEADY:
        return None
    corrected = F.normalize(up_of(state.camera) + _level_axes(state) @ tilt, dim=-1)
    return float(-torch.asin(corrected[2]))


def constant_lean(slope: Tensor, heading: Tensor) -> tuple[Tensor, float]:
    """Split slopes (n, 2) into a constant part and one that rotates with the headings (n, 2), by least squares.

    Returns the constant part (2,) and the standard deviation of the residual.
    """
    cosine, sine = heading.unbind(-1)
    rotating = torch.stack([torch.stack([cosine, -sine], -1), torch.stack([sine, cosine], -1)], dim=1)
    constant = torch.eye(2, dtype=slope.dtype).expand(len(slope), 2, 2)
    unknowns = torch.cat([constant, rotating], dim=2).flatten(0, 1)
    solution = torch.linalg.lstsq(unknowns, slope.flatten()).solution
    return solution[:2], float((unknowns @ solution - slope.flatten()).std())
