"""Clothes and heads of other avatars: all avatars of one body share its triangles, so Gaussians can change hands.

A Gaussian of another person sits on the same triangle as before, at the same point of it, and so follows the wearer's
shape; its offset and its size are scaled with the triangle.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from avatar.errors import UsageError
from avatar.model.avatar import Avatar
from avatar.model.garments import BOTTOM, FACE, GARMENTS, HAIR, SHOES, SKIN, TOP
from avatar.model.gaussians import PARAMETERS, TriangleGaussians
from avatar.model.recoloring import garment_color, recolor
from avatar.model.seams import blend_skin

VOTES = 12  # nearest Gaussians that say what a person shows at a point of the body
NEAR = 0.03  # m, within which they must lie
SURE, LONE = 0.6, 0.25  # share of them from which all is worn, and below which a Gaussian alone is a stray one
COVERERS = 24  # nearest Gaussians that may cover a point of the body
COVERED = 0.7  # opacity, seen along the normal, below which the body would be bare
NEIGHBORS = 6  # that say how a filled gap looks
FILLED = 0.95  # opacity of what fills it
BELOW = 0.005  # m by which it lies below them
LARGEST = 0.008  # m, its largest standard deviation
STANDS_OFF = 0.012  # m by which the other person's skin may lie off the body
WEARABLE = (TOP, BOTTOM, SHOES)


@dataclass(frozen=True)
class Labelled:
    """An avatar and the label (index into `GARMENTS`) of each of its Gaussians, on the CPU."""

    avatar: Avatar
    labels: Int[Tensor, " n"]

    def has(self, *labels: int) -> Bool[Tensor, " n"]:
        """Which Gaussians have one of these labels."""
        return torch.isin(self.labels, torch.tensor(labels))


@torch.no_grad()
def dressed(wearer: Labelled, other: Labelled, worn: tuple[int, ...]) -> Labelled:
    """The wearer in some clothes (of `WEARABLE`) of another person.

    Where either of them wears one of these, the body shows what it shows on the other person: the clothes, and where
    the wearer's own reached further, what is below. That, mostly skin, takes the wearer's colours.

    Raises:
        UsageError: the avatars have different bodies, or the other person wears none of it.
    """
    _require_same_body(wearer.avatar, other.avatar)
    missing = [GARMENTS[label] for label in worn if not other.has(label).any()]
    if missing:
        raise UsageError(f"The other avatar has no {' and no '.join(missing)} to wear.")
    mine, theirs = _anchors(wearer.avatar, wearer.avatar), _anchors(other.avatar, wearer.avatar)
    goes = _takes_part(wearer, mine, other, theirs, worn)
    comes = _takes_part(other, theirs, wearer, mine, worn)
    recolored = copy.deepcopy(other.avatar)
    for label in set(range(len(GARMENTS))) - {*worn, HAIR, FACE}:
        if wearer.has(label).any() and (other.has(label) & comes).any():
            recolor(recolored, other.has(label), garment_color(wearer.avatar, wearer.has(label)))
    _lay_on_body(recolored, other.has(SKIN))
    joined, came = _joined(wearer, ~goes, Labelled(recolored, other.labels), comes)
    blend_skin(joined.avatar, joined.has(SKIN, FACE), stays=~came)
    return joined


@torch.no_grad()
def with_head(wearer: Labelled, other: Labelled) -> Labelled:
    """The wearer with another person's head and hair; the skin of the body takes the tone of the new neck.

    Raises:
        UsageError: the avatars have different bodies.
    """
    _require_same_body(wearer.avatar, other.avatar)
    mine, theirs = _anchors(wearer.avatar, wearer.avatar), _anchors(other.avatar, wearer.avatar)
    # A collar is no part of the head: the neck below the other's is the wearer's.
    goes = _of_head(wearer) & (_shown(mine, other, theirs, (TOP,)) <= 0.5)
    body = Labelled(copy.deepcopy(wearer.avatar), wearer.labels)
    _match_skin(body, other)
    joined, came = _joined(body, ~goes, other, _of_head(other))
    blend_skin(joined.avatar, joined.has(SKIN, FACE), stays=came)
    return joined


def _require_same_body(wearer: Avatar, other: Avatar) -> None:
    if wearer.body.name != other.body.name or wearer.body.faces.shape != other.body.faces.shape:
        raise UsageError(
            f"Only avatars of one body can share clothes and heads: one has the body {wearer.body.name!r}, the other "
            f"{other.body.name!r}."
        )


def _anchors(avatar: Avatar, wearer: Avatar) -> Float[np.ndarray, "n 3"]:
    """The points of the wearer's body at rest under an avatar's Gaussians, metres."""
    anchors: Float[np.ndarray, "n 3"] = avatar.gaussians.anchors(wearer.frames).detach().cpu().numpy()
    return anchors


def _takes_part(
    person: Labelled,
    places: Float[np.ndarray, "n 3"],
    partner: Labelled,
    partner_places: Float[np.ndarray, "m 3"],
    worn: tuple[int, ...],
) -> Bool[Tensor, " n"]:
    """Which Gaussians of a person, at `places`, lie where this or the other one wears some clothes.

    Shares of the neighbourhood decide rather than single labels, so that hems are smooth and strays stay out.
    """
    share = _shown(places, person, places, worn)
    own = person.has(*worn) & (share > LONE) | (share > SURE)
    # Hair lies over clothes and belongs to the head, as the face does.
    return (own | (_shown(places, partner, partner_places, worn) > 0.5)) & ~person.has(HAIR, FACE)


def _shown(
    points: Float[np.ndarray, "m 3"], person: Labelled, places: Float[np.ndarray, "n 3"], labels: tuple[int, ...]
) -> Float[Tensor, " m"]:
    """Share of these labels in what a person, whose Gaussians lie at `places`, shows below the hair near points."""
    from scipy.spatial import cKDTree

    below = ~person.has(HAIR).numpy()
    away, nearest = cKDTree(places[below]).query(points, k=VOTES)
    near = away < NEAR
    share = (person.has(*labels).numpy()[below][nearest] & near).sum(1) / np.maximum(near.sum(1), 1)
    return torch.from_numpy(share)


def _of_head(person: Labelled) -> Bool[Tensor, " n"]:
    """Which Gaussians belong to the head: all hair, and what lies above the cut through the neck but for a collar."""
    names = person.avatar.body.joint_names
    shoulders = [names.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("collar", "shoulder")]
    neck = person.avatar.weights[:, shoulders].sum(1).cpu() < 0.3
    return ((_above_cut(person.avatar) > 0) & neck & ~person.has(TOP)) | person.has(HAIR, FACE)


def _above_cut(avatar: Avatar) -> Float[Tensor, " n"]:
    """Distance of the points under the Gaussians from the cut through the middle of the neck, upwards, metres."""
    joints = dict(zip(avatar.body.joint_names, avatar.rest.joints, strict=True))
    along = joints["head"] - joints["neck"]
    middle = (joints["neck"] + joints["head"]) / 2
    above: Float[Tensor, " n"] = (avatar.surface.anchors - middle) @ (along / along.norm())
    return above.cpu()


def _lay_on_body(avatar: Avatar, skin: Bool[Tensor, " n"]) -> None:
    """Draw skin that stands off the body to it, no larger than what fills gaps.

    Only a trained rim of hair or loose cloth that counts as skin lies farther out: ragged, on somebody else's body.
    """
    gaussians = avatar.gaussians
    chosen = skin.to(avatar.device)
    offset = gaussians.offset[chosen]
    away = offset.norm(dim=1, keepdim=True)
    gaussians.offset[chosen] = offset * (STANDS_OFF / away.clamp_min(STANDS_OFF))
    far = chosen.clone()
    far[chosen] = away[:, 0] > STANDS_OFF
    gaussians.log_scales[far] = gaussians.log_scales[far].clamp(max=math.log(LARGEST))


def _match_skin(body: Labelled, other: Labelled) -> None:
    """Give the body the skin of another person, as it is on that person's neck, arms and legs."""
    skin, theirs = body.has(SKIN, FACE), other.has(SKIN)
    if skin.any() and theirs.any():
        recolor(body.avatar, skin, garment_color(other.avatar, theirs))


