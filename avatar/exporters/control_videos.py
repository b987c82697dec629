"""Control videos of a motion: what networks that make videos of people take beside a text or an image.

The folder holds one video each for the pose (drawn in OpenPose's style), depth, normals, mask and the avatar itself,
all from the same cameras, and `control.json`; docs/manual/export.md describes them.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from avatar import __version__
from avatar.exporters.pose_drawing import FACE, NAMES, draw_pose, pose_points
from avatar.exporters.rendered_geometry import Geometry, rendered_geometry
from avatar.exporters.surface_charts import surface_charts
from avatar.geometry import project
from avatar.io.files import write_json
from avatar.io.images import to_uint8
from avatar.io.videos import VideoWriter
from avatar.model.avatar import Avatar
from avatar.runtime.progress import progress
from avatar.types import BodyTrack, Cameras

VIDEOS = ("pose", "depth", "normals", "mask", "image")
REACH = 0.35  # metres from the joints to the outermost surface, along the optical axis
DARKEST = 40  # grey level of the farthest surface; 0 is the background
HIDDEN = 0.06  # metres behind the visible surface from which a point of the face is hidden


@torch.no_grad()
def write_control_videos(
    avatar: Avatar,
    track: BodyTrack,
    cameras: Cameras,
    folder: Path,
    background: Float[Tensor, " 3"],
    backend: str = "auto",
) -> None:
    """Write `pose.mp4`, `depth.mp4`, `normals.mp4`, `mask.mp4`, `image.mp4` and `control.json`.

    Args:
        cameras: one per frame; background: sRGB, behind `image.mp4`.

    Raises:
        AvatarError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    charts = surface_charts(avatar)
    points = pose_points(avatar, track.poses)
    placed = [project(K, T, p) for K, T, p in zip(cameras.K, cameras.T_camera_world, points, strict=True)]
    near = max(min(float(depths.min()) for _, depths in placed) - REACH, 0.05)
    far = max(float(depths.max()) for _, depths in placed) + REACH
    keypoints = []
    with contextlib.ExitStack() as stack:
        videos = {name: stack.enter_context(VideoWriter(folder / f"{name}.mp4", track.fps)) for name in VIDEOS}
        for frame in progress(range(len(track)), "control videos"):
            geometry = rendered_geometry(avatar, track.poses[frame], cameras[frame], charts, backend)
            pixels, depths = placed[frame]
            visible = visible_points(pixels, depths, geometry)
            keypoints.append([[*p, bool(v)] for p, v in zip(pixels.tolist(), visible.tolist(), strict=True)])
            images = {
                "pose": draw_pose(pixels.numpy(), visible.numpy(), cameras.width, cameras.height),
                "depth": depth_image(geometry, near, far),
                "normals": normal_image(geometry),
                "mask": to_uint8(geometry.output.alpha[0, ..., None].expand(-1, -1, 3)),
                "image": to_uint8(geometry.output.composite(background)[0]),
            }
            for name, image in images.items():
                videos[name].add(image)
    write_json(
        folder / "control.json",
        {
            "made_by": f"avatar {__version__}",
            "fps": track.fps,
            "width": cameras.width,
            "height": cameras.height,
            "near_m": near,
            "far_m": far,
            "points": list(NAMES),
            "keypoints": keypoints,
            "K": cameras.K.tolist(),
            "T_camera_world": cameras.T_camera_world.tolist(),
        },
    )


def visible_points(
    pixels: Float[Tensor, "18 2"], depths: Float[Tensor, " 18"], geometry: Geometry
) -> Bool[Tensor, " 18"]:
    """Points in the image; those of the face only where nothing is before them, as detectors see them."""
    height, width = geometry.depth.shape
    visible = (depths > 0) & (pixels >= 0).all(-1) & (pixels < torch.tensor([width, height])).all(-1)
    for point in FACE:
        if visible[point]:
            column, row = pixels[point].long().tolist()
            surface = float(geometry.depth[row, column])
            visible[point] = surface == 0 or float(depths[point]) < surface + HIDDEN
    return visible


def depth_image(geometry: Geometry, near: float, far: float) -> UInt8[np.ndarray, "h w 3"]:
    """Reciprocal depth, bright where near, on black; one scale for the whole video."""
    share = (1 / geometry.depth.clamp_min(1e-6) - 1 / far) / (1 / near - 1 / far)
    grey = torch.where(geometry.depth > 0, DARKEST + (255 - DARKEST) * share.clamp(0, 1), 0.0)
    return grey.round().byte()[..., None].expand(-1, -1, 3).numpy()


def normal_image(geometry: Geometry) -> UInt8[np.ndarray, "h w 3"]:
    """Normals with x to the right, y up and z to the camera as (n + 1) / 2, on black."""
    turned = geometry.normals * torch.tensor([1.0, -1.0, -1.0])
    return to_uint8(torch.where(geometry.depth[..., None] > 0, (turned + 1) / 2, 0.0))
