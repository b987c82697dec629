"""The body and the cameras of several images of one instant, fitted together before training.

One image does not determine the depth of each limb; images from several sides do, once their cameras are estimated.
Both follow from landmarks and silhouettes by the terms that fit a video: each image is an instant in which the body may
only turn and move before the camera, while shape and joints are the same in all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import Body
from avatar.geometry import invert_rigid, project, rigid, rotation_to_rotvec
from avatar.io.images import to_float
from avatar.metrics.images import alpha_iou
from avatar.runtime.thread_map import map_in_threads
from avatar.tracking.initialization import CAMERA_HEIGHT_M
from avatar.tracking.kinematics import State
from avatar.tracking.objective import Stage, per_image_terms
from avatar.tracking.problem import FitProblem, body_stature, build_problem
from avatar.tracking.silhouette import SilhouetteMatcher, SilhouetteMatches, filled_mesh
from avatar.tracking.solver import NormalEquations, levenberg_marquardt
from avatar.types import BodyPose, BodyTrack, ImageList, LandmarkDetector, Observations, PosedImage

# Coarse to fine, as for a video, but without what holds over time.
STAGES = (
    *[Stage("views", 4, 0.02, math.inf, 0.5, math.inf, math.inf, 0.5, 1.0, 0.02)] * 3,
    *[Stage("views and body", 3, 0.010, 3.0, 0.5, math.inf, math.inf, 1.0, 1.0, 0.01)] * 5,
)
APART_S = 1000.0  # assumed time between the images: each is an instant of its own
# Standard deviations in radians of the prior camera of a view, about the camera's axes: elevation, azimuth, roll.
# Cameras are held level; the error of the photo's own pitch shows as roll from the side.
VIEW_PRIOR = (0.1, 0.1, 0.015)
TRUSTED = 0.5  # weight of a view's landmarks, relative to the photo's
LEAST_IOU = 0.6  # a view whose silhouette agrees less with the body shows something else
ROOT = 6  # unknowns per image: the position and the orientation of the body


@dataclass(frozen=True)
class MultiviewProblem:
    """The inputs of the fit.

    Attributes:
        problem: the images as instants; matcher: their silhouettes.
        relative_rotations: prior rotation from the photo's camera to that of each image.
        view_prior: standard deviations of these rotations, see `VIEW_PRIOR`.
    """

    problem: FitProblem
    matcher: SilhouetteMatcher
    relative_rotations: Float[Tensor, "n 3 3"]
    view_prior: tuple[float, float, float]


def fit_views(
    photo: Observations,
    photo_image: PosedImage,
    views: Sequence[PosedImage],
    initial: BodyTrack,
    body: Body,
    detector: LandmarkDetector,
    view_prior: tuple[float, float, float] = VIEW_PRIOR,
) -> tuple[BodyTrack, list[PosedImage]]:
    """The body corrected by the photo and all views, and the views with corrected cameras.

    A view that does not show this body keeps its camera, and the others are fitted without it.

    Args:
        photo: its landmarks; photo_image: the photo, whose camera stays; views: with rough cameras.
        initial: the body as the photo alone shows it; detector: finds landmarks in the views.
        view_prior: standard deviations of the rough cameras, see `VIEW_PRIOR`.
    """
    images = [photo_image, *views]
    problem = _multiview_problem(photo, images, initial, body, detector, view_prior)
    state = _initial_state(images, initial, body, problem)
    for stage in STAGES:
        linearize = partial(_SharedPoseLinearization, problem, stage, problem.matcher.match(state))
        state, _ = levenberg_marquardt(state, linearize, stage.steps, tolerance=0.0)
    Ts_camera_body = rigid(state.rotations[:, 0], state.position)
    T_world_body = invert_rigid(photo_image.camera.T_camera_world[0].double()) @ Ts_camera_body[0]
    rotations = torch.cat([T_world_body[None, :3, :3], state.rotations[0, 1:]])
    pose = BodyPose(T_world_body[None, :3, 3].float(), rotations[None].float())
    fitted = replace(initial, betas=state.betas.float(), poses=pose)
    Ts = (Ts_camera_body @ invert_rigid(T_world_body)).float()
    moved = [replace(v, camera=replace(v.camera, T_camera_world=T[None])) for v, T in zip(views, Ts[1:], strict=True)]
    vertices = body.vertices(body.rest(fitted.betas), body.complete(pose[0]))
    good = [overlap(vertices, body, view) >= LEAST_IOU for view in moved]
    if all(good):
        return fitted, moved
    if not any(good):
        return initial, list(views)
    fitted, some = fit_views(
        photo, photo_image, [v for v, g in zip(views, good, strict=True) if g], initial, body, detector, view_prior
    )
    corrected = iter(some)
    return fitted, [next(corrected) if g else v for v, g in zip(views, good, strict=True)]


def overlap(vertices: Float[Tensor, "v 3"], body: Body, posed: PosedImage) -> float:
    """Intersection over union of a posed body's silhouette and an image's mask."""
    camera = posed.camera
    pixels, _depth = project(camera.K[0], camera.T_camera_world[0], vertices)
    size = (camera.width, camera.height)
    mine = filled_mesh(pixels.numpy(), body.faces.numpy().astype(np.int32), size) > 127
    return alpha_iou(torch.from_numpy(mine).float(), to_float(posed.mask))


def _multiview_problem(
    photo: Observations,
    images: Sequence[PosedImage],
    initial: BodyTrack,
    body: Body,
    detector: LandmarkDetector,
    view_prior: tuple[float, float, float],
) -> MultiviewProblem:
    """The images as a clip, all resampled to one focal length."""
    focal = min(float(posed.camera.K[0, 0, 0]) for posed in images)
    resampled = [_resample_image(posed, focal) for posed in images]
    centre = photo.keypoints.new_tensor([photo.width / 2, photo.height / 2])
    first = photo.keypoints[0].clone()
    first[:, :2] = (first[:, :2] - centre) * focal / float(images[0].camera.K[0, 0, 0]) + centre
    marks, guesses, trust = [first], [photo.keypoints_3d[0]], [1.0]
    # In a separate thread, which frees the network; freed at exit it prints an error.
    for people in map_in_threads(detector.detect, [image for image, _mask in resampled[1:]]):
        # A view without a detection still has its outline; its placeholder landmarks have zero confidence.
        marks.append(torch.from_numpy(people[0].keypoints.astype(np.float32)) if people else first)
        guesses.append(torch.from_numpy(people[0].keypoints_3d.astype(np.float32)) if people else guesses[0])
        trust.append(TRUSTED if people else 0.0)
    count = len(images)
    together = replace(
        photo,
        images=ImageList.of(tuple(image for image, _ in resampled)),
        masks=ImageList.of(tuple(mask for _, mask in resampled)),
        keypoints=torch.stack(marks),
        keypoints_3d=torch.stack(guesses),
        instant=torch.arange(count),
        times=torch.arange(count) * APART_S,
        frame_weight=None,
        cameras=None,
    )
    height, slope = body_stature(body)
    problem = build_problem(together, body, focal, height + float(slope @ initial.betas.double()))
    tall = problem.times.new_tensor([np.ptp(np.flatnonzero((mask > 127).any(1))) for _, mask in resampled])
    weight = problem.times.new_tensor(trust)[:, None]
    problem = replace(
        problem,
        person_height=tall,
        time_weight=torch.ones_like(problem.times),
        confidence=problem.confidence * weight,
        bone_confidence=problem.bone_confidence * weight,
    )
    matcher = SilhouetteMatcher(body, together.masks, photo.width, photo.height, float(tall.median()))
    R = torch.cat([posed.camera.T_camera_world[:, :3, :3] for posed in images]).double()
    return MultiviewProblem(problem, matcher, R @ R[0].mT, view_prior)


def _initial_state(images: Sequence[PosedImage], initial: BodyTrack, body: Body, views: MultiviewProblem) -> State:
    """The body of the photo before each prior camera."""
    T = torch.cat([posed.camera.T_camera_world for posed in images]).double()
    pose = body.complete(initial.poses[0])
    rotations = pose.rotations.double().repeat(len(images), 1, 1, 1)
    rotations[:, 0] = T[:, :3, :3] @ rotations[:, 0]
    return State(
        position=T[:, :3, :3] @ pose.root_position.double() + T[:, :3, 3],
        rotations=rotations,
        betas=initial.betas.double(),
        offsets=torch.zeros_like(views.problem.landmarks.rest),
        camera=torch.tensor([math.log(views.problem.focal), 0.0, 0.0, CAMERA_HEIGHT_M], dtype=torch.float64),
    )


def _stepped(state: State, step: Float[Tensor, " u"]) -> State:
    """A step of the unknowns: the root before each camera, then the joints and the shared ones, equal in all."""
    count, size = len(state), state.frame_size - ROOT
    roots, joints, shared = torch.split_with_sizes(step, [ROOT * count, size, state.shared_size])
    return state.moved(torch.cat([roots.view(count, ROOT), joints.expand(count, -1)], 1), shared)


class _SharedPoseLinearization:
    """The terms of all images and the prior of their cameras at one state, by the unknowns of `_stepped`."""

    def __init__(self, problem: MultiviewProblem, stage: Stage, matches: SilhouetteMatches, state: State) -> None:
        self._state = state
        self._terms = per_image_terms(problem.problem, stage, matches, state)
        self._robust = [term.robust() for term in self._terms]
        self.cost, self._prior_hessian, self._prior_gradient = _view_prior_normal(problem, state)
        for cost, _ in self._robust:
            self.cost += float(cost)

    @cached_property
    def _normal(self) -> tuple[Float[Tensor, "u u"], Float[Tensor, " u"]]:
        """Gauss-Newton matrix and gradient."""
        normal = NormalEquations(len(self._state), self._state.frame_size, self._state.shared_size)
        for term, (_, weight) in zip(self._terms, self._robust, strict=True):
            normal.add(term, weight)
        hessian, gradient = _shared_pose_normal(normal)
        size = len(self._prior_gradient)
        hessian[:size, :size] += self._prior_hessian
        gradient[:size] += self._prior_gradient
        return hessian, gradient

    def step(self, damping: float) -> State:
        """See `avatar.tracking.solver.Linearization`."""
        hessian, gradient = self._normal
        damped = hessian + torch.diag(damping * hessian.diagonal() + 1e-6)
        return _stepped(self._state, -torch.linalg.solve(damped, gradient))


def _shared_pose_normal(normal: NormalEquations) -> tuple[Float[Tensor, "u u"], Float[Tensor, " u"]]:
    """The normal equations of instants that share all unknowns but those of the root."""
    count, local, shared = normal.arrow.shape
    roots, size = ROOT * count, ROOT * count + local - ROOT + shared
    hessian, gradient = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    for i in range(count):
        own = torch.cat([torch.arange(ROOT * i, ROOT * (i + 1)), torch.arange(roots, roots + local - ROOT)])
        hessian[own[:, None], own] += normal.band[0][i]
        hessian[own, -shared:] += normal.arrow[i]
        hessian[-shared:, own] += normal.arrow[i].T
        gradient[own] += normal.frame_gradient[i]
    hessian[-shared:, -shared:] += normal.corner
    gradient[-shared:] += normal.shared_gradient
    return hessian, gradient


def _view_prior_normal(
    views: MultiviewProblem, state: State
) -> tuple[float, Float[Tensor, "r r"], Float[Tensor, " r"]]:
    """Cost, Gauss-Newton matrix and gradient of the prior on the cameras' relative rotations, by the roots."""
    R, relative = state.rotations[:, 0], views.relative_rotations
    count = len(R)
    error = rotation_to_rotvec(R @ (relative @ R[0]).mT)
    slope = torch.zeros(count, 3, count, ROOT, dtype=R.dtype)
    for i in range(1, count):
        slope[i, :, i, 3:] = R[i]
        slope[i, :, 0, 3:] = -relative[i] @ R[0]
    scale = error.new_tensor(views.view_prior)
    J = (slope / scale[:, None, None]).flatten(2).flatten(0, 1)
    r = (error / scale).flatten()
    return float(0.5 * r @ r), J.T @ J, J.T @ r


def _resample_image(posed: PosedImage, focal: float) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
    """An image and its mask resampled to a shorter focal length, centred."""
    import cv2

    K, size = posed.camera.K[0], (posed.camera.width, posed.camera.height)
    scale = focal / float(K[0, 0])
    # Pixel centres lie at half integers for us, at integers for OpenCV.
    shift = [side / 2 - 0.5 - scale * (float(c) - 0.5) for side, c in zip(size, K[:2, 2], strict=True)]
    M = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    image = cv2.warpAffine(posed.image, M, size, flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
    return image, cv2.warpAffine(posed.mask, M, size, flags=cv2.INTER_LINEAR)
