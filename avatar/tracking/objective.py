"""The fit on one page: the terms with their standard deviations, and the stages that use them.

All deviations are in natural units (metres, seconds, radians; pixels relative to the person's height in the image) and
independent of the frame rate: sums over frames are weighted by the time that a frame stands for, so 30, 60 or unevenly
spaced frames per second give the same result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.dense import DenseMatches
from avatar.tracking.depth import DepthReadings
from avatar.tracking.initialization import CAMERA_HEIGHT_M
from avatar.tracking.joint_priors import joint_limit, rest_pose
from avatar.tracking.kinematics import (
    KinematicChain,
    PointsWithJacobian,
    SkinnedPoints,
    State,
    move_points,
    pose_chain,
    surface_points,
)
from avatar.tracking.optical_flow import Flow
from avatar.tracking.posture import posture_terms
from avatar.tracking.problem import FitProblem, OtherView
from avatar.tracking.residuals import (
    angular_velocity,
    bone_direction,
    depth_error,
    floor_distance,
    image_residual,
    lift_point_residual,
    point_positions,
    point_to_contour,
    pose_constancy,
    reprojection,
    reprojection_with_pitch_bias,
    shared_unknowns,
)
from avatar.tracking.silhouette import SilhouetteMatches
from avatar.tracking.solver import LinearizedResidual, Term
from avatar.tracking.vertical_lines import CameraTilt


@dataclass(frozen=True)
class Stage:
    """One pass of the solver. The numbers are standard deviations; infinity drops the term.

    Attributes:
        steps: maximum number of damped Newton steps.
        pixel: landmarks in the image, relative to the person's height in it.
        pixel_robust_scale: deviations beyond which a landmark counts as an outlier.
        direction: the detector's own 3D bone directions, radians.
        angular_velocity: of a joint relative to its parent, radians per second.
        acceleration: of every joint in space, metres per second squared, beyond what is visible in the image.
        offset: factor on the spread of the landmarks' places on the body.
        shape: of each shape coefficient.
        silhouette: distance of the body's outline from the mask's contour, relative to the person's height in the
            image. Outline and flow are matched again before each stage that has this term.
    """

    name: str
    steps: int
    pixel: float
    pixel_robust_scale: float
    direction: float
    angular_velocity: float
    acceleration: float
    offset: float
    shape: float
    silhouette: float = math.inf


SCHEDULE = (
    Stage("place", 8, 0.02, math.inf, 0.2, 3.0, 5.0, 0.5, 0.3),
    Stage("limbs", 12, 0.012, 4.0, 0.3, 3.0, 5.0, 0.5, 1.0),
    *[Stage("whole clip", 5, 0.010, 3.0, 0.5, 2.0, 5.0, 1.0, 1.0, 0.01)] * 2,
)

# Standard deviations that hold in every stage.
ANGULAR_ACCELERATION = 20.0  # of the whole body, rad/s^2
# Of each joint of spine, head and arms relative to its parent, rad/s^2: places of joints alone leave a head that
# trembles, since none lies beyond it.
SWING, SWING_ROBUST_SCALE = 10.0, 3.0
FOCAL = 0.001  # of log focal length: nearly fixed, whether given by the user or assumed
# The same for a person who turns, whose near and far limbs constrain it too. On m_floral's turn the assumed length is
# 2.4 % too short; a deviation of 3 % makes it 2.5 % too long, this one 0.7 %.
FOCAL_IN_TURN = 0.02
# Of each joint from its mean over the clip, for a person who makes a full turn: they hold one pose and may step.
# Otherwise detector errors that depend on the viewing side bend the joints once per turn.
POSE_CONSTANCY = math.radians(5.0)
USUAL_PITCH = 0.07  # phones are held at chest height and look down a little
PITCH = 0.08  # of the camera, radians, where nothing tells it
ROLL = 0.02
CAMERA_HEIGHT = 0.5
SILHOUETTE_WEIGHT = 0.3  # of each point: errors of neighbours on an outline are correlated
FLOW = 0.002  # motion of a surface point between instants, relative to the person's height in the image
# The change of that motion from one instant to the next. Shading that does not turn with a person biases the flow, and
# the bias changes slowly.
FLOW_CHANGE = 0.0014
FLOW_WEIGHT = 0.4  # of each point: errors of neighbours on the surface are correlated
DEPTH = 0.015  # of the measured depth of a point on the surface, metres
DENSE_ROBUST_SCALE = 4.0  # detectors are wrong about whole parts
DENSE_WEIGHT = 1.0  # of each pixel of a dense detector
DEPTH_WEIGHT = 0.3  # of each point: errors of neighbours on the surface are correlated
# Of the distance from the rest pose, where depth was measured: it straightens limbs that one camera does not see bend.
REST_BESIDE_DEPTH = 0.3
METRIC_PATH = 0.01  # of the logarithm of the scale of a camera's path in metres, beside measured depth
SHAPE_CONSTRAINT = 0.02  # of the user's other shape attributes, relative to the range of each
FLOOR = 0.02  # metres between sole and floor
# Speed of a planted sole, metres per second. Faster soles are in swing, and the robust scale reduces their weight.
PLANTED = 0.15
PLANTED_ROBUST_SCALE = 2.0


def residual_terms(
    problem: FitProblem, stage: Stage, matches: SilhouetteMatches | None, flow: Flow | None, state: State
) -> list[Term]:
    """All residuals of one stage at `state`."""
    chain = pose_chain(problem.body, state)
    joints = move_points(chain, state, problem.joints)
    return [
        *_image_terms(problem, stage, matches, state, chain, joints),
        *_temporal_terms(problem, stage, flow, state, chain, joints),
    ]


def per_image_terms(problem: FitProblem, stage: Stage, matches: SilhouetteMatches | None, state: State) -> list[Term]:
    """The terms that also hold for images from different cameras: no temporal terms, no floor, no upright trunk."""
    chain = pose_chain(problem.body, state)
    return _image_terms(problem, stage, matches, state, chain, move_points(chain, state, problem.joints))


def pose_terms(problem: FitProblem, stage: Stage, state: State) -> list[Term]:
    """The terms that tell how likely the pose of each frame by itself is.

    The distance from the rest pose is not among them: it only steadies the solver, and would straighten bent elbows.
    """
    chain = pose_chain(problem.body, state)
    joints = move_points(chain, state, problem.joints)
    terms = [*_image_terms(problem, stage, None, state, chain, joints), *posture_terms(problem, state, joints)]
    return [term for term in terms if term.name != "rest pose"]


def _image_terms(
    problem: FitProblem,
    stage: Stage,
    matches: SilhouetteMatches | None,
    state: State,
    chain: KinematicChain,
    joints: PointsWithJacobian,
) -> list[Term]:
    time_weight = problem.time_weight[:, None]
    image_weight = time_weight * problem.frame_weight[:, None]
    shares = problem.bone_pitch_bias[:, None].expand(len(problem), -1, 1)
    directions = image_residual(
        bone_direction, joints, problem.bones, state, torch.cat([problem.bone_directions, shares], -1)
    )
    return [
        _landmark_term(problem, stage, state, chain),
        Term("directions", directions.scaled(1 / stage.direction), image_weight * problem.bone_confidence, 2.0),
        Term("joint limit", joint_limit(state, problem.joint_prior), time_weight),
        Term("rest pose", rest_pose(state, problem.joint_prior), time_weight * _rest_weight(problem)),
        *shape_terms(problem, state),
        *([] if matches is None else [silhouette_term(problem, state, stage, chain, matches)]),
        *([] if problem.dense is None else [_dense_term(problem, state, stage, chain, problem.dense)]),
        *([] if problem.depth is None else [_depth_term(problem, state, chain, problem.depth)]),
        *_priors(problem, state, stage),
        *(term for view in problem.views for term in _view_terms(view, stage, matches is not None, state, chain)),
    ]


def _landmark_term(problem: FitProblem, stage: Stage, state: State, chain: KinematicChain) -> Term:
    """The landmarks in the image."""
    marks = move_points(chain, state, problem.landmarks)
    reprojections = image_residual(
        reprojection_with_pitch_bias, marks, _about_hips(problem), state, _pixels(problem, stage.pixel)
    )
    weight = (problem.time_weight * problem.frame_weight)[:, None] * problem.confidence * problem.landmark_weight
    return Term("landmarks", reprojections, weight, stage.pixel_robust_scale)


def _view_terms(
    view: OtherView, stage: Stage, with_silhouettes: bool, state: State, chain: KinematicChain
) -> list[Term]:
    """What another camera shows at the same instants."""
    before = replace(state, path=view.path)
    terms = [_landmark_term(view.problem, stage, before, chain)]
    if with_silhouettes and view.matches is not None:
        terms.append(silhouette_term(view.problem, before, stage, chain, view.matches))
    return terms


def _temporal_terms(
    problem: FitProblem,
    stage: Stage,
    flow: Flow | None,
    state: State,
    chain: KinematicChain,
    joints: PointsWithJacobian,
) -> list[Term]:
    """The terms that need one static camera: temporal terms, the floor and the posture."""
    every = torch.arange(len(problem.joints))
    time_weight = problem.time_weight[:, None]
    later, between = time_weight[1:], time_weight[1:-1]
    soles = move_points(chain, state, problem.soles)
    speeds = angular_velocity(state, every[1:]).stencil(problem.velocity[:, 1:])
    moves = point_positions(joints, every).stencil(problem.acceleration)
    whole_turn = angular_velocity(state, every[:1]).stencil(problem.angular_acceleration)
    swings = angular_velocity(state, problem.upper).stencil(problem.angular_acceleration)
    heights = lift_point_residual(
        floor_distance, soles, _alone(problem.soles), state, _constant(problem, len(problem.soles), FLOOR)
    )
    # As if the deviation were the root of the sum of both squares.
    calm = 1 / (1 + (problem.joint_acceleration[1:-1] / stage.acceleration).square())
    return [
        Term("angular velocity", speeds.scaled(1 / stage.angular_velocity), later, 3.0),
        Term("acceleration", moves.scaled(1 / stage.acceleration), between * calm),
        Term("turn", whole_turn.scaled(1 / ANGULAR_ACCELERATION), between),
        Term("swing", swings.scaled(1 / SWING), between, SWING_ROBUST_SCALE),
        Term("floor", heights, time_weight, 2.0),
        *(
            [*posture_terms(problem, state, joints), _planted_feet_term(problem, soles)]
            if problem.pitch is None
            else []
        ),
        *([_pose_constancy_term(problem, state)] if problem.holds_pose else []),
        *([] if flow is None else [_flow_term(problem, state, chain, flow)]),
    ]


def _pose_constancy_term(problem: FitProblem, state: State) -> Term:
    """A person who makes a full turn, or whom the camera goes round, holds one pose."""
    away = pose_constancy(state, torch.arange(1 if problem.pitch is not None else 0, len(problem.joints)))
    return Term("constant pose", away.scaled(1 / POSE_CONSTANCY), problem.time_weight[:, None], 2.0)


def _planted_feet_term(problem: FitProblem, soles: PointsWithJacobian) -> Term:
    """Standing feet do not slide. Off for a person who turns on the spot, whose feet shuffle and swivel."""
    slides = point_positions(soles, torch.arange(len(problem.soles))).stencil(problem.velocity)
    return Term("planted", slides.scaled(1 / PLANTED), problem.time_weight[1:, None], PLANTED_ROBUST_SCALE)


def _flow_term(problem: FitProblem, state: State, chain: KinematicChain, flow: Flow) -> Term:
    """Motion of the surface in the image between instants, compared with the optical flow.

    Of a person who turns on the spot only its change counts: the constant pose tells the turn itself, which the bias
    of the flow would tilt (by half a degree).
    """
    points = surface_points(problem.body, flow.vertices)
    size = (FLOW if problem.pitch is None else FLOW_CHANGE) * float(problem.person_height.median())
    nowhere = state.camera.new_tensor([0.0, 0.0, size]).expand(len(problem), len(points), 3)
    reprojections = image_residual(reprojection, move_points(chain, state, points), _alone(points), state, nowhere)
    steps = reprojections.stencil(state.camera.new_tensor([[-1.0, 1.0]]).expand(len(problem) - 1, 2))
    away = replace(steps, value=steps.value - flow.displacement / size)
    time_weight, weight = problem.time_weight[1:, None], flow.weight
    if problem.pitch is not None:
        away = away.stencil(state.camera.new_tensor([[-1.0, 1.0]]).expand(len(problem) - 2, 2))
        time_weight, weight = time_weight[:-1], weight[:-1] * weight[1:]
    return Term("flow", away, FLOW_WEIGHT * time_weight * weight, 3.0)


def _dense_term(problem: FitProblem, state: State, stage: Stage, chain: KinematicChain, matches: DenseMatches) -> Term:
    """Points of the surface against the pixels in which a dense detector sees them."""
    points = matches.points
    spread = (stage.pixel * problem.person_height)[:, None, None].expand(-1, len(points), 1)
    data = torch.cat([matches.pixels, spread], -1)
    residual = image_residual(reprojection, move_points(chain, state, points), _alone(points), state, data)
    weight = DENSE_WEIGHT * problem.time_weight[:, None] * matches.weight
    return Term("dense", residual, weight, DENSE_ROBUST_SCALE)


def _rest_weight(problem: FitProblem) -> Float[Tensor, "n 1"]:
    """Weight of the distance from the rest pose at each instant."""
    if problem.depth is None:
        return torch.ones_like(problem.time_weight)[:, None]
    return torch.where(problem.depth.tells, REST_BESIDE_DEPTH, 1.0).to(problem.time_weight)[:, None]


def _depth_term(problem: FitProblem, state: State, chain: KinematicChain, readings: DepthReadings) -> Term:
    """The body's surface against the measured depth."""
    points = surface_points(problem.body, readings.vertices)
    data = torch.stack([readings.depth, torch.full_like(readings.depth, DEPTH)], -1)
    residual = image_residual(depth_error, move_points(chain, state, points), _alone(points), state, data)
    return Term("depth", residual, DEPTH_WEIGHT * problem.time_weight[:, None] * readings.weight, 3.0)


