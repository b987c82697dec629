"""Generated views: aligned with the photo by training, dropped where they disagree, their faces repaired."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from avatar.body import Body
from avatar.io.images import to_float, to_uint8
from avatar.metrics.images import alpha_iou
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.novel_views.face_transfer import Surface, repaired
from avatar.novel_views.placement import camera_angles
from avatar.rendering.renderer import render
from avatar.tracking.multiview import LEAST_IOU
from avatar.training.config import TrainConfig
from avatar.training.inpainting import FACE
from avatar.training.result import TrainResult
from avatar.training.trainer import Trainer
from avatar.training.view_alignment import LearnedViews
from avatar.types import BodyPose, BodyTrack, Cameras, Observations, PosedImage

ALIGN_ROUNDS = 120  # times that each view is shown while the views are aligned
ALIGN_SIDE = 512  # px
ALIGN_GAUSSIANS = 8000
FULL_IOU = 0.9  # overlap from which a view counts fully


def align_views(
    observations: Observations,
    track: BodyTrack,
    body: Body,
    alignment: LearnedViews,
    config: TrainConfig,
    device: str,
    backend: str,
) -> TrainResult:
    """Train a coarse avatar while `alignment`, in alternation with it, learns where the views were taken from.

    Args:
        config: that of the final training, of which a coarse one is made.
    """
    coarse = replace(
        config,
        steps=ALIGN_ROUNDS * len(observations),
        gaussians=min(config.gaussians, ALIGN_GAUSSIANS),
        max_gaussians=min(config.max_gaussians, ALIGN_GAUSSIANS),
        long_side=min(config.long_side, ALIGN_SIDE),
        coarse=1.0,
        refine_poses=True,
        refine_start=0.2,
    )
    return Trainer(observations, track, body, coarse, device, backend, alignment=alignment).run()


def select_views(
    images: Sequence[PosedImage],
    views: Sequence[PosedImage],
    result: TrainResult,
    alignment: LearnedViews,
    backend: str,
) -> tuple[list[PosedImage], list[str]]:
    """The views that agree with the photo, with aligned cameras and the photo's face, weighted by their agreement.

    Args:
        images: the photo and its close-up, as in `align_views`; views: those after them; result: of `align_views`.

    Returns:
        The selected views and a warning for each of the others.
    """
    avatar, pose, photo = result.avatar, result.track.poses[0], images[0]
    cameras = alignment.aligned(Cameras.cat([one.camera for one in (*images, *views)]).to(avatar.device)).to("cpu")
    center = alignment.centre.cpu()
    photo_azimuth = camera_angles(photo.camera.T_camera_world[0], center)[0]
    photo_depth = rendered_surface(avatar, pose, photo.camera, photo.camera, backend).depth
    selected, warnings = [], []
    for index, view in enumerate(views, start=len(images)):
        camera = cameras[index]
        surface = rendered_surface(avatar, pose, camera, photo.camera, backend)
        iou = alpha_iou((surface.depth > 0).float(), to_float(view.mask))
        if iou < LEAST_IOU:
            warnings.append(
                f"the view {view.name} does not show this person in this pose (overlap {iou:.2f}) and is not used"
            )
            continue
        image = to_uint8(alignment.undo_exposure(to_float(view.image), index))
        azimuth = (camera_angles(camera.T_camera_world[0], center)[0] - photo_azimuth + 180) % 360 - 180
        image, trust = repaired(image, camera, surface, photo, photo_depth, azimuth)
        agreement = min(1.0, (iou - LEAST_IOU) / (FULL_IOU - LEAST_IOU) + 0.2)
        selected.append(replace(view, image=image, camera=camera, weight=view.weight * agreement, trust=trust))
    return selected, warnings


@torch.no_grad()
def rendered_surface(avatar: Avatar, pose: BodyPose, camera: Cameras, photo: Cameras, backend: str) -> Surface:
    """What a camera sees of the avatar: depth, face, and the angle to the photo's camera."""
    posed = avatar.pose(pose.to(avatar.device), lit=False)
    parts = part_of_gaussians(avatar)
    eye = torch.linalg.inv(photo.T_camera_world[0])[:3, 3].to(posed.means)
    towards_photo = torch.nn.functional.normalize(eye - posed.means, dim=-1)
    facing = (avatar.posed_normals(pose.to(avatar.device)) * towards_photo).sum(-1)
    values = torch.stack([(parts == FACE).float(), facing.clamp(0, 1), torch.zeros_like(facing)], -1)
    out = render(replace(posed, colors=values), camera.to(avatar.device), backend)
    alpha = out.alpha[0]
    solid = alpha > 0.5
    shares = torch.where(solid[..., None], out.rgb[0] / alpha.clamp_min(0.5)[..., None], torch.zeros_like(out.rgb[0]))
    depth = torch.where(solid, out.depth[0] / alpha.clamp_min(0.5), torch.zeros_like(alpha))
    return Surface(depth.cpu(), shares[..., 0].cpu(), shares[..., 1].cpu())
