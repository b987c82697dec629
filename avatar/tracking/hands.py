"""Fingers of a tracked person: bends and spreads of every instant, fitted to the points of a hand network."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.hand_angles import angle_ranges, finger_rotations
from avatar.body.skinning import joint_transforms
from avatar.geometry import rotation_from_rotvec
from avatar.tracking.hand_model import HandModel
from avatar.types import BodyTrack, Observations

STEPS, STEP = 150, 0.08
DIRECTION_SPREAD = 0.3  # of the network's bone directions, radians
PIXEL_SPREAD = 0.05  # of its points, as a share of the hand's length
REST_SPREAD = math.radians(45)  # of the angles around the hand at rest
LIMIT_SPREAD = math.radians(4)  # beyond the ranges
TIP_SHARE, TIP_SPREAD = 0.6, math.radians(15)  # one tendon bends middle and tip joint
SPEED = 6.0  # usual speed of an angle, radians per second
WRIST_SPREAD = 0.35  # of the wrist's direction from the body's fit, radians
LEAST_SHARE = 0.1  # of the instants with a hand, below which it is not followed
# Bones between the 21 points: the palm's five, then three of each finger.
BONES = tuple((0, 1 + 4 * f) for f in range(5)) + tuple(
    (1 + 4 * f + k, 2 + 4 * f + k) for f in range(5) for k in range(3)
)


@dataclass(frozen=True)
class _Problem:
    """What the fit sees: wrists in the camera's axes, and the network's points; n instants, two hands."""

    model: HandModel
    wrists: Float[Tensor, "n 2 3 3"]
    depth: Float[Tensor, "n 2"]
    pixels: Float[Tensor, "n 2 21 2"]
    directions: Float[Tensor, "n 2 20 3"]
    trust: Float[Tensor, "n 2"]
    focal: Float[Tensor, " n"]
    times: Float[Tensor, " n"]


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
    followed = (problem.trust > 0.5).float().mean(0) >= LEAST_SHARE
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
        wrists=Ts[:, wrists, :3, :3],
        depth=Ts[:, wrists, 2, 3].clamp_min(0.1),
        pixels=observations.hands[..., :2],
        directions=F.normalize(points[:, :, ends] - points[:, :, starts], dim=-1),
        trust=observations.hands[..., 0, 2],
        focal=track.cameras.K[:, 0, 0],
        times=track.times[track.instant],
    )


def _fit(problem: _Problem) -> Float[Tensor, "n 2 5 4"]:
    """The angles of least cost, by gradient descent on all instants at once."""
    rest = angle_ranges()[1]
    angles = rest.expand(len(problem.times), 2, 5, 4).clone().requires_grad_()
    turns = torch.zeros(len(problem.times), 2, 3, requires_grad=True)
    optimizer = torch.optim.Adam([angles, turns], lr=STEP, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=STEP / 20)
    with torch.enable_grad():
        for _ in range(STEPS):
            optimizer.zero_grad()
            _cost(problem, angles, turns).backward()
            optimizer.step()
            schedule.step()
    low, _, high = angle_ranges()
    return angles.detach().clamp(low, high)


def _cost(problem: _Problem, angles: Float[Tensor, "n 2 5 4"], turns: Float[Tensor, "n 2 3"]) -> Tensor:
    places = problem.model.points(angles) @ (problem.wrists @ rotation_from_rotvec(turns)).mT
    starts, ends = (list(column) for column in zip(*BONES, strict=True))
    bones = F.normalize(places[:, :, ends] - places[:, :, starts], dim=-1)
    direction = (bones - problem.directions).square().sum(-1) / DIRECTION_SPREAD**2
    # Where the hand stands is the body's affair: its points count relative to their own mean.
    scale = (problem.focal[:, None] / problem.depth)[..., None, None]
    flat, shown = scale * places[..., :2], problem.pixels
    apart = (flat - flat.mean(2, keepdim=True)) - (shown - shown.mean(2, keepdim=True))
    length = 0.18 * scale[..., 0]
    pixel = apart.square().sum(-1) / (PIXEL_SPREAD * length).square()
    data = problem.trust * (_robust(direction).sum(-1) + _robust(pixel).sum(-1))
    return data.sum() + _prior_cost(angles).sum() + _motion_cost(problem.times, angles, turns)


def _prior_cost(angles: Float[Tensor, "n 2 5 4"]) -> Float[Tensor, "n 2 5 4"]:
    low, rest, high = angle_ranges().to(angles)
    beyond = (low - angles).clamp_min(0) + (angles - high).clamp_min(0)
    cost = ((angles - rest) / REST_SPREAD).square() + (beyond / LIMIT_SPREAD).square()
    tendon = ((angles[..., :4, 3] - TIP_SHARE * angles[..., :4, 2]) / TIP_SPREAD).square()
    with_tendon: Tensor = cost + F.pad(tendon[..., None], (3, 0, 0, 1))
    return with_tendon


def _motion_cost(times: Float[Tensor, " n"], angles: Tensor, turns: Float[Tensor, "n 2 3"]) -> Tensor:
    """Slow angles, and wrists that stay near the body's fit and turn away from it slowly."""
    gaps = times.diff().clamp_min(1e-3)
    change = (angles.diff(dim=0).flatten(1) / (SPEED * gaps[:, None])).square().sum()
    drift = (turns.diff(dim=0).flatten(1) / (SPEED * gaps[:, None])).square().sum()
    near: Tensor = (turns / WRIST_SPREAD).square().sum()
    return change + drift + near


def _robust(squares: Tensor) -> Tensor:
    """Squares of residuals that grow only linearly beyond two spreads."""
    return 4 * 2 * ((1 + squares / 4).sqrt() - 1)
