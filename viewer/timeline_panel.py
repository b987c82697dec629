"""The timeline: which motion, where in it, how fast; with the confidence of each frame under the slider."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import viser
from viser import Icon

from avatar.errors import AvatarError
from avatar.viewer.clips import MOTION_SUFFIXES, Clip, clip_from_upload
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState, stepped, toggled_play
from avatar.viewer.widgets import Show, on_press, on_user, set_if_changed

SPEEDS = ("¼×", "½×", "1×", "2×")
SPEED_OF = dict(zip(SPEEDS, (0.25, 0.5, 1.0, 2.0), strict=True))
STEPS = ("|◀", "◀", "▶", "▶|")
STRIP_COLUMNS = 160


def timeline_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the timeline's widgets; returns the function that shows a state in them."""
    clip = gui.add_dropdown("Motion", options=tuple(session.clips), initial_value=store.state.clip)
    frame = gui.add_slider("Frame", min=0, max=1, step=1, initial_value=0)
    strip = gui.add_html("")
    play = gui.add_button("Play", icon=Icon.PLAYER_PLAY, hint="Space")
    steps = gui.add_button_group("Step", STEPS, hint="Keys . and ,")
    upload = gui.add_upload_button(
        "Load a motion …", icon=Icon.UPLOAD, color="gray", mime_type=",".join(MOTION_SUFFIXES)
    )
    with gui.add_folder("Playback", expand_by_default=False):
        speed = gui.add_dropdown("Speed", SPEEDS, initial_value="1×")
        loop = gui.add_checkbox("Repeat", store.state.loop)
        on_spot = gui.add_checkbox("On the spot", store.state.on_spot, hint="Motions that walk away stay in view")
    note = gui.add_markdown("")

    on_user(frame, lambda at: store.set(frame=float(at), playing=False, edited=None))
    on_press(play, lambda: store.change(lambda state: toggled_play(state, _frames(state, session))))
    on_user(steps, lambda name: store.change(lambda state: _jumped(state, name, _frames(state, session))))
    on_user(speed, lambda name: store.set(speed=SPEED_OF[name]))
    on_user(loop, lambda value: store.set(loop=value))
    on_user(on_spot, lambda value: store.set(on_spot=value))

    @clip.on_update
    def _(event: viser.GuiEvent[viser.GuiDropdownHandle[str]]) -> None:
        if event.client is not None:
            _choose(event.target.value, store, session)

    @upload.on_upload
    def _(event: viser.GuiEvent[viser.GuiUploadButtonHandle]) -> None:
        _load(event.target.value, store, session)

    def show(state: ViewState) -> None:
        current = session.clip(state.clip)
        set_if_changed(clip, options=tuple(session.clips), value=state.clip)
        set_if_changed(frame, max=max(len(current) - 1, 1), disabled=len(current) < 2)
        set_if_changed(frame, value=min(int(state.frame), max(len(current) - 1, 1)))
        set_if_changed(strip, content=confidence_strip(current), visible=current.confidence is not None)
        set_if_changed(play, label="Pause" if state.playing else "Play", disabled=len(current) < 2)
        set_if_changed(play, icon=Icon.PLAYER_PAUSE if state.playing else Icon.PLAYER_PLAY)
        set_if_changed(loop, value=state.loop)
        set_if_changed(on_spot, value=state.on_spot, visible=not current.filmed)
        set_if_changed(speed, value=next(name for name, value in SPEED_OF.items() if value == state.speed))
        set_if_changed(note, content=_caption(state, current))

    return show


