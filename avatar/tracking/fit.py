"""Observations in, `BodyTrack` out: the whole-clip fit from the first guess to the world."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.shape_attributes import RANGES, load_shape_words, parse_words
from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError, UsageError
from avatar.landmark_layouts import LAYOUTS
from avatar.runtime.progress import Progress
from avatar.tracking.camera_pitch import PITCH_FROM_TURN, pitch_from_turn
from avatar.tracking.initialization import initial_state, state_in_pose
from avatar.tracking.kinematics import State, move_points, pose_chain
from avatar.tracking.leg_girth import fill_legs
from avatar.tracking.objective import SCHEDULE, terms
from avatar.tracking.optical_flow import FlowMeter
from avatar.tracking.options import TrackOptions
from avatar.tracking.problem import Clip, prepare
from avatar.tracking.report import TrackReport, median_distance, sentences
from avatar.tracking.silhouette import Outliner
from avatar.tracking.solver import minimise
from avatar.tracking.world_frame import to_world_frame
from avatar.types import BodyTrack, Cameras, Observations

ASSUMED_HEIGHT_M = 1.70
LEAST_HEIGHT_M, MOST_HEIGHT_M = 0.5, 2.6
# Focal length over the picture's longer side: a phone's main camera while filming, 26 mm equivalent with the crop
# of about a quarter that its stabiliser takes (33 mm equivalent).
ASSUMED_FOCAL = 0.92
LEAST_FRAMES = 5


def track(
    observations: Observations, body: Body, options: TrackOptions | None = None, start: BodyTrack | None = None
) -> tuple[BodyTrack, TrackReport]:
    """Fit `body` to all frames of one fixed camera at once.

    Args:
        options: what the user knows of the person and the camera.
        start: a motion of the same frames, from any other program, whose joint rotations the fit refines; its own
            place and camera are not used. None: the detector's 3D estimate.

    Raises:
        UsageError: see `known_shape`. AvatarError: there are too few frames.
    """
    options = options or TrackOptions()
    height, told = known_shape(body, options)
    if len(observations) < LEAST_FRAMES:
        raise AvatarError(f"{len(observations)} frames are too few to track a body: {LEAST_FRAMES} are needed.")
    names = LAYOUTS[observations.layout].names
    focal = known_focal(observations, options)
    given = focal is not None
    focal = focal or ASSUMED_FOCAL * max(observations.width, observations.height)
    clip = prepare(observations, body, focal, height or ASSUMED_HEIGHT_M)
    clip = replace(clip, told=told, focal_given=given)
    outliner = Outliner(body, observations.masks, observations.width, observations.height, float(clip.person_height[0]))
    meter = FlowMeter(body, observations, float(clip.person_height[0]))
    state = fit(clip, names, outliner, meter, start)
    marks = move_points(pose_chain(body, state), state, clip.landmarks).x
    found_focal = float(state.view[0].exp())
    report = TrackReport(
        focal=found_focal,
        reprojection=median_distance(found_focal * marks[..., :2] / marks[..., 2:], clip.pixels),
        warnings=sentences(
            state, clip.confidence, names, None if height else ASSUMED_HEIGHT_M, None if given else found_focal
        ),
    )
    return as_track(clip, state, observations), report


def known_focal(observations: Observations, options: TrackOptions) -> float | None:
    """The focal length in pixels that the user gave or that came with the observations."""
    if options.focal is None and observations.cameras is not None:
        return float(observations.cameras.K[0, 0, 0])
    return options.focal


def known_shape(
    body: Body, options: TrackOptions
) -> tuple[float | None, tuple[Float[Tensor, "k s"], Float[Tensor, " k"]] | None]:
    """The height in metres that the user gave, and what the other words say of the shape, see `Clip.told`.

    Raises:
        UsageError: the height is none or was said twice, or there are words and the body's shape has none.
    """
    words = parse_words(options.shape)
    language = load_shape_words(body.name) if words else None
    said = words.pop("height", None)
    if said is not None and options.height is not None:
        raise UsageError("The height was said twice: by --height and by --shape.")
    height = options.height if said is None else said
    if height is not None and not LEAST_HEIGHT_M <= height <= MOST_HEIGHT_M:
        raise UsageError(f"--height is in metres, from {LEAST_HEIGHT_M:g} to {MOST_HEIGHT_M:g}, not {height:g}.")
    if language is None or not words:
        return height, None
    slopes, values = language.conditions(words)
    spans = values.new_tensor([RANGES[name][1] - RANGES[name][0] for name in words])
    return height, (slopes / spans[:, None], values / spans)


def fit(
    clip: Clip, names: tuple[str, ...], outliner: Outliner, meter: FlowMeter, start: BodyTrack | None = None
) -> State:
    """Run the schedule from the detector's own 3D guess, or from the joint rotations of `start`."""
    pixels = torch.cat([clip.pixels, clip.confidence[..., None]], -1)
    known = (clip.body, clip.landmarks, pixels, clip.guess, clip.times, clip.focal)
    if start is None:
        state = initial_state(*known, names)
    else:
        state = state_in_pose(*known, turns_of(start, clip))
        clip = trusting(clip, state)
    with Progress("fit", len(SCHEDULE) + 1) as bar:
        for stage in SCHEDULE:
            by_picture = math.isfinite(stage.outline)
            outline = outliner.pair(state) if by_picture else None
            # Somebody who turns on the spot is steadied by the pose they hold. The light, which does not turn with
            # them, would drag the flow, and tilt them by half a degree.
            flow = meter.read(state) if by_picture and clip.pitch is None else None
            state, costs = minimise(state, partial(terms, clip, stage, outline, flow), stage.steps)
            pitch = pitch_from_turn(clip, state)
            if pitch is not None:
                clip = replace(clip, pitch=(pitch, PITCH_FROM_TURN))
            bar.step(f"{stage.name}, cost {sum(costs.values()):.0f}")
        state = fill_legs(clip, outliner, state)
        bar.step("girth of the legs")
    return state


def turns_of(start: BodyTrack, clip: Clip) -> Float[Tensor, "n j 3 3"]:
    """The rotations of a motion of the same clip, for the joints that both skeletons share.

    Raises:
        UsageError: it has not as many poses as the clip has frames.
    """
    if len(start) != len(clip):
        raise UsageError(
            f"The motion to start from has {len(start)} poses, but {len(clip)} frames are tracked: give one a frame."
        )
    turns = clip.body.rest_rotations.double().repeat(len(clip), 1, 1, 1)
    common = sum(a == b for a, b in zip(clip.body.joint_names, SMPL_JOINTS, strict=False))
    shared = min(common, start.poses.rotations.shape[1])
    turns[:, :shared] = start.poses.rotations[:, :shared].double()
    return turns


def trusting(clip: Clip, state: State) -> Clip:
    """The clip with the bone directions of `state` in place of the detector's."""
    ends = pose_chain(clip.body, state).place[:, clip.bones]
    directions = F.normalize(ends[:, :, 1] - ends[:, :, 0], dim=-1)
    return replace(clip, bone_directions=directions, bone_confidence=torch.ones_like(clip.bone_confidence))


def as_track(clip: Clip, state: State, observations: Observations) -> BodyTrack:
    """The fitted state as a track in the world, one camera a frame."""
    poses, T_camera_world = to_world_frame(state)
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
