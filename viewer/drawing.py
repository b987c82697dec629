"""The thread that solves for the pose of a drawn figure while it is dragged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from avatar.body import Body
from avatar.errors import AvatarError
from avatar.motion.figure import POINTS, Figure
from avatar.types import BodyPose, KeypointClip, Observations

logger = logging.getLogger("avatar")
COUNT = 4  # hypotheses to choose from


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
