"""The server of the page, and the loop that draws the state."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
import viser

from avatar.errors import AvatarError
from avatar.types import BodyPose
from avatar.viewer.auth import LOOPBACK, Auth, authenticated_server
from avatar.viewer.body_layer import BodyLayer
from avatar.viewer.browser import Browser
from avatar.viewer.camera_layer import CameraLayer
from avatar.viewer.camera_path import first_view
from avatar.viewer.clips import MAX_BYTES, TRAINING
from avatar.viewer.compare_panel import ComparePanel
from avatar.viewer.drawing import DrawingSolver
from avatar.viewer.drawing_panel import drawing_panel
from avatar.viewer.export_panel import export_panel
from avatar.viewer.gizmos import Gizmos
from avatar.viewer.look_panel import look_panel
from avatar.viewer.picking import joint_at_ray
from avatar.viewer.pose_panel import pose_panel
from avatar.viewer.posing import on_the_floor, pulled
from avatar.viewer.prop_gizmo import PropGizmo
from avatar.viewer.server_images import ServerImageLayer
from avatar.viewer.session import PosedState, Session
from avatar.viewer.splat_layer import SplatLayer
from avatar.viewer.state import Drag, Drawing, Store, View, ViewState, advanced
from avatar.viewer.timeline import TimelineEvents, add_keys, timeline_values
from avatar.viewer.timeline_panel import timeline_panel

logger = logging.getLogger("avatar")
MAX_UPDATES = 30.0  # per second; browsers and networks gain nothing from more
PANEL_UPDATES = 8.0  # per second, while a motion plays
IDLE_SECONDS = 0.1
BRAND = (36, 99, 235)


class Layer(Protocol):
    """A part of the scene that follows the state."""

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Bring this part of the scene to `state`, whose pose and look are `posed`."""


