"""Observations in, `BodyTrack` out: the whole-clip fit from the first guess to the world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.errors import AvatarError
from avatar.observe.layouts import LAYOUTS
from avatar.progress import progress
from avatar.track.clip import Clip, prepare
from avatar.track.initial import initial_state
from avatar.track.kinematics import State, move_points, pose_chain
from avatar.track.report import TrackReport, median_distance, sentences
from avatar.track.schedule import SCHEDULE, terms
from avatar.track.solve import minimise
from avatar.track.world import world_of
from avatar.types import BodyTrack, Cameras, Observations

ASSUMED_HEIGHT_M = 1.70
# Focal length over the picture's longer side: a phone's main camera while filming, 26 mm equivalent with the crop
# that its stabiliser takes.
ASSUMED_FOCAL = 0.87
LEAST_FRAMES = 5


@dataclass(frozen=True)
class TrackOptions:
    """What the user may know.

    Attributes:
        focal: focal length in pixels; None: that of the observations' cameras, else assumed.
        height: of the person standing, metres; None: assumed, which leaves the scale unknown.
    """

    focal: float | None = None
    height: float | None = None


def track(observations: Observations, body: Body, options: TrackOptions | None = None) -> tuple[BodyTrack, TrackReport]:
    """Fit `body` to all frames of one fixed camera at once.

    Raises:
        AvatarError: too few frames, or the body lacks SMPL's joints.
    """
    options = options or TrackOptions()
    if len(observations) < LEAST_FRAMES:
        raise AvatarError(f"{len(observations)} frames are too few to track a body: {LEAST_FRAMES} are needed.")
    names = LAYOUTS[observations.layout].names
    focal, assumed_focal = known_focal(observations, options), None
    if focal is None:
        focal = assumed_focal = ASSUMED_FOCAL * max(observations.width, observations.height)
    clip = prepare(observations, body, focal, options.height or ASSUMED_HEIGHT_M)
    state = fit(clip, names)
    marks = move_points(pose_chain(body, state), state, clip.landmarks).x
    report = TrackReport(
        focal=float(state.view[0].exp()),
        reprojection=median_distance(focal * marks[..., :2] / marks[..., 2:], clip.pixels),
        warnings=sentences(state, clip.confidence, names, None if options.height else ASSUMED_HEIGHT_M, assumed_focal),
    )
    return as_track(clip, state, observations), report


def known_focal(observations: Observations, options: TrackOptions) -> float | None:
    """The focal length in pixels that the user gave or that came with the observations."""
    if options.focal is None and observations.cameras is not None:
        return float(observations.cameras.K[0, 0, 0])
    return options.focal


def fit(clip: Clip, names: tuple[str, ...]) -> State:
    """Run the schedule from the detector's own 3D guess."""
    pixels = torch.cat([clip.pixels, clip.confidence[..., None]], -1)
    state = initial_state(clip.body, clip.landmarks, names, pixels, clip.guess, clip.times, clip.focal)
    for stage in progress(SCHEDULE, "fit"):
        state, _ = minimise(state, partial(terms, clip, stage), stage.steps)
    return state


def as_track(clip: Clip, state: State, observations: Observations) -> BodyTrack:
    """The fitted state as a track in the world, one camera a frame."""
    poses, T_camera_world = world_of(state)
    frames = len(observations)
    K = torch.eye(3).repeat(frames, 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = state.view[0].exp().float()
    K[:, 0, 2], K[:, 1, 2] = observations.width / 2, observations.height / 2
    cameras = Cameras(K, T_camera_world.repeat(frames, 1, 1), observations.width, observations.height)
    return BodyTrack(
        body=clip.body.name,
        betas=state.betas.float(),
        poses=poses,
        times=clip.times.float(),
        confidence=joint_confidence(clip),
        instant=observations.instant,
        cameras=cameras,
    )


def joint_confidence(clip: Clip) -> Float[Tensor, "n j"]:
    """Trust in each joint: that of the landmarks on its own bone and those beyond it."""
    carried = clip.landmarks.weights
    total = torch.einsum("nl,lj->nj", clip.confidence, carried) / carried.sum(0).clamp_min(1e-6)
    seen = carried.sum(0) > 0
    overall = clip.confidence.mean(1, keepdim=True)
    return torch.where(seen, total, overall).clamp(0, 1).float()
