"""Camera paths: views that were collected, the smooth way through them, and its preview in a tab."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
import viser
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from torch import Tensor

from avatar.model.world import BEFORE, cut_open
from avatar.rendering.camera_paths import look_at
from avatar.rendering.renderer import render
from avatar.types import Cameras, Gaussians
from avatar.viewer.state import View, ViewState

if TYPE_CHECKING:
    from avatar.viewer.session import Session

PREVIEW_FPS = 30
FIRST_FOV = 0.75  # radians
DISTANCE = 1.84  # of the first camera, in heights of the person
DIRECTION = np.array([0.55, 0.15, 1.75]) / math.hypot(0.55, 0.15, 1.75)
TIMELINE_SHARE = 0.12  # of the person's height in view, which the timeline would cover

# Shares of the first distance that are tried until at most `HIDDEN_SHARE` of the person is hidden in square images of
# `PROBE_SIDE` pixels.
NEARER = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
HIDDEN_SHARE, PROBE_SIDE = 0.1, 96

# Opposite corners of what a camera has in view, world, metres.
Box = tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]

_previews: dict[int, object] = {}  # the newest preview of each tab; an older one ends


def view_of(camera: viser.CameraHandle) -> View:
    """The view of a tab."""
    return View(_triple(camera.position), _triple(camera.look_at), float(camera.fov))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def whole_person(box: Box, aspect: float) -> View:
    """The first view: the whole person from slightly aside, above the timeline.

    Args:
        box: opposite corners of the person, world, metres; aspect: width of the scene by its height.
    """
    low, high = (corner.numpy().astype(float) for corner in box)
    center, height = (low + high) / 2, float(high[1] - low[1])
    center[1] -= TIMELINE_SHARE / 2 * height
    width = float(np.hypot(*(high - low)[[0, 2]]))
    distance = max(DISTANCE * height, width / 2 / math.tan(FIRST_FOV / 2) / aspect * 1.1)
    return View(_triple(center + distance * DIRECTION), _triple(center), FIRST_FOV)


def first_view(session: Session, state: ViewState, aspect: float) -> View:
    """The whole person; nearer and wider where something of the scene stands between, as a wall or a chair.

    Args:
        aspect: width of the tab's scene by its height.
    """
    view = whole_person(session.box(state), aspect)
    if session.scene is None or not state.scene:
        return view
    person = session.person(session.posed_state(state)).to("cpu")
    nearer = [nearer_view(view, share) for share in NEARER]
    hidden = [hidden_share(person, session.scene.to("cpu"), other) for other in nearer]
    clear = [other for other, share in zip(nearer, hidden, strict=True) if share < HIDDEN_SHARE]
    return clear[0] if clear else nearer[hidden.index(min(hidden))]


def nearer_view(view: View, share: float) -> View:
    """The view from this share of its distance, that shows as much where it looks at."""
    look_at = np.array(view.look_at)
    position = look_at + share * (np.array(view.position) - look_at)
    return View(_triple(position), view.look_at, 2 * math.atan(math.tan(view.fov / 2) / share))


def hidden_share(person: Gaussians, scene: Gaussians, view: View) -> float:
    """The share of the person's pixels before which the scene is, in [0, 1]."""
    path = np.array([[*view.position, *view.look_at, view.fov]])
    camera = cameras_on_path(path, PROBE_SIDE, PROBE_SIDE)
    alone, with_scene = render(person, camera), render(Gaussians.cat([person, cut_open(scene, person, camera)]), camera)
    shown = alone.alpha[0] > 0.5
    depth, nearest = (out.depth[0] / out.alpha[0].clamp_min(1e-4) for out in (alone, with_scene))
    return float((nearest < depth - BEFORE)[shown].float().mean()) if shown.any() else 1.0


def stand_at_view(client: viser.ClientHandle, view: View) -> None:
    """Move a tab's camera to a view."""
    with client.atomic():
        client.camera.position = view.position
        client.camera.look_at = view.look_at
        client.camera.fov = view.fov


def path_through(views: Sequence[View], frames_each: int) -> Float[np.ndarray, "frames 7"]:
    """Position, point of view (metres) and field of view (radians) on a smooth path through the views.

    A cubic spline for each number; a turn around the person keeps its distance better the more views it has.

    Args:
        frames_each: frames from one view to the next.
    """
    knots = np.array([[*view.position, *view.look_at, view.fov] for view in views])
    if len(views) < 2:
        return knots
    at = np.arange((len(views) - 1) * frames_each + 1) / frames_each
    # At rest at both ends.
    path: Float[np.ndarray, "frames 7"] = CubicSpline(np.arange(len(views)), knots, bc_type="clamped")(at)
    return path


def cameras_on_path(path: Float[np.ndarray, "frames 7"], width: int, height: int) -> Cameras:
    """Upright cameras along a path, for images of this size; the field of view is the vertical one."""
    numbers = torch.from_numpy(path).float()
    T_camera_world: Float[Tensor, "frames 4 4"] = look_at(numbers[:, :3], numbers[:, 3:6])
    K = torch.zeros(len(path), 3, 3)
    K[:, 0, 0] = K[:, 1, 1] = height / 2 / (numbers[:, 6] / 2).tan()
    K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = width / 2, height / 2, 1.0
    return Cameras(K, T_camera_world, width, height)


def preview_path(client: viser.ClientHandle, views: Sequence[View], step_seconds: float) -> None:
    """Move a tab's camera along the path, in a thread of its own."""
    path = path_through(views, max(math.ceil(step_seconds * PREVIEW_FPS), 1))
    mine = _previews[client.client_id] = object()

    def move() -> None:
        for numbers in path:
            if _previews.get(client.client_id) is not mine:
                return
            stand_at_view(client, View(_triple(numbers[:3]), _triple(numbers[3:6]), float(numbers[6])))
            time.sleep(1 / PREVIEW_FPS)

    threading.Thread(target=move, name="camera path", daemon=True).start()
