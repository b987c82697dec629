"""Props and a scene in the viewer: drawn by both ways, moved by the gizmo, put on, kept and taken off in the page."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import viser

from avatar.geometry import rigid, rotation_from_quat, rotation_from_rotvec, transform
from avatar.model.avatar import Avatar
from avatar.model.prop_file import PropFolder
from avatar.model.prop_fit import Adjustment
from avatar.model.props import Prop
from avatar.pipeline.props import make_prop
from avatar.types import Cameras, Gaussians
from avatar.viewer.app import first_state
from avatar.viewer.camera_path import first_view, hidden_share
from avatar.viewer.clips import clip_of_track
from avatar.viewer.prop_gizmo import PropGizmo
from avatar.viewer.session import Session
from avatar.viewer.splat_layer import SplatLayer
from avatar.viewer.state import PROP, Store

from .sample import sample_avatar, sample_track
from .webpage import Page

ROOM = Gaussians(
    torch.tensor([[0.0, 0.0, -5.0], [9.0, 0.0, 0.0]]), torch.tensor([[1.0, 0, 0, 0]]).repeat(2, 1),
    torch.full((2, 3), 0.5), torch.ones(2), torch.zeros(2, 3),
)  # fmt: skip


@pytest.fixture
def avatar() -> Avatar:
    return sample_avatar(400)


def made(avatar: Avatar, preset: str) -> Prop:
    return make_prop(avatar, (), None, preset, None, None, Adjustment())[0]


def session_of(avatar: Avatar, scene: Gaussians | None = None) -> Session:
    clip = clip_of_track("as filmed", sample_track(avatar, 5))
    return Session(avatar, {clip.name: clip}, scene=scene)


def test_what_is_drawn_is_the_person_the_props_and_the_scene(avatar: Avatar) -> None:
    hat = made(avatar, "hat")
    avatar.with_props([hat])
    session = session_of(avatar, ROOM)
    state = first_state(session)
    posed = session.posed_state(state)
    splats = len(hat.shape.gaussians)
    assert len(session.gaussians(posed)) == 400 + splats + 2 and len(session.person(posed)) == 400 + splats
    assert float(session.box(state)[1][0]) < 2.0  # the room does not widen the box of the person
    hidden = session.posed_state(replace(state, scene=False, detail=0.5))
    assert len(session.gaussians(hidden)) == 200 + splats
    observed = session.posed_state(replace(state, colors="observed"))
    assert len(session.person(observed)) == 400 + splats
    session.dress(())
    bare = session.posed_state(replace(state, props=()))
    assert bare is not posed and len(session.person(bare)) == 400


def test_a_wall_between_camera_and_person_is_cut_away(avatar: Avatar) -> None:
    wall = ROOM.moved(rigid(torch.eye(3), torch.tensor([0.0, 1.0, 8.0])))  # at z = 3 and z = 8
    session = session_of(avatar, Gaussians.cat([ROOM, wall]))
    posed = session.posed_state(first_state(session))
    T = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 1.0], [0, 0, -1, 12.0], [0, 0, 0, 1]])  # from z = 12
    camera = Cameras(100 * torch.eye(3)[None], T[None], 10, 10)
    assert len(session.gaussians(posed)) == 404 and len(session.gaussians(posed, camera)) == 402


def test_the_first_view_of_a_room_is_nearer_than_what_stands_between() -> None:
    avatar = sample_avatar(3000)
    clear = first_view(session_of(avatar), first_state(session_of(avatar)), aspect=1.0)
    place, aim = (torch.tensor(point) for point in (clear.position, clear.look_at))
    corners = torch.tensor([[x, y, z] for x in (-9.0, 9.0) for y in (-1.0, 9.0) for z in (-9.0, 9.0)])
    cupboard = aim + 0.85 * (place - aim)
    room = Gaussians(
        torch.cat([corners, cupboard[None]]), torch.tensor([[1.0, 0, 0, 0]]).repeat(9, 1),
        torch.full((9, 3), 0.1), torch.ones(9), torch.zeros(9, 3),
    )  # fmt: skip
    room.scales[-1] = 0.25
    session = session_of(avatar, room)
    state = first_state(session)
    view = first_view(session, state, aspect=1.0)
    person = session.person(session.posed_state(state))
    assert hidden_share(person, room, clear) > 0.5 and hidden_share(person, room, view) < 0.1
    width = [math.tan(v.fov / 2) * float(np.linalg.norm(np.subtract(v.position, v.look_at))) for v in (clear, view)]
    assert width[0] == pytest.approx(width[1]), "the person is as large as before"
    assert first_view(session, replace(state, scene=False), aspect=1.0) == clear


def test_the_browser_gets_the_scene_once_and_hides_it(avatar: Avatar) -> None:
    session = session_of(avatar, ROOM)
    server = viser.ViserServer("127.0.0.1", port=8796, verbose=False)
    layer, state = SplatLayer(server, session), replace(first_state(session), drawing="splats")
    layer.show(state, session.posed_state(state))
    assert layer.standing is not None and len(layer.standing.buffer) == 2 and layer.standing.visible
    layer.show(replace(state, scene=False), session.posed_state(state))
    assert not layer.standing.visible
    server.stop()


def test_the_gizmo_moves_a_prop_with_the_mouse_and_undo_takes_it_back(avatar: Avatar) -> None:
    hat = made(avatar, "hat")
    avatar.with_props([hat])
    avatar.reshape(avatar.betas * 0.9 + 0.3)  # another head: the hat is stretched
    session = session_of(avatar)
    server = viser.ViserServer("127.0.0.1", port=8797, verbose=False)
    store = Store(replace(first_state(session), prop="hat", frame=3.0, playing=False))
    gizmo = PropGizmo(server.scene, store, session)
    state = store.state
    posed = session.posed_state(state)
    gizmo.show(state, posed)
    assert gizmo.gizmo.visible
    before = avatar.posed_props(posed.pose, lit=False)[0].means
    place = torch.tensor(gizmo.gizmo.position, dtype=torch.float32)
    turn = rotation_from_rotvec(torch.tensor([0.0, 0.4, 0.0]))
    own = rotation_from_quat(torch.tensor(gizmo.gizmo.wxyz, dtype=torch.float32))
    shift = torch.tensor([0.05, 0.1, -0.02])
    for phase in ("start", "update", "end"):
        store.change(lambda state, phase=phase: gizmo._moved(state, rigid(own, place + shift), phase))  # type: ignore[misc]
        assert store.state.held == (None if phase == "end" else PROP)
    session.dress(store.state.props)
    after = avatar.posed_props(posed.pose, lit=False)[0].means
    torch.testing.assert_close(after, before + shift, atol=1e-4, rtol=0)
    store.change(lambda state: gizmo._moved(state, rigid(turn @ own, place + shift), "end"))
    session.dress(store.state.props)
    turned = avatar.posed_props(posed.pose, lit=False)[0].means
    expected = transform(rigid(turn, place + shift - turn @ (place + shift)), after)
    assert float((turned - expected).norm(dim=1).max()) < 0.02  # the stretch turns with the body, not with the hat
    store.undo()
    store.undo()  # the whole drag is one step
    assert store.state.props[0] is hat
    server.stop()


def test_put_on_kept_and_taken_off_in_the_page(page: Page, run_folder: Path) -> None:
    folder = PropFolder(run_folder / "props")
    page.open_tab("Look")

    def press(label: str, done: Callable[[], bool]) -> None:
        """Press a button until it has worked: a folder that is still opening loses clicks."""
        button = page.tab.get_by_role("button", name=label, exact=True).first

        def worked() -> bool:
            if not done() and button.is_visible() and button.is_enabled():
                button.click(force=True)
                page.tab.wait_for_timeout(2000)
            return done()

        assert page.until(worked), f"{label} does nothing"

    page.tab.get_by_text("Props", exact=True).first.click(force=True)
    assert page.until(lambda: page.tab.get_by_label("Thing", exact=True).first.is_visible())
    store = page.viewer.store
    press("Put it on", lambda: bool(store.state.props))
    assert store.state.props[0].name == "cup"
    press("Keep in the run", lambda: "cup" in folder.names())
    move = page.tab.get_by_label("Move it").first
    assert page.until(move.is_visible)
    move.click(force=True)
    assert page.until(lambda: store.state.prop == "cup")
    press("Take it off", lambda: store.state.props == ())
    assert store.state.prop is None
    press("Keep in the run", lambda: folder.names() == [])
