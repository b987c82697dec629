"""The state of the page as one value, and the store that holds it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from avatar.types import BodyPose

Handles = Literal["off", "joint", "hands and feet"]
Colors = Literal["lit", "neutral", "observed"]
Compare = Literal["off", "all three", "source", "avatar", "difference"]
Drawing = Literal["splats", "images"]


@dataclass(frozen=True)
class Drag:
    """A hand or foot that the mouse drags: the joint, its target (world, metres) and the pose at the start."""

    joint: int
    target: tuple[float, float, float]
    start: BodyPose


@dataclass(frozen=True)
class ViewState:
    """What the page shows.

    Attributes:
        clip: name of the motion.
        frame: position in the motion, in frames; fractional while it plays slowly.
        edited: a pose made by hand, shown instead of the motion's; None follows the motion.
        on_spot: motions that walk away stay in the middle of the scene.
        held: index of the joint whose gizmo the mouse holds, or None.
        drag: target of a dragged hand or foot; the loop solves for the pose.
        keyframes: poses collected for a new clip.
        betas: the body's shape coefficients.
        detail: fraction of the splats that is drawn, in (0, 1].
        opacity: approximate opacity of the splats together, in (0, 1]; less makes the skeleton visible.
        drawing: splats in the browser, or images rendered on the server that follow each tab's camera.
        message: one line about the last action or error.
    """

    clip: str
    betas: tuple[float, ...]
    drawing: Drawing = "splats"
    frame: float = 0.0
    playing: bool = False
    speed: float = 1.0
    loop: bool = True
    on_spot: bool = True
    edited: BodyPose | None = None
    joint: int = 16
    handles: Handles = "off"
    held: int | None = None
    drag: Drag | None = None
    keyframes: tuple[BodyPose, ...] = ()
    splats: bool = True
    mesh: bool = False
    skeleton: bool = False
    cameras: bool = False
    ground: bool = True
    colors: Colors = "lit"
    detail: float = 1.0
    opacity: float = 1.0
    background: tuple[int, int, int] = (244, 244, 246)
    compare: Compare = "off"
    message: str = ""


def advanced(state: ViewState, seconds: float, fps: float, frames: int) -> ViewState:
    """The state after `seconds` of play: past the end it starts over, or stops at the last frame."""
    if not state.playing:
        return state
    frame = state.frame + seconds * fps * state.speed
    if frame < frames - 1 or (state.loop and frame < frames):
        return replace(state, frame=frame)
    if state.loop:
        return replace(state, frame=frame % frames)
    return replace(state, frame=float(frames - 1), playing=False)


def stepped(state: ViewState, by: int, frames: int) -> ViewState:
    """The state `by` whole frames on, standing still; the ends of the motion join."""
    return replace(state, frame=float((round(state.frame) + by) % frames), playing=False, edited=None)


def toggled_play(state: ViewState, frames: int) -> ViewState:
    """Play or pause. Playing lets go of a pose made by hand, and starts over from the last frame."""
    start = 0.0 if not state.playing and state.frame >= frames - 1 else state.frame
    return replace(state, playing=not state.playing, frame=start, edited=None)


class Store:
    """Holds the state. Any thread may change it; the loop waits here for changes."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._changed = threading.Condition()

    @property
    def state(self) -> ViewState:
        """The current state."""
        return self._state

    def set(self, **changes: Any) -> None:
        """Replace some fields."""
        self.change(lambda state: replace(state, **changes))

    def change(self, function: Callable[[ViewState], ViewState]) -> None:
        """Replace the state by a function of it, as one step."""
        with self._changed:
            new = function(self._state)
            if new is not self._state:
                self._state = new
                self._changed.notify_all()

    def wait(self, current: ViewState, timeout: float) -> ViewState:
        """The state as soon as it differs from `current`, at the latest after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._state is not current, timeout)
            return self._state
