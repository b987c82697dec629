"""Observations in, `BodyTrack` out: the whole-clip fit from the first guess to the world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, load_body
from avatar.errors import AvatarError
from avatar.io.camera_motion_file import CameraMotion
from avatar.runtime.progress import Progress
from avatar.tracking.arm_restart import restart_lost_arms
from avatar.tracking.camera_path import from_cameras, holds_pose, path_of, tilt_of_motion
from avatar.tracking.camera_pitch import PITCH_FROM_TURN, pitch_from_turn, pitch_from_turn_within
from avatar.tracking.face import with_face
from avatar.tracking.given_start import initial_rotations, with_fixed_directions
from avatar.tracking.hands import with_fingers
from avatar.tracking.head import with_head
from avatar.tracking.initialization import initial_state, state_from_rotations
from avatar.tracking.kinematics import CameraPath, State, in_cameras, move_points, pose_chain
from avatar.tracking.leg_girth import fit_leg_girth
from avatar.tracking.objective import ROLL, SCHEDULE, pose_terms, residual_terms
from avatar.tracking.options import TrackOptions, check_pitch
from avatar.tracking.other_cameras import OtherCamera, with_other_cameras
from avatar.tracking.prior_knowledge import (
    ASSUMED_HEIGHT_M,
    focal_prior,
    resolve_focal,
    resolve_shape,
    resolve_tilt,
)
from avatar.tracking.problem import FitProblem, build_problem
from avatar.tracking.report import TrackReport, fit_warnings, guess_warnings, median_distance, unknown_pitch
from avatar.tracking.samplers import Samplers, samplers_of
from avatar.tracking.solver import ClipLinearization, levenberg_marquardt
from avatar.tracking.verdict import depth_spread, failure, is_doubtful, silhouette_overlap
from avatar.tracking.vertical_lines import CameraTilt
from avatar.tracking.world_frame import to_world_frame
from avatar.types import BodyTrack, Cameras, Observations

FREE_ACCELERATION = 20.0  # m/s^2
DOUBTFUL_DEPTH = 0.1  # standard deviation of a joint's depth that halves its confidence, metres
OTHER_FOCALS = (1.4, 0.7)
LEAST_FRAMES = 5
MEASURED_HEIGHT = 0.12  # deviation of the height that depth images show before the fit, metres


def track(
    observations: Observations,
    body: Body | str | Path = "open",
    options: TrackOptions | None = None,
    start: BodyTrack | None = None,
    motion: CameraMotion | None = None,
    others: Sequence[OtherCamera] = (),
) -> tuple[BodyTrack, TrackReport]:
    """Fit a body to all frames of one camera at once.

    Args:
        observations: one person in a video.
        body: the body, or its name or file (see `avatar.body.load_body`).
        options: what the user knows of the person and the camera.
        start: a motion of the same frames, from any other program, whose joint rotations the fit refines; its own
            place and camera are not used. None: the detector's 3D estimate.
        motion: how the camera moved; None: it stood still.
        others: what other standing cameras show at the same instants; then this one must stand still.

    Raises:
        UsageError: see `resolve_shape`, `check_pitch`. AvatarError: there are too few frames, or the fit is no
            result (`options.keep_going` makes it a warning).
    """
    options = options or TrackOptions()
    check_pitch(options.pitch)
    body = body if isinstance(body, Body) else load_body(body)
    height, shape_constraint = resolve_shape(body, options)
    if len(observations) < LEAST_FRAMES:
        raise AvatarError(f"{len(observations)} frames are too few to track a body: {LEAST_FRAMES} are needed.")
    known_focal, path = resolve_focal(observations, options, motion), path_of(motion)
    focal, spread = (known_focal, 0.0) if known_focal is not None else focal_prior(observations, motion)
    problem = replace(
        build_problem(observations, body, focal, height or ASSUMED_HEIGHT_M),
        shape_constraint=shape_constraint,
        focal_given=known_focal is not None,
        tilt=resolve_tilt(observations, options, focal, spread, tilt_of_motion(motion, path)),
        pitch_given=options.pitch is not None,
        height_given=height is not None,
    )
    if others:
        problem = with_other_cameras(problem, others)
    samplers = samplers_of(observations, body, options, float(problem.person_height[0]), others)

    def attempt(variant: FitProblem) -> FittedClip:
        fitted, state = fit(variant, samplers, start, path)
        error, overlap = reprojection_error(fitted, state), silhouette_overlap(fitted, state, observations)
        return FittedClip(fitted, state, error, overlap)

    best = attempt(problem)
    if best.is_doubtful:
        best = min([best, *map(attempt, other_starts(problem))], key=lambda clip: clip.error)
    from_file = motion is not None and motion.focal_source != ""
    report = report_of(best, height, known_focal is not None or from_file)
    if samplers.depth is not None and best.problem.depth is None:
        report.warnings.append("the depth images do not fit the person in view: they were not used")
    if report.failure is not None:
        if not options.keep_going:
            raise AvatarError(
                f"{observations.source or 'The video'}: {report.failure}; --keep-going takes it as it is."
            )
        report.warnings.insert(0, report.failure)
    fitted = to_body_track(best.problem, best.state, observations)
    for refined in (with_head, with_fingers):
        fitted = refined(fitted, observations, body)
    return with_face(fitted, observations), report


@dataclass(frozen=True)
class FittedClip:
    """A fitted state, its error relative to the person's height, and the silhouettes' overlap (None without masks)."""

    problem: FitProblem
    state: State
    error: float
    overlap: float | None

    @property
    def is_doubtful(self) -> bool:
        """Whether another start may give a better fit."""
        return is_doubtful(self.overlap, self.error)


def reprojection_error(problem: FitProblem, state: State) -> float:
    """Median distance of the fitted from the detected landmarks, relative to the person's height in the image."""
    marks = in_cameras(move_points(pose_chain(problem.body, state), state, problem.landmarks), state).x
    pixels = state.camera[0].exp() * marks[..., :2] / marks[..., 2:]
    return median_distance(pixels, problem.pixels) / float(problem.person_height[0])


