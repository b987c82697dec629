"""Garments in the viewer: tried on in another colour, taken back, shown by label, saved as a new avatar."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.io.colors import parse_color
from avatar.pipeline.edit import Edits, edit_run
from avatar.viewer.clothes_folder import with_color
from avatar.viewer.session import Session, open_session
from avatar.viewer.state import Store, ViewState


@pytest.fixture
def session(run_folder: Path) -> Session:
    return open_session(run_folder)


@pytest.fixture
def state(session: Session) -> ViewState:
    return ViewState(next(iter(session.clips)), tuple(session.avatar.betas.tolist()))


def test_a_garment_is_recoloured_and_restored(session: Session, state: ViewState) -> None:
    before = session.person(session.posed_state(state)).colors
    blue = with_color(state, "top", "#2050b0")
    session.recolor(blue.recolored)
    colors = session.person(session.posed_state(blue)).colors
    assert not torch.equal(colors, before)
    chosen = session.garment_color("top")
    assert chosen is not None and torch.allclose(chosen, parse_color("#2050b0"), atol=0.03)
    session.recolor(state.recolored)
    assert torch.allclose(session.person(session.posed_state(state)).colors, before, atol=1e-6)


def test_a_colour_that_is_dragged_is_one_step_of_undo(state: ViewState) -> None:
    store = Store(state)
    for color in ("#101010", "#202020", "#303030"):
        store.change(lambda state, color=color: with_color(state, "top", color), "colour of top")  # type: ignore[misc]
    store.change(lambda state: with_color(state, "hair", "#aa0000"), "colour of hair")
    assert dict(store.state.recolored) == {"top": "#303030", "hair": "#aa0000"}
    store.undo()
    assert dict(store.state.recolored) == {"top": "#303030"}
    store.undo()
    assert store.state.recolored == ()
    store.redo()
    assert dict(store.state.recolored) == {"top": "#303030"}


def test_labels_are_shown_as_colours(session: Session, state: ViewState) -> None:
    labelled = session.person(session.posed_state(replace(state, colors="garments"))).colors
    top, bottom = (labelled[session.garments == label].mean(0) for label in (3, 4))
    assert top[0] > top[2] + 0.2 and bottom[2] > bottom[0] + 0.2


def test_what_the_panel_saves_is_what_it_shows(session: Session, state: ViewState, tmp_path: Path) -> None:
    assert session.folder is not None
    blue = with_color(state, "top", "#2050b0")
    session.recolor(blue.recolored)
    edit_run(session.folder, Edits(recolor=("top=#2050b0",)), tmp_path / "new")
    saved = open_session(tmp_path / "new").avatar.gaussians.colors
    assert torch.allclose(saved, session.avatar.gaussians.colors, atol=1e-5)
