"""The pose of each image of a camera as it comes: the fit of the last few frames, from the solution before.

The residuals are those of a whole clip (`objective.py`) without silhouettes and flow. The body is known, so its shape
stays as it is; the camera's tilt and height are solved anew in each window, from where they were.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.skeleton import SMPL_PARENTS
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.fit import ASSUMED_FOCAL
from avatar.tracking.initialization import initial_state
from avatar.tracking.kinematics import State
from avatar.tracking.objective import Stage, residual_terms
from avatar.tracking.problem import FitProblem, body_stature, build_problem
from avatar.tracking.solver import ClipLinearization, levenberg_marquardt
from avatar.tracking.world_frame import to_world_frame
from avatar.types import BodyPose, Detection, ImageList, Observations

WINDOW = 6  # frames
FIRST_STEPS = 12
LOST_SECONDS = 0.7  # without a person; the next one starts anew
STAGE = Stage("live", 2, 0.012, 4.0, 0.3, 3.0, 5.0, 1e-3, 1e-3)
NO_IMAGES = ImageList(0, lambda _: np.zeros((0, 0, 3), np.uint8))


class SlidingTracker:
    """Estimates one pose per image.

    Args:
        body: the person's own body: its template is the shape that the person has.
        layout: of the detector's landmarks.
    """

    def __init__(self, body: Body, layout: str) -> None:
        self.body, self.layout = body, layout
        self.forget()

    def forget(self) -> None:
        """Start anew with the next image."""
        self._frames: list[tuple[float, Detection]] = []
        self._state: State | None = None

    def follow(self, detection: Detection, size: tuple[int, int], time: float) -> BodyPose | None:
        """The pose in the newest image; None for the first one after a start.

        Args:
            detection: the person, in an image of `size` (width, height), taken at `time` in seconds.
        """
        if self._frames and not 0 < time - self._frames[-1][0] < LOST_SECONDS:
            self.forget()
        self._frames = [*self._frames[1 - WINDOW :], (time, detection)]
        if len(self._frames) < 2:
            return None
        problem = self._problem(size)
        terms = partial(residual_terms, problem, STAGE, None, None)
        first = self._state is None
        steps = FIRST_STEPS if first else STAGE.steps
        self._state, _ = levenberg_marquardt(self._start(problem), partial(ClipLinearization, terms), steps)
        poses, _ = to_world_frame(self._state)
        return poses[-1]

    def _problem(self, size: tuple[int, int]) -> FitProblem:
        keypoints = torch.from_numpy(np.stack([found.keypoints for _, found in self._frames]))
        keypoints_3d = torch.from_numpy(np.stack([found.keypoints_3d for _, found in self._frames]))
        times = torch.tensor([time - self._frames[0][0] for time, _ in self._frames])
        observations = Observations(
            NO_IMAGES, NO_IMAGES, keypoints, keypoints_3d, self.layout, torch.arange(len(times)), times, *size
        )
        return build_problem(observations, self.body, ASSUMED_FOCAL * max(size), body_stature(self.body)[0])

    def _start(self, problem: FitProblem) -> State:
        pixels = torch.cat([problem.pixels, problem.confidence[..., None]], -1)
        names = LAYOUTS[self.layout].names
        guess = initial_state(
            self.body, problem.landmarks, pixels, problem.guess, problem.times, problem.focal, names
        )
        if self._state is None:
            return guess
        known = slice(-(len(problem) - 1), None)
        return replace(
            guess,
            position=torch.cat([self._state.position[known], guess.position[-1:]]),
            rotations=torch.cat([self._state.rotations[known], guess.rotations[-1:]]),
            camera=self._state.camera,
        )
