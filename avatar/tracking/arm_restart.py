"""A second start for arms that the first one left in a wrong pose.

An upper arm that was guessed to point backwards can end in a local minimum: its limit holds it at the side of the
trunk, and elbow or hand are far from their landmarks, outliers. The landmarks themselves leave four poses of an arm of
known bone lengths, the elbow and the wrist each nearer to the camera or farther away (Taylor 2000); the likeliest of
them starts the fit again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.geometry import shortest_rotation
from avatar.tracking.kinematics import State, in_cameras, move_points, pose_chain
from avatar.tracking.problem import FitProblem
from avatar.tracking.solver import ClipLinearization, Term, levenberg_marquardt

LOST = 0.06  # distance of an elbow or wrist from its landmark, relative to the person's height in the image
LEAST_CONFIDENCE = 0.3  # of that landmark
MARGIN_S = 0.15  # around such frames, in which the arm starts anew too

Terms = Callable[[State], list[Term]]


def restart_lost_arms(problem: FitProblem, state: State, terms: Terms, pose_terms: Terms, steps: int) -> State:
    """The state, or a better one that a fit finds from other poses of the arms that are far from their landmarks.

    Args:
        terms: all terms of the fit.
        pose_terms: those of them that tell how likely the pose of a single frame is.
        steps: of the solver.
    """
    other = state
    for side in ("left", "right"):
        marks = [problem.landmark_names.index(f"{side}_{name}") for name in ("elbow", "wrist")]
        lost = lost_frames(problem, state, marks)
        if lost.any():
            other = with_likeliest_arm(problem, other, side, marks, lost, pose_terms)
    if other is state:
        return state
    solve = partial(ClipLinearization, terms)
    other, fitted = levenberg_marquardt(other, solve, steps)
    return other if fitted.cost < solve(state).cost else state


def lost_frames(problem: FitProblem, state: State, marks: list[int]) -> Bool[Tensor, " n"]:
    """The frames in which one of these points is far from its landmark, and those around them."""
    x = in_cameras(move_points(pose_chain(problem.body, state), state, problem.landmarks), state).x[:, marks]
    pixels = state.camera[0].exp() * x[..., :2] / x[..., 2:]
    distance = (pixels - problem.pixels[:, marks]).norm(dim=-1) / problem.person_height[:, None]
    confidence = problem.confidence[:, marks] * problem.frame_weight[:, None]
    lost = ((distance > LOST) & (confidence > LEAST_CONFIDENCE)).any(1)
    near = (problem.times[:, None] - problem.times[lost]).abs() <= MARGIN_S
    return near.any(1)


def with_likeliest_arm(
    problem: FitProblem, state: State, side: str, marks: list[int], lost: Bool[Tensor, " n"], pose_terms: Terms
) -> State:
    """The state with one arm in the likeliest of the poses that its landmarks leave, in each run of lost frames."""
    poses = [posed_arm(problem, state, side, marks, far) for far in product((False, True), repeat=2)]
    costs = torch.stack([cost_per_instant(pose_terms(pose), len(state)) for pose in poses])
    rotations = state.rotations.clone()
    for run in runs(lost):
        best = int(costs[:, run].sum(1).argmin())
        rotations[run] = poses[best].rotations[run]
    return replace(state, rotations=rotations)


def posed_arm(problem: FitProblem, state: State, side: str, marks: list[int], far: tuple[bool, ...]) -> State:
    """The state with one arm on the rays through its landmarks.

    Args:
        marks: the landmarks of elbow and wrist.
        far: for each of them, whether it lies on the far side of the joint before it, or on the near one.
    """
    joints = [problem.body.joint_names.index(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist")]
    chain = pose_chain(problem.body, state)
    bones = chain.rest[joints[1:]] - chain.rest[joints[:-1]]
    start = chain.position[:, joints[0]]
    directions = []
    for bone, mark, away in zip(bones, marks, far, strict=True):
        end = on_ray(*ray_through(state, problem.pixels[:, mark]), start, float(bone.norm()), away)
        directions.append(F.normalize(end - start, dim=-1))
        start = end
    parent = chain.orientation[:, problem.body.parents[joints[0]]]
    upper, fore = ((parent.mT @ direction[..., None]).squeeze(-1) for direction in directions)
    rotations = state.rotations.clone()
    shoulder = hinged(bones[0].expand_as(upper), upper, fore)
    rotations[:, joints[0]] = shoulder
    fore = (shoulder.mT @ fore[..., None]).squeeze(-1)
    rotations[:, joints[1]] = shortest_rotation(F.normalize(bones[1], dim=-1).expand_as(fore), fore)
    return replace(state, rotations=rotations)


def hinged(
    bone: Float[Tensor, "n 3"], upper: Float[Tensor, "n 3"], fore: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3 3"]:
    """The rotation of an upper arm from `bone` to `upper` that lets the elbow bend towards `fore`.

    At rest the arms point sideways and elbows bend forwards.
    """
    front = torch.tensor([0.0, 0.0, 1.0], dtype=bone.dtype).expand_as(bone)
    return frame_of(upper, fore) @ frame_of(bone, front).mT


def frame_of(along: Float[Tensor, "n 3"], towards: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3 3"]:
    """The rotation whose first axis is `along` and whose second is nearest to `towards`."""
    x = F.normalize(along, dim=-1)
    y = F.normalize(towards - (towards * x).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack([x, y, torch.linalg.cross(x, y)], -1)


def ray_through(state: State, pixels: Float[Tensor, "n 2"]) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Origin and unit direction of the rays through pixels, in the reference camera's frame."""
    direction = F.normalize(torch.cat([pixels, state.camera[0].exp().expand(len(pixels), 1)], -1), dim=-1)
    if state.path is None:
        return torch.zeros_like(direction), direction
    back = state.path.rotations.mT
    return -(back @ state.path_translations[..., None]).squeeze(-1), (back @ direction[..., None]).squeeze(-1)


def on_ray(
    origin: Float[Tensor, "n 3"],
    direction: Float[Tensor, "n 3"],
    centre: Float[Tensor, "n 3"],
    radius: float,
    far: bool,
) -> Float[Tensor, "n 3"]:
    """The far or near point of a ray at a distance from a centre; its nearest point, if it passes farther away."""
    along = ((centre - origin) * direction).sum(-1, keepdim=True)
    foot = origin + along * direction
    half = (radius**2 - (centre - foot).square().sum(-1, keepdim=True)).clamp_min(0).sqrt()
    return foot + (half if far else -half) * direction


def cost_per_instant(terms: list[Term], instants: int) -> Float[Tensor, " n"]:
    """The cost of those terms that have a residual at every instant."""
    return torch.stack([term.costs.sum(1) for term in terms if len(term.residual.value) == instants]).sum(0)


def runs(chosen: Bool[Tensor, " n"]) -> list[slice]:
    """The stretches of consecutive chosen instants."""
    edges = torch.cat([chosen.new_zeros(1), chosen, chosen.new_zeros(1)]).int().diff().nonzero()[:, 0].tolist()
    return [slice(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True)]
