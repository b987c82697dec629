"""One pose from one set of 2D landmarks: the likeliest of the bodies that project onto them.

A limb of known length that looks short points towards the camera or away from it (Taylor 2000), so one image fits many
poses. Each choice for the trunk is tried with each choice for the two bones of every limb; the limbs do not depend on
each other once the trunk is given, so the best combinations follow from a few fits. These are fitted again as a whole,
and the likeliest that differ from each other are the result.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, product

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, smpl_pose
from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.given_start import with_fixed_directions
from avatar.tracking.initialization import initial_state
from avatar.tracking.kinematics import KinematicChain, State, move_points, pose_chain
from avatar.tracking.masses import MASSES
from avatar.tracking.objective import Stage, per_image_terms
from avatar.tracking.prior_knowledge import ASSUMED_FOCAL, ASSUMED_HEIGHT_M
from avatar.tracking.problem import FitProblem, build_problem
from avatar.tracking.residuals import floor_distance, lift_point_residual, trunk_upright, up_of
from avatar.tracking.solver import ClipLinearization, Term, levenberg_marquardt
from avatar.tracking.world_frame import to_world_frame
from avatar.types import BodyPose, Observations

COARSE = Stage("limbs", 10, 0.02, math.inf, 0.6, math.inf, math.inf, 0.5, 0.3)
FINE = Stage("whole", 12, 0.010, 4.0, 0.3, math.inf, math.inf, 1.0, 0.5)
# A dragged point is no outlier.
LIVE = Stage("live", 6, 0.010, math.inf, 0.3, math.inf, math.inf, 1.0, 0.5)
APART_S = 1000.0  # assumed time between the hypotheses: each is an instant of its own
COMBINED = 16  # combinations of limbs that are fitted as a whole
ALIKE = 0.15  # trunks, limbs and hypotheses of which no joint differs by more than this are one, metres
BALANCE = 0.1  # standard deviation of the centre of mass from the middle of the feet, metres
FLOOR = 0.05
LEAST_DEPTH = 0.3  # of a bone that does not look short, as a share of its length: each choice starts on its own side
TRUNK_LEAN = 1.0
BACKWARD = 0.15  # people lean forwards far, and backwards little
SIGNS = (1.0, -1.0)
LIMBS = tuple(f"{side}_{kind}" for side in ("left", "right") for kind in ("arm", "leg"))
TRUNK = ("pelvis", "neck", "left_shoulder", "right_shoulder", "left_hip", "right_hip")
_PARTS = {"arm": ("shoulder", "elbow", "wrist"), "leg": ("hip", "knee", "ankle")}
_JOINTS = {"arm": ("collar", "shoulder", "elbow", "wrist", "hand"), "leg": ("hip", "knee", "ankle", "foot")}
_LEVELS = (0.75, 0.95)  # quantiles of apparent over true lengths that count as not foreshortened


@dataclass(frozen=True)
class PoseHypothesis:
    """A pose that fits the landmarks.

    Attributes:
        pose: of SMPL's 24 joints, in a world with Y up whose camera looks along -Z.
        cost: half the weighted sum of squares of the fit; less is likelier.
        joints: places of the 24 joints, metres.
        state: what was fitted, to go on from.
    """

    pose: BodyPose
    cost: float
    joints: Float[Tensor, "24 3"]
    state: State


def pose_hypotheses(observations: Observations, body: Body, count: int = 4) -> list[PoseHypothesis]:
    """The likeliest poses of a person in one image, the likeliest first, all different from each other.

    Args:
        observations: of one frame; only the 2D landmarks are used.
        body: the body that is posed.
        count: of hypotheses, at most.

    Raises:
        AvatarError: the landmarks lie in one point.
    """
    if float(observations.keypoints[0, :, :2].std(0).max()) < 1.0:
        raise AvatarError(f"{observations.source or 'The figure'}: all points lie in one place.")
    problem = _problem(observations, body, 1)
    names = LAYOUTS[observations.layout].names
    at = {name: index for index, name in enumerate(names)}
    scales = _scales(problem.pixels[0], problem.landmarks.rest, at)
    signs = product(scales, SIGNS, SIGNS, SIGNS, SIGNS)
    guesses = [
        _lifted(problem.pixels[0] / scale, problem.landmarks.rest, at, (tilt, turn, upper, lower))
        for scale, tilt, turn, upper, lower in signs
    ]
    problem = _problem(observations, body, len(guesses))
    pixels = torch.cat([problem.pixels, problem.confidence[..., None]], -1)
    start = initial_state(body, problem.landmarks, pixels, torch.stack(guesses), problem.times, problem.focal, names)
    coarse = _fit(with_fixed_directions(problem, start), start, COARSE)
    together = _combined(coarse, body, _best_combinations(problem, coarse, names))
    problem = _problem(observations, body, len(together))
    fine = _fit(with_fixed_directions(problem, together), together, FINE)
    costs = sum(_group_costs(term).sum(1) for term in _instant_terms(problem, FINE, fine))
    return _hypotheses(body, fine, torch.as_tensor(costs), count)


def refined_pose(observations: Observations, body: Body, start: PoseHypothesis) -> PoseHypothesis:
    """A pose that follows landmarks that have moved a little, fast enough for dragging.

    Args:
        observations: of one frame; start: the pose before, whose choices of depth stay.
    """
    problem = _problem(observations, body, 1)
    state = _fit(with_fixed_directions(problem, start.state), start.state, LIVE)
    return _hypotheses(body, state, torch.zeros(1), 1)[0]


def _scales(pixels: Float[Tensor, "l 2"], rest: Float[Tensor, "l 3"], at: dict[str, int]) -> list[float]:
    """Pixels per metre, if few or many of the bones are foreshortened."""
    pairs = [(f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for parts in _PARTS.values()
             for a, b in pairwise(parts)]  # fmt: skip
    pairs += [(f"{side}_shoulder", f"{side}_hip") for side in ("left", "right")]
    starts, ends = ([at[pair[k]] for pair in pairs] for k in (0, 1))
    ratio = (pixels[starts] - pixels[ends]).norm(dim=-1) / (rest[starts] - rest[ends]).norm(dim=-1)
    return [max(float(ratio.quantile(level)), 1e-6) for level in _LEVELS]


def _lifted(
    flat: Float[Tensor, "l 2"], rest: Float[Tensor, "l 3"], at: dict[str, int], signs: tuple[float, float, float, float]
) -> Float[Tensor, "l 3"]:
    """The landmarks with depths by missing lengths.

    Args:
        flat: in metres, in the image plane.
        signs: whether the shoulders lie behind the hips, the left side behind the right one, the upper and the lower
            bones of the limbs behind their joints (1) or before them (-1).
    """
    tilt, turn, upper, lower = signs
    depth = torch.zeros(len(flat), dtype=flat.dtype)

    def hidden(a: Tensor, b: Tensor, rest_a: Tensor, rest_b: Tensor) -> Tensor:
        full = (rest_b - rest_a).square().sum()
        return torch.maximum(full - (b - a).square().sum(), LEAST_DEPTH**2 * full).sqrt()

    def middle(values: Tensor, part: str) -> Tensor:
        return (values[at[f"left_{part}"]] + values[at[f"right_{part}"]]) / 2

    lean = tilt * hidden(middle(flat, "hip"), middle(flat, "shoulder"), middle(rest, "hip"), middle(rest, "shoulder"))
    for part, base in (("hip", torch.zeros_like(lean)), ("shoulder", lean)):
        a, b = at[f"left_{part}"], at[f"right_{part}"]
        half = turn * hidden(flat[a], flat[b], rest[a], rest[b]) / 2
        depth[a], depth[b] = base + half, base - half
    for side in ("left", "right"):
        for parts in _PARTS.values():
            for start, end, sign in zip(parts, parts[1:], (upper, lower), strict=False):
                a, b = at[f"{side}_{start}"], at[f"{side}_{end}"]
                depth[b] = depth[a] + sign * hidden(flat[a], flat[b], rest[a], rest[b])
    guess = torch.cat([flat, depth[:, None]], -1)
    return guess - middle(guess, "hip")


def _problem(observations: Observations, body: Body, count: int) -> FitProblem:
    """The landmarks as `count` instants that have nothing to do with each other."""
    repeated = max(count, 2)
    focal = ASSUMED_FOCAL * max(observations.width, observations.height)
    if observations.cameras is not None:
        focal = float(observations.cameras.K[0, 0, 0])
    together = replace(
        observations,
        keypoints=observations.keypoints[:1].repeat(repeated, 1, 1),
        keypoints_3d=torch.full_like(observations.keypoints[:1], torch.nan).repeat(repeated, 1, 1),
        instant=torch.arange(repeated),
        times=torch.arange(repeated) * APART_S,
        frame_weight=None,
        cameras=None,
    )
    problem = build_problem(together, body, focal, ASSUMED_HEIGHT_M)
    places = problem.pixels[0, problem.confidence[0] > 0.1]
    tall = (places.amax(0) - places.amin(0)).amax() if len(places) else problem.pixels[0].std()
    return replace(
        problem,
        pixels=problem.pixels[:count],
        confidence=problem.confidence[:count],
        frame_weight=problem.frame_weight[:count],
        guess=problem.guess[:count],
        times=problem.times[:count],
        bone_directions=problem.bone_directions[:count],
        joint_acceleration=problem.joint_acceleration[:count],
        bone_confidence=torch.ones_like(problem.bone_confidence[:count]),
        time_weight=torch.ones(count, dtype=torch.float64),
        person_height=tall.expand(count),
    )


def _fit(problem: FitProblem, state: State, stage: Stage) -> State:
    return levenberg_marquardt(state, partial(ClipLinearization, partial(_terms, problem, stage)), stage.steps)[0]


def _terms(problem: FitProblem, stage: Stage, state: State) -> list[Term]:
    """All residuals: those of any image, and what holds for most people who stand: feet on the floor, in balance."""
    chain = pose_chain(problem.body, state)
    joints, soles = move_points(chain, state, problem.joints), move_points(chain, state, problem.soles)
    every = torch.arange(len(problem.soles))[:, None]
    ones = torch.ones(len(state), 1, dtype=torch.float64)
    heights = lift_point_residual(floor_distance, soles, every, state, FLOOR * ones[:, None].expand(-1, len(every), -1))
    names = [problem.body.joint_names.index(name) for name in MASSES]
    balance = lift_point_residual(out_of_balance, joints, torch.tensor([names]), state, BALANCE * ones[:, None])
    trunk = [problem.body.joint_names.index(name) for name in ("pelvis", "neck", "left_hip", "right_hip")]
    back = lift_point_residual(backward_lean, joints, torch.tensor([trunk]), state, BACKWARD * ones[:, None])
    leans = lift_point_residual(trunk_upright, joints, problem.trunk, state, TRUNK_LEAN * ones[:, None])
    return [
        *per_image_terms(problem, stage, None, state),
        Term("floor", heights, ones.expand(-1, len(every)), 2.0),
        Term("balance", balance, ones, 2.0),
        Term("upright", leans, ones),
        Term("backward", back, ones, 2.0),
    ]


def out_of_balance(
    points: Float[Tensor, "k 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "2"]:
    """Horizontal way from the middle of the feet to the centre of mass. Points: as in `MASSES`. Data: the deviation."""
    masses = points.new_tensor(list(MASSES.values()))
    apart = masses @ points / masses.sum() - points[-4:].mean(0)
    up = up_of(camera)
    side = torch.stack([up[1], -up[0], torch.zeros_like(up[0])])
    side = side / side.norm()
    away: Tensor = torch.stack([apart @ side, apart @ torch.linalg.cross(up, side)]) / data[0]
    return away


def backward_lean(
    points: Float[Tensor, "4 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "1"]:
    """Sine of the angle by which the trunk leans backwards, 0 for forwards. Points: pelvis, neck, hips."""
    trunk = points[1] - points[0]
    forward = torch.linalg.cross(points[2] - points[3], up_of(camera))
    sine = trunk @ forward / (trunk.norm() * forward.norm().clamp_min(1e-6))
    return torch.clamp_min(-sine, 0)[None] / data[0]


def _instant_terms(problem: FitProblem, stage: Stage, state: State) -> list[Term]:
    """The terms that each hypothesis has for itself."""
    own = ("landmarks", "joint limit", "rest pose", "floor", "balance", "upright", "backward")
    return [term for term in _terms(problem, stage, state) if term.name in own]


def _group_costs(term: Term) -> Float[Tensor, "n g"]:
    """The cost of each group at each instant, see `Term`."""
    square = term.residual.value.square().sum(-1)
    robust = square if math.isinf(term.robust_scale) else square / (1 + square / term.robust_scale**2)
    return 0.5 * term.weight * robust


def _best_combinations(problem: FitProblem, state: State, names: tuple[str, ...]) -> list[tuple[int, ...]]:
    """The likeliest combinations: for each the instants that give the trunk and each of `LIMBS`.

    Choices that came to the same trunk or limb count once.
    """
    costs = _part_costs(problem, state, names)
    chain = pose_chain(problem.body, state)
    choices = len(SIGNS) ** 2  # of the bones of a limb; the instants of a trunk follow one another
    trunks = [
        min(range(first, first + choices), key=lambda index: float(costs["trunk"][index]))
        for first in range(0, len(state), choices)
    ]
    sums = []
    for base in _distinct(_places(problem.body, chain, TRUNK), costs["trunk"], trunks):
        first = base - base % choices
        limbs = [
            _distinct(_places(problem.body, chain, _limb_joints(limb)), costs[limb], range(first, first + choices))
            for limb in LIMBS
        ]
        for picked in product(*limbs):
            cost = costs["trunk"][base] + sum(costs[limb][index] for limb, index in zip(LIMBS, picked, strict=True))
            sums.append((float(cost), (base, *picked)))
    return [instants for _, instants in heapq.nsmallest(COMBINED, sums)]


def _part_costs(problem: FitProblem, state: State, names: tuple[str, ...]) -> dict[str, Float[Tensor, " n"]]:
    """The cost of the trunk and of each limb at each instant."""
    result = {part: torch.zeros(len(state), dtype=torch.float64) for part in ("trunk", *LIMBS)}
    owners = {"landmarks": names, **dict.fromkeys(("joint limit", "rest pose"), problem.body.joint_names[1:])}
    for term in _instant_terms(problem, COARSE, state):
        costs = _group_costs(term)
        for group in range(costs.shape[1]):
            part = _limb_of(owners[term.name][group]) if term.name in owners else "trunk"
            result[part] += costs[:, group]
    return result


def _places(body: Body, chain: KinematicChain, names: tuple[str, ...]) -> Float[Tensor, "n k 3"]:
    """Some joints at every instant, from the first of them."""
    joints = chain.position[:, [body.joint_names.index(name) for name in names]]
    return joints - joints[:, :1]


def _distinct(places: Float[Tensor, "n k 3"], costs: Float[Tensor, " n"], candidates: Iterable[int]) -> list[int]:
    """The cheapest of the candidate instants, without those much like a cheaper one."""
    result: list[int] = []
    for index in sorted(candidates, key=lambda one: float(costs[one])):
        if all(float((places[index] - places[other]).norm(dim=-1).max()) > ALIKE for other in result):
            result.append(index)
    return result


def _limb_of(name: str) -> str:
    """The limb that a joint, or a landmark beyond the limb's first joint, belongs to; else "trunk"."""
    side, _, kind = name.partition("_")
    limb = next((limb for limb, joints in _JOINTS.items() if kind in joints), None)
    return "trunk" if limb is None else f"{side}_{limb}"


