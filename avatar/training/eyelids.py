"""Eyelids that close: skin for what is folded away in the images.

A video shows few splats between brow and eye, and an upper lid stretches over three times its height when it shuts.
So its fold gets splats of its own, in the colour of the skin above, which an open eye hides.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.face import FACE_UNITS
from avatar.model.avatar import Avatar
from avatar.model.gaussians import PARAMETERS, TriangleGaussians, sample_on_surface
from avatar.training.face_binding import eye_weights, outer_face

SPACING, WIDTH = 0.001, 0.6  # of the new splats on the shut lid, metres, and their deviation as a share of it
FLATNESS = 0.4  # thickness of a new splat, as a share of its width
OPACITY = 0.98
LEAST, LID = 0.0005, 0.003  # m at a blink of one that skin around an eye moves, and that its lid does
ABOVE = 0.5  # share of the greatest move; skin above the fold moves less
FORWARD = 0.002  # metres by which the lid lies before the skin above, so that it passes in front of the eye
NEIGHBORS = 6


@torch.no_grad()
def add_eyelids(avatar: Avatar, seed: int) -> list[Int[Tensor, " k"]]:
    """Add the skin of shut lids to an avatar whose face is bound to its features.

    Args:
        seed: chooses the places.

    Returns:
        the rows of each lid's Gaussians; none for bodies without a face.
    """
    rich = avatar.body.with_hands_and_face
    if rich is None or rich.face_units is None:
        return []
    outside = outer_face(rich, avatar.frames.vertices)
    lids, start = [], len(avatar)
    for side in ("Left", "Right"):
        _add_lid(avatar, rich, outside, side, torch.Generator().manual_seed(seed))
        lids.append(torch.arange(start, len(avatar), device=avatar.device))
        start = len(avatar)
    avatar.refresh()
    return [lid for lid in lids if len(lid)]


def _add_lid(avatar: Avatar, rich: Body, outside: Bool[Tensor, " f"], side: str, rng: torch.Generator) -> None:
    assert rich.face_units is not None
    gaussians, frames, faces, vertices = avatar.gaussians, avatar.frames, rich.faces, avatar.rest.vertices
    blink = rich.face_units.directions[..., FACE_UNITS.index(f"eyeBlink{side}")]
    ball = (eye_weights(rich) > 0.5)[faces].all(1)
    lid = (blink.norm(dim=1) > LID)[faces].all(1) & outside & ~ball
    shut = _areas((vertices + blink)[faces])
    middle = (rich.joint_regressor @ vertices)[rich.joint_names.index(f"{side.lower()}_eye")]
    anchors, means = gaussians.anchors(frames), gaussians.means(frames)
    moves = torch.einsum("nc,ncx->nx", gaussians.bary, blink[faces[gaussians.face]]).norm(dim=1)
    skin = (outside & ~ball)[gaussians.face] & (moves > LEAST) & (moves < ABOVE * blink.norm(dim=1).max())
    above = (skin & (anchors[:, 1] > middle[1])).nonzero()[:, 0]
    if len(above) < NEIGHBORS:
        return
    count = round(float(shut[lid].sum()) / SPACING**2)
    fresh = sample_on_surface(frames, torch.where(lid, shut / frames.area.clamp_min(1e-12), 0.0), count, rng)
    places = fresh.anchors(frames)
    offset = _blended(anchors[above], means[above] - anchors[above], places)
    offset[:, 1] += SPACING  # splats reach beyond their middles
    offset[:, 2] += FORWARD
    fresh.offset.copy_(torch.einsum("nyx,ny->nx", frames.rotation[fresh.face], offset))
    fresh.raw_colors.copy_(torch.logit(_blended(anchors[above], gaussians.colors[above], places).clamp(0.01, 0.99)))
    width = SPACING * WIDTH
    fresh.log_scales.copy_(torch.tensor([width, width, width * FLATNESS]).log().expand(count, 3))
    fresh.logit_opacities.fill_(torch.logit(torch.tensor(OPACITY)))
    fresh.observed.fill_(float(gaussians.observed[above].mean()))
    _append(gaussians, fresh)


def _areas(triangles: Float[Tensor, "f 3 3"]) -> Float[Tensor, " f"]:
    a, b, c = triangles.unbind(1)
    area: Tensor = torch.linalg.cross(b - a, c - a).norm(dim=-1) / 2
    return area


def _blended(
    places: Float[Tensor, "m 3"], values: Float[Tensor, "m k"], points: Float[Tensor, "n 3"]
) -> Float[Tensor, "n k"]:
    """Values at other points, from the nearest places."""
    distance, nearest = torch.cdist(points, places).topk(NEIGHBORS, largest=False)
    weight = 1 / (distance + SPACING)
    chosen: Int[Tensor, "n m"] = nearest
    return (values[chosen] * (weight / weight.sum(1, keepdim=True))[..., None]).sum(1)


def _append(gaussians: TriangleGaussians, fresh: TriangleGaussians) -> None:
    for name in ("face", "bary", "observed"):
        setattr(gaussians, name, torch.cat([getattr(gaussians, name), getattr(fresh, name)]))
    for name in PARAMETERS:
        setattr(gaussians, name, torch.nn.Parameter(torch.cat([getattr(gaussians, name), getattr(fresh, name)])))
