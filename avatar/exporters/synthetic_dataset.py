"""Rendered images of the avatar with ground truth, to train other networks on.

Each sample is a random pose (frames of the given motions, the upper body of one with the lower body of another, and
a random heading) seen by a random camera. The folder holds `images/`, `masks/`, `depth/`, `normals/`, `iuv/`,
`garments/` and one `labels.json`; docs/manual/export.md describes every entry.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar import __version__
from avatar.body import smpl_pose
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.exporters.rendered_geometry import Geometry, rendered_geometry
from avatar.exporters.splats import FRAME_NOTE
from avatar.exporters.surface_charts import surface_charts
from avatar.geometry import project, rotation_from_rotvec, rotation_to_rotvec
from avatar.io.files import atomic_write, write_json
from avatar.io.images import read_image, to_uint8, write_image
from avatar.model.avatar import Avatar
from avatar.model.garments import GARMENTS, garment_labels
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.runtime.progress import progress
from avatar.types import BodyPose, BodyTrack, Cameras

# Joints that stay with the legs when halves of two poses are joined, so that the feet keep their contact.
LOWER_BODY = [i for i, name in enumerate(SMPL_JOINTS) if name.endswith(("pelvis", "hip", "knee", "ankle", "foot"))]
FIELDS_OF_VIEW = (25.0, 65.0)  # degrees across the longer side
ELEVATIONS = (-15.0, 45.0)  # degrees above the horizon
FILLED = (0.45, 0.95)  # fraction of the image's height or width that the person fills
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif")
DEPTH_UNIT = 0.001  # metres per step of a depth image


@dataclass(frozen=True)
class Sample:
    """One image and its ground truth."""

    pose: BodyPose
    camera: Cameras
    rgb: Float[Tensor, "h w 3"]
    geometry: Geometry


@torch.no_grad()
def write_dataset(
    avatar: Avatar,
    motions: Mapping[str, BodyTrack],
    folder: Path,
    count: int,
    width: int,
    height: int,
    seed: int = 0,
    backend: str = "auto",
    backgrounds: Sequence[Path] = (),
    garments: Int[Tensor, " n"] | None = None,
) -> None:
    """Write `count` labelled images of `width` by `height` pixels; the same seed gives the same ones.

    Args:
        backgrounds: images, of which random crops stand behind the person; without any, plain random colours do.
        garments: label of each Gaussian, see `avatar.model.garments`; by default they are estimated.

    Raises:
        AvatarError: a file cannot be written, or a background is no image.
    """
    generator = torch.Generator().manual_seed(seed)
    charts = surface_charts(avatar, garment_labels(avatar) if garments is None else garments)
    poses = [track.poses[frame] for track in motions.values() for frame in range(len(track))]
    entries = []
    for index in progress(range(count), "images"):
        pose = random_pose(poses, generator)
        camera = random_camera(avatar, pose, width, height, generator)
        behind = random_background(backgrounds, width, height, generator)
        geometry = rendered_geometry(avatar, pose, camera, charts, backend)
        output = geometry.output
        rgb = output.rgb[0] + (1 - output.alpha[0, ..., None]) * behind
        sample = Sample(pose, camera, rgb, geometry)
        _write_sample(sample, folder, index)
        entries.append(_entry(avatar, sample, index))
    write_json(
        folder / "labels.json",
        {
            "made_by": f"avatar {__version__}",
            "frame": FRAME_NOTE,
            "body": avatar.body.name,
            "betas": avatar.betas.tolist(),
            "joints": list(SMPL_JOINTS),
            "parts": ["background", *SMPL_JOINTS],
            "garments": ["background", *GARMENTS],
            "depth_unit_m": DEPTH_UNIT,
            "seed": seed,
            "samples": entries,
        },
    )


def random_pose(poses: list[BodyPose], generator: torch.Generator) -> BodyPose:
    """The legs of one pose under the spine and arms of another, standing at the origin with a random heading."""
    upper, lower = (poses[int(i)] for i in torch.randint(len(poses), (2,), generator=generator))
    rotations = upper.rotations.clone()
    rotations[LOWER_BODY] = lower.rotations[LOWER_BODY]
    turn = torch.rand(1, generator=generator) * 2 * math.pi
    heading = rotation_from_rotvec(torch.cat([torch.zeros(1), turn, torch.zeros(1)]))
    rotations[0] = heading @ rotations[0]
    return BodyPose(lower.root_position * torch.tensor([0.0, 1.0, 0.0]), rotations)


def random_camera(avatar: Avatar, pose: BodyPose, width: int, height: int, generator: torch.Generator) -> Cameras:
    """A random camera, from any side, with the person in view."""

    def between(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand(1, generator=generator))

    azimuth, elevation = between(0.0, 2 * math.pi), math.radians(between(*ELEVATIONS))
    K = intrinsics(width, height, between(*FIELDS_OF_VIEW))
    means = avatar.own_pose(pose).means.cpu()
    low, high = means.amin(0), means.amax(0)
    wide, tall = float((high - low)[[0, 2]].norm()), float(high[1] - low[1])
    # The nearer half of the person must lie within the image too.
    distance = float(K[0, 0]) * max(wide / width, tall / height) / between(*FILLED) + wide / 2
    away = torch.tensor(
        [math.sin(azimuth) * math.cos(elevation), math.sin(elevation), math.cos(azimuth) * math.cos(elevation)]
    )
    target = (low + high) / 2
    T_camera_world = look_at((target + distance * away)[None], target[None])
    return Cameras(K[None], T_camera_world, width, height)


def random_background(
    paths: Sequence[Path], width: int, height: int, generator: torch.Generator
) -> Float[Tensor, "#h #w 3"]:
    """A plain random colour, or a random crop of a random image, as large as the image allows, sRGB."""
    if not paths:
        return torch.rand(1, 1, 3, generator=generator)
    import cv2

    image = read_image(paths[int(torch.randint(len(paths), (), generator=generator))])[..., :3]
    scale = min(image.shape[1] / width, image.shape[0] / height)
    wide, high = max(int(scale * width), 1), max(int(scale * height), 1)
    room = torch.tensor([image.shape[1] - wide, image.shape[0] - high])
    left, top = (torch.rand(2, generator=generator) * room).int().tolist()
    crop = image[top : top + high, left : left + wide]
    shrinks = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return torch.from_numpy(cv2.resize(crop, (width, height), interpolation=shrinks)).float() / 255


def background_files(folder: Path) -> list[Path]:
    """The images of a folder, by name.

    Raises:
        UsageError: there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise UsageError(f"There is no folder {folder}: --backgrounds takes a folder of images.")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        raise UsageError(f"There is no image in {folder}: --backgrounds takes {', '.join(IMAGE_SUFFIXES)}.")
    return paths


