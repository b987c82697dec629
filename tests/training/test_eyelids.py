"""Eyes of a made-up person close, and look as before while they are open."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import load_body
from avatar.body.face import FACE_UNITS
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.training.eyelids import add_eyelids
from avatar.training.face_binding import eye_weights, outer_face
from avatar.types import BodyPose, Cameras

SKIN, EYE = torch.tensor([0.8, 0.5, 0.3]), torch.tensor([0.1, 0.2, 0.9])


def blue_eyed(count: int) -> Avatar:
    """A body whose eyes are blue and lie as far in front as its skin, as those that images teach do."""
    body = load_body("open")
    rich = body.with_hands_and_face
    assert rich is not None
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    outside = outer_face(rich, frames.vertices)
    gaussians = sample_on_surface(frames, outside.float(), count, torch.Generator().manual_seed(0))
    on_eye = (eye_weights(rich) > 0.5)[body.faces].all(1)[gaussians.face]
    with torch.no_grad():
        gaussians.raw_colors.copy_(torch.logit(torch.where(on_eye[:, None], EYE, SKIN)))
        gaussians.logit_opacities.fill_(4.0)
        gaussians.offset[on_eye] = frames.rotation[gaussians.face[on_eye], 2] * 0.002  # forwards
    return Avatar(body, betas, gaussians, deform=False)


@torch.no_grad()
def blue(avatar: Avatar, blink: float) -> Float[Tensor, ""]:
    """How many pixels of a close-up show the eyes."""
    face = torch.zeros(len(FACE_UNITS))
    for side in ("Left", "Right"):
        face[FACE_UNITS.index(f"eyeBlink{side}")] = blink
    pose = BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1), face=face)
    middle = avatar.pose(pose).means.mean(0)
    view = look_at(middle + torch.tensor([0.0, 0.0, 0.8]), middle)
    image = render(avatar.pose(pose), Cameras(intrinsics(256, 256, 20.0)[None], view[None], 256, 256)).on_white()[0]
    return (image[..., 2] > image[..., 0] + 0.1).sum()


def test_eyes_close_all_the_way_and_stay_open_otherwise() -> None:
    avatar = blue_eyed(12000)
    opened, ajar = float(blue(avatar, 0.0)), float(blue(avatar, 1.0))
    assert ajar > 0.3 * opened  # what this is for: lids of few splats leave the eye in view
    add_eyelids(avatar, seed=0)
    assert blue(avatar, 0.0) > 0.9 * opened
    assert 0.3 * opened < blue(avatar, 0.5) < 0.7 * opened
    assert blue(avatar, 1.0) < 0.08 * opened
