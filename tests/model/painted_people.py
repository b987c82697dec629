"""People painted onto the open body: what each Gaussian shows is known."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import load_body
from avatar.body.parts import PARTS
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.model.garments import BOTTOM, FACE, HAIR, SHOES, SKIN, TOP
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.model.wardrobe import Labelled


@dataclass(frozen=True)
class Look:
    """Colours of a person, and how far the clothes reach (metres, on the unshaped open body)."""

    skin: tuple[float, float, float] = (0.80, 0.58, 0.45)
    hair: tuple[float, float, float] = (0.12, 0.09, 0.08)
    top: tuple[float, float, float] = (0.70, 0.12, 0.15)
    bottom: tuple[float, float, float] = (0.20, 0.25, 0.45)
    shoes: tuple[float, float, float] = (0.25, 0.15, 0.10)
    sleeves: float = 0.35  # |x| of their ends; hands begin at 0.66
    legs: float = 0.12  # height of the trousers' ends
    hair_end: float = 1.58  # height down to which the back of the head is hair
    print: tuple[float, float, float] | None = (0.9, 0.88, 0.85)
    beta: float = 0.0


def painted(look: Look, count: int = 12_000, seed: int = 0) -> Labelled:
    """A person with this look, and the true labels."""
    body, generator = load_body("open"), torch.Generator().manual_seed(seed)
    betas = torch.zeros(body.shape_dirs.shape[-1])
    betas[0] = look.beta
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    avatar = Avatar(body, betas, sample_on_surface(frames, torch.ones(len(frames.area)), count, generator), False)
    avatar.gaussians.observed.fill_(1.0)
    unshaped = triangle_frames(body.rest(torch.zeros_like(betas)).vertices, body.faces)
    place, part = avatar.gaussians.anchors(unshaped), part_of_gaussians(avatar)
    labels = _labels(look, place, part)
    colors = torch.tensor([look.skin, look.skin, look.hair, look.top, look.bottom, look.shoes])[labels]
    if look.print is not None:  # dots on the top
        dots = (labels == TOP) & ((place * 60).sin().prod(1).abs() > 0.45)
        colors[dots] = torch.tensor(look.print)
    shaded = colors * (0.9 + 0.2 * torch.rand(count, 1, generator=generator))
    avatar.gaussians.raw_colors.data = torch.logit(shaded.clamp(0.01, 0.99))
    return Labelled(avatar, labels)


def _labels(look: Look, place: Float[Tensor, "n 3"], part: Tensor) -> Tensor:
    x, y, z = place.abs()[:, 0], place[:, 1], place[:, 2]
    on = {name: part == index for index, name in enumerate(PARTS)}
    labels = torch.full_like(part, SKIN)
    labels[(on["torso"] & (y < 1.44) & (y > 0.98)) | ((on["arms"] | on["hands"]) & (x < look.sleeves))] = TOP
    labels[(on["torso"] & (y <= 0.98)) | (on["legs"] & (y > look.legs))] = BOTTOM
    labels[on["feet"]] = SHOES
    labels[on["face"]] = FACE
    behind = (z < 0.05) & (y > look.hair_end) & (x < 0.07)
    labels[(on["head"] | on["torso"] & (y > 1.44)) & (behind | (y > 1.63))] = HAIR
    return labels
