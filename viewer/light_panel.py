"""The light that the avatar stands in: as filmed, even, from above, a window, or an image of the surroundings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import viser
from viser import Icon

from avatar.errors import AvatarError
from avatar.viewer.session import Session
from avatar.viewer.state import LightChoice, Store, ViewState
from avatar.viewer.widgets import Show, on_user, set_if_changed

LIGHTS = {"As filmed": "filmed", "Even": "even", "From above": "above", "Window": "window"}
IMAGE_TYPES = ".hdr,.exr,.png,.jpg,.jpeg,.webp"


def light_folder(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for the light; returns the function that shows a state in them."""
    with gui.add_folder("Light", expand_by_default=False):
        kind = gui.add_dropdown("Source", tuple(LIGHTS))
        start = store.state.light
        degrees = gui.add_slider("Direction", -180, 180, 5, start.degrees, hint="Degrees to the right of the front")
        warmth = gui.add_slider("Warmth", -1.0, 1.0, 0.1, start.warmth, hint="Blue sky to light bulb")
        upload = gui.add_upload_button(
            "Load surroundings …",
            icon=Icon.PHOTO,
            color="gray",
            mime_type=IMAGE_TYPES,
            hint="An equirectangular .hdr, .exr or image",
        )

    def change(**changes: Any) -> None:
        store.change(lambda state: replace(state, light=replace(state.light, **changes)))

    def uploaded(event: viser.GuiEvent[viser.GuiUploadButtonHandle]) -> None:
        try:
            name = session.add_surroundings(event.target.value.name, event.target.value.content)
        except AvatarError as error:
            store.set(message=str(error))
            return
        store.set(light=LightChoice(name), message="")

    on_user(kind, lambda label: change(kind=LIGHTS.get(label, label)))
    on_user(degrees, lambda value: change(degrees=float(value)))
    on_user(warmth, lambda value: change(warmth=float(value)))
    upload.on_upload(uploaded)

    def show(state: ViewState) -> None:
        light = state.light
        label = next((label for label, name in LIGHTS.items() if name == light.kind), light.kind)
        set_if_changed(kind, options=(*LIGHTS, *session.surroundings), value=label)
        turns = light.kind == "window" or light.kind in session.surroundings
        set_if_changed(degrees, value=light.degrees, visible=turns)
        set_if_changed(warmth, value=light.warmth, visible=light.kind == "window")

    return show