def _joined(
    wearer: Labelled, stays: Bool[Tensor, " n"], other: Labelled, comes: Bool[Tensor, " m"]
) -> tuple[Labelled, Bool[Tensor, " k"]]:
    """The wearer with the Gaussians `stays` of its own, those `comes` of another, and its own where it would be bare.

    The last look as what is next to them, and lie on the body, or below it where the others do.

    Returns:
        The joined person, and which Gaussians came from the other one or look as these do.
    """
    new = _fitted(other.avatar, wearer.avatar, comes)
    own, device = wearer.avatar.gaussians, wearer.avatar.device
    labels = torch.cat([wearer.labels[stays], other.labels[comes]])
    came = torch.arange(len(labels)) >= int(stays.sum())
    # Hair that falls on the shoulders covers nothing of the body: somebody else's may be shorter.
    above = torch.cat([_above_cut(wearer.avatar)[stays], _above_cut(other.avatar)[comes]]) > 0
    covers = (labels != HAIR) | above
    parts = {
        name: torch.cat([getattr(own, name).detach()[stays.to(device)], value])[covers.to(device)]
        for name, value in new.items()
    }
    gaps, nearest = _gaps(wearer.avatar, ~stays, parts)
    patch = {name: getattr(own, name).detach()[gaps.to(device)] for name in new}
    patch |= _filling(patch["log_scales"], parts, nearest)

    avatar = copy.deepcopy(wearer.avatar)
    for name, value in new.items():
        value = torch.cat([getattr(own, name).detach()[stays.to(device)], value, patch[name]])
        setattr(avatar.gaussians, name, nn.Parameter(value) if name in PARAMETERS else value)
    avatar.refresh()
    as_next = nearest[:, 0]
    return Labelled(avatar, torch.cat([labels, labels[covers][as_next]])), torch.cat([came, came[covers][as_next]])


