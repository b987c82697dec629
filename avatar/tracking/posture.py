"""How people stand: priors on the posture in the direction that one camera does not see, away from it.

A lean towards the camera, a bent knee and a pitch of the camera look alike from the front. In most of a clip's frames
the trunk is upright and the knees are nearly straight; frames that deviate far (bows, squats) lose their weight by the
robust kernel. The centre of mass is above the feet in those too, and far from them only in jumps and falls. Across the
view the image decides, so nothing is said. `pose_prior.py` adds what motion capture shows of the limbs.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.arm_reach import arm_reach_term
from avatar.tracking.kinematics import PointsWithJacobian, State
from avatar.tracking.pose_prior import load_pose_prior, pose_prior_term
from avatar.tracking.problem import FitProblem
from avatar.tracking.residuals import away_from_camera, image_residual, joint_rotvecs, up_of
from avatar.tracking.solver import LinearizedResidual, Term

TRUNK_LEAN = 0.15  # radians
USUAL_LEAN = 0.05  # forward, from the pelvis to the neck: 2 to 6 degrees in standing people of the CMU database
OVERHANG = 0.035  # metres between the centre of mass and the middle of the feet
KNEE_BEND = math.radians(15.0)
USUAL_KNEE_BEND = math.radians(8.0)
ROBUST_SCALE = 2.0
BALANCE_ROBUST_SCALE = 5.0


def posture_terms(problem: FitProblem, state: State, joints: PointsWithJacobian) -> list[Term]:
    """The trunk upright, the centre of mass above the feet, the knees nearly straight; arms and the learned prior."""
    time_weight, names = problem.time_weight[:, None], problem.body.joint_names
    hips = torch.tensor([[names.index("left_hip"), names.index("right_hip")]])
    points = linear_combinations(joints, problem.standing)
    one = state.camera.new_ones(len(problem), 1, 1)
    trunk = image_residual(lean_in_depth, joints, torch.cat([problem.trunk, hips], 1), state, one * TRUNK_LEAN)
    overhang = image_residual(overhang_in_depth, points, torch.tensor([[0, 1]]), state, one * OVERHANG)
    return [
        Term("upright", trunk, time_weight, ROBUST_SCALE),
        Term("balance", overhang, time_weight, BALANCE_ROBUST_SCALE),
        Term("straight knees", knee_bend(state, problem.knees), time_weight, ROBUST_SCALE),
        pose_prior_term(load_pose_prior(), state, joints, names, problem.time_weight),
        arm_reach_term(state, joints, names, time_weight),
    ]


def lean_in_depth(
    points: Float[Tensor, "4 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "1"]:
    """Lean of the line from the first point to the second, away from the camera, beyond the usual one.

    The other two points are the left and the right hip, which tell where forward is. Data: the deviation in radians.
    """
    line, left = points[1] - points[0], points[2] - points[3]
    away, forward = away_from_camera(camera), torch.linalg.cross(left, up_of(camera))
    usual = USUAL_LEAN * (forward @ away) / (forward.norm() + 1e-6)
    lean: Tensor = (line @ away / line.norm() - usual) / data[0]
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
