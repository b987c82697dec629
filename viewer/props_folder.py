"""What the person wears and holds: put on, from a file too, moved by a gizmo, taken off, kept in the run."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import viser
from viser import Icon

from avatar.errors import AvatarError
from avatar.io.meshes import MESH_SUFFIXES
from avatar.io.splat_files import PACKED_FORMATS
from avatar.model.prop_file import PropFolder
from avatar.model.prop_fit import PRESETS, Adjustment
from avatar.model.props import Prop
from avatar.pipeline.props import keep_props, make_prop
from avatar.pipeline.run_folder import RunFolder
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import ProgressCallback, Show, on_job, on_press, on_user, set_if_changed

THINGS = {name.capitalize(): name for name in PRESETS} | {"Something else": None}
PLACES = {"As usual": None, "Right hand": "right_hand", "Left hand": "left_hand", "Head": "head", "Face": "face",
          "Back": "back"}  # fmt: skip
SUFFIXES = (*(suffix for suffix in MESH_SUFFIXES if suffix != ".gltf"), *(f".{kind}" for kind in PACKED_FORMATS))
NOTHING = "–"


def props_folder(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for props; returns the function that shows a state in them."""
    with gui.add_folder("Props", expand_by_default=False):
        thing = gui.add_dropdown("Thing", tuple(THINGS), hint="By which a file is sized and placed, too")
        place = gui.add_dropdown("Where", tuple(PLACES))
        add = gui.add_button("Put it on", icon=Icon.PLUS)
        upload = gui.add_upload_button(
            "From a file …", icon=Icon.UPLOAD, color="gray", mime_type=",".join(SUFFIXES), hint="A mesh, or splats"
        )
        chosen = gui.add_dropdown("Worn", (NOTHING,), visible=False)
        move = gui.add_checkbox("Move it", False, hint="By arrows and rings in the scene", visible=False)
        remove = gui.add_button("Take it off", icon=Icon.TRASH, color="gray", visible=False)
        keep = gui.add_button("Keep in the run", icon=Icon.DEVICE_FLOPPY, visible=False)
    saved = [session.avatar.props]

    def put_on(file: Path | None) -> None:
        made, notes = make_prop(
            session.avatar, [prop.name for prop in store.state.props], file, THINGS[thing.value], PLACES[place.value],
            None, Adjustment(),
        )  # fmt: skip
        message = " ".join(notes)
        store.change(lambda state: replace(state, props=(*state.props, made), prop=None, message=message))

    def put_on_thing() -> None:
        try:
            put_on(None)
        except AvatarError as error:
            store.set(message=str(error))

    def save(client: viser.ClientHandle, report: ProgressCallback) -> str:
        if session.folder is None:
            raise AvatarError("A preview has no folder to save into.")
        props = store.state.props
        keep_props(PropFolder(RunFolder(session.folder).props), props)
        saved[0] = props
        store.set(message="")  # so that all tabs redraw
        return "All of the run shows them from now on."

    @upload.on_upload
    def _(event: viser.GuiEvent[viser.GuiUploadButtonHandle]) -> None:
        file = event.target.value
        try:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / Path(file.name).name
                path.write_bytes(file.content)
                put_on(path)
        except AvatarError as error:
            message = str(error).replace(f"{folder}/", "")  # which means nothing to the user
            store.set(message=message)
            if event.client is not None:
                event.client.add_notification(f"{file.name} was not put on", message, color="red")

    def selected() -> Prop | None:
        return next((prop for prop in store.state.props if prop.name == chosen.value), None)

    def take_off() -> None:
        prop = selected()
        store.change(lambda state: replace(state, props=tuple(p for p in state.props if p is not prop), prop=None))

    on_press(add, put_on_thing)
    on_press(remove, take_off)
    on_user(move, lambda value: store.set(prop=chosen.value if value else None, playing=False))
    on_user(chosen, lambda name: store.set(prop=name if store.state.prop is not None else None))
    on_job(keep, "Keeping the props", save)

    def show(state: ViewState) -> None:
        names = tuple(prop.name for prop in state.props) or (NOTHING,)
        if chosen.options != names:
            chosen.options = names
            set_if_changed(chosen, value=names[-1])
        if state.prop in names:
            set_if_changed(chosen, value=state.prop)
        for widget in (chosen, move, remove):
            set_if_changed(widget, visible=bool(state.props))
        set_if_changed(move, value=state.prop is not None and state.prop in names)
        changed = [id(prop) for prop in state.props] != [id(prop) for prop in saved[0]]
        set_if_changed(keep, visible=session.folder is not None and changed)

    return show
