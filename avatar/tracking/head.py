"""The head of a tracked person, turned to where a face network sees it: neck and head of every instant.

A body network's eyes and nose tell a head's direction to twenty degrees or so; a face network's points tell it to two
or three, where the face is in view. The points are those of a face at rest, and each may lie a few millimetres beside
it for the whole clip, since every head has its own shape. What the body's fit mistakes about neck and head lasts, so
one correction for the clip reaches the instants that show no face too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import rotation_from_rotvec
from avatar.tracking.solver import ClipLinearization, LinearizedResidual, Term, levenberg_marquardt
from avatar.types import BodyTrack, Observations

# Points of the face mesh that no expression moves by more than 3.5 mm, well apart: index, then millimetres in the axes
# of a body at rest. The canonical face of MediaPipe's face geometry (Apache-2.0), rounded.
# fmt: off
RIGID_POINTS = (
    (2, 0, -21, 61), (4, 0, -5, 76), (5, 0, 4, 72), (6, 0, 25, 58), (7, -43, 26, 33),
    (8, 0, 40, 53), (10, 0, 83, 45), (19, 0, -15, 71), (47, -17, 10, 46), (54, -63, 66, 14),
    (75, -10, -15, 57), (79, -9, -10, 65), (100, -23, 6, 43), (102, -17, -9, 53), (113, -50, 31, 31),
    (124, -56, 32, 27), (127, -77, 24, -20), (134, -9, 1, 67), (139, -68, 37, 7), (155, -20, 25, 37),
    (156, -61, 34, 20), (162, -76, 41, -10), (168, 0, 33, 52), (188, -9, 19, 52), (193, -8, 32, 49),
    (195, 0, 11, 68), (196, -5, 16, 61), (221, -18, 35, 43), (234, -77, 7, -24), (236, -9, 7, 62),
    (245, -10, 24, 46), (249, 43, 26, 33), (277, 17, 10, 46), (284, 63, 66, 14), (305, 10, -15, 57),
    (309, 9, -10, 65), (329, 23, 6, 43), (331, 17, -9, 53), (342, 50, 31, 31), (353, 56, 32, 27),
    (356, 77, 24, -20), (363, 9, 1, 67), (368, 68, 37, 7), (382, 20, 25, 37), (383, 61, 34, 20),
    (389, 76, 41, -10), (412, 9, 19, 52), (417, 8, 32, 49), (419, 5, 16, 61), (441, 18, 35, 43),
    (454, 77, 7, -24), (456, 9, 7, 62), (465, 10, 24, 46),
)
# fmt: on
LEAST_SHARE = 0.1  # of the instants with a face, below which it is not followed
ROUNDS = ((10, 12.0), (10, 3.0), (6, 3.0))  # steps, and the robust scale of the points in standard deviations
POINT_SPREAD, PIXEL_SPREAD = 0.0025, 0.5  # of the network's points, metres on the face and pixels
CORRELATED = 0.3  # weight of a point: errors of neighbours are correlated
FALSE_FACE = 4.0  # standard deviations of half of the points, from which they show no face
SHAPE_SPREAD = 0.003  # of a point on this person's face, metres
ORIGIN, ORIGIN_SPREAD = (0.0, 0.012, 0.06), (0.002, 0.015, 0.015)  # of the face in the head's frame, metres
SIZE_SPREAD = 0.1  # of the logarithm of the face's size
LASTING_SPREAD = (math.radians(10), math.radians(20))  # of the corrections of neck and head for the whole clip
MOTION_SPREAD = math.radians(8)  # of the correction at an instant around it
SPEED = 0.7  # usual change of the correction, radians per second
SHIFT_SPREAD = 1.5  # of the neck in the image, pixels: the body's fit misplaces it
FACING = (0.1, 0.5)  # cosine between a point's normal and the line of sight that counts for nothing, and wholly
MIDDLE = (0.0, 0.01, -0.04)  # the point from which the face is a sphere, for its normals; metres
TURNS, UNKNOWNS = 6, 8  # of an instant: rotation vectors of neck and head; and the shift in the image


@dataclass(frozen=True)
class _Problem:
    """What the fit sees, n instants and p points; rotations and places along the camera's axes.

    Attributes:
        above: orientation of the joint that carries the neck; neck, head: rotations of both joints in their parents.
        place: of the neck; bone: from neck to head in the neck's frame.
        face: the points at rest, metres; pixels: where they are, from the principal point.
        weight: of each point.
    """

    above: Float[Tensor, "n 3 3"]
    neck: Float[Tensor, "n 3 3"]
    head: Float[Tensor, "n 3 3"]
    place: Float[Tensor, "n 3"]
    bone: Float[Tensor, "3"]
    face: Float[Tensor, "p 3"]
    pixels: Float[Tensor, "n p 2"]
    weight: Float[Tensor, "n p"]
    focal: Float[Tensor, " n"]
    times: Float[Tensor, " n"]

    @property
    def spread(self) -> Float[Tensor, " n"]:
        """Standard deviation of a point in the image, pixels."""
        scale = self.focal / self.place[:, 2].clamp_min(0.1)
        return torch.hypot(POINT_SPREAD * scale, torch.full_like(scale, PIXEL_SPREAD))

    def turned(self, corrections: Float[Tensor, "n 8"]) -> tuple[Float[Tensor, "n 3 3"], Float[Tensor, "n 3 3"]]:
        """Rotations of neck and head in their parents after a correction."""
        neck, head = (rotation_from_rotvec(corrections[:, joint]) for joint in (slice(3), slice(3, TURNS)))
        return self.neck @ neck, self.head @ head


@dataclass(frozen=True)
class HeadState:
    """The unknowns: of the face, the clip and each instant. Float64. See `avatar.tracking.solver.ClipState`.

    Attributes:
        face: place of the face in the head's frame, and the logarithm of its size.
        offsets: of each point from the usual face, metres.
        lasting: rotation vectors of neck and head for the clip.
        motions: what each instant adds to them, and a shift in the image in pixels.
    """

    face: Float[Tensor, "4"]
    offsets: Float[Tensor, "p 3"]
    lasting: Float[Tensor, "6"]
    motions: Float[Tensor, "n 8"]

    def __len__(self) -> int:
        return len(self.motions)

    @property
    def frame_size(self) -> int:
        """Unknowns of one instant."""
        return UNKNOWNS

    @property
    def shared_size(self) -> int:
        """Unknowns of the whole clip."""
        return 4 + TURNS + self.offsets.numel()

    @property
    def corrections(self) -> Float[Tensor, "n 8"]:
        """Of neck, head and place at each instant."""
        return self.motions + F.pad(self.lasting, (0, 2))

    def points(self, face: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3"]:
        """The person's face in the head's frame."""
        return self.face[:3] + self.face[3].exp() * face + self.offsets

    def moved(self, local: Float[Tensor, "n d"], shared: Float[Tensor, " k"]) -> HeadState:
        """The state after a step."""
        face, lasting, offsets = shared.split([4, TURNS, self.offsets.numel()])
        return HeadState(
            self.face + face, self.offsets + offsets.view(-1, 3), self.lasting + lasting, self.motions + local
        )


def with_head(track: BodyTrack, observations: Observations, body: Body) -> BodyTrack:
    """The track with neck and head turned so that the face lies on the points that the observations show.

    The body below the neck stays. Where the face turns away its points count less and less, and the correction of the
    clip and of the instants before and after holds.

    Args:
        track: one pose per frame of `observations`, with cameras.
        body: the one that was tracked.
    """
    if observations.face is None or track.cameras is None:
        return track
    problem = _problem(track, observations, body)
    if (problem.weight > 0).any(1).double().mean() < LEAST_SHARE:
        return track
    neck, head = problem.turned(_fit(problem).corrections)
    rotations = track.poses.rotations.clone()
    for name, turned in (("neck", neck), ("head", head)):
        rotations[:, body.smpl_index[SMPL_JOINTS.index(name)]] = turned.to(rotations)
    return replace(track, poses=replace(track.poses, rotations=rotations))


def _problem(track: BodyTrack, observations: Observations, body: Body) -> _Problem:
    assert observations.face is not None and track.cameras is not None
    rest = body.rest(track.betas)
    neck, head = (body.smpl_index[SMPL_JOINTS.index(name)] for name in ("neck", "head"))
    poses = replace(track.poses[track.instant], fingers=None, face=None)
    Ts = (
        track.cameras.T_camera_world[:, None] @ joint_transforms(rest.joints, body.parents, body.complete(poses))
    ).double()
    rotations = poses.rotations.double()
    rows = torch.tensor(RIGID_POINTS)
    shown = observations.face[:, rows[:, 0]].double()
    return _Problem(
        above=Ts[:, body.parents[neck], :3, :3],
        neck=rotations[:, neck],
        head=rotations[:, head],
        place=Ts[:, neck, :3, 3],
        bone=(rest.joints[head] - rest.joints[neck]).double(),
        face=rows[:, 1:].double() / 1000,
        pixels=shown[..., :2] - track.cameras.K[:, None, :2, 2].double(),
        weight=CORRELATED * shown[..., 2],
        focal=track.cameras.K[:, 0, 0].double(),
        times=track.times[track.instant].double(),
    )


def _fit(problem: _Problem) -> HeadState:
    """The likeliest corrections: from all points that the network gives, then from those that face the camera."""
    zeros = partial(torch.zeros, dtype=torch.float64)
    origin = torch.tensor([*ORIGIN, 0.0], dtype=torch.float64)
    state = HeadState(origin, zeros(len(problem.face), 3), zeros(TURNS), zeros(len(problem.times), UNKNOWNS))
    current = problem
    for steps, robust_scale in ROUNDS:
        terms = partial(_terms, current, robust_scale)
        state, _ = levenberg_marquardt(state, partial(ClipLinearization, terms), steps)
        current = replace(problem, weight=problem.weight * _facing(problem, state) * _is_face(problem, state))
    return state


def _facing(problem: _Problem, state: HeadState) -> Float[Tensor, "n p"]:
    """How far each point, and the face as a whole, looks at the camera, from 0 to 1."""
    neck, head = problem.turned(state.corrections)
    normals = F.normalize(problem.face - problem.face.new_tensor(MIDDLE), dim=-1)
    normals = torch.cat([normals, normals.new_tensor([[0.0, 0.0, 1.0]])])
    towards = F.normalize(-problem.place, dim=-1)
    cosines = torch.einsum("nij,pj,ni->np", problem.above @ neck @ head, normals, towards)
    facing: Tensor = ((cosines - FACING[0]) / (FACING[1] - FACING[0])).clamp(0, 1)
    return facing[:, :-1] * facing[:, -1:]


def _is_face(problem: _Problem, state: HeadState) -> Float[Tensor, "n 1"]:
    """1 where the points fit as a whole; hair and backs of heads are taken for faces now and then."""
    misses = (_pixels(problem, state.corrections, state.points(problem.face)) - problem.pixels).norm(dim=-1)
    fits: Tensor = misses.median(1, keepdim=True).values < FALSE_FACE * problem.spread[:, None]
    return fits.double()


def _terms(problem: _Problem, robust_scale: float, state: HeadState) -> list[Term]:
    """All residuals and their derivatives."""
    return [_point_term(problem, state, robust_scale), *_motion_terms(problem.times, state), *_lasting_terms(state)]


def _pixels(
    problem: _Problem, corrections: Float[Tensor, "n 8"], points: Float[Tensor, "*n p 3"]
) -> Float[Tensor, "n p 2"]:
    """Points of the head's frame in the image, from the principal point."""
    neck, head = problem.turned(corrections)
    neck = problem.above @ neck
    x = (problem.place + neck @ problem.bone)[:, None] + points @ (neck @ head).mT
    return problem.focal[:, None, None] * x[..., :2] / x[..., 2:].clamp_min(0.1) + corrections[:, None, TURNS:]


