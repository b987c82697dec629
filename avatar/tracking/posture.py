"""How people stand: priors on the posture in the direction that one camera does not see, away from it.

A lean towards the camera, a bent knee and a pitch of the camera look alike from the front. In most of a clip's frames
the trunk is upright, the knees are nearly straight and the centre of mass is above the feet; frames that deviate far
(bows, squats, jumps) lose their weight by the robust kernel. Across the view the image decides, so nothing is said.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.kinematics import PointsWithJacobian, State
from avatar.tracking.problem import FitProblem
from avatar.tracking.residuals import away_from_camera, image_residual, joint_rotvecs
from avatar.tracking.solver import LinearizedResidual, Term

TRUNK_LEAN = 0.15  # radians
OVERHANG = 0.06  # metres between the centre of mass and the middle of the feet
KNEE_BEND = math.radians(15.0)
USUAL_KNEE_BEND = math.radians(8.0)
ROBUST_SCALE = 2.0


def posture_terms(problem: FitProblem, state: State, joints: PointsWithJacobian) -> list[Term]:
    """The trunk upright, the centre of mass above the feet and the knees nearly straight, each robustly."""
    time_weight = problem.time_weight[:, None]
    points = linear_combinations(joints, problem.standing)
    one = state.camera.new_ones(len(problem), 1, 1)
    trunk = image_residual(lean_in_depth, joints, problem.trunk, state, one * TRUNK_LEAN)
    overhang = image_residual(overhang_in_depth, points, torch.tensor([[0, 1]]), state, one * OVERHANG)
    return [
        Term("upright", trunk, time_weight, ROBUST_SCALE),
        Term("balance", overhang, time_weight, ROBUST_SCALE),
        Term("straight knees", knee_bend(state, problem.knees), time_weight, ROBUST_SCALE),
    ]


def lean_in_depth(
    points: Float[Tensor, "2 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "1"]:
    """Lean of the line from the first point to the second, away from the camera. Data: the deviation in radians."""
    line = points[1] - points[0]
    lean: Tensor = line @ away_from_camera(camera) / line.norm() / data[0]
    return lean[None]


def overhang_in_depth(
    points: Float[Tensor, "2 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "1"]:
    """How far the first point lies beyond the second, away from the camera. Data: the deviation in metres."""
    overhang: Tensor = (points[0] - points[1]) @ away_from_camera(camera) / data[0]
    return overhang[None]


def knee_bend(state: State, knees: Tensor) -> LinearizedResidual:
    """Bend of each knee, compared with the usual one, in standard deviations."""
    rotvecs = joint_rotvecs(state, knees)
    bend = (rotvecs.value[..., :1] - USUAL_KNEE_BEND) / KNEE_BEND
    return LinearizedResidual(bend, {0: rotvecs.jac_frame[0][:, :, :1] / KNEE_BEND}, None)


def linear_combinations(points: PointsWithJacobian, weights: Float[Tensor, "q p"]) -> PointsWithJacobian:
    """Weighted sums of points, such as a centre of mass."""
    return PointsWithJacobian(
        torch.einsum("qp,npa->nqa", weights, points.x),
        torch.einsum("qp,npad->nqad", weights, points.jac_frame),
        torch.einsum("qp,npak->nqak", weights, points.jac_shared),
    )