def _limb_joints(limb: str) -> tuple[str, ...]:
    side, kind = limb.split("_")
    return tuple(f"{side}_{joint}" for joint in _PARTS[kind])


def _combined(state: State, body: Body, chosen: list[tuple[int, ...]]) -> State:
    """A state with one instant for each combination."""
    base = [instants[0] for instants in chosen]
    rotations = state.rotations[base].clone()
    for row, instants in enumerate(chosen):
        for limb, index in zip(LIMBS, instants[1:], strict=True):
            side, kind = limb.split("_")
            joints = [body.joint_names.index(f"{side}_{joint}") for joint in _JOINTS[kind]
                      if f"{side}_{joint}" in body.joint_names]  # fmt: skip
            rotations[row, joints] = state.rotations[index, joints]
    return replace(state, rotations=rotations, position=state.position[base])


def _hypotheses(body: Body, state: State, costs: Float[Tensor, " n"], count: int) -> list[PoseHypothesis]:
    """The likeliest hypotheses, without those that are much like a likelier one."""
    joints = pose_chain(body, state).position[:, list(body.smpl_index)]
    chosen = _distinct(joints - joints[:, :1], costs, range(len(state)))[:count]
    poses = smpl_pose(to_world_frame(state)[0])
    rest = body.rest(state.betas.float()).joints[list(body.smpl_index)]
    joints = joint_transforms(rest, SMPL_PARENTS, poses)[..., :3, 3]
    return [
        PoseHypothesis(
            poses[index],
            float(costs[index]),
            joints[index],
            replace(state, rotations=state.rotations[[index]], position=state.position[[index]]),
        )
        for index in chosen
    ]