def other_starts(problem: FitProblem) -> list[FitProblem]:
    """The problem with any acceleration allowed, and then with a longer and a shorter lens if it is not given."""
    free = replace(problem, joint_acceleration=problem.joint_acceleration + FREE_ACCELERATION)
    factors = () if problem.focal_given else OTHER_FOCALS
    return [free, *(replace(free, focal=factor * problem.focal) for factor in factors)]


def report_of(clip: FittedClip, height: float | None, focal_known: bool) -> TrackReport:
    """The report of a fit of a person of this height, if it is given; whether anything gave the focal length."""
    state, focal = clip.state, float(clip.state.camera[0].exp())
    height_known = height is not None or clip.problem.depth is not None
    warnings = fit_warnings(
        state,
        clip.problem.confidence,
        clip.problem.landmark_names,
        None if height_known else ASSUMED_HEIGHT_M,
        None if focal_known else focal,
    )
    if not clip.problem.holds_pose:
        warnings += guess_warnings(state, depth_spread(clip.problem, state), clip.problem.body.joint_names)
    if clip.problem.pitch is None and clip.problem.tilt is None:
        warnings.append(unknown_pitch(float(state.camera[1])))
    return TrackReport(
        focal=focal,
        camera_scale=float(state.log_scale.exp()) if clip.problem.views else 1.0,
        reprojection=clip.error * float(clip.problem.person_height[0]),
        warnings=warnings,
        failure=failure(clip.overlap, clip.error),
        turn_pitch=None if clip.problem.pitch is None else clip.problem.pitch[0],
    )


def fit(
    problem: FitProblem,
    samplers: Samplers | None = None,
    start: BodyTrack | None = None,
    path: CameraPath | None = None,
) -> tuple[FitProblem, State]:
    """Run the schedule from the detector's own 3D guess, or from the joint rotations of `start`.

    Args:
        samplers: the images; None: the fit goes by the landmarks alone.
        path: of the camera, where it moves.

    Returns:
        The problem with what the fit itself showed, such as the camera's pitch from a full turn; and its solution.
    """
    samplers = samplers or Samplers()
    problem, state, samplers = first_state(problem, samplers, start)
    if path is not None:
        state = on_path(problem, state, path)
    if problem.views:
        state = replace(state, log_scale=state.camera.new_zeros(1))  # of the distances between the cameras
    tilt_measured = problem.tilt is not None
    with Progress("fit", len(SCHEDULE) + 1) as bar:
        for turn, stage in enumerate(SCHEDULE):
            problem, matches, flow = samplers.read(problem, state, stage, turn)
            terms = partial(residual_terms, problem, stage, matches, flow)
            state, linearization = levenberg_marquardt(state, partial(ClipLinearization, terms), stage.steps)
            if stage.name == "limbs" and problem.pitch is None:
                likely = partial(pose_terms, problem, stage)
                state = restart_lost_arms(problem, state, terms, likely, stage.steps)
            problem = with_what_a_turn_shows(problem, state, tilt_measured)
            bar.step(f"{stage.name}, cost {linearization.cost:.0f}")
        if samplers.silhouette is not None:
            state = fit_leg_girth(problem, samplers.silhouette, state)
        bar.step("girth of the legs")
    return problem, state


