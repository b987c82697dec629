"""Still images of an avatar as a player shows it first: for the time of loading, for pages without WebGL, for links."""

from __future__ import annotations

import io
import math

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.io.images import to_uint8
from avatar.model.world import World
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.types import BodyTrack, Cameras

# The view of `START` in player/camera.js, and the person's size in `view` of player/player.js.
YAW, PITCH = 0.35, 0.08
TALL, WIDE = 1.16, 0.68  # of the person's height
POSTER_SIZE = (480, 640)
SHARE_SIZE = (1200, 630)  # what the networks of links ask for
SHARE_BACKGROUND = (0.94, 0.91, 0.88)
WEBP_QUALITY, JPEG_QUALITY = 80, 85


@torch.no_grad()
def poster(world: World, track: BodyTrack) -> bytes:
    """The first frame of a motion, played by the first person of a world, on nothing, as WebP."""
    image = _render(world, track, *POSTER_SIZE)
    straight = image[..., :3] / image[..., 3:].clamp_min(1e-6)
    return _encoded(torch.cat([straight, image[..., 3:]], dim=-1), "WEBP", WEBP_QUALITY)


@torch.no_grad()
def share_image(world: World, track: BodyTrack) -> bytes:
    """The same in the shape of a preview of a link, as JPEG."""
    image = _render(world, track, *SHARE_SIZE)
    return _encoded(
        image[..., :3] + (1 - image[..., 3:]) * torch.tensor(SHARE_BACKGROUND).to(image), "JPEG", JPEG_QUALITY
    )


def _render(world: World, track: BodyTrack, width: int, height: int) -> Float[Tensor, "h w 4"]:
    """Premultiplied colour and coverage."""
    avatar, pose = world.people[0], track.poses[0]
    gaussians = world.posed([pose])
    rest = avatar.rest_means()[:, 1]
    tall = float(rest.max() - rest.min())
    x, _, z = pose.root_position.cpu().tolist()
    target = torch.tensor([x, float(gaussians.means[: len(avatar), 1].min()) + tall / 2, z])
    K = intrinsics(width, height)
    distance = float(K[0, 0]) * tall * max(TALL / height, WIDE / width)
    away = torch.tensor([math.sin(YAW) * math.cos(PITCH), math.sin(PITCH), math.cos(YAW) * math.cos(PITCH)])
    camera = Cameras(K[None], look_at(target + distance * away, target)[None], width, height).to(world.device)
    output = render(gaussians, camera)
    return torch.cat([output.rgb[0], output.alpha[0, ..., None]], dim=-1)


def _encoded(image: Float[Tensor, "h w c"], format: str, quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(file, format, quality=quality)
    return file.getvalue()