class Viewer:
    """Serves one avatar to any number of tabs, which all show the same state.

    Args:
        session: what to show.
        host, port: where to listen; the next free port is taken when `port` is in use.
        auth: who may connect; by default everyone on this machine.

    Raises:
        UsageError: nothing can listen at this address; see `check_address`.
    """

    def __init__(self, session: Session, host: str = "127.0.0.1", port: int = 8080, auth: Auth | None = None) -> None:
        self.session = session
        self.server = authenticated_server(host, port, auth or Auth(), "avatar")
        self.store = Store(first_state(session))
        self.events = TimelineEvents(self.store, session)
        self.browser = Browser(self.server, MAX_BYTES, ("timeline",), self.events)
        self.updates = 0
        self._pulled: Drag | None = None
        self._panels_at = 0.0
        self._stop = threading.Event()
        configure_theme(self.server)
        frame_subject(self.server, first_view(session, self.store.state, aspect=1.0))
        scene, gui = self.server.scene, self.server.gui
        self.layers: list[Layer] = [
            SplatLayer(self.server, session),
            BodyLayer(self.server, session),
            Gizmos(scene, self.store, session),
            PropGizmo(scene, self.store, session),
            CameraLayer(scene, session),
        ]
        self.server_images = ServerImageLayer(self.server, session)
        self.panels = [timeline_panel(gui, self.store, session)]
        self.solver = DrawingSolver(session.avatar.body, self._show_drawn_pose)
        tabs = gui.add_tab_group()
        for label, icon, panel in (
            ("Look", viser.Icon.EYE, look_panel),
            ("Pose", viser.Icon.STRETCHING, pose_panel),
            ("Export", viser.Icon.DOWNLOAD, export_panel),
        ):
            with tabs.add_tab(label, icon):
                self.panels.append(panel(gui, self.store, session))
        with tabs.add_tab("Compare", viser.Icon.LAYERS_DIFFERENCE):
            self.compare = ComparePanel(gui, self.store, session)
            self.panels.append(self.compare.show)
        with tabs.add_tab("Draw", viser.Icon.PENCIL):
            self.panels.append(drawing_panel(self.server, self.store, self.solver))
        add_keys(gui, self.events)
        self.server.scene.on_click()(self._pick)
        self.thread = threading.Thread(target=self._loop, name="viewer", daemon=True)

    @property
    def port(self) -> int:
        """The port that the server listens on."""
        return self.server.get_port()

    def start(self) -> None:
        """Begin to draw."""
        self.thread.start()

    def stop(self) -> None:
        """Stop drawing and serving."""
        self._stop.set()
        self.solver.stop()
        self.thread.join(timeout=5)
        self.server.stop()

    def _loop(self) -> None:
        drawn: ViewState | None = None
        last = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            elapsed, last = now - last, now
            if not self.server.get_clients():
                time.sleep(IDLE_SECONDS)
                continue
            state = self._pull(self._advance(elapsed))
            try:
                self._draw(state, drawn)
            except AvatarError as error:
                self.store.set(message=str(error))
            except Exception:  # one image that fails must not end the viewer for all tabs
                logger.exception("The viewer could not draw %s.", state.clip)
                self.store.set(message="This could not be drawn; the log has the reason.")
            drawn = state
            if state.playing:
                time.sleep(max(0.0, 1 / MAX_UPDATES - (time.monotonic() - now)))
            else:
                self.store.wait(state, IDLE_SECONDS)

    def _advance(self, seconds: float) -> ViewState:
        """The state after `seconds` of play, which it also stores."""

        def later(state: ViewState) -> ViewState:
            clip = self.session.clip(state.clip)
            return advanced(state, seconds, clip.fps, len(clip), clip.times)

        self.store.change(later)
        return self.store.state

    def _draw(self, state: ViewState, drawn: ViewState | None) -> None:
        """Bring scene and panels to `state`; images are updated even when only a camera has moved."""
        if drawn is not None and state.betas != drawn.betas:
            self.session.reshape(state.betas)
        if drawn is not None and state.props is not drawn.props:
            self.session.dress(state.props)
        if drawn is not None and state.recolored is not drawn.recolored:
            self.session.recolor(state.recolored)
        posed = self.session.posed_state(state)
        if state is not drawn:
            for layer in self.layers:
                layer.show(state, posed)
            self.updates += 1
            self._show_panels(state)
            if drawn is None or (state.background, state.drawing) != (drawn.background, drawn.drawing):
                self._fill_background(state)
        self.server_images.show(state, posed)

    def _show_panels(self, state: ViewState) -> None:
        now = time.monotonic()
        if state.playing and now - self._panels_at < 1 / PANEL_UPDATES:
            return
        self._panels_at = now
        for show in self.panels:
            show(state)
        values = timeline_values(state, self.session, self.store)
        self.browser.show(values | {"comparison": self.compare.comparison})

    def _pull(self, state: ViewState) -> ViewState:
        """Solve once for the pose of a drag, and store it as the edited pose."""
        drag = state.drag
        if drag is None or drag is self._pulled:
            return state
        avatar = self.session.avatar
        pose = pulled(avatar.body, avatar.rest, drag.start, drag.joint, drag.target)
        self._pulled = drag
        self.store.change(lambda current: replace(current, edited=pose))
        return self.store.state

    def _pick(self, event: viser.SceneClickEvent) -> None:
        """Choose the joint of the limb that was clicked, and show its rings."""
        state = self.store.state
        origin, direction = (
            torch.tensor(part, dtype=torch.float32) for part in (event.ray_origin, event.ray_direction)
        )
        joint = joint_at_ray(self.session.avatar, self.session.pose(state), origin, direction)
        if joint is not None and state.handles != "hands and feet" and not state.playing:
            self.store.set(joint=joint, handles="joint", message="")

    def _show_drawn_pose(self, pose: BodyPose) -> None:
        """Show the pose of a drawing, on the floor where the avatar stands."""
        avatar = self.session.avatar
        here = self.session.pose(self.store.state).root_position
        standing = on_the_floor(avatar.body, avatar.rest, replace(pose, root_position=here))
        self.store.set(edited=standing, playing=False, message="")

    def _fill_background(self, state: ViewState) -> None:
        if state.drawing == "splats":
            self.server.scene.set_background_image(np.full((4, 4, 3), state.background, np.uint8), format="png")


def first_state(session: Session) -> ViewState:
    """The first state of a page: the motion of the video if the run has it, drawn in the way that suits the machine."""
    clip = TRAINING if TRAINING in session.clips else next(iter(session.clips))
    betas = tuple(session.avatar.betas.detach().cpu().tolist())
    cuda = session.avatar.device.type == "cuda"
    drawing: Drawing = "images" if cuda else "splats"
    return ViewState(clip, betas, drawing, playing=len(session.clip(clip)) > 1, props=session.avatar.props)


def configure_theme(server: viser.ViserServer) -> None:
    """Set colours and layout of the page; call this before a page is open, since it lays out the widgets again."""
    server.gui.configure_theme(show_logo=False, show_share_button=False, brand_color=BRAND)
    server.gui.main_panel.dock_right()
    server.scene.set_up_direction("+y")


def frame_subject(server: viser.ViserServer, view: View) -> None:
    """Set the first camera of tabs that are wider than high."""
    server.initial_camera.position, server.initial_camera.look_at = view.position, view.look_at
    server.initial_camera.fov = view.fov


def needs_token(host: str) -> bool:
    """Whether people other than this machine's own users could reach the server."""
    return host not in LOOPBACK