def _write_sample(sample: Sample, folder: Path, index: int) -> None:
    geometry = sample.geometry
    parts = geometry.parts[..., None] / 255
    images = {
        "images": sample.rgb,
        "masks": geometry.output.alpha[0],
        "normals": (geometry.normals + 1) / 2,
        "iuv": torch.cat([parts, geometry.chart], -1),
        "garments": geometry.garments / 255,
    }
    for name, values in images.items():
        write_image(folder / name / f"{index:06d}.png", to_uint8(values))
    _write_depth(folder / "depth" / f"{index:06d}.png", geometry.depth)


def _write_depth(path: Path, depth: Float[Tensor, "h w"]) -> None:
    """A 16-bit grey PNG in steps of `DEPTH_UNIT`; 0 outside the person."""
    from PIL import Image

    steps = (depth / DEPTH_UNIT).round().clamp(0, 65535).cpu().numpy().astype(np.uint16)
    with atomic_write(path) as temporary:
        Image.fromarray(steps).save(temporary)


def _entry(avatar: Avatar, sample: Sample, index: int) -> dict[str, Any]:
    """The labels of one image, as plain numbers."""
    pose, camera = sample.pose, sample.camera
    Ts = joint_transforms(avatar.rest.joints, avatar.body.parents, avatar.body.complete(pose)).cpu()
    places = Ts[list(avatar.body.smpl_index), :3, 3]
    pixels, depths = project(camera.K[0], camera.T_camera_world[0], places)
    inside = (pixels >= 0).all(-1) & (pixels < torch.tensor([camera.width, camera.height])).all(-1) & (depths > 0)
    rotvecs = rotation_to_rotvec(smpl_pose(pose).rotations)
    return {
        "file": f"{index:06d}.png",
        "width": camera.width,
        "height": camera.height,
        "K": camera.K[0].tolist(),
        "T_camera_world": camera.T_camera_world[0].tolist(),
        "keypoints": [[*pixel, bool(visible)] for pixel, visible in zip(pixels.tolist(), inside.tolist(), strict=True)],
        "joints_world": places.tolist(),
        "smpl": {
            "global_orient": rotvecs[0].tolist(),
            "body_pose": rotvecs[1:].flatten().tolist(),
            # SMPL's translation is the pelvis' position less its position at rest.
            "transl": (pose.root_position - avatar.rest.joints[0].cpu()).tolist(),
        },
    }
