"""A figure of 17 points drawn over an image, and the thread that solves for its pose while it is dragged."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from avatar.body import Body
from avatar.errors import AvatarError
from avatar.landmark_layouts import LAYOUTS
from avatar.types import BodyPose, KeypointClip, Observations

logger = logging.getLogger("avatar")
POINTS = LAYOUTS["coco17"].names
BONES = tuple(
    (POINTS.index(a), POINTS.index(b))
    for a, b in (*LAYOUTS["coco17"].bones, ("nose", "left_eye"), ("nose", "right_eye"), ("left_eye", "left_ear"),
                 ("right_eye", "right_ear"), ("nose", "left_shoulder"), ("nose", "right_shoulder"))
)  # fmt: skip
COUNT = 4  # hypotheses to choose from
# A person at ease, seen from the front: shares of the person's height from the middle of the hips, y down.
_AT_EASE = {
    "nose": (0.0, -0.40), "eye": (0.018, -0.42), "ear": (0.042, -0.41), "shoulder": (0.105, -0.29),
    "elbow": (0.15, -0.13), "wrist": (0.17, 0.01), "hip": (0.06, 0.0), "knee": (0.065, 0.23), "ankle": (0.07, 0.45),
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """A drawn person.

    Attributes:
        points: COCO's 17 points in pixels of the image.
        width, height: of the image, pixels.
    """

    points: Float[np.ndarray, "17 2"]
    width: int
    height: int

    def moved(self, index: int, x: float, y: float) -> Figure:
        """The figure with one point elsewhere."""
        points = self.points.copy()
        points[index] = (x, y)
        return replace(self, points=points)

    def as_json(self) -> str:
        """The content of a file for `avatar animate --pose points.json`."""
        named = {name: [round(x, 2), round(y, 2)] for name, (x, y) in zip(POINTS, self.points.tolist(), strict=True)}
        return json.dumps({"points": named, "width": self.width, "height": self.height}, indent=2)


def figure_at_ease(width: int, height: int) -> Figure:
    """A person who fills most of an image and faces the camera, whose left is at the right of the image."""
    points = np.zeros((len(POINTS), 2))
    for index, name in enumerate(POINTS):
        side, _, kind = name.rpartition("_")
        x, y = _AT_EASE[kind]
        points[index] = (-x if side == "right" else x, y)
    tall = min(0.85 * height, 1.6 * width)
    return Figure(points * tall + [width / 2, 0.5 * height], width, height)


def figure_observations(figure: Figure) -> Observations:
    """The figure as landmarks of one frame."""
    from avatar.observation.keypoints import observe_keypoints

    person = np.column_stack([figure.points, np.ones(len(POINTS))])
    clip = KeypointClip(((person,),), None, POINTS, np.zeros(1), figure.width, figure.height, "The drawing")
    return observe_keypoints(clip)


@dataclass
class DrawingSolver:
    """Solves for the pose of the latest figure in a thread of its own.

    While a point is dragged the pose follows it; when it is let go, all hypotheses are tried again.

    Attributes:
        body: the body that is posed.
        show: called with each new pose.
        on_choices: called with the number of hypotheses, when they are new.
    """

    body: Body
    show: Callable[[BodyPose], None]
    on_choices: Callable[[int], None] = lambda count: None
    on_message: Callable[[str], None] = lambda message: None
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _wish: tuple[Figure, bool] | None = None
    _stopped: bool = False
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        from avatar.tracking.single_pose import PoseHypothesis

        self._choices: list[PoseHypothesis] = []
        self._chosen = 0

    def solve(self, figure: Figure, held: bool) -> None:
        """Take a figure; `held`: a point is being dragged. Returns at once."""
        with self._changed:
            self._wish = (figure, held)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="drawing", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def choose(self, number: int) -> None:
        """Show another hypothesis, from 0."""
        with self._changed:
            if 0 <= number < len(self._choices):
                self._chosen = number
                self.show(self._choices[number].pose)

    def stop(self) -> None:
        """End the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _loop(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wish is not None or self._stopped)
                if self._stopped or self._wish is None:
                    return
                figure, held = self._wish
                self._wish = None
            try:
                self._solve(figure, held)
            except AvatarError as error:
                self.on_message(str(error))
            except Exception:  # one drawing that fails must not end the solver
                logger.exception("The drawing could not be solved.")
                self.on_message("This drawing could not be solved; the log has the reason.")

    def _solve(self, figure: Figure, held: bool) -> None:
        from avatar.tracking.single_pose import pose_hypotheses, refined_pose

        observations = figure_observations(figure)
        if held and self._choices:
            self._choices[self._chosen] = refined_pose(observations, self.body, self._choices[self._chosen])
        else:
            self._choices, self._chosen = pose_hypotheses(observations, self.body, COUNT), 0
            self.on_choices(len(self._choices))
        with self._changed:
            if self._wish is None or held:  # else a newer figure waits
                self.show(self._choices[self._chosen].pose)