def _gaps(
    avatar: Avatar, removed: Bool[Tensor, " n"], parts: dict[str, Tensor]
) -> tuple[Bool[Tensor, " n"], Int[Tensor, "g k"]]:
    """Which removed Gaussians lay where others, made of `parts`, do not hide the body, and the nearest of the others.

    A Gaussian hides a point of the body as far as it does so when seen along the body's normal.
    """
    from scipy.spatial import cKDTree

    shown = TriangleGaussians(parts["face"], parts["bary"], parts["log_scales"].exp(), parts["raw_colors"].sigmoid())
    shown.offset.data = parts["offset"]
    points, normals = avatar.surface.anchors[removed].cpu(), avatar.surface.normals[removed].cpu()
    nearest = torch.from_numpy(cKDTree(shown.anchors(avatar.frames).numpy(force=True)).query(points, k=COVERERS)[1])
    apart = shown.means(avatar.frames).detach().cpu()[nearest] - points[:, None]
    across = apart.square().sum(-1) - (apart * normals[:, None]).sum(-1).square()
    size = shown.scales.detach().cpu().topk(2, dim=1).values.mean(1)[nearest]
    hidden = parts["logit_opacities"].sigmoid().cpu()[nearest] * torch.exp(-across / (2 * size**2))
    bare = (1 - hidden).prod(1) > 1 - COVERED
    gaps = torch.zeros_like(removed)
    gaps[removed] = bare
    return gaps, nearest[bare]


def _filling(
    log_scales: Float[Tensor, "g 3"], parts: dict[str, Tensor], nearest: Int[Tensor, "g k"]
) -> dict[str, Tensor]:
    """How Gaussians that fill gaps look: as the nearest of the others, small, opaque and below them and the body."""
    nearest = nearest[:, :NEIGHBORS].to(log_scales.device)
    depth = parts["offset"][nearest][..., 2].amin(1).clamp(max=0) - BELOW
    return {
        "offset": torch.stack([torch.zeros_like(depth), torch.zeros_like(depth), depth], 1),
        "log_scales": log_scales.clamp(max=math.log(LARGEST)),
        "observed": parts["observed"][nearest[:, 0]],
        "raw_colors": parts["raw_colors"][nearest[:, 0]],
        "logit_opacities": torch.full_like(depth, math.log(FILLED / (1 - FILLED))),
    }


def _fitted(other: Avatar, wearer: Avatar, chosen: Bool[Tensor, " m"]) -> dict[str, Tensor]:
    """What makes up some Gaussians of another avatar, in the size of the wearer's triangles."""
    gaussians, device = other.gaussians, wearer.device
    parts = {name: getattr(gaussians, name).detach().to(device)[chosen] for name in ("face", "bary", "observed")}
    parts |= {name: getattr(gaussians, name).detach().to(device)[chosen] for name in PARAMETERS}
    growth = (wearer.frames.area / other.frames.area.to(device)).sqrt()[parts["face"], None]
    return {**parts, "offset": parts["offset"] * growth, "log_scales": parts["log_scales"] + growth.log()}
