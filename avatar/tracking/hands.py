"""Fingers of a tracked person: bends and spreads of every instant, fitted to the points of a hand network.

A network's hand is wrong by several degrees per joint, differently in each view, so what lasts and what moves are
set apart: one hand for the whole clip, and motions that cost by how far they leave it but not more than a grasp does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body import Body
from avatar.body.hand_angles import angle_ranges, finger_rotations
from avatar.body.skinning import joint_transforms
from avatar.geometry import rotation_from_rotvec
from avatar.tracking.hand_model import HandModel
from avatar.tracking.solver import ClipLinearization, LinearizedResidual, Term, levenberg_marquardt
from avatar.types import BodyTrack, Observations

STEPS = 15
DIRECTION_SPREAD = 0.6  # of the network's bone directions, radians
PIXEL_SPREAD = 0.05  # of its points, as a share of the hand's length
HAND_LENGTH = 0.18  # metres
ROBUST_SCALE = 3.0  # of both
REST_SPREAD = math.radians(45)  # of the lasting angles around the hand at rest
MOTION_SPREAD, MOTION_SCALE = math.radians(8), 2.0  # of a finger around its lasting angles
LIMIT_SPREAD = math.radians(4)  # beyond the ranges
TIP_SHARE, TIP_SPREAD = 0.6, math.radians(15)  # one tendon bends middle and tip joint
SPEED = 3.0  # usual speed of an angle, radians per second
WRIST_SPREAD = 0.35  # of the wrist's direction from the body's fit, radians, for the whole clip
WRIST_MOTION = math.radians(8)  # the same from instant to instant
LEAST_SHARE = 0.1  # of the instants with a hand, below which it is not followed
THUMB = [2, 3, 4]  # its points beyond the root
HIDDEN = 0.02  # weight of a thumb that the hand hides
HIDING_MARGIN = 0.1  # how far beyond the outline of the other points that is, as a share of the hand's length
ANGLES, UNKNOWNS = 20, 23  # of a hand at an instant: its angles, and a rotation vector of the wrist
# Bones between the 21 points: the palm's five, then three of each finger.
BONES = tuple((0, 1 + 4 * f) for f in range(5)) + tuple(
    (1 + 4 * f + k, 2 + 4 * f + k) for f in range(5) for k in range(3)
)


@dataclass(frozen=True)
class _Problem:
    """What the fit sees: wrists in the camera's axes, and the network's points; n instants, two hands.

    `trust` is that in each hand, `shares` weigh its points.
    """

    model: HandModel
    wrists: Float[Tensor, "n 2 3 3"]
    depth: Float[Tensor, "n 2"]
    pixels: Float[Tensor, "n 2 21 2"]
    directions: Float[Tensor, "n 2 20 3"]
    trust: Float[Tensor, "n 2"]
    shares: Float[Tensor, "n 2 21"]
    focal: Float[Tensor, " n"]
    times: Float[Tensor, " n"]


@dataclass(frozen=True)
class HandState:
    """The unknowns of two hands, angles before the wrist's rotation vector: those of the clip, and motions from them.

    Float64. See `avatar.tracking.solver.ClipState`.
    """

    lasting: Float[Tensor, "2 u"]
    motions: Float[Tensor, "n 2 u"]

    def __len__(self) -> int:
        return len(self.motions)

    @property
    def frame_size(self) -> int:
        """Unknowns of one instant."""
        return 2 * UNKNOWNS

    @property
    def shared_size(self) -> int:
        """Unknowns of the whole clip."""
        return 2 * UNKNOWNS

    @property
    def hands(self) -> Float[Tensor, "n 2 u"]:
        """Angles and turn of both hands at each instant."""
        return self.lasting + self.motions

    def moved(self, local: Float[Tensor, "n d"], shared: Float[Tensor, " k"]) -> HandState:
        """The state after a step."""
        return HandState(self.lasting + shared.view(2, -1), self.motions + local.view(-1, 2, UNKNOWNS))


def with_fingers(track: BodyTrack, observations: Observations, body: Body) -> BodyTrack:
    """The track with the fingers of the hands that the observations show; hands never seen rest.

    The wrists stay where the body's fit put them; for fitting alone each may turn a little. Instants at which a hand
    is hidden are bridged by smoothness and come to the hand at rest.

    Args:
        track: one pose per frame of `observations`, with cameras.
        body: the one that was tracked.
    """
    model = HandModel.of(body, track.betas)
    if observations.hands is None or model is None or track.cameras is None:
        return track
    problem = _problem(track, observations, body, model)
    followed = (problem.trust > 0.5).double().mean(0) >= LEAST_SHARE
    if not followed.any():
        return track
    angles = _fit(replace(problem, trust=problem.trust * followed))
    fingers = finger_rotations(angles)
    if body.with_hands_and_face is not None:
        return replace(track, poses=replace(track.poses, fingers=fingers))
    rotations = track.poses.rotations.clone()
    rotations[:, body.finger_joints] = fingers
    return replace(track, poses=replace(track.poses, rotations=rotations))


def _problem(track: BodyTrack, observations: Observations, body: Body, model: HandModel) -> _Problem:
    assert observations.hands is not None and observations.hands_3d is not None and track.cameras is not None
    rest = body.rest(track.betas)
    wrists = [body.joint_names.index(f"{side}_wrist") for side in ("left", "right")]
    poses = replace(track.poses[track.instant], fingers=None, face=None)
    Ts = track.cameras.T_camera_world[:, None] @ joint_transforms(rest.joints, body.parents, body.complete(poses))
    points = torch.nan_to_num(observations.hands_3d)
    starts, ends = (list(column) for column in zip(*BONES, strict=True))
    return _Problem(
        model=model,
        wrists=Ts[:, wrists, :3, :3].double(),
        depth=Ts[:, wrists, 2, 3].clamp_min(0.1).double(),
        pixels=observations.hands[..., :2].double(),
        directions=F.normalize(points[:, :, ends] - points[:, :, starts], dim=-1).double(),
        trust=observations.hands[..., 0, 2].double(),
        shares=_shares(thumbs_hidden(observations.hands[..., :2])),
        focal=track.cameras.K[:, 0, 0].double(),
        times=track.times[track.instant].double(),
    )


def thumbs_hidden(pixels: Float[Tensor, "n 2 21 2"]) -> Bool[Tensor, "n 2"]:
    """Whether the back of each hand hides its thumb, if it is where a network says.

    Networks fold such a thumb into the palm, in every frame of a view alike, so that no smoothness helps. Hidden ends
    of the other fingers follow from what is in view of them, and need no such care.

    Args:
        pixels: points of the left and the right hand.
    """
    import cv2

    hidden = torch.zeros(pixels.shape[:2], dtype=torch.bool)
    towards = pixels[..., [5, 17], :] - pixels[..., :1, :]
    turn = towards[..., 0, 0] * towards[..., 1, 1] - towards[..., 0, 1] * towards[..., 1, 0]
    from_behind = turn * turn.new_tensor([-1.0, 1.0]) > 0
    others = [0, *range(5, 21)]
    for frame, side in from_behind.nonzero().tolist():
        points = pixels[frame, side].float().numpy()
        outline = cv2.convexHull(points[others])
        margin = HIDING_MARGIN * float(np.linalg.norm(points[9] - points[0]) + np.linalg.norm(points[12] - points[9]))
        hidden[frame, side] = all(
            cv2.pointPolygonTest(outline, (float(x), float(y)), True) > -margin for x, y in points[THUMB[1:]]
        )
    return hidden


def _shares(hidden: Bool[Tensor, "n 2"]) -> Float[Tensor, "n 2 21"]:
    """Weight of each point among those of its hand."""
    shares = torch.ones(*hidden.shape, 21, dtype=torch.float64)
    shares[..., THUMB] = torch.where(hidden, HIDDEN, 1.0)[..., None].double()
    return shares


def _fit(problem: _Problem) -> Float[Tensor, "n 2 5 4"]:
    """The likeliest angles."""
    low, rest, high = angle_ranges()
    lasting = torch.cat([rest.flatten(), torch.zeros(3)]).double().repeat(2, 1)
    start = HandState(lasting, lasting.new_zeros(len(problem.times), 2, UNKNOWNS))
    state, _ = levenberg_marquardt(start, partial(ClipLinearization, partial(_terms, problem)), STEPS)
    angles = state.hands[..., :ANGLES].unflatten(-1, (5, 4)).float()
    return torch.maximum(torch.minimum(angles, high), low)


def _terms(problem: _Problem, state: HandState) -> list[Term]:
    """All residuals and their derivatives."""
    hands = state.hands
    direction, pixel = _misses(problem, hands)
    eye = torch.eye(UNKNOWNS, dtype=hands.dtype)
    misses = partial(_misses, problem)

    def slopes(unit: Float[Tensor, " u"]) -> tuple[Tensor, Tensor]:
        """What a change of one unknown of both hands at all instants does to each: that hand's derivative."""
        by_unit: tuple[Tensor, Tensor] = torch.func.jvp(misses, (hands,), (unit.expand_as(hands),))[1]
        return by_unit

    by_direction, by_pixel = torch.func.vmap(slopes)(eye)
    points = problem.trust[..., None] * problem.shares
    bones = points[..., [end for _, end in BONES]]
    terms = [
        _term("direction", direction, by_direction.movedim(0, -1), bones, ROBUST_SCALE),
        _term("pixel", pixel, by_pixel.movedim(0, -1), points, ROBUST_SCALE),
    ]
    low, rest, high = (limit.flatten().double() for limit in angle_ranges())
    angles, angle_slope = hands[..., :ANGLES], eye[:ANGLES]
    beyond = (angles - high).clamp_min(0) - (low - angles).clamp_min(0)
    outside = (beyond != 0)[..., None] * angle_slope
    one = torch.ones_like(problem.trust)[..., None]
    terms.append(_term("limits", beyond[:, :, None] / LIMIT_SPREAD, outside[:, :, None] / LIMIT_SPREAD, one))
    fingers, by_finger = angles.unflatten(-1, (5, 4))[..., :4, :], angle_slope.view(5, 4, UNKNOWNS)[:4]
    tendon = (fingers[..., 3] - TIP_SHARE * fingers[..., 2]) / TIP_SPREAD
    by_tendon = (by_finger[:, 3] - TIP_SHARE * by_finger[:, 2]) / TIP_SPREAD
    terms.append(_term("tendons", tendon[:, :, None], by_tendon.expand(*tendon.shape, -1)[:, :, None], one))
    return [*terms, *_motion_terms(problem.times, state), *_lasting_terms(state, rest)]