def add_keys(gui: viser.GuiApi, store: Store, session: Session) -> None:
    """Space plays and pauses, `.` and `,` step, G asks for a frame; all are in the command palette (Ctrl+K) too."""

    def command(label: str, key: str, icon: viser.IconName, act: Callable[[ViewState, int], ViewState]) -> None:
        # viser's type lists letters only, its page takes any key that the browser names.
        handle = gui.add_command(label, hotkey=key, icon=icon)  # type: ignore[arg-type]

        async def triggered(event: viser.CommandEvent) -> None:
            store.change(lambda state: act(state, _frames(state, session)))

        handle.on_trigger(triggered)

    command("Play or pause", "space", Icon.PLAYER_PLAY, toggled_play)
    command("Next frame", ".", Icon.PLAYER_TRACK_NEXT, lambda state, n: stepped(state, 1, n))
    command("Previous frame", ",", Icon.PLAYER_TRACK_PREV, lambda state, n: stepped(state, -1, n))

    @gui.add_command("Go to frame …", hotkey="G", icon=Icon.ARROW_BAR_TO_RIGHT).on_trigger
    def _(event: viser.CommandEvent) -> None:
        if event.client is not None:
            _ask_frame(event.client, store, session)


def _ask_frame(client: viser.ClientHandle, store: Store, session: Session) -> None:
    """Ask one tab for the number of a frame, and go there."""
    last = max(_frames(store.state, session) - 1, 0)
    with client.gui.add_modal("Go to frame") as modal:
        number = client.gui.add_number("Frame", int(store.state.frame), min=0, max=last, step=1)
        go = client.gui.add_button("Go")

    @go.on_click
    def _(event: viser.GuiEvent[Any]) -> None:
        store.set(frame=float(number.value), playing=False, edited=None)
        modal.close()


def confidence_strip(clip: Clip) -> str:
    """A strip under the slider: one column per frame, green where the pose is reliable, red where it is not."""
    if clip.confidence is None:
        return ""
    columns = min(len(clip), STRIP_COLUMNS)
    bars = []
    for column in range(columns):
        first, last = column * len(clip) // columns, (column + 1) * len(clip) // columns
        value = float(clip.confidence[first : max(last, first + 1)].min())
        bars.append(
            f'<rect x="{column}" y="{(1 - value) * 10:.1f}" width="1.05" height="{value * 10:.1f}" '
            f'fill="hsl({120 * value:.0f} 55% 48%)"/>'
        )
    return (
        '<div title="Confidence of the pose of each frame" style="padding:0 0.75em 0.6em">'
        f'<svg viewBox="0 0 {columns} 10" preserveAspectRatio="none" '
        f'style="width:100%;height:14px;display:block;background:rgba(128,128,128,.15);border-radius:3px">'
        f"{''.join(bars)}</svg></div>"
    )


def _caption(state: ViewState, clip: Clip) -> str:
    seconds = len(clip) / clip.fps
    text = "pose made by hand" if state.edited is not None else f"{len(clip)} frames, {seconds:.1f} s"
    if state.edited is None and clip.confidence is not None:
        text += f", confidence {float(clip.confidence[min(round(state.frame), len(clip) - 1)]):.0%}"
    if state.edited is None and clip.check:
        text += f" · {clip.check}"
    return f"<sub>{text}{' · ' + state.message if state.message else ''}</sub>"


def _frames(state: ViewState, session: Session) -> int:
    return len(session.clip(state.clip))


def _jumped(state: ViewState, name: str, frames: int) -> ViewState:
    """The state after one of the step buttons."""
    if name in (STEPS[0], STEPS[3]):
        return replace(state, frame=0.0 if name == STEPS[0] else frames - 1.0, playing=False, edited=None)
    return stepped(state, 1 if name == STEPS[2] else -1, frames)


def _choose(name: str, store: Store, session: Session) -> None:
    """Go to a motion, reading it first, or say why not."""
    store.set(message=f"reading {name} …")
    try:
        session.clip(name)
    except AvatarError as error:
        store.set(message=str(error))
        return
    store.set(clip=name, frame=0.0, edited=None, message="")


def _load(file: viser.UploadedFile, store: Store, session: Session) -> None:
    """Add an uploaded motion and go to it, or say why not."""
    try:
        clip = clip_from_upload(file.name, file.content, session.avatar)
    except AvatarError as error:
        store.set(message=str(error))
        return
    session.clips = {**session.clips, clip.name: clip}
    store.set(clip=clip.name, frame=0.0, edited=None, playing=True, message="")
