"""The fit on one page: what every term believes, and the order in which the terms come in.

All deviations are in natural units (metres, seconds, radians; pixels as a part of the person's height in the
picture) and belong to a continuous clip: sums over frames are weighted by the time that a frame stands for, so that
30 and 60 frames a second, or uneven ones, give the same answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.initialization import CAMERA_HEIGHT_M
from avatar.tracking.joint_priors import beyond_range, from_usual
from avatar.tracking.kinematics import Chain, Moving, Points, State, move_points, pose_chain, surface_points
from avatar.tracking.optical_flow import Flow
from avatar.tracking.problem import Clip
from avatar.tracking.residuals import (
    across_contour,
    as_if_level,
    bone_direction,
    from_own_mean,
    of_points,
    on_floor,
    places,
    reprojection,
    shared_values,
    turning,
    upright,
)
from avatar.tracking.silhouette import Outline
from avatar.tracking.solver import Features, Term


@dataclass(frozen=True)
class Stage:
    """One pass of the solver. Deviations; infinity leaves a term out.

    Attributes:
        steps: damped Newton steps at most.
        pixel: landmarks in the picture, as a part of the person's height in it.
        pixel_knee: deviations beyond which a landmark is taken for an outlier.
        direction: the detector's own 3D bone directions, radians.
        still: angular speed of a joint against its parent, radians a second.
        acceleration: of every joint in space, metres a second squared.
        offset: factor on the spread of the landmarks' places on the body.
        shape: of each shape coefficient.
        outline: the body's outline across the found one, as a part of the person's height in the picture. It is
            paired anew, and the flow read anew, before each stage that has one.
    """

    name: str
    steps: int
    pixel: float
    pixel_knee: float
    direction: float
    still: float
    acceleration: float
    offset: float
    shape: float
    outline: float = math.inf


SCHEDULE = (
    Stage("place", 8, 0.02, math.inf, 0.2, 3.0, 5.0, 0.5, 0.3),
    Stage("limbs", 12, 0.012, 4.0, 0.3, 3.0, 5.0, 0.5, 1.0),
    *[Stage("whole clip", 5, 0.010, 3.0, 0.5, 2.0, 5.0, 1.0, 1.0, 0.01)] * 2,
)

# Believed once, in every stage.
TURN_ACCELERATION = 20.0  # of the whole body, rad/s^2
FOCAL = 0.001  # of log focal length: kept where it was given, and where nothing better than the assumption is known
# The same where the person turned, when near and far limbs tell of it as well: on m_floral's turn the assumption is
# 2.4 % too short, with a deviation of 3 % the limbs make it 2.5 % too long, and with this one 0.7 %.
FOCAL_IN_TURN = 0.02
# Of each joint from its own mean, for a person who turned to be seen from all sides: they hold a pose and may step.
# What the detector sees wrongly in the same way from the same side would otherwise bend them once in each turn.
HELD = math.radians(5.0)
USUAL_PITCH = 0.07  # phones are held at chest height and look down a little
PITCH = 0.08  # of the camera, radians
ROLL = 0.02
CAMERA_HEIGHT = 0.5
OUTLINE_SHARE = 0.3  # of each point: neighbours on an outline err together
FLOW = 0.002  # movement of a surface point between instants, as a part of the person's height in the picture
FLOW_SHARE = 0.4  # of each point: neighbours on the surface err together
LEAN = 1.0  # of the trunk at each instant, radians
HEIGHT = 0.003  # of the person, metres: nothing in the picture of one camera tells it
TOLD = 0.02  # of what else the user says of the shape, as a part of each word's range
FLOOR = 0.02  # metres between sole and floor
# Speed of a sole that stands, metres a second. Faster ones lose the pull (see Term.knee): they are being swung.
PLANTED = 0.15
PLANTED_KNEE = 2.0


def terms(clip: Clip, stage: Stage, outline: Outline | None, flow: Flow | None, state: State) -> list[Term]:
    """All residuals of one stage at `state`."""
    chain = pose_chain(clip.body, state)
    joints = move_points(chain, state, clip.joints)
    return [
        *_of_pictures(clip, stage, outline, state, chain, joints),
        *_of_film(clip, stage, flow, state, chain, joints),
    ]


def picture_terms(clip: Clip, stage: Stage, outline: Outline, state: State) -> list[Term]:
    """Those that hold for pictures from different cameras too: nothing over time, no floor, no upright."""
    chain = pose_chain(clip.body, state)
    return _of_pictures(clip, stage, outline, state, chain, move_points(chain, state, clip.joints))


def _of_pictures(
    clip: Clip, stage: Stage, outline: Outline | None, state: State, chain: Chain, joints: Moving
) -> list[Term]:
    share = clip.share[:, None]
    marks = move_points(chain, state, clip.landmarks)
    seen = of_points(as_if_level, marks, _about_hips(clip), state, _pixels(clip, stage.pixel))
    guessed = of_points(bone_direction, joints, clip.bones, state, clip.bone_directions)
    return [
        Term("landmarks", seen, share * clip.confidence * clip.landmark_share, stage.pixel_knee),
        Term("directions", guessed.times(1 / stage.direction), share * clip.bone_confidence, 2.0),
        Term("beyond range", beyond_range(state, clip.turns), share),
        Term("usual pose", from_usual(state, clip.turns), share),
        *told_terms(clip, state),
        *([] if outline is None else [outline_term(clip, state, stage, chain, outline)]),
        *_priors(clip, state, stage),
    ]


def _of_film(clip: Clip, stage: Stage, flow: Flow | None, state: State, chain: Chain, joints: Moving) -> list[Term]:
    """What one standing camera adds: time, the floor and what is upright."""
    every = torch.arange(len(clip.joints))
    share = clip.share[:, None]
    later, between = share[1:], share[1:-1]
    soles = move_points(chain, state, clip.soles)
    speeds = turning(state, every[1:]).stencil(clip.velocity[:, 1:])
    moves = places(joints, every).stencil(clip.acceleration)
    whole_turn = turning(state, every[:1]).stencil(clip.turn_acceleration)
    heights = of_points(on_floor, soles, _alone(clip.soles), state, _constant(clip, len(clip.soles), FLOOR))
    leans = of_points(upright, joints, clip.trunk, state, _constant(clip, 1, LEAN))
    return [
        Term("still", speeds.times(1 / stage.still), later, 3.0),
        Term("acceleration", moves.times(1 / stage.acceleration), between),
        Term("turn", whole_turn.times(1 / TURN_ACCELERATION), between),
        Term("floor", heights, share, 2.0),
        Term("upright", leans, share),
        _planted(clip, soles) if clip.pitch is None else _held(clip, state),
        *([] if flow is None else [_flow(clip, state, chain, flow)]),
    ]


def _held(clip: Clip, state: State) -> Term:
    """The pose that somebody holds while turning round."""
    away = from_own_mean(state, torch.arange(1, len(clip.joints)))
    return Term("held pose", away.times(1 / HELD), clip.share[:, None], 2.0)


def _planted(clip: Clip, soles: Moving) -> Term:
    """Feet that stand do not slide. Not for those who turn on the spot: they shuffle and swivel."""
    slides = places(soles, torch.arange(len(clip.soles))).stencil(clip.velocity)
    return Term("planted", slides.times(1 / PLANTED), clip.share[1:, None], PLANTED_KNEE)


def _flow(clip: Clip, state: State, chain: Chain, flow: Flow) -> Term:
    """How the surface moves in the picture from one instant to the next, against the optical flow."""
    points = surface_points(clip.body, flow.vertices)
    size = FLOW * float(clip.person_height.median())
    nowhere = state.view.new_tensor([0.0, 0.0, size]).expand(len(clip), len(points), 3)
    seen = of_points(reprojection, move_points(chain, state, points), _alone(points), state, nowhere)
    steps = seen.stencil(state.view.new_tensor([[-1.0, 1.0]]).expand(len(clip) - 1, 2))
    away = replace(steps, value=steps.value - flow.moved / size)
    return Term("flow", away, FLOW_SHARE * clip.share[1:, None] * flow.weight, 3.0)


def outline_term(clip: Clip, state: State, stage: Stage, chain: Chain, outline: Outline) -> Term:
    """The body's outline against the found one."""
    rim = move_points(chain, state, surface_points(clip.body, outline.vertices))
    spread = (stage.outline * clip.person_height)[:, None, None].expand(-1, outline.vertices.shape[1], 1)
    data = torch.cat([outline.data, spread], -1)
    features = of_points(across_contour, rim, torch.arange(outline.vertices.shape[1])[:, None], state, data)
    return Term("outline", features, OUTLINE_SHARE * clip.share[:, None] * outline.weight, 3.0)


