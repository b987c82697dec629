"""What is drawn and how: layers, colours, background, the way of drawing, level of detail, the body's shape."""

from __future__ import annotations

import viser

from avatar.viewer.state import Colors, Drawing, Store, ViewState
from avatar.viewer.subject import Subject
from avatar.viewer.widgets import Show, on_press, on_user, put

LAYERS = {"splats": "Splats", "mesh": "Body mesh", "skeleton": "Skeleton", "cameras": "Cameras", "ground": "Ground"}
COLORS: dict[str, Colors] = {"Lit": "lit", "Neutral": "neutral", "Observed": "observed"}
DRAWINGS: dict[str, Drawing] = {"Splats in the browser": "splats", "Pictures from the server": "pictures"}
SHOWN_BETAS = 10
BETA_RANGE = 3.0


def look_panel(gui: viser.GuiApi, store: Store, subject: Subject) -> Show:
    """Build the widgets for the look; returns the function that shows a state in them."""
    layers = {name: gui.add_checkbox(label, getattr(store.state, name)) for name, label in LAYERS.items()}
    colors = gui.add_dropdown(
        "Colours", tuple(COLORS), hint="Lit as filmed, without the room's light, or how well each splat was seen"
    )
    background = gui.add_rgb("Background", store.state.background)
    detail = gui.add_slider("Detail", 0.05, 1.0, 0.05, 1.0, hint="Fraction of the splats that is drawn")
    drawing = gui.add_dropdown("Drawn as", tuple(DRAWINGS), hint="Splats need a GPU in the browser's machine")
    show_shape = _shape_folder(gui, store, subject)

    for name, box in layers.items():
        on_user(box, lambda value, name=name: store.set(**{name: value}))
    on_user(colors, lambda name: store.set(colors=COLORS[name]))
    on_user(background, lambda rgb: store.set(background=tuple(rgb)))
    on_user(detail, lambda value: store.set(detail=float(value)))
    on_user(drawing, lambda name: store.set(drawing=DRAWINGS[name]))
    put(layers["cameras"], disabled=subject.track is None or subject.track.cameras is None)

    def show(state: ViewState) -> None:
        for name, box in layers.items():
            put(box, value=getattr(state, name))
        put(colors, value=next(label for label, value in COLORS.items() if value == state.colors))
        put(background, value=state.background)
        put(detail, value=state.detail)
        put(drawing, value=next(label for label, value in DRAWINGS.items() if value == state.drawing))
        show_shape(state)

    return show


def _shape_folder(gui: viser.GuiApi, store: Store, subject: Subject) -> Show:
    fitted = store.state.betas
    with gui.add_folder("Body shape", expand_by_default=False):
        sliders = [
            gui.add_slider(f"Shape {i + 1}", min(-BETA_RANGE, beta), max(BETA_RANGE, beta), 0.05, beta)
            for i, beta in enumerate(fitted[:SHOWN_BETAS])
        ]
        reset = gui.add_button("As filmed")

    def reshape(_: float) -> None:
        store.set(betas=(*(float(slider.value) for slider in sliders), *fitted[SHOWN_BETAS:]))

    for slider in sliders:
        on_user(slider, reshape)
    on_press(reset, lambda: store.set(betas=fitted))

    def show(state: ViewState) -> None:
        for slider, beta in zip(sliders, state.betas, strict=False):
            put(slider, value=beta)

    return show