def silhouette_term(
    problem: FitProblem, state: State, stage: Stage, chain: KinematicChain, matches: SilhouetteMatches
) -> Term:
    """The body's outline against the mask's contour."""
    rim = move_points(chain, state, surface_points(problem.body, matches.vertices))
    spread = (stage.silhouette * problem.person_height)[:, None, None].expand(-1, matches.vertices.shape[1], 1)
    data = torch.cat([matches.data, spread], -1)
    residual = image_residual(point_to_contour, rim, torch.arange(matches.vertices.shape[1])[:, None], state, data)
    weight = SILHOUETTE_WEIGHT * (problem.time_weight * problem.frame_weight)[:, None] * matches.weight
    return Term("outline", residual, weight, 3.0)


def _priors(problem: FitProblem, state: State, stage: Stage) -> list[Term]:
    """Priors of the shared unknowns."""
    spread = stage.offset * problem.spread.repeat_interleave(3)
    tilt = problem.tilt or CameraTilt(USUAL_PITCH, PITCH, 0.0, ROLL)
    if problem.tilt is not None:
        # The person tells of the tilt anew in every frame, with the same errors; what tells it once must weigh as much.
        tilt = tilt.sharpened(float(problem.time_weight.sum()))
    pitch, pitch_deviation = problem.pitch or (tilt.pitch, tilt.pitch_spread)
    focal_deviation = FOCAL if problem.focal_given or problem.pitch is None else FOCAL_IN_TURN
    camera = state.camera.new_tensor([focal_deviation, pitch_deviation, tilt.roll_spread, CAMERA_HEIGHT])
    start = state.camera.new_tensor([math.log(problem.focal), pitch, tilt.roll, CAMERA_HEIGHT_M])
    parts = (
        ("shape", state.betas, torch.zeros_like(state.betas), torch.full_like(state.betas, stage.shape)),
        ("offsets", state.offsets.flatten(), torch.zeros_like(spread), spread),
        ("path", state.log_scale, *_path_scale(problem, state)),
        ("view", state.camera, start, camera),
    )
    result, column = [], 0
    for name, value, mean, deviation in parts:
        columns = slice(column, column + len(value))
        column += len(value)
        residual = shared_unknowns(state, value - mean, columns)
        result.append(Term(name, residual, 1 / deviation.square()[None]))
    return result


