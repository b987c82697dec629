"""The training cameras with their images, and the ground."""

from __future__ import annotations

import math

import numpy as np
import torch
import viser
from jaxtyping import Int, UInt8

from avatar.geometry import invert_rigid, quat_from_rotation
from avatar.types import Cameras
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import ViewState

MAX_CAMERAS = 12
SAME_PLACE = 0.05  # metres, or components of the rotation matrix
THUMBNAIL_SIDE = 200  # pixels of a frustum's image


class CameraLayer:
    """Draws the ground and a few evenly spaced training cameras, whose images are read when they are first shown."""

    def __init__(self, scene: viser.SceneApi, session: Session) -> None:
        self.scene, self.session = scene, session
        self.grid = scene.add_grid(
            "/ground", infinite_grid=True, plane="xz", cell_size=0.25, section_size=1.0, fade_distance=9.0,
            cell_color=(205, 205, 210), section_color=(170, 170, 180), shadow_opacity=0.0,
        )  # fmt: skip
        self.cameras = self.scene.add_frame("/cameras", show_axes=False, visible=False)
        self.frustums: list[viser.CameraFrustumHandle] = []

    def show(self, state: ViewState, posed: PosedState) -> None:
        """Show or hide the ground and the cameras."""
        self.grid.visible = state.ground
        if state.cameras and not self.frustums:
            self._add_frustums()
        self.cameras.visible = state.cameras

    def _add_frustums(self) -> None:
        track, observations = self.session.track, self.session.observations
        if track is None or track.cameras is None:
            return
        cameras = track.cameras
        for index in distinct_cameras(
            cameras, np.unique(np.linspace(0, len(cameras) - 1, MAX_CAMERAS).round().astype(int))
        ):
            wxyz, position = camera_pose(cameras, index)
            image = None if observations is None else downscaled(observations.images[index])
            self.frustums.append(
                self.scene.add_camera_frustum(
                    f"/cameras/{index:05d}",
                    field_of_view(cameras, index),
                    cameras.width / cameras.height,
                    scale=0.25,
                    thickness=1.5,
                    thickness_units="screen",
                    color=(90, 110, 160),
                    image=image,
                    wxyz=wxyz,
                    position=position,
                    cast_shadow=False,
                    receive_shadow=False,
                )
            )


def distinct_cameras(cameras: Cameras, indices: Int[np.ndarray, " n"]) -> list[int]:
    """Indices of the cameras that differ in position or direction from all before them; a tripod gives one."""
    chosen: list[int] = []
    for index in indices.tolist():
        T = cameras.T_camera_world[index]
        if all((T - cameras.T_camera_world[other]).abs().max() > SAME_PLACE for other in chosen):
            chosen.append(index)
    return chosen


def camera_pose(cameras: Cameras, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Orientation (wxyz) and position of a camera in the world."""
    T_world_camera = invert_rigid(cameras.T_camera_world[index])
    return quat_from_rotation(T_world_camera[:3, :3]).numpy(), T_world_camera[:3, 3].numpy()


def field_of_view(cameras: Cameras, index: int) -> float:
    """Vertical field of view, radians."""
    return 2 * math.atan(cameras.height / 2 / float(cameras.K[index, 1, 1]))


def downscaled(image: UInt8[np.ndarray, "h w 3"], side: int = THUMBNAIL_SIDE) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The image with its long side scaled down to `side` pixels by averaging."""
    scale = side / max(image.shape[:2])
    if scale >= 1:
        return image
    size = [max(1, round(n * scale)) for n in image.shape[:2]]
    planes = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    scaled = torch.nn.functional.interpolate(planes, size=size, mode="area")
    return scaled[0].permute(1, 2, 0).round().byte().numpy()
