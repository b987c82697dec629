"""The pose of each image of a camera as it comes: the fit of the last few frames, from the solution before.

The residuals are those of a whole clip (`objective.py`) without silhouettes and flow. The body is the person's own, so
its shape stays as it is; the camera's tilt and height are solved anew in each window, from where they were.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.initialization import initial_state
from avatar.tracking.kinematics import State
from avatar.tracking.objective import Stage, residual_terms
from avatar.tracking.prior_knowledge import ASSUMED_FOCAL
from avatar.tracking.problem import FitProblem, body_stature, build_problem
from avatar.tracking.solver import ClipLinearization, levenberg_marquardt
from avatar.tracking.world_frame import to_world_frame
from avatar.types import BodyPose, Detection, ImageList, Observations

WINDOW = 4  # frames
FIRST_STEPS = 12
LOST_SECONDS = 0.7  # without a person; the next one starts anew
STAGE = Stage("live", 1, 0.012, 4.0, 0.3, 3.0, 5.0, 1e-3, 1e-3)
NO_IMAGES = ImageList(0, lambda _: np.zeros((0, 0, 3), np.uint8))


class SlidingTracker:
    """Estimates one pose per image of a camera that stands.

    Args:
        body: the person's own body: its template is the shape that the person has.
        layout: of the detector's landmarks.
    """

    def __init__(self, body: Body, layout: str) -> None:
        self.body, self.layout = body, layout
        self._origin: Float[Tensor, "3"] | None = None
        self._start_anew()

    def _start_anew(self) -> None:
        self._frames: list[tuple[float, Detection]] = []
        self._state: State | None = None

    def follow(self, detection: Detection, size: tuple[int, int], time: float) -> BodyPose | None:
        """The pose in the newest image: the floor at y = 0, +Z towards the camera, the first pose above the origin.

        Args:
            detection: the person, in an image of `size` (width, height), taken at `time` in seconds.

        Returns:
            None for the first image after a start, which says nothing of what moves.
        """
        if self._frames and not 0 < time - self._frames[-1][0] < LOST_SECONDS:
            self._start_anew()
        self._frames = [*self._frames[1 - WINDOW :], (time, detection)]
        if len(self._frames) < 2:
            return None
        problem = self._problem(size)
        terms = partial(residual_terms, problem, STAGE, None, None)
        steps = FIRST_STEPS if self._state is None else STAGE.steps
        state, _ = levenberg_marquardt(self._start(problem), partial(ClipLinearization, terms), steps)
        self._state = state
        return self._in_fixed_world(state)

    def _in_fixed_world(self, state: State) -> BodyPose:
        """The newest pose where the camera stands still: a window's own world begins below its first frame."""
        poses, Ts_camera_world = to_world_frame(state)
        R, t = Ts_camera_world[-1, :3, :3], Ts_camera_world[-1, :3, 3]
        level = t.new_tensor([1.0, 0.0, 1.0])
        place = poses.root_position[-1] + level * (R.T @ t)
        if self._origin is None:
            self._origin = level * place
        return BodyPose(place - self._origin, poses.rotations[-1])

    def _problem(self, size: tuple[int, int]) -> FitProblem:
        keypoints = torch.from_numpy(np.stack([detection.keypoints for _, detection in self._frames]))
        keypoints_3d = torch.from_numpy(np.stack([detection.keypoints_3d for _, detection in self._frames]))
        times = torch.tensor([time - self._frames[0][0] for time, _ in self._frames])
        observations = Observations(
            NO_IMAGES, NO_IMAGES, keypoints, keypoints_3d, self.layout, torch.arange(len(times)), times, *size
        )
        return build_problem(observations, self.body, ASSUMED_FOCAL * max(size), body_stature(self.body)[0])

    def _start(self, problem: FitProblem) -> State:
        """The solution before, with the detector's own guess for the newest frame."""
        pixels = torch.cat([problem.pixels, problem.confidence[..., None]], -1)
        names = LAYOUTS[self.layout].names
        guess = initial_state(self.body, problem.landmarks, pixels, problem.guess, problem.times, problem.focal, names)
        if self._state is None:
            return guess
        before = slice(1 - len(problem), None)
        return replace(
            guess,
            position=torch.cat([self._state.position[before], guess.position[-1:]]),
            rotations=torch.cat([self._state.rotations[before], guess.rotations[-1:]]),
            camera=self._state.camera,
        )
