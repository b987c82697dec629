"""Colours of the clothes, the hair and the skin: tried on, taken back, and saved as an avatar of its own."""

from __future__ import annotations

import re
from dataclasses import replace

import viser
from jaxtyping import Float
from torch import Tensor
from viser import Icon

from avatar.errors import AvatarError, UsageError
from avatar.model.garments import GARMENTS
from avatar.pipeline.edit import Edits, edit_run
from avatar.viewer.session import Session
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import ProgressCallback, Show, on_job, on_press, on_user, set_if_changed

PIECES = {name.capitalize(): name for name in ("top", "bottom", "shoes", "hair", "skin")}
Rgb = tuple[int, int, int]
GREY: Rgb = (128, 128, 128)


def clothes_folder(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets for colours of garments; returns the function that shows a state in them."""
    assert set(PIECES.values()) <= set(GARMENTS)
    with gui.add_folder("Clothes", expand_by_default=False):
        piece = gui.add_dropdown("Piece", tuple(PIECES), hint="Look > Colours > By garment shows what belongs to it")
        color = gui.add_rgb("Colour", GREY)
        own = gui.add_button("As filmed", color="gray")
        name = gui.add_text("Name", "" if session.folder is None else f"{session.folder.resolve().name}-edited")
        save = gui.add_button("Save as a new avatar", icon=Icon.DEVICE_FLOPPY)

    def choose(rgb: Rgb) -> None:
        label, value = PIECES[piece.value], "#{:02x}{:02x}{:02x}".format(*rgb)
        if session.garment_color(label) is None:
            store.set(message=f"This person shows no {label}: nothing of it can have another colour.")
            return
        store.change(lambda state: with_color(state, label, value), f"colour of {label}")

    def save_as(client: viser.ClientHandle, report: ProgressCallback) -> str:
        if session.folder is None:
            raise AvatarError("A preview has no folder to save beside.")
        if not store.state.recolored:
            raise UsageError("Nothing has another colour yet: choose one first.")
        if not re.fullmatch(r"[\w -][\w. -]{0,60}", name.value.strip()):
            raise UsageError("Name the new avatar with letters, digits, spaces, points and dashes.")
        report("The turntable takes a moment …")
        target = session.folder.resolve().parent / name.value.strip()
        recolor = tuple(f"{label}={value}" for label, value in store.state.recolored)
        edit_run(session.folder, Edits(recolor=recolor), target)
        return f"{target} is saved: avatar view {target}"

    def pick(name: str) -> None:
        worn = session.garment_color(PIECES[name])
        set_if_changed(color, value=GREY if worn is None else rgb_of(worn))
        show(store.state)

    on_user(piece, pick)
    on_user(color, choose)
    on_press(own, lambda: store.change(lambda state: replace(state, recolored=())))
    on_job(save, "New avatar", save_as)

    def show(state: ViewState) -> None:
        chosen = dict(state.recolored).get(PIECES[piece.value])
        if chosen is not None:
            set_if_changed(color, value=tuple(int(chosen[i : i + 2], 16) for i in (1, 3, 5)))
        set_if_changed(own, disabled=not state.recolored)
        set_if_changed(save, disabled=not state.recolored or session.folder is None)

    return show


def rgb_of(color: Float[Tensor, " 3"]) -> Rgb:
    """An sRGB colour in [0, 1] as the widgets have it."""
    red, green, blue = (round(255 * value) for value in color.tolist())
    return red, green, blue


def with_color(state: ViewState, label: str, color: str) -> ViewState:
    """The state with a garment in another colour."""
    return replace(state, recolored=tuple({**dict(state.recolored), label: color}.items()))