def _misses(
    problem: _Problem, hands: Float[Tensor, "n 2 u"]
) -> tuple[Float[Tensor, "n 2 20 3"], Float[Tensor, "n 2 21 2"]]:
    """Bone directions and points of the hands minus the network's, in units of their deviations."""
    angles, turns = hands[..., :ANGLES].unflatten(-1, (5, 4)), hands[..., ANGLES:]
    places = problem.model.points(angles) @ (problem.wrists @ rotation_from_rotvec(turns)).mT
    starts, ends = (list(column) for column in zip(*BONES, strict=True))
    bones = F.normalize(places[:, :, ends] - places[:, :, starts], dim=-1)
    # Where the hand stands is the body's affair: its points count relative to their own middle.
    scale = (problem.focal[:, None] / problem.depth)[..., None, None]
    flat, shown = scale * places[..., :2], problem.pixels
    shares = (problem.shares / problem.shares.sum(2, keepdim=True))[..., None]
    apart = (flat - (shares * flat).sum(2, keepdim=True)) - (shown - (shares * shown).sum(2, keepdim=True))
    return (bones - problem.directions) / DIRECTION_SPREAD, apart / (PIXEL_SPREAD * HAND_LENGTH * scale)


def _motion_terms(times: Float[Tensor, " n"], state: HandState) -> list[Term]:
    """Fingers and wrists stay near what lasts, and move slowly."""
    motions, eye = state.motions, torch.eye(2 * UNKNOWNS, dtype=state.motions.dtype)
    flat = LinearizedResidual(motions.flatten(1)[:, None], {0: eye.expand(len(motions), 1, -1, -1)}, None)
    one = torch.ones(len(motions), 1, dtype=motions.dtype)
    terms = []
    for finger in range(10):
        side, part = divmod(finger, 5)
        own = slice(UNKNOWNS * side + 4 * part, UNKNOWNS * side + 4 * part + 4)
        terms.append(Term("motion", _columns(flat, own).scaled(1 / MOTION_SPREAD), one, MOTION_SCALE))
    for side in range(2):
        wrist = slice(UNKNOWNS * side + ANGLES, UNKNOWNS * (side + 1))
        terms.append(Term("wrist motion", _columns(flat, wrist).scaled(1 / WRIST_MOTION), one))
    if len(motions) > 1:
        rate = 1 / (SPEED * times.double().diff().clamp_min(1e-3))
        terms.append(Term("speed", flat.stencil(torch.stack([-rate, rate], 1)), one[1:]))
    return terms


