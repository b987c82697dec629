"""The state of the page as one value, and the store that holds it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from torch import Tensor

from avatar.model.props import Prop
from avatar.types import BodyPose

Handles = Literal["off", "joint", "hands and feet"]
Colors = Literal["lit", "observed", "garments"]
Compare = Literal["off", "wipe", "overlay", "side by side", "difference"]
Drawing = Literal["splats", "images"]
PROP = -1  # in place of a joint


@dataclass(frozen=True)
class LightChoice:
    """The light that the avatar stands in.

    Attributes:
        kind: "filmed", "even", "above", "window", or the name of loaded surroundings.
        degrees: where the window is, to the right of the front, or by how much the surroundings are turned.
        warmth: of the window's light, from -1 to 1.
    """

    kind: str = "filmed"
    degrees: float = -60.0
    warmth: float = 0.0


AS_FILMED = LightChoice()


@dataclass(frozen=True)
class Drag:
    """A hand or foot that the mouse drags: the joint, its target (world, metres) and the pose at the start."""

    joint: int
    target: tuple[float, float, float]
    start: BodyPose


@dataclass(frozen=True)
class View:
    """A camera of a path: position and point that it looks at (world, metres), and vertical field of view (radians)."""

    position: tuple[float, float, float]
    look_at: tuple[float, float, float]
    fov: float


@dataclass(frozen=True)
class ViewState:
    """What the page shows.

    Attributes:
        clip: name of the motion.
        frame: position in the motion, in frames; fractional while it plays slowly.
        edited: a pose made by hand, shown instead of the motion's; None follows the motion.
        on_spot: motions that walk away stay in the middle of the scene.
        springs: loose clothes and hair swing while a motion plays.
        held: index of the joint whose gizmo the mouse holds, `PROP` while it holds that of a prop, or None.
        drag: target of a dragged hand or foot; the loop solves for the pose.
        keyframes: poses collected for a new clip.
        step_seconds: from one keyframe to the next.
        views: cameras collected for a path.
        props: what the person wears and holds.
        recolored: label and colour ("#rrggbb") of garments that have another colour.
        prop: name of the one that the arrows and rings move, or None.
        limits: first and last frame that play; None plays the whole motion.
        betas: the body's shape coefficients.
        detail: fraction of the splats that is drawn, in (0, 1].
        opacity: approximate opacity of the splats together, in (0, 1]; less makes the skeleton visible.
        drawing: splats in the browser, or images rendered on the server that follow each tab's camera.
        drawing_chosen: whether a person chose `drawing`; otherwise a tab without a graphics card changes it.
        message: one line about the last action or error.
    """

    clip: str
    betas: tuple[float, ...]
    drawing: Drawing = "splats"
    drawing_chosen: bool = False
    frame: float = 0.0
    playing: bool = False
    speed: float = 1.0
    loop: bool = True
    on_spot: bool = True
    springs: bool = True
    edited: BodyPose | None = None
    joint: int = 16
    handles: Handles = "off"
    held: int | None = None
    drag: Drag | None = None
    keyframes: tuple[BodyPose, ...] = ()
    step_seconds: float = 1.0
    views: tuple[View, ...] = ()
    limits: tuple[int, int] | None = None
    props: tuple[Prop, ...] = ()
    recolored: tuple[tuple[str, str], ...] = ()
    prop: str | None = None
    splats: bool = True
    scene: bool = True
    mesh: bool = False
    skeleton: bool = False
    cameras: bool = False
    ground: bool = True
    colors: Colors = "lit"
    light: LightChoice = AS_FILMED
    detail: float = 1.0
    opacity: float = 1.0
    background: tuple[int, int, int] = (244, 244, 246)
    compare: Compare = "off"
    message: str = ""


def playing_range(state: ViewState, frames: int) -> tuple[int, int]:
    """First and last frame that play."""
    first, last = state.limits or (0, frames - 1)
    return min(first, frames - 1), min(last, frames - 1)


def advanced(
    state: ViewState, seconds: float, fps: float, frames: int, times: Float[Tensor, " frames"] | None = None
) -> ViewState:
    """The state after `seconds` of play: past the end of the range it starts over, or stops at the last frame.

    Args:
        times: of each frame, seconds from the first, where they are not evenly spaced.
    """
    if not state.playing:
        return state
    first, last = playing_range(state, frames)
    start = max(state.frame, float(first))
    frame = _frame_after(start, seconds * state.speed, fps, times)
    if frame < last or (state.loop and frame < last + 1):
        return replace(state, frame=frame)
    if state.loop:
        return replace(state, frame=first + (frame - first) % (last - first + 1))
    return replace(state, frame=float(last), playing=False)


def _frame_after(frame: float, seconds: float, fps: float, times: Float[Tensor, " frames"] | None) -> float:
    """The frame `seconds` later; the last one lasts as long as an average one."""
    if times is None:
        return frame + seconds * fps
    starts = np.append(times.numpy(), float(times[-1]) + 1 / fps)
    places = np.arange(len(starts))
    moment = float(np.interp(frame, places, starts)) + seconds
    return float(np.interp(moment, starts, places)) + max(moment - float(starts[-1]), 0.0) * fps


def stepped(state: ViewState, by: int, frames: int) -> ViewState:
    """The state `by` whole frames on, standing still; the ends of the motion join."""
    return replace(state, frame=float((round(state.frame) + by) % frames), playing=False, edited=None)


def toggled_play(state: ViewState, frames: int) -> ViewState:
    """Play or pause. Playing lets go of a pose made by hand, and starts over at the end of the range."""
    first, last = playing_range(state, frames)
    start = float(first) if not state.playing and state.frame >= last else state.frame
    return replace(state, playing=not state.playing, frame=start, edited=None)


def limited(state: ViewState, end: int, frame: int, frames: int) -> ViewState:
    """The state with the start (`end` 0) or the end (1) of the range that plays moved to `frame`."""
    first, last = playing_range(state, frames)
    frame = min(max(frame, 0), frames - 1)
    limits = (frame, max(last, frame)) if end == 0 else (min(first, frame), frame)
    return replace(state, limits=None if limits == (0, frames - 1) else limits)


# What undo brings back. Poses and tuples of them are compared by identity: tensors have no equality that fits.
EDITS = ("edited", "keyframes", "views", "limits", "betas", "props", "recolored")
HISTORY = 200  # steps
SAME_GESTURE_SECONDS = 1.0  # changes by one gesture, such as a slider that is dragged, follow each other faster


class History:
    """The edits that undo and redo walk through."""

    def __init__(self) -> None:
        self.past: list[dict[str, Any]] = []
        self.future: list[dict[str, Any]] = []
        self._last = ("", 0.0)  # the last gesture, and when it changed something

    def note(self, old: ViewState, new: ViewState, gesture: str) -> None:
        """Remember the edits of `old` if `new` has others; a whole drag of the mouse is one step."""
        edits = any(getattr(old, name) is not getattr(new, name) for name in EDITS)
        grabs = old.held is None and new.held is not None
        if old.held is not None or not (edits or grabs):
            return
        now = time.monotonic()
        last, self._last = self._last, (gesture, now)
        if gesture and last[0] == gesture and now - last[1] < SAME_GESTURE_SECONDS:
            return
        self.past = [*self.past[-HISTORY:], _edits(old)]
        self.future = []

    def undone(self, state: ViewState) -> ViewState:
        """The state before the last edit."""
        return self._travelled(state, self.past, self.future)

    def redone(self, state: ViewState) -> ViewState:
        """The state before the last undo."""
        return self._travelled(state, self.future, self.past)

    def _travelled(self, state: ViewState, source: list[dict[str, Any]], target: list[dict[str, Any]]) -> ViewState:
        here = _edits(state)
        while source:
            edits = source.pop()
            if any(edits[name] is not here[name] for name in EDITS):
                target.append(here)
                self._last = ("", 0.0)
                return replace(state, **edits, playing=False, held=None, drag=None, message="")
        return state


def _edits(state: ViewState) -> dict[str, Any]:
    return {name: getattr(state, name) for name in EDITS}


class Store:
    """Holds the state. Any thread may change it; the loop waits here for changes."""

    def __init__(self, state: ViewState) -> None:
        self._state = state
        self._changed = threading.Condition()
        self.history = History()

    @property
    def state(self) -> ViewState:
        """The current state."""
        return self._state

    def set(self, **changes: Any) -> None:
        """Replace some fields."""
        self.change(lambda state: replace(state, **changes))

    def change(self, function: Callable[[ViewState], ViewState], gesture: str = "") -> None:
        """Replace the state by a function of it, as one step.

        Args:
            gesture: names what changes it many times in a row, such as a slider: all that is undone as one.
        """
        with self._changed:
            new = function(self._state)
            self.history.note(self._state, new, gesture)
            self._put(new)

    def undo(self) -> None:
        """Take the last edit back."""
        with self._changed:
            self._put(self.history.undone(self._state))

    def redo(self) -> None:
        """Make the edit again that was taken back last."""
        with self._changed:
            self._put(self.history.redone(self._state))

    def _put(self, new: ViewState) -> None:
        if new is not self._state:
            self._state = new
            self._changed.notify_all()

    def wait(self, current: ViewState, timeout: float) -> ViewState:
        """The state as soon as it differs from `current`, at the latest after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._state is not current, timeout)
            return self._state
