"""The Look tab: layers, colours, background, the way of drawing, level of detail, the body's shape."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import viser

from avatar.viewer.clothes_folder import clothes_folder
from avatar.viewer.light_panel import light_folder
from avatar.viewer.props_folder import props_folder
from avatar.viewer.session import Session
from avatar.viewer.shape_panel import shape_folder
from avatar.viewer.state import Colors, Drawing, Store, ViewState
from avatar.viewer.widgets import Show, on_user, set_if_changed

LAYERS = {"splats": "Splats", "mesh": "Body mesh", "skeleton": "Skeleton", "cameras": "Cameras", "ground": "Ground",
          "scene": "Scene"}  # fmt: skip
COLORS: dict[str, Colors] = {"The person's": "lit", "How well observed": "observed", "By garment": "garments"}
TRANSLUCENT = 0.5
DRAWINGS: dict[str, Drawing] = {"Splats in the browser": "splats", "Images from the server": "images"}


def look_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for the look; returns the function that shows a state in them."""
    layers = {name: gui.add_checkbox(label, getattr(store.state, name)) for name, label in LAYERS.items()}
    colors = gui.add_dropdown(
        "Colours",
        tuple(COLORS),
        hint="The person's own, by how well the video shows each splat (dark: guessed), or by garment",
    )
    background = gui.add_rgb("Background", store.state.background)
    opacity = gui.add_slider("Opacity", 0.05, 1.0, 0.05, 1.0, hint="Of the splats; lower it to see the skeleton")
    detail = gui.add_slider("Detail", 0.05, 1.0, 0.05, 1.0, hint="Fraction of the splats that is drawn")
    drawing = gui.add_dropdown("Drawn as", tuple(DRAWINGS), hint="Splats need a GPU in the browser's machine")
    show_light = light_folder(gui, store, session)
    show_shape = shape_folder(gui, store, session)
    show_props = props_folder(gui, store, session)
    show_clothes = clothes_folder(gui, store, session)

    for name, box in layers.items():
        on_user(box, partial(_show_layer, store, name))
    on_user(colors, lambda name: store.set(colors=COLORS[name]))
    on_user(background, lambda rgb: store.set(background=tuple(rgb)))
    on_user(opacity, lambda value: store.set(opacity=float(value)))
    on_user(detail, lambda value: store.set(detail=float(value)))
    on_user(drawing, lambda name: store.set(drawing=DRAWINGS[name], drawing_chosen=True))
    set_if_changed(layers["scene"], visible=session.scene is not None)
    set_if_changed(layers["cameras"], disabled=session.track is None or session.track.cameras is None)

    def show(state: ViewState) -> None:
        for name, box in layers.items():
            set_if_changed(box, value=getattr(state, name))
        set_if_changed(colors, value=next(label for label, value in COLORS.items() if value == state.colors))
        set_if_changed(background, value=state.background)
        set_if_changed(opacity, value=state.opacity)
        set_if_changed(detail, value=state.detail)
        set_if_changed(drawing, value=next(label for label, value in DRAWINGS.items() if value == state.drawing))
        show_light(state)
        show_shape(state)
        show_props(state)
        show_clothes(state)

    return show


def _show_layer(store: Store, name: str, visible: bool) -> None:
    store.change(lambda state: with_layer(state, name, visible))


def with_layer(state: ViewState, name: str, visible: bool) -> ViewState:
    """The state with a layer visible or hidden; for the skeleton, which lies inside, the splats turn translucent."""
    changes: dict[str, Any] = {name: visible}
    if name == "skeleton":
        changes["opacity"] = min(state.opacity, TRANSLUCENT) if visible else 1.0
    return replace(state, **changes)
