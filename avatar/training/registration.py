"""Registration: poses and surface moved until every frame shows the same place of the surface at the same spot.

Splats trained on frames that disagree by a pixel or two settle on a blurred mean, which is a stable minimum of the
photometric loss. Registration takes the avatar as it is, blurred or not, finds its surface in every frame by optical
flow (`surface_flow`), and solves one least-squares problem over the whole clip, a bundle adjustment (Triggs et al.
2000) of an articulated surface: the pose of every instant, and one smooth displacement of the surface along its
normals, which the parallax between the frames determines. Training goes on from there, and the next registration sees
sharper splats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.skinning import skin, skinning_transforms
from avatar.geometry import project
from avatar.model.avatar import Avatar
from avatar.runtime.thread_map import map_in_threads
from avatar.tracking.kinematics import KinematicChain, SkinnedPoints, State, move_points, pose_chain
from avatar.tracking.solver import LinearizedResidual, NormalEquations, Term, levenberg_marquardt
from avatar.training.pose_refinement import PoseRefinement
from avatar.training.surface_field import SurfaceField
from avatar.training.surface_flow import MIN_OPACITY, SurfaceMatches, match_surface
from avatar.training.views import TrainingView
from avatar.training.visibility import RenderView
from avatar.types import BodyPose

ViewOf = Callable[[int], TrainingView]

POINTS = 2000  # Gaussians that are looked for in every frame
STEPS = 3  # of Gauss and Newton, for one measurement of the flow

# Standard deviations. The correction of each joint is small and smooth in time; the clip's usual rate is meant.
MATCH = 0.0008  # of a measured point, relative to the long side of the cropped image
LEAST_MATCH = 0.35  # pixels
MATCH_ROBUST_SCALE = 3.0
MATCH_WEIGHT = 0.3  # of each point: errors of neighbours on the surface are correlated
OUTLINE_WEIGHT = 0.3
TURN = math.radians(2.0)  # of a joint
TURN_OF_ROOT = math.radians(4.0)
MOVE = 0.02  # of the root, metres
TURN_CHANGE = math.radians(0.5)  # second difference of a joint's correction from instant to instant
MOVE_CHANGE = 0.003  # the same for the root, metres


@dataclass(frozen=True)
class Correction:
    """The unknowns: `poses` in the world, `heights` of the surface's control points in metres, and how far each
    instant has moved from where it began (`moved`), in the units of `State.moved`."""

    poses: State
    heights: Float[Tensor, " c"]
    moved: Float[Tensor, "n d"]


@dataclass(frozen=True)
class RegistrationProblem:
    """All measurements of a clip.

    Attributes:
        rest, normals: of the sampled Gaussians on the body at rest, with what each instant's pose changes about them,
            its fingers included.
        weights: of the sampled Gaussians; fingers move with the wrist.
        field: displacement of the surface at all Gaussians; sampled: which of them are looked for.
        matches: of every frame; rows: which of the n poses belongs to an instant.
    """

    body: Body
    rest: Float[Tensor, "n p 3"]
    normals: Float[Tensor, "n p 3"]
    weights: Float[Tensor, "p j"]
    field: SurfaceField
    sampled: Int[Tensor, " p"]
    matches: Sequence[SurfaceMatches]
    rows: Mapping[int, int]


@torch.no_grad()
def register(
    avatar: Avatar, poses: PoseRefinement, frames: Sequence[int], view_of: ViewOf, render_view: RenderView, seed: int
) -> None:
    """Move the corrections of the trained instants and the offsets of all Gaussians to fit the images.

    Args:
        frames: of trained instants, with cameras that are right as they are; there may be several of one instant.
        view_of: reads a frame; seed: chooses the Gaussians that are looked for.
    """
    problem, start = registration_problem(avatar, poses, frames, view_of, render_view, seed)
    result, _ = levenberg_marquardt(start, lambda state: RegistrationLinearization(problem, state), STEPS)
    steps = start.poses.rotations.mT @ result.poses.rotations
    poses.correct(steps.float(), (result.poses.position - start.poses.position).float())
    displacement = problem.field.displacement(result.heights).to(avatar.surface.normals)
    move = displacement[:, None] * avatar.surface.normals
    avatar.gaussians.offset.add_(torch.einsum("nyx,ny->nx", avatar.surface.frames, move))


@torch.no_grad()
def registration_problem(
    avatar: Avatar, poses: PoseRefinement, frames: Sequence[int], view_of: ViewOf, render_view: RenderView, seed: int
) -> tuple[RegistrationProblem, Correction]:
    """Measure the flow in every frame; the problem, and where it begins."""
    chosen = sampled_gaussians(avatar, seed)
    trained = poses.trained_poses()

    @torch.no_grad()  # holds in its own thread alone
    def match(frame: int) -> SurfaceMatches:
        view = view_of(frame)
        return match_surface(avatar, poses.pose(view.instant), view, render_view, chosen)

    full = avatar.body.complete(trained)
    state = State(
        full.root_position.double().cpu(),
        full.rotations.double().cpu(),
        avatar.betas.double().cpu(),
        torch.zeros(1, 3, dtype=torch.float64),
        torch.zeros(4, dtype=torch.float64),
    )
    weights = avatar.weights[chosen].double().cpu()
    if trained.fingers is not None:
        weights = _with_hands_on_wrists(avatar.body, weights)
    rest, normals = _unposed(avatar, trained, chosen, weights)
    field = SurfaceField.of(avatar.rest_means(), avatar.surface.normals)
    problem = RegistrationProblem(
        body=avatar.body.to("cpu"),
        rest=rest,
        normals=normals,
        weights=weights,
        field=field,
        sampled=chosen.cpu(),
        matches=list(map_in_threads(match, frames)),
        rows={instant: row for row, instant in enumerate(poses.trained_instants)},
    )
    heights = torch.zeros(field.controls, dtype=torch.float64)
    return problem, Correction(state, heights, torch.zeros(len(state), state.frame_size, dtype=torch.float64))


def _with_hands_on_wrists(body: Body, weights: Float[Tensor, "p j"]) -> Float[Tensor, "p j"]:
    """Skinning weights of a hand whose fingers have poses of their own, which no joint of the body turns."""
    joined = weights.clone()
    for side in ("left", "right"):
        wrist, hand = (body.joint_names.index(f"{side}_{name}") for name in ("wrist", "hand"))
        joined[:, wrist] += joined[:, hand]
        joined[:, hand] = 0
    return joined


def _unposed(
    avatar: Avatar, poses: BodyPose, chosen: Int[Tensor, " p"], weights: Float[Tensor, "p j"]
) -> tuple[Float[Tensor, "n p 3"], Float[Tensor, "n p 3"]]:
    """Places and normals at rest that the body's joints carry, by these weights, to where the Gaussians are."""
    body = avatar.body
    full = body.complete(replace(poses, fingers=None, face=None))
    Ts = skinning_transforms(avatar.rest.joints, body.parents, full).double().cpu()
    blended = torch.unflatten(weights @ Ts[..., :3, :].flatten(-2), -1, (3, 4))
    turned, moved = blended[..., :3], blended[..., 3]
    each = [poses[row] for row in range(len(poses))]
    places = torch.stack([avatar.pose(pose, lit=False).means[chosen] for pose in each]).double().cpu()
    normals = torch.stack([avatar.posed_normals(pose)[chosen] for pose in each]).double().cpu()
    rest = torch.linalg.solve(turned, (places - moved)[..., None])[..., 0]
    return rest, F.normalize((turned.mT @ normals[..., None])[..., 0], dim=-1)  # a blend of rotations is almost one