def _point_term(problem: _Problem, state: HeadState, robust_scale: float) -> Term:
    corrections = state.corrections
    points = state.points(problem.face).repeat(len(corrections), 1, 1)
    shown = partial(_pixels, problem)

    def by_correction(unit: Float[Tensor, " u"]) -> Float[Tensor, "n p 2"]:
        moves = (unit.expand_as(corrections), torch.zeros_like(points))
        slope: Tensor = torch.func.jvp(shown, (corrections, points), moves)[1]
        return slope

    def by_place(unit: Float[Tensor, "3"]) -> Float[Tensor, "n p 2"]:
        moves = (torch.zeros_like(corrections), unit.expand_as(points))
        slope: Tensor = torch.func.jvp(shown, (corrections, points), moves)[1]
        return slope

    frame = torch.func.vmap(by_correction)(torch.eye(UNKNOWNS, dtype=points.dtype)).movedim(0, -1)
    place = torch.func.vmap(by_place)(torch.eye(3, dtype=points.dtype)).movedim(0, -1)
    size = (place * (points - state.face[:3] - state.offsets)[:, :, None]).sum(-1, keepdim=True)
    each = torch.einsum("npai,pq->npaqi", place, torch.eye(points.shape[1], dtype=points.dtype)).flatten(3)
    shared = torch.cat([place, size, frame[..., :TURNS], each], dim=-1)
    factor = 1 / problem.spread[:, None, None]
    value = (shown(corrections, points) - problem.pixels) * factor
    residual = LinearizedResidual(value, {0: frame * factor[..., None]}, shared * factor[..., None])
    return Term("points", residual, problem.weight, robust_scale)