def _path_scale(problem: FitProblem, state: State) -> tuple[Float[Tensor, " p"], Float[Tensor, " p"]]:
    """Mean and standard deviation of the logarithm of the path's scale.

    Without measured depth nothing but the person's height, which may be assumed, ties the scale to metres.
    """
    if problem.depth is None or state.path is None or state.path.log_scale is None:
        return state.log_scale, torch.full_like(state.log_scale, 1.0)
    return torch.full_like(state.log_scale, state.path.log_scale), torch.full_like(state.log_scale, METRIC_PATH)


def shape_terms(problem: FitProblem, state: State) -> list[Term]:
    """Stature and other shape attributes of the body, compared with those that the user gave."""
    height, slope = problem.stature
    parts = [("height", slope[None], slope.new_tensor([problem.height - height]), problem.height_spread)]
    if problem.shape_constraint is not None:
        parts.append(("shape attributes", *problem.shape_constraint, SHAPE_CONSTRAINT))
    result = []
    for name, slopes, values, deviation in parts:
        jac_shared = slopes.new_zeros(1, 1, len(slopes), state.shared_size)
        jac_shared[..., : slopes.shape[1]] = slopes / deviation
        value = (slopes @ state.betas - values) / deviation
        result.append(Term(name, LinearizedResidual(value[None, None], {}, jac_shared), slopes.new_ones(1, 1)))
    return result


def _alone(points: SkinnedPoints) -> Tensor:
    """Each point as a group of its own."""
    return torch.arange(len(points))[:, None]


def _about_hips(problem: FitProblem) -> Tensor:
    """Each landmark with both hips."""
    return torch.cat([_alone(problem.landmarks), problem.hips.expand(len(problem.landmarks), 2)], 1)


def _pixels(problem: FitProblem, deviation: float) -> Float[Tensor, "n l 4"]:
    """The place of each landmark in the image, the standard deviation in pixels, and the pitch bias."""
    spread = (deviation * problem.person_height)[:, None, None].expand(-1, len(problem.landmarks), 1)
    return torch.cat([problem.pixels, spread, problem.pitch_bias[:, None].expand_as(spread)], -1)


def _constant(problem: FitProblem, groups: int, value: float) -> Float[Tensor, "n g 1"]:
    return torch.full((len(problem), groups, 1), value, dtype=torch.float64)