def first_state(problem: FitProblem, samplers: Samplers, start: BodyTrack | None) -> tuple[FitProblem, State, Samplers]:
    """Where the solver begins, as far away as measured depth says; depth that does not fit the person is left out."""
    pixels = torch.cat([problem.pixels, problem.confidence[..., None]], -1)
    inputs = (problem.body, problem.landmarks, pixels, problem.guess, problem.times, problem.focal)
    if start is None:
        state = initial_state(*inputs, problem.landmark_names)
    else:
        state = state_from_rotations(*inputs, initial_rotations(start, problem))
        problem = with_fixed_directions(problem, state)
    factor = None if samplers.depth is None else samplers.depth.size_factor(state)
    if factor is None:
        return problem, state, samplers.without_depth()
    return *resized(problem, state, factor), samplers


def on_path(problem: FitProblem, state: State, path: CameraPath) -> State:
    """The state in the world of a camera that moves."""
    feet = [problem.landmark_names.index(f"{side}_ankle") for side in ("left", "right")]
    landmarks = move_points(pose_chain(problem.body, state), state, problem.landmarks)
    return from_cameras(state, path, landmarks.x[:, feet], problem.times)


def with_what_a_turn_shows(problem: FitProblem, state: State, tilt_measured: bool) -> FitProblem:
    """The problem with the camera's pitch, where the person turns right round, and whether they hold one pose."""
    pitch = pitch_from_turn(problem, state)
    if pitch is not None:
        problem = replace(problem, pitch=given_pitch(problem) or (pitch, PITCH_FROM_TURN))
    elif not tilt_measured and problem.pitch is None:
        problem = replace(problem, tilt=tilt_from_turn_within(problem, state))
    return replace(problem, holds_pose=problem.pitch is not None or holds_pose(state))


def resized(problem: FitProblem, state: State, factor: float) -> tuple[FitProblem, State]:
    """A person of mean shape moved to this many times the distance, and the height that their size then means."""
    if not problem.height_given:
        problem = replace(problem, height=problem.stature[0] * factor, height_spread=MEASURED_HEIGHT)
    return problem, replace(state, position=state.position * factor)


def tilt_from_turn_within(problem: FitProblem, state: State) -> CameraTilt | None:
    """The camera's tilt from a full turn in a part of the clip, if there is one."""
    pitch = pitch_from_turn_within(problem, state)
    return None if pitch is None else CameraTilt(pitch, PITCH_FROM_TURN, 0.0, ROLL)


def given_pitch(problem: FitProblem) -> tuple[float, float] | None:
    """The pitch that the user gave, and its standard deviation."""
    tilt = problem.tilt
    return (tilt.pitch, tilt.pitch_spread) if tilt is not None and problem.pitch_given else None


def to_body_track(problem: FitProblem, state: State, observations: Observations) -> BodyTrack:
    """The fitted state as a track in the world, one camera per frame."""
    poses, Ts_camera_world = to_world_frame(state)
    frames = len(observations)
    K = torch.eye(3).repeat(frames, 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = state.camera[0].exp().float()
    K[:, 0, 2], K[:, 1, 2] = observations.width / 2, observations.height / 2
    cameras = Cameras(K, Ts_camera_world.contiguous(), observations.width, observations.height)
    return BodyTrack(
        body=problem.body.name,
        betas=state.betas.float(),
        poses=poses,
        times=problem.times.float(),
        confidence=joint_confidence(problem, state),
        instant=observations.instant,
        cameras=cameras,
    )


def joint_confidence(problem: FitProblem, state: State) -> Float[Tensor, "n j"]:
    """Confidence of each joint: that of the landmarks on its bone and beyond, lowered where its depth is a guess."""
    carried = problem.landmarks.weights
    total = torch.einsum("nl,lj->nj", problem.confidence, carried) / carried.sum(0).clamp_min(1e-6)
    observed = carried.sum(0) > 0
    overall = problem.confidence.mean(1, keepdim=True)
    visible = torch.where(observed, total, overall).clamp(0, 1) * problem.frame_weight[:, None]
    if not problem.holds_pose:  # a full turn shows every limb from the side
        visible = visible / (1 + (depth_spread(problem, state) / DOUBTFUL_DEPTH).square())
    return visible.float()