def _priors(clip: Clip, state: State, stage: Stage) -> list[Term]:
    """What is believed of the shared unknowns."""
    spread = stage.offset * clip.spread.repeat_interleave(3)
    pitch, pitch_deviation = clip.pitch or (USUAL_PITCH, PITCH)
    focal_deviation = FOCAL if clip.focal_given or clip.pitch is None else FOCAL_IN_TURN
    view = state.view.new_tensor([focal_deviation, pitch_deviation, ROLL, CAMERA_HEIGHT])
    start = state.view.new_tensor([math.log(clip.focal), pitch, 0.0, CAMERA_HEIGHT_M])
    parts = (
        ("shape", state.betas, torch.zeros_like(state.betas), torch.full_like(state.betas, stage.shape)),
        ("offsets", state.offsets.flatten(), torch.zeros_like(spread), spread),
        ("view", state.view, start, view),
    )
    result, column = [], 0
    for name, value, mean, deviation in parts:
        columns = slice(column, column + len(value))
        column += len(value)
        features = shared_values(state, value - mean, columns)
        result.append(Term(name, features, 1 / deviation.square()[None]))
    return result


def told_terms(clip: Clip, state: State) -> list[Term]:
    """The standing height of the shaped body against the wanted one, and what else the user said of it."""
    height, slope = clip.standing
    parts = [("height", slope[None], slope.new_tensor([clip.height - height]), HEIGHT)]
    if clip.told is not None:
        parts.append(("told", *clip.told, TOLD))
    result = []
    for name, slopes, values, deviation in parts:
        by_shared = slopes.new_zeros(1, 1, len(slopes), state.shared_size)
        by_shared[..., : slopes.shape[1]] = slopes / deviation
        value = (slopes @ state.betas - values) / deviation
        result.append(Term(name, Features(value[None, None], {}, by_shared), slopes.new_ones(1, 1)))
    return result


def _alone(points: Points) -> Tensor:
    """Each point as a group of its own."""
    return torch.arange(len(points))[:, None]


def _about_hips(clip: Clip) -> Tensor:
    """Each landmark with both hips."""
    return torch.cat([_alone(clip.landmarks), clip.hips.expand(len(clip.landmarks), 2)], 1)


def _pixels(clip: Clip, deviation: float) -> Float[Tensor, "n l 4"]:
    """Where each landmark was seen, the deviation in pixels, and what is overlooked of the camera's pitch."""
    spread = (deviation * clip.person_height)[:, None, None].expand(-1, len(clip.landmarks), 1)
    return torch.cat([clip.pixels, spread, clip.overlooked[:, None].expand_as(spread)], -1)


def _constant(clip: Clip, groups: int, value: float) -> Float[Tensor, "n g 1"]:
    return torch.full((len(clip), groups, 1), value, dtype=torch.float64)
