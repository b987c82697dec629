"""What other standing cameras show of the person, as terms of the fit of the first camera.

Their places and clocks are known up to one scale (`avatar.tracking.standing_cameras`). Landmarks are interpolated to
the instants of the first camera; silhouettes are those of the nearest frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.geometry import procrustes
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.kinematics import CameraPath, State
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.problem import FitProblem, OtherView, build_problem
from avatar.tracking.silhouette import SilhouetteMatcher
from avatar.tracking.standing_cameras import SURE, StandingCamera, triangulated
from avatar.tracking.synchronization import interpolated
from avatar.types import ImageList, Masks, Observations

LEAST_TRIANGULATED = 6  # landmarks of an instant that tell how its others are turned


@dataclass(frozen=True)
class OtherCamera:
    """Another camera of the fit.

    Attributes:
        camera: where it stands; layout: of the landmarks, the same for all cameras.
        problem: its landmarks, in its own pixels; matcher: its silhouettes.
        shows: at which instants it filmed.
    """

    camera: StandingCamera
    layout: str
    problem: FitProblem
    matcher: SilhouetteMatcher
    shows: Bool[Tensor, " n"]

    @staticmethod
    def of(
        observations: Observations, camera: StandingCamera, times: Float[Tensor, " n"], body: Body, height: float
    ) -> OtherCamera:
        """The camera of a video at the times of the first one.

        Args:
            height: of the person standing, metres.
        """
        observed = at_instants(observations, camera.offset, times)
        shows = observed.keypoints[..., :2].isfinite().all(-1).all(1)
        problem = build_problem(observed, body, camera.focal, height)
        confidence = problem.confidence * shows[:, None]
        problem = replace(problem, confidence=confidence, bone_confidence=torch.zeros_like(problem.bone_confidence))
        size, tall = (observed.width, observed.height), float(problem.person_height[0])
        matcher = SilhouetteMatcher(body, observed.masks, *size, tall, observed.trust)
        return OtherCamera(camera, observations.layout, problem, matcher, shows)

    def view(self, focal: float) -> OtherView:
        """Its landmarks in pixels of another focal length."""
        factor, count = focal / self.camera.focal, len(self.problem)
        problem = replace(
            self.problem,
            focal=focal,
            pixels=self.problem.pixels * factor,
            person_height=self.problem.person_height * factor,
        )
        R, t = (torch.from_numpy(values).expand(count, *values.shape) for values in (self.camera.R, self.camera.t))
        return OtherView(problem, CameraPath(R.contiguous(), t.contiguous(), True))


def at_instants(observations: Observations, offset: float, times: Float[Tensor, " n"]) -> Observations:
    """What a camera shows at other times: landmarks between its frames, masks of the nearest ones.

    Landmarks outside of its own times are NaN; masks are empty there.

    Args:
        offset: seconds to add to its own times.
    """
    own = observations.times.double() + offset
    nearest = nearest_frames(own, times)
    empty = np.zeros((observations.height, observations.width), np.uint8)

    def between(values: Float[Tensor, "m l c"]) -> Float[Tensor, "n l c"]:
        return torch.from_numpy(interpolated(values.double().numpy(), own.numpy(), times.double().numpy())).float()

    def stored(images: Masks) -> ImageList:
        return ImageList(len(times), lambda i: images[int(nearest[i])] if nearest[i] >= 0 else empty)

    weight = observations.frame_weight
    trust = observations.trust
    return replace(
        observations,
        masks=stored(observations.masks),
        trust=None if trust is None else stored(trust),
        keypoints=between(observations.keypoints),
        keypoints_3d=between(observations.keypoints_3d),
        frame_weight=None if weight is None else between(weight[:, None, None])[:, 0, 0].nan_to_num(0.0),
        times=times.float(),
        instant=torch.arange(len(times)),
    )


def nearest_frames(own: Float[Tensor, " m"], times: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    """The frame nearest to each time, -1 where none is within half of the usual distance between frames."""
    gap, index = (own[None] - times[:, None]).abs().min(1)
    return torch.where(gap <= 0.5 * own.diff().median() + 1e-3, index, -1)


def with_other_cameras(problem: FitProblem, others: Sequence[OtherCamera]) -> FitProblem:
    """The problem of the first camera with the views of the others, and with triangulated landmarks as its guess."""
    landmarks, _ = landmark_points(problem.body, others[0].layout, several_cameras=True)
    views = [other.view(problem.focal) for other in others]
    views = [replace(view, problem=replace(view.problem, landmarks=landmarks)) for view in views]
    problem = replace(problem, landmarks=landmarks, views=tuple(views))
    first = StandingCamera(np.eye(3), np.zeros(3), problem.focal, 0.0)
    pixels = torch.stack([problem.pixels, *(view.problem.pixels for view in problem.views)])
    confidence = torch.stack([problem.confidence, *(view.problem.confidence for view in problem.views)])
    cameras = [first, *(replace(other.camera, focal=problem.focal) for other in others)]
    places = torch.from_numpy(triangulated(cameras, pixels.numpy(), (confidence > SURE).numpy()))
    return with_places(problem, places, others[0].layout)


def with_places(problem: FitProblem, places: Float[Tensor, "n l 3"], layout: str) -> FitProblem:
    """The problem with places of landmarks before the camera instead of the detector's guess; NaN where unknown.

    Where an instant lacks some of them, the guess takes their place, turned as the others say.
    """
    guess, exact = problem.guess.clone(), places.isfinite().all(-1)
    for instant in (exact.sum(1) >= LEAST_TRIANGULATED).nonzero()[:, 0].tolist():
        good = exact[instant]
        scale, R, t = procrustes(guess[instant, good], places[instant, good])
        turned = scale * guess[instant] @ R.T + t
        guess[instant] = torch.where(good[:, None], places[instant], turned)
    exact &= (exact.sum(1) >= LEAST_TRIANGULATED)[:, None]
    names = LAYOUTS[layout].names
    joints = [problem.body.joint_names[int(joint)] for joint in problem.bones.flatten()]
    start, end = torch.tensor([names.index(name) for name in joints]).view(-1, 2).T
    both = exact[:, start] & exact[:, end]
    directions = F.normalize(guess[:, end] - guess[:, start], dim=-1)
    return replace(
        problem,
        guess=guess,
        bone_directions=torch.where(both[..., None], directions, problem.bone_directions),
        bone_confidence=torch.where(both, 1.0, problem.bone_confidence),
        # What is triangulated has none of the detector's biases.
        bone_pitch_bias=torch.where(both.all(0), 0.0, problem.bone_pitch_bias),
    )


def with_other_silhouettes(problem: FitProblem, matchers: Sequence[SilhouetteMatcher], state: State) -> FitProblem:
    """The problem with the silhouettes of the other cameras matched to the body as it is now.

    Args:
        matchers: one per view, in the pixels of their own images.
    """
    views = []
    for view, matcher in zip(problem.views, matchers, strict=True):
        factor = float(view.problem.person_height[0]) / matcher.person_height
        camera = state.camera.clone()
        camera[0] -= math.log(factor)
        matches = matcher.match(replace(state, camera=camera, path=view.path))
        matches.data[..., :2] *= factor
        views.append(replace(view, matches=matches))
    return replace(problem, views=tuple(views))
