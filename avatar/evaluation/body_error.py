"""Where on the body an avatar is wrong: colour errors of many images, gathered on the body's surface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.evaluation.regions import NOBODY, BodyView
from avatar.geometry import rotation_from_rotvec
from avatar.io.images import to_uint8
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import body_splats
from avatar.rendering.camera_paths import orbit
from avatar.rendering.renderer import render
from avatar.types import BodyPose

DRAWING = 300, 480  # px, width and height of one side
ARMS_DOWN = 0.9  # radians, so that the drawing is not mostly empty


def errors_on_body(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], view: BodyView) -> Float[Tensor, " f"]:
    """Mean absolute error of the colour channels where each triangle's middle is; NaN where it is not in view."""
    height, width = view.labels.shape
    x, y = view.pixels.unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & view.visible
    errors = torch.full_like(x, torch.nan, dtype=torch.float32)
    x, y = x[inside], y[inside]
    value = (image[y, x] - truth[y, x]).abs().mean(-1)
    errors[inside] = torch.where(view.labels[y, x] == NOBODY, torch.nan, value)
    return errors


def mean_errors(errors: Sequence[Float[Tensor, " f"]]) -> Float[Tensor, " f"]:
    """Mean over the images that show each triangle, NaN where none does."""
    return torch.stack(list(errors)).nanmean(0)


@torch.no_grad()
def draw_on_body(avatar: Avatar, colors: Float[Tensor, "f 3"], backend: str) -> UInt8[np.ndarray, "h w 3"]:
    """The body with a colour for each triangle, from the front and from behind, on white."""
    body, rest = avatar.body, avatar.rest
    rotvecs = torch.zeros(len(SMPL_JOINTS), 3)
    for side, sign in (("left", -1.0), ("right", 1.0)):
        rotvecs[SMPL_JOINTS.index(f"{side}_shoulder"), 2] = sign * ARMS_DOWN
    pose = BodyPose(rest.joints[0], rotation_from_rotvec(rotvecs).to(rest.joints))
    splats = replace(body_splats(avatar, body.complete(pose)), colors=colors.to(rest.vertices))
    cameras = orbit(splats.means.amin(0).cpu(), splats.means.amax(0).cpu(), 2, *DRAWING).to(avatar.device)
    return np.concatenate([to_uint8(render(splats, cameras[i], backend).on_white()[0]) for i in range(2)], axis=1)
