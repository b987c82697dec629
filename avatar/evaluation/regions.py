"""Scores of face, hands and torso apart: where they are comes from the posed body, its labels projected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.parts import PARTS
from avatar.geometry import project
from avatar.metrics import perceptual
from avatar.metrics.detail import region_detail_scores
from avatar.metrics.images import person_box, psnr
from avatar.model.avatar import Avatar
from avatar.pipeline.previews import body_splats
from avatar.rendering.renderer import render
from avatar.types import BodyPose, Cameras

# Labels of pixels; the body's parts with the hands apart. Eight, so that three colour channels name them.
LABELS = ("torso", "head", "face", "arms", "left hand", "right hand", "legs", "feet")
NOBODY = -1
# The regions that are scored, and their labels. Each label is a box of its own for the networks.
REGIONS = {"face": ("face",), "hands": ("left hand", "right hand"), "torso": ("torso",)}
FINE = ("face", "hands")  # what has the finest detail, apart from which everything else is scored together
FEWEST_VISIBLE = 300  # px of a label in view; fewer show a sliver, of which nothing can be said
SMALLEST_BOX = 32  # px per side, which AlexNet's last layer needs to see anything
THICKNESS = 0.01  # m; a triangle that lies deeper below what a pixel shows is hidden
MARGIN = 4  # px around a label in its box

Labels = Int[Tensor, "h w"]


@dataclass(frozen=True)
class BodyView:
    """What an image shows of the body.

    Attributes:
        labels: of each pixel, an index into `LABELS`; `NOBODY` outside the body.
        pixels: column and row of the middle of each triangle of the body, also of those out of view.
        visible: which of them are in view.
    """

    labels: Labels
    pixels: Int[Tensor, "f 2"]
    visible: Bool[Tensor, " f"]


@dataclass(frozen=True)
class Region:
    """One label in one image: its pixels, and the rows and columns of its box."""

    mask: Bool[Tensor, "h w"]
    box: tuple[slice, slice]


def face_labels(body: Body) -> Int[Tensor, " f"]:
    """Index into `LABELS` of each triangle of a body."""
    parts = body.parts[body.faces[:, 0]]
    left = body.template[body.faces[:, 0], 0] > 0
    labels = torch.empty_like(parts)
    for index, part in enumerate(PARTS):
        if part == "hands":
            hand = torch.where(left, LABELS.index("left hand"), LABELS.index("right hand"))
            labels = torch.where(parts == index, hand.to(labels), labels)
        else:
            labels[parts == index] = LABELS.index(part)
    return labels


@torch.no_grad()
def body_view(avatar: Avatar, pose: BodyPose, camera: Cameras, backend: str) -> BodyView:
    """The posed body as a camera sees it.

    The body is rendered with the bits of its labels as colours. Where two parts meet, each bit that differs changes
    at equal shares of both, so that no third label appears between them.
    """
    camera = camera.to(avatar.device)
    labels = face_labels(avatar.body.to("cpu"))
    bits = torch.stack([(labels >> bit) & 1 for bit in range(3)], -1)
    splats = body_splats(avatar, pose)
    out = render(replace(splats, colors=bits.to(splats.colors)), camera, backend)
    alpha = out.alpha[0].cpu()
    codes = (out.rgb[0].cpu() > 0.5 * alpha[..., None]).long() @ torch.tensor([1, 2, 4])
    # The splats lie on the middles of the triangles.
    middles, depths = (x.cpu() for x in project(camera.K[0], camera.T_camera_world[0], splats.means))
    x, y = pixels = middles.floor().long().unbind(-1)
    inside = (depths > 0) & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    shown = torch.zeros_like(depths)
    shown[inside] = (out.depth[0].cpu() / alpha.clamp_min(1e-6))[y[inside], x[inside]]
    visible = inside & (depths < shown + THICKNESS)
    return BodyView(torch.where(alpha > 0.5, codes, NOBODY), torch.stack(pixels, -1), visible)


def regions_in(labels: Labels, names: Sequence[str]) -> Iterator[Region]:
    """The labels of these names that are in view and large enough to judge."""
    for name in names:
        mask = labels == LABELS.index(name)
        box = person_box(mask.float(), MARGIN)
        large = box is not None and all(side.stop - side.start >= SMALLEST_BOX for side in box)
        if large and box is not None and int(mask.sum()) >= FEWEST_VISIBLE:
            yield Region(mask, box)


def region_scores(
    image: Float[Tensor, "h w 3"],
    truth: Float[Tensor, "h w 3"],
    coverage: Float[Tensor, "h w"],
    labels: Labels,
    nets: Sequence[perceptual.LpipsNet],
    dists: bool,
) -> dict[str, float]:
    """PSNR, LPIPS, DISTS and detail by octave of each region, named `psnr_face`, `dists_hands` and so on.

    Detail is measured on the region's pixels, the others in its box (the mean of both hands' boxes). What is out of
    view or too small to judge has no score. `psnr_elsewhere` is of the body's box without those of face and hands.

    Args:
        coverage: the smaller one of both images' coverages.
        nets: networks of LPIPS; only AlexNet's is used here.
        dists: whether DISTS is computed.
    """
    scores: dict[str, float] = {}
    elsewhere = torch.zeros_like(labels, dtype=torch.bool)
    body = person_box((labels != NOBODY).float(), MARGIN)
    if body is not None:
        elsewhere[body] = True
    for name, parts in REGIONS.items():
        regions = list(regions_in(labels, parts))
        if not regions:
            continue
        mask = torch.stack([region.mask for region in regions]).any(0)
        scores |= region_detail_scores(image, truth, coverage, mask, name)
        pairs = [(image[region.box], truth[region.box]) for region in regions]
        scores[f"psnr_{name}"] = fmean(psnr(*pair) for pair in pairs)
        if name in FINE:
            for region in regions:
                elsewhere[region.box] = False
        if "alex" in nets:
            scores[f"lpips_alex_{name}"] = fmean(perceptual.lpips(*pair) for pair in pairs)
        if dists:
            scores[f"dists_{name}"] = fmean(perceptual.dists(*pair) for pair in pairs)
    if scores and bool(elsewhere.any()):
        scores["psnr_elsewhere"] = psnr(image[elsewhere][None], truth[elsewhere][None])
    return scores
