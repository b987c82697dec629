"""The motions: which one plays, how fast, and files of motions that are loaded; the bar below has the rest."""

from __future__ import annotations

import viser
from viser import Icon

from avatar.errors import AvatarError
from avatar.viewer.clips import MOTION_SUFFIXES, clip_from_upload
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import Show, on_user, set_if_changed

SPEEDS = ("¼×", "½×", "1×", "2×")
SPEED_OF = dict(zip(SPEEDS, (0.25, 0.5, 1.0, 2.0), strict=True))


def timeline_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for the motions; returns the function that shows a state in them."""
    clip = gui.add_dropdown("Motion", options=tuple(session.clips), initial_value=store.state.clip)
    upload = gui.add_upload_button(
        "Load a motion …",
        icon=Icon.UPLOAD,
        color="gray",
        mime_type=",".join(MOTION_SUFFIXES),
        hint="Or drop the file on the page",
    )
    with gui.add_folder("Playback", expand_by_default=False):
        speed = gui.add_dropdown("Speed", SPEEDS, initial_value="1×")
        loop = gui.add_checkbox("Repeat", store.state.loop)
        on_spot = gui.add_checkbox("On the spot", store.state.on_spot, hint="Motions that walk away stay in view")
        springs = gui.add_checkbox("Springs", store.state.springs, hint="Skirts, coats and long hair swing")

    on_user(speed, lambda name: store.set(speed=SPEED_OF[name]))
    on_user(loop, lambda value: store.set(loop=value))
    on_user(on_spot, lambda value: store.set(on_spot=value))
    on_user(springs, lambda value: store.set(springs=value))
    set_if_changed(springs, visible=session.loose)

    @clip.on_update
    def _(event: viser.GuiEvent[viser.GuiDropdownHandle[str]]) -> None:
        if event.client is not None:
            _choose(event.target.value, store, session)

    @upload.on_upload
    def _(event: viser.GuiEvent[viser.GuiUploadButtonHandle]) -> None:
        _load(event.target.value, event.client, store, session)

    def show(state: ViewState) -> None:
        current = session.clip(state.clip)
        set_if_changed(clip, options=tuple(session.clips), value=state.clip)
        set_if_changed(loop, value=state.loop)
        set_if_changed(on_spot, value=state.on_spot, visible=not current.filmed)
        set_if_changed(springs, value=state.springs)
        set_if_changed(speed, value=next(name for name, value in SPEED_OF.items() if value == state.speed))

    return show


def _choose(name: str, store: Store, session: Session) -> None:
    """Go to a motion, reading it first, or say why not."""
    store.set(message=f"reading {name} …")
    try:
        session.clip(name)
    except AvatarError as error:
        store.set(message=str(error))
        return
    store.set(clip=name, frame=0.0, edited=None, limits=None, message="")


def _load(file: viser.UploadedFile, client: viser.ClientHandle | None, store: Store, session: Session) -> None:
    """Add an uploaded motion and go to it, or say why not."""
    try:
        clip = clip_from_upload(file.name, file.content, session.avatar)
    except AvatarError as error:
        store.set(message=str(error))
        if client is not None:
            client.add_notification(f"{file.name} was not loaded", str(error), color="red", auto_close_seconds=12)
        return
    session.clips = {**session.clips, clip.name: clip}
    store.set(clip=clip.name, frame=0.0, edited=None, limits=None, playing=True, message="")