def sampled_gaussians(avatar: Avatar, seed: int) -> Int[Tensor, " p"]:
    """Opaque Gaussians, spread evenly over all of them."""
    opaque = (avatar.gaussians.opacities > MIN_OPACITY).nonzero().squeeze(1)
    order = torch.randperm(len(opaque), generator=torch.Generator().manual_seed(seed))
    return opaque[order[:POINTS].to(opaque.device)]


class RegistrationLinearization:
    """The least-squares problem at one state; the normal equations are built for the first step."""

    def __init__(self, problem: RegistrationProblem, state: Correction) -> None:
        self.problem, self.state = problem, state
        self.chain = pose_chain(problem.body, state.poses)
        posed = BodyPose(state.poses.position, state.poses.rotations)
        self._Ts_world_rest = skinning_transforms(self.chain.rest, problem.body.parents, posed)
        self._priors = _priors(problem, state)
        measured = (term for frame in range(len(problem.matches)) for term in self._terms(frame))
        self.cost = float(sum(term.robust()[0] for term in (*self._priors, *measured)))

    @cached_property
    def _normal(self) -> NormalEquations:
        poses, controls = self.state.poses, len(self.state.heights)
        normal = NormalEquations(len(poses), poses.frame_size, controls)
        for term in self._priors:
            normal.add(term, term.robust()[1])
        for frame in range(len(self.problem.matches)):
            for term in self._terms(frame, with_slopes=True):
                normal.add(term, term.robust()[1])
        return normal

    def step(self, damping: float) -> Correction:
        """See `avatar.tracking.solver.Linearization`."""
        local, shared = self._normal.step(damping)
        poses = self.state.poses
        none = torch.zeros(poses.shared_size, dtype=torch.float64)
        return Correction(poses.moved(local, none), self.state.heights + shared, self.state.moved + local)

    def _terms(self, frame: int, with_slopes: bool = False) -> list[Term]:
        """Where the points of one frame are projected, minus where the flow and the outline found them."""
        matches = self.problem.matches[frame]
        count = len(matches.points)
        points = torch.cat([matches.points, matches.outline_points])
        pixels, by_pose, by_height = self._projected(frame, points, with_slopes)
        deviation = max(MATCH * max(matches.camera.height, matches.camera.width), LEAST_MATCH)
        row = self.problem.rows[matches.instant]

        def term(
            name: str, error: Float[Tensor, "m c"], axes: Float[Tensor, "m c 2"], part: slice, weight: Tensor
        ) -> Term:
            local = {row: (axes @ by_pose[part] / deviation)[None]} if with_slopes else {}
            shared = (axes @ by_height[part] / deviation)[None] if with_slopes else None
            residual = LinearizedResidual(error[None] / deviation, local, shared)
            return Term(name, residual, weight[None], MATCH_ROBUST_SCALE)

        across = matches.outline_normals[:, None]
        error = (matches.axes @ (pixels[:count] - matches.pixels)[..., None])[..., 0]
        gap = (across @ (pixels[count:] - matches.outline_pixels)[..., None])[..., 0]
        weight = torch.full_like(gap[:, 0], OUTLINE_WEIGHT)
        return [
            term("match", error, matches.axes, slice(count), MATCH_WEIGHT * matches.weight),
            term("outline", gap, across, slice(count, None), weight),
        ]

    def _projected(
        self, frame: int, points: Int[Tensor, " m"], with_slopes: bool
    ) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m 2 d"], Float[Tensor, "m 2 c"]]:
        """Pixels of sampled Gaussians in one frame; derivatives by its pose and by the heights (or no columns)."""
        problem, camera = self.problem, self.problem.matches[frame].camera
        row = problem.rows[problem.matches[frame].instant]
        weights, normals, field = (
            problem.weights[points],
            problem.normals[row, points],
            problem.field[problem.sampled[points]],
        )
        rest = problem.rest[row, points] + field.displacement(self.state.heights)[:, None] * normals
        K, T = camera.K[0].double(), camera.T_camera_world[0].double()
        if not with_slopes:
            none = rest.new_zeros(len(points), 2, 0)
            return project(K, T, skin(rest, weights, self._Ts_world_rest[row]))[0], none, none
        chain = _one_instant(self.chain, row)
        dirs, nowhere = rest.new_zeros(1, *rest.shape, len(self.state.poses.betas)), torch.full((len(points),), -1)
        moved = move_points(
            chain, _one_state(self.state.poses, row), SkinnedPoints(rest[None], dirs, weights[None], nowhere)
        )
        by_point = _projection_slope(K, T, moved.x[0])
        outward = torch.einsum("pj,jab,pb->pa", weights, chain.orientation[0], normals)
        by_height = (by_point @ outward[..., None]) * field.dense()[:, None]
        return project(K, T, moved.x[0])[0], by_point @ moved.jac_frame[0], by_height