def _lasting_terms(state: HandState, rest: Float[Tensor, " a"]) -> list[Term]:
    usual = torch.cat([rest, rest.new_zeros(3)])
    spread = torch.cat([torch.full_like(rest, REST_SPREAD), torch.full_like(rest[:3], WRIST_SPREAD)])
    off = ((state.lasting - usual) / spread).flatten()[None, None]
    slope = torch.diag(1 / spread.repeat(2))[None, None]
    return [Term("rest", LinearizedResidual(off, {}, slope), torch.ones(1, 1, dtype=off.dtype))]


def _columns(residual: LinearizedResidual, own: slice) -> LinearizedResidual:
    """Some of the numbers of each group."""
    local = {ahead: slope[..., own, :] for ahead, slope in residual.jac_frame.items()}
    return LinearizedResidual(residual.value[..., own], local, None)


def _term(
    name: str,
    value: Float[Tensor, "n 2 g m"],
    slope: Float[Tensor, "n 2 g m u"],
    weight: Float[Tensor, "n 2 g"],
    robust_scale: float = math.inf,
) -> Term:
    """Residuals of each hand, which depend on that hand's unknowns alone."""
    none = torch.zeros_like(slope[:, 0])
    both = torch.cat([torch.cat([slope[:, 0], none], -1), torch.cat([none, slope[:, 1]], -1)], dim=1)
    return Term(name, LinearizedResidual(value.flatten(1, 2), {0: both}, both), weight.flatten(1), robust_scale)
