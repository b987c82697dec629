"""Another colour for a garment that keeps its print, its folds and its shading."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.io.colors import lab_of_rgb, rgb_of_lab
from avatar.model.avatar import Avatar
from avatar.model.fringes import fringe_of

SOLID = 0.5  # opacity from which a Gaussian counts for the colour of its garment
CONTRAST = 1.6  # by which differences of lightness grow at most: noise in black cloth must not become a print
CHROMA = 1.6  # by which differences of chroma grow at most
PRINT = 15.0  # lightness above the cloth's from which something is a print, which takes no colour from the cloth
ROUNDS = 4  # of correcting the median


def garment_color(avatar: Avatar, chosen: Bool[Tensor, " n"]) -> Float[Tensor, " 3"]:
    """The colour of a garment, sRGB: the median of its opaque Gaussians' in Lab."""
    return rgb_of_lab(_median(lab_of_rgb(avatar.gaussians.colors), _counted(avatar, chosen))[None])[0]


@torch.no_grad()
def recolor(avatar: Avatar, chosen: Bool[Tensor, " n"], color: Float[Tensor, " 3"]) -> None:
    """Change the colours of some Gaussians so that their median becomes `color` (sRGB), and nothing else
    changes. Those along their border that blend it with skin change by their share, see `avatar.model.fringes`.

    In Lab, lightness is stretched on both sides of the median so that black stays black and white stays white, and
    (a, b) is turned and scaled as one complex number: what was grey stays grey, what had the colour of the cloth, in
    light or in shadow, has the new one, and other hues keep their angle to it.
    """
    chosen = chosen.cpu()
    if not chosen.any():
        return
    colors = avatar.gaussians.colors.cpu()
    before, counted = lab_of_rgb(colors), _counted(avatar, chosen)[chosen]
    target = lab_of_rgb(color[None])[0]
    own = before[chosen]
    median = _median(own, counted)
    aim = target.clone()
    for _ in range(ROUNDS):  # what a screen cannot show is cut off, which moves the median
        moved = rgb_of_lab(_moved(own, median, aim)).clamp(0.01, 0.99)
        aim = aim + target - _median(lab_of_rgb(moved), counted)
    after = colors.clone()
    after[chosen] = moved
    after, raw = _with_blends(avatar, chosen, colors, after), avatar.gaussians.raw_colors
    raw[chosen.to(raw.device)] = torch.logit(after[chosen].clamp(0.01, 0.99)).to(raw)


def _with_blends(
    avatar: Avatar, chosen: Bool[Tensor, " n"], before: Float[Tensor, "n 3"], after: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3"]:
    """The colours after a change of the chosen Gaussians, where those along their border change by their share."""
    points, solid = avatar.surface.anchors.detach().cpu(), avatar.gaussians.opacities.detach().cpu() > SOLID
    fringe = fringe_of(chosen.numpy(), points.numpy(), before.numpy(), solid.numpy())
    if fringe is None:
        return after
    rows, cloth = torch.from_numpy(fringe.rows), torch.from_numpy(fringe.cloth)
    share, likely = (torch.from_numpy(one).to(before)[:, None] for one in (fringe.share, fringe.likely))
    blend = before[rows] + share * (after[cloth] - before[cloth]).mean(1)
    return after.index_copy(0, rows, torch.lerp(after[rows], blend, likely * (1 - share)))


def _counted(avatar: Avatar, chosen: Bool[Tensor, " n"]) -> Bool[Tensor, " n"]:
    solid = chosen.cpu() & (avatar.gaussians.opacities.detach().cpu() > SOLID)
    return solid if solid.any() else chosen.cpu()


def _median(lab: Float[Tensor, "n 3"], counted: Bool[Tensor, " n"]) -> Float[Tensor, " 3"]:
    return lab[counted].median(0).values


def _moved(lab: Float[Tensor, "n 3"], median: Float[Tensor, " 3"], target: Float[Tensor, " 3"]) -> Float[Tensor, "n 3"]:
    """Lab colours with `median` moved to `target`."""
    lightness, goal = float(median[0]), float(target[0])
    below = min(goal / max(lightness, 1.0), CONTRAST)
    above = min((100 - goal) / max(100 - lightness, 1.0), CONTRAST)
    apart = lab[:, 0] - lightness
    L = goal + torch.where(apart < 0, below, above) * apart

    old, new = torch.complex(*median[1:]), torch.complex(*target[1:])
    turn = new / old if abs(old) > 1e-3 else torch.zeros_like(new)
    # Grey cloth has no hue to turn: beyond the limit the rest of the way is a shift.
    turn = turn * min(1.0, CHROMA / max(float(abs(turn)), 1e-6))
    shift = new - turn * old
    # The shift follows the light on the cloth, and leaves a brighter print alone.
    share = (lab[:, 0] / max(lightness, 1.0)).clamp(max=1.0) * torch.exp(-(apart / PRINT).clamp(min=0).square())
    chroma = turn * torch.complex(lab[:, 1], lab[:, 2]) + shift * share
    return torch.stack([L, chroma.real, chroma.imag], 1)