def _priors(problem: RegistrationProblem, state: Correction) -> list[Term]:
    """Corrections are small and smooth in time; the displacement of the surface is small and smooth."""
    count, size = state.moved.shape
    one = torch.ones(count, 1, dtype=torch.float64)
    identity = torch.eye(size, dtype=torch.float64).expand(count, 1, size, size)
    moved = LinearizedResidual(state.moved[:, None], {0: identity}, None)
    deviation = torch.full((size,), TURN, dtype=torch.float64)
    deviation[:3], deviation[3:6] = MOVE, TURN_OF_ROOT
    change = torch.full((size,), TURN_CHANGE, dtype=torch.float64)
    change[:3] = MOVE_CHANGE
    terms = [Term("size", _divided(moved, deviation), one)]
    if count > 2:
        second = moved.value.new_tensor([1.0, -2.0, 1.0]).expand(count - 2, 3)
        terms.append(Term("change", _divided(moved.stencil(second), change), one[2:]))
    value, slope = problem.field.prior(state.heights)
    shared = LinearizedResidual(value[None, :, None], {}, slope[None, :, None])
    return [*terms, Term("surface", shared, one.new_ones(1, len(value)))]


def _divided(residual: LinearizedResidual, deviation: Float[Tensor, " m"]) -> LinearizedResidual:
    """Residuals in units of their deviations."""
    local = {ahead: slope / deviation[:, None] for ahead, slope in residual.jac_frame.items()}
    return LinearizedResidual(residual.value / deviation, local, None)


def _projection_slope(
    K: Float[Tensor, "3 3"], T_camera_world: Float[Tensor, "4 4"], x: Float[Tensor, "p 3"]
) -> Float[Tensor, "p 2 3"]:
    """Derivative of the pixels of world points by their positions."""
    R = T_camera_world[:3, :3]
    homogeneous = (x @ R.T + T_camera_world[:3, 3]) @ K.T
    depth = homogeneous[:, 2:, None].clamp_min(1e-4)
    rows = K @ R
    return (rows[:2] - homogeneous[:, :2, None] / depth * rows[2]) / depth


def _one_instant(chain: KinematicChain, row: int) -> KinematicChain:
    only = slice(row, row + 1)
    return replace(
        chain,
        orientation=chain.orientation[only],
        position=chain.position[only],
        position_jac_betas=chain.position_jac_betas[only],
    )


def _one_state(state: State, row: int) -> State:
    only = slice(row, row + 1)
    return replace(state, position=state.position[only], rotations=state.rotations[only])
