"""The bar along the bottom of the page: what it shows of a state, and what its events do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import viser
from viser import Icon

from avatar.viewer.browser import add_hotkey
from avatar.viewer.camera_path import first_view, preview_path, stand_at_view
from avatar.viewer.clips import Clip
from avatar.viewer.posing import KEYFRAME_FPS, between
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState, limited, playing_range, stepped, toggled_play

STRIP_COLUMNS = 160
PREVIEW = "keyframes (preview)"


def timeline_values(state: ViewState, session: Session, store: Store) -> dict[str, Any]:
    """What the bar shows, as JSON has it."""
    clip = session.clip(state.clip)
    return {
        "frame": min(int(state.frame), len(clip) - 1),
        "frames": len(clip),
        "fps": clip.fps,
        "playing": state.playing,
        "range": list(playing_range(state, len(clip))),
        "confidence": confidence_strip(clip),
        "keyframes": len(state.keyframes),
        "views": len(state.views),
        "undo": bool(store.history.past),
        "redo": bool(store.history.future),
        "caption": caption(state, clip),
        "message": state.message,
    }


def confidence_strip(clip: Clip) -> list[int]:
    """Percent of confidence in each column's worst frame; empty where the motion was not estimated."""
    if clip.confidence is None:
        return []
    columns = min(len(clip), STRIP_COLUMNS)
    edges = [column * len(clip) // columns for column in range(columns + 1)]
    return [round(100 * float(clip.confidence[a : max(b, a + 1)].min())) for a, b in itertools.pairwise(edges)]


def caption(state: ViewState, clip: Clip) -> str:
    """What the pose is and how reliable it is."""
    if state.edited is not None:
        return "pose made by hand"
    text = "" if clip.confidence is None else f"confidence {float(clip.confidence[_frame(state, clip)]):.0%}"
    return " · ".join(part for part in (text, clip.check) if part)


def _frame(state: ViewState, clip: Clip) -> int:
    return min(round(state.frame), len(clip) - 1)


class TimelineEvents:
    """Turns the events of the page into changes of the state."""

    def __init__(self, store: Store, session: Session) -> None:
        self.store, self.session = store, session

    def __call__(self, client: viser.ClientHandle, name: str, values: dict[str, Any]) -> None:
        """Handle one event; values that make no sense change nothing."""
        try:
            self._handle(client, name, values)
        except (KeyError, IndexError, TypeError, ValueError):
            return

    def _handle(self, client: viser.ClientHandle, name: str, values: dict[str, Any]) -> None:
        store = self.store
        if name == "ready":
            self._prefer_images(bool(values["software"]))
            if client.camera.aspect < 1:  # the first camera is the same for all tabs, and is made for wide ones
                stand_at_view(client, first_view(self.session, store.state, client.camera.aspect))
        elif name == "play":
            self.change(toggled_play)
        elif name == "seek":
            frame = int(values["frame"])
            self.change(lambda state, n: replace(state, frame=_clamped(frame, n), playing=False, edited=None))
        elif name == "step":
            by = int(values["by"])
            self.change(lambda state, n: stepped(state, by, n))
        elif name == "limit":
            self.change(lambda state, n: _with_limit(state, values, n), "limit")
        elif name == "undo":
            store.undo()
        elif name == "redo":
            store.redo()
        elif name == "compare off":
            store.set(compare="off")
        elif name == "reset view":
            stand_at_view(client, first_view(self.session, store.state, client.camera.aspect))
        elif name == "show key":
            self._show_key(client, str(values["kind"]), int(values["index"]))
        elif name == "delete key":
            self._delete_key(str(values["kind"]), int(values["index"]))
        elif name == "preview":
            self._preview(client, str(values["kind"]))

    def change(self, act: Callable[[ViewState, int], ViewState], gesture: str = "") -> None:
        """Replace the state by a function of it and of the number of frames; see `Store.change`."""
        self.store.change(lambda state: act(state, len(self.session.clip(state.clip))), gesture)

    def _prefer_images(self, software: bool) -> None:
        """A browser without a graphics card draws splats at a few frames per second: the server draws them better."""
        state = self.store.state
        if software and not state.drawing_chosen and state.drawing == "splats":
            self.store.set(drawing="images")

    def _show_key(self, client: viser.ClientHandle, kind: str, index: int) -> None:
        state = self.store.state
        if kind == "keyframe":
            self.store.set(edited=state.keyframes[index], playing=False)
        else:
            stand_at_view(client, state.views[index])

    def _delete_key(self, kind: str, index: int) -> None:
        field = "keyframes" if kind == "keyframe" else "views"
        self.store.change(
            lambda state: replace(state, **{field: tuple(_without(getattr(state, field), index))})  # type: ignore[arg-type]
        )

    def _preview(self, client: viser.ClientHandle, kind: str) -> None:
        state = self.store.state
        if kind == "view":
            preview_path(client, state.views, state.step_seconds)
            return
        poses = between(state.keyframes, round(state.step_seconds * KEYFRAME_FPS))
        self.session.clips = {**self.session.clips, PREVIEW: Clip(PREVIEW, poses, KEYFRAME_FPS)}
        self.store.set(clip=PREVIEW, frame=0.0, edited=None, limits=None, playing=True)


def add_keys(gui: viser.GuiApi, events: TimelineEvents) -> None:
    """Space plays and pauses, `.` and `,` step; all are in the command palette (Ctrl+K) too."""
    add_hotkey(gui, "Play or pause", "space", Icon.PLAYER_PLAY, lambda: events.change(toggled_play))
    add_hotkey(gui, "Next frame", ".", Icon.PLAYER_TRACK_NEXT, lambda: events.change(lambda s, n: stepped(s, 1, n)))
    add_hotkey(
        gui, "Previous frame", ",", Icon.PLAYER_TRACK_PREV, lambda: events.change(lambda s, n: stepped(s, -1, n))
    )


def _with_limit(state: ViewState, values: dict[str, Any], frames: int) -> ViewState:
    """An end of the range at the frame of an event, moved by a number of frames, or at the frame that is shown."""
    end = int(values["end"])
    if "by" in values:
        frame = playing_range(state, frames)[end] + int(values["by"])
    else:
        frame = int(values.get("frame", round(state.frame)))
    return limited(state, end, frame, frames)


def _clamped(frame: int, frames: int) -> float:
    return float(min(max(frame, 0), frames - 1))


def _without(items: tuple[Any, ...], index: int) -> list[Any]:
    return [item for number, item in enumerate(items) if number != index]
