"""Clothes and heads of other avatars: all avatars of one body share its triangles, so Gaussians can change hands.

A Gaussian of another person sits on the same triangle as before, at the same point of it, and so follows the wearer's
shape; its offset and its size are scaled with the triangle.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from avatar.errors import UsageError
from avatar.io.colors import lab_of_rgb, rgb_of_lab
from avatar.model.avatar import Avatar
from avatar.model.garments import BOTTOM, FACE, GARMENTS, HAIR, SHOES, SKIN, TOP
from avatar.model.gaussians import PARAMETERS
from avatar.model.recoloring import garment_color, recolor

SEAM = 0.05  # m on either side of the cut through the neck over which a step of colour is spread
SEAM_NEIGHBORS = 24
VOTES = 3  # nearest Gaussians that say what another person wears at a point
GAP = 0.015  # m to the nearest Gaussian from which a point of the body would be bare
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
    # Hair lies over clothes and belongs to the head, as the face does.
    goes = (wearer.has(*worn) | _there(mine, other, theirs, worn)) & ~wearer.has(HAIR, FACE)
    comes = (other.has(*worn) | _there(theirs, wearer, mine, worn)) & ~other.has(HAIR, FACE)
    recolored = copy.deepcopy(other.avatar)
    for label in set(range(len(GARMENTS))) - {*worn, HAIR, FACE}:
        if wearer.has(label).any() and (other.has(label) & comes).any():
            recolor(recolored, other.has(label), garment_color(wearer.avatar, wearer.has(label)))
    return _joined(wearer, ~goes, Labelled(recolored, other.labels), comes)


@torch.no_grad()
def with_head(wearer: Labelled, other: Labelled) -> Labelled:
    """The wearer with another person's head and hair; the skin of the body takes the tone of the new neck.

    Raises:
        UsageError: the avatars have different bodies.
    """
    _require_same_body(wearer.avatar, other.avatar)
    mine, theirs = _anchors(wearer.avatar, wearer.avatar), _anchors(other.avatar, wearer.avatar)
    # A collar is no part of the head: the neck below the other's is the wearer's.
    goes = _of_head(wearer) & ~_there(mine, other, theirs, (TOP,))
    body = Labelled(copy.deepcopy(wearer.avatar), wearer.labels)
    _match_skin(body, other)
    joined = _joined(body, ~goes, other, _of_head(other))
    _blend_seam(joined, from_body=int((~goes).sum()))
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


def _there(
    points: Float[np.ndarray, "m 3"], person: Labelled, places: Float[np.ndarray, "n 3"], labels: tuple[int, ...]
) -> Bool[Tensor, " m"]:
    """Whether a person, whose Gaussians lie at `places`, shows one of these labels, below the hair, at some points."""
    from scipy.spatial import cKDTree

    below = ~person.has(HAIR).numpy()
    nearest = cKDTree(places[below]).query(points, k=VOTES)[1]
    return torch.from_numpy(person.has(*labels).numpy()[below][nearest].mean(1) > 0.5)


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


def _match_skin(body: Labelled, other: Labelled) -> None:
    """Give the body the skin of another person, as it is on that person's neck, arms and legs."""
    skin, theirs = body.has(SKIN, FACE), other.has(SKIN)
    if skin.any() and theirs.any():
        recolor(body.avatar, skin, garment_color(other.avatar, theirs))


def _blend_seam(person: Labelled, from_body: int) -> None:
    """Spread what is left of the step of colour at the neck over both sides of it.

    Args:
        from_body: how many Gaussians, the first ones, are the body's own; the others came with the head.
    """
    from scipy.spatial import cKDTree

    avatar = person.avatar
    distance = _above_cut(avatar)
    near = person.has(SKIN, FACE) & (distance.abs() < SEAM)
    own = torch.arange(len(avatar)) < from_body
    sides = [near & own, near & ~own]
    if not all(int(side.sum()) >= SEAM_NEIGHBORS for side in sides):
        return
    means, lab = avatar.rest_means().cpu(), lab_of_rgb(avatar.gaussians.colors)
    local = []
    for side in sides:
        nearest = cKDTree(means[side].numpy()).query(means[near].numpy(), k=SEAM_NEIGHBORS)[1]
        local.append(lab[side][torch.from_numpy(nearest)].mean(1))
    across = torch.where(own[near][:, None], local[1] - local[0], local[0] - local[1])
    share = (1 - distance[near].abs() / SEAM)[:, None] / 2
    raw = avatar.gaussians.raw_colors
    raw[near.to(raw.device)] = torch.logit(rgb_of_lab(lab[near] + share * across).clamp(0.01, 0.99)).to(raw)


def _joined(wearer: Labelled, stays: Bool[Tensor, " n"], other: Labelled, comes: Bool[Tensor, " m"]) -> Labelled:
    """The wearer with the Gaussians `stays` of its own, those `comes` of another, and its own where it would be bare.

    The last take the colour and the label of what is next to them, and lie on the body.
    """
    from scipy.spatial import cKDTree

    avatar = copy.deepcopy(wearer.avatar)
    anchors = torch.from_numpy(_anchors(wearer.avatar, wearer.avatar))
    covering = torch.cat([anchors[stays], torch.from_numpy(_anchors(other.avatar, wearer.avatar))[comes]])
    labels = torch.cat([wearer.labels[stays], other.labels[comes]])
    # Hair that falls on the shoulders covers nothing of the body: somebody else's may be shorter.
    above = torch.cat([_above_cut(wearer.avatar)[stays], _above_cut(other.avatar)[comes]]) > 0
    covers = (labels != HAIR) | above
    away, nearest = cKDTree(covering[covers].numpy()).query(anchors[~stays].numpy())
    bare = torch.zeros_like(stays)
    bare[~stays] = torch.from_numpy(away > GAP)
    nearest = torch.from_numpy(nearest[away > GAP])

    own, device = avatar.gaussians, avatar.device
    stays, bare, comes = stays.to(device), bare.to(device), comes.to(device)
    for name, new in _fitted(other.avatar, wearer.avatar, comes).items():
        mine = getattr(own, name).detach()
        value, patch = torch.cat([mine[stays], new]), mine[bare]
        if name == "offset":
            patch = torch.zeros_like(patch)
        elif name == "raw_colors":
            patch = value[covers.to(device)][nearest.to(device)]
        value = torch.cat([value, patch])
        setattr(own, name, nn.Parameter(value) if name in PARAMETERS else value)
    avatar.refresh()
    return Labelled(avatar, torch.cat([labels, labels[covers][nearest]]))


def _fitted(other: Avatar, wearer: Avatar, chosen: Bool[Tensor, " m"]) -> dict[str, Tensor]:
    """What makes up some Gaussians of another avatar, in the size of the wearer's triangles."""
    gaussians, device = other.gaussians, wearer.device
    parts = {name: getattr(gaussians, name).detach().to(device)[chosen] for name in ("face", "bary", "observed")}
    parts |= {name: getattr(gaussians, name).detach().to(device)[chosen] for name in PARAMETERS}
    growth = (wearer.frames.area / other.frames.area.to(device)).sqrt()[parts["face"], None]
    return {**parts, "offset": parts["offset"] * growth, "log_scales": parts["log_scales"] + growth.log()}
