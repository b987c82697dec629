"""The body's shape: in words where the body has them (the open body), by its own coefficients otherwise."""

from __future__ import annotations

from dataclasses import replace

import torch
import viser

from avatar.body.shape_attributes import RANGES, load_shape_attributes
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import Show, on_press, on_user, set_if_changed

SHOWN_BETAS = 10
BETA_RANGE = 3.0
DIGITS = {name: 0 if name == "age" else 2 for name in RANGES}  # digits that a slider shows after the decimal point


def shape_folder(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the sliders of the shape and a button back to the estimated one."""
    fitted = store.state.betas
    with gui.add_folder("Body shape", expand_by_default=False):
        named = session.avatar.body.name == "open"
        show = _word_sliders(gui, store, fitted) if named else _beta_sliders(gui, store, fitted)
        on_press(gui.add_button("As filmed", color="gray"), lambda: store.set(betas=fitted))
    return show


def _word_sliders(gui: viser.GuiApi, store: Store, fitted: tuple[float, ...]) -> Show:
    """Sliders for height, weight and so on; attributes whose slider is not moved keep the estimated value."""
    words = load_shape_attributes()
    own = torch.tensor(fitted)
    described = {name: round(value, DIGITS[name]) for name, (value, _) in words.describe(own).items()}
    sliders = {
        name: gui.add_slider(name.capitalize(), *RANGES[name], 10.0 ** -DIGITS[name], value)
        for name, value in described.items()
    }

    def reshape(_: float) -> None:
        # Only moved sliders: a slider's range and steps may not contain the fitted value.
        values = {name: float(slider.value) for name, slider in sliders.items()}
        moved = {name: value for name, value in values.items() if value != described[name]}
        betas = tuple(words.reshaped(own, moved).tolist())
        store.change(lambda state: replace(state, betas=betas), "shape")

    for slider in sliders.values():
        on_user(slider, reshape)

    def show(state: ViewState) -> None:
        if state.betas == fitted:
            for name, slider in sliders.items():
                set_if_changed(slider, value=described[name])

    return show


def _beta_sliders(gui: viser.GuiApi, store: Store, fitted: tuple[float, ...]) -> Show:
    sliders = [
        gui.add_slider(f"Shape {index + 1}", min(-BETA_RANGE, beta), max(BETA_RANGE, beta), 0.05, beta)
        for index, beta in enumerate(fitted[:SHOWN_BETAS])
    ]

    def reshape(_: float) -> None:
        betas = (*(float(slider.value) for slider in sliders), *fitted[SHOWN_BETAS:])
        store.change(lambda state: replace(state, betas=betas), "shape")

    for slider in sliders:
        on_user(slider, reshape)

    def show(state: ViewState) -> None:
        for slider, beta in zip(sliders, state.betas, strict=False):
            set_if_changed(slider, value=beta)

    return show