def _motion_terms(times: Float[Tensor, " n"], state: HeadState) -> list[Term]:
    """The correction of an instant stays near that of the clip, and changes slowly."""
    spread = torch.tensor([MOTION_SPREAD] * TURNS + [SHIFT_SPREAD] * 2, dtype=torch.float64)
    motions, eye = state.motions, torch.eye(UNKNOWNS, dtype=torch.float64)
    slope = (eye / spread[:, None]).expand(len(motions), 1, -1, -1)
    one = torch.ones(len(motions), 1, dtype=motions.dtype)
    terms = [Term("motion", LinearizedResidual((motions / spread)[:, None], {0: slope}, None), one)]
    if len(motions) > 1:
        rate = 1 / (SPEED * times.diff().clamp_min(1e-3))
        turns = eye[:TURNS].expand(len(motions), 1, -1, -1)
        speed = LinearizedResidual(motions[:, None, :TURNS], {0: turns}, None)
        terms.append(Term("speed", speed.stencil(torch.stack([-rate, rate], 1)), one[1:]))
    return terms


def _lasting_terms(state: HeadState) -> list[Term]:
    """The person's face is near the usual one, and the correction of the clip is not large."""
    usual = state.face.new_tensor([*ORIGIN, 0.0])
    value = torch.cat([state.face - usual, state.lasting, state.offsets.flatten()])
    spread = torch.full_like(value, SHAPE_SPREAD)
    spread[:4] = value.new_tensor([*ORIGIN_SPREAD, SIZE_SPREAD])
    spread[4 : 4 + TURNS] = value.new_tensor(LASTING_SPREAD).repeat_interleave(3)
    residual = LinearizedResidual((value / spread)[None, None], {}, torch.diag(1 / spread)[None, None])
    return [Term("face", residual, value.new_ones(1, 1))]
