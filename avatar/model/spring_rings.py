"""Spring bones for an avatar: where a skirt, a coat or long hair hangs loose, if anything does."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.errors import UsageError
from avatar.model.avatar import Avatar
from avatar.model.garments import BOTTOM, HAIR, TOP, garment_labels
from avatar.model.spring_bones import SpringBones

LOOSE = 0.03  # metres from the body beyond which something hangs
OPAQUE = 0.3  # Gaussians below it show nothing
BOTH_LEGS = 0.15  # least weight of either leg in cloth that spans both
ACROSS = 0.06  # metres before or behind the hips where it does; the inner seams of trousers lie between them
LEAST_SKIRT = 0.01  # share of the Gaussians below the pelvis; trousers and errors of poses make up to 0.0005
LEAST_HAIR = 0.01  # share of all Gaussians, of hair that hangs below the head's joint
EXTREME = 0.02  # quantiles of heights that are the ends of what hangs
ON_BODY, OFF_BODY = 0.01, 0.025  # metres from the body between which cloth comes loose
BELOW = (0.01, 0.03)  # metres below the hem between which nothing follows any more
SPREADING = 4  # times that looseness is averaged with the neighbours', since cloth touches the body in places
SECTORS = 12  # nodes of a ring
BONE, MOST_BONES = 0.3, 3  # usual length of a bone, metres, and how many hang below each other
LEAST_IN_SECTOR = 3.0  # Gaussians, or the ring has a gap there
GUIDES = 12  # Gaussians that carry a node
LEGS = tuple(
    (f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (("hip", "knee"), ("knee", "ankle"))
)
TRUNK = (("spine1", "neck"), ("left_shoulder", "right_shoulder"))
COVER = 0.01  # metres between what is solid and what hangs over it
THICKNESS = 0.75  # quantile of the body's distance from a bone that is its capsule's radius


@dataclass(frozen=True)
class _Hanging:
    """One thing that hangs.

    Attributes:
        chosen: the Gaussians that it may consist of; guides: those that carry it.
        top, hem: heights between which it swings, metres; axis: the joint above whose place its rings stand.
        around: pairs of joints that it may not enter.
    """

    chosen: Bool[Tensor, " n"]
    guides: Bool[Tensor, " n"]
    top: float
    hem: float
    axis: str
    around: tuple[tuple[str, str], ...]


@torch.no_grad()
def spring_bones(avatar: Avatar, labels: Callable[[], Int[Tensor, " n"]]) -> SpringBones | None:
    """The spring bones of an avatar, on its device; None where nothing hangs loose.

    Args:
        avatar: the avatar. With weights of triangles nothing spans both legs, and so no skirt is noticed.
        labels: gives the Gaussians' garments (`avatar.model.garments`); only called where something may hang.
    """
    hanging = [part for part in (_skirt(avatar, labels), _hair(avatar, labels)) if part is not None]
    rings = [_rings(avatar, part) for part in hanging]
    return None if not rings else _joined(rings).to(avatar.device)


def swinging(avatar: Avatar, springs: Literal["auto", "off"]) -> Avatar:
    """An avatar that need not be of a run, as programs have it, with its spring bones on (auto) or without any (off).

    It shares its Gaussians with the one that is given, which stays as it is. Spring bones that it has already are kept.

    Raises:
        UsageError: `springs` is something else.
    """
    if springs not in ("auto", "off"):
        raise UsageError(f"springs must be auto or off, not {springs!r}.")
    wanted = avatar.springs if springs == "auto" else None
    if springs == "auto" and wanted is None:
        wanted = spring_bones(avatar, lambda: garment_labels(avatar))
    return avatar if wanted is avatar.springs else copy.copy(avatar).with_springs(wanted)


def _skirt(avatar: Avatar, labels: Callable[[], Int[Tensor, " n"]]) -> _Hanging | None:
    """What hangs between and around the legs: skirts, dresses and coats."""
    names, means, away = avatar.body.joint_names, avatar.rest_means(), avatar.hanging.norm(dim=1)
    opaque = avatar.gaussians.opacities > OPAQUE
    left, right = (
        avatar.weights[:, [names.index(f"{side}_{joint}") for joint in ("hip", "knee", "ankle")]].sum(1)
        for side in ("left", "right")
    )
    across = (means[:, 2] - avatar.rest.joints[names.index("left_hip"), 2]).abs() > ACROSS
    bridging = opaque & across & (away > LOOSE) & (torch.minimum(left, right) > BOTH_LEGS)
    below = opaque & (means[:, 1] < avatar.rest.joints[0, 1])
    if int(bridging.sum()) <= LEAST_SKIRT * int(below.sum()):
        return None
    hem, top = means[bridging, 1].quantile(torch.tensor([EXTREME, 1 - EXTREME]).to(means)).tolist()
    chosen = torch.isin(labels().to(means.device), torch.tensor([TOP, BOTTOM], device=means.device))
    return _Hanging(chosen & opaque, chosen & opaque, top, hem, "pelvis", LEGS)


def _hair(avatar: Avatar, labels: Callable[[], Int[Tensor, " n"]]) -> _Hanging | None:
    """Hair that hangs from the head."""
    names, means, away = avatar.body.joint_names, avatar.rest_means(), avatar.hanging.norm(dim=1)
    chin, waist = (float(avatar.rest.joints[names.index(name), 1]) for name in ("head", "spine1"))
    opaque = avatar.gaussians.opacities > OPAQUE
    low = opaque & (means[:, 1] < chin) & (means[:, 1] > waist) & (away > OFF_BODY)
    if int(low.sum()) <= LEAST_HAIR * len(avatar):  # whatever it is
        return None
    hair = opaque & (labels().to(means.device) == HAIR)
    if int((low & hair).sum()) <= LEAST_HAIR * len(avatar):
        return None
    hem = float(means[low & hair, 1].quantile(EXTREME))
    return _Hanging(hair, hair & (means[:, 1] > chin), chin, hem, "head", TRUNK)


def _rings(avatar: Avatar, hanging: _Hanging) -> SpringBones:
    """The rings of one thing that hangs."""
    means = avatar.rest_means().cpu()
    axis = avatar.rest.joints[avatar.body.joint_names.index(hanging.axis)].cpu()
    looseness = _looseness(avatar, hanging)
    bones = min(max(math.ceil((hanging.top - hanging.hem) / BONE - 0.25), 1), MOST_BONES)
    sector = torch.atan2(means[:, 0] - axis[0], means[:, 2] - axis[2]) / (2 * math.pi) * SECTORS
    ring = (hanging.top - means[:, 1]) / (hanging.top - hanging.hem) * bones
    places, filled = _places(means, axis, looseness, sector, ring, bones)
    places[..., 1] = torch.linspace(hanging.top, hanging.hem, bones + 1)[:, None]
    index = torch.full((bones + 1, SECTORS), -1)
    index[:, filled] = torch.arange((bones + 1) * int(filled.sum())).view(bones + 1, -1)
    above = torch.cat([torch.full_like(index[:1], -1), index[:-1]])[:, filled].flatten()
    beside = [
        (int(index[ring, one]), int(index[ring, (one + 1) % SECTORS]))
        for ring in range(1, bones + 1)
        for first in (0, 1)
        for one in range(first, SECTORS, 2)
        if bool(filled[one] & filled[(one + 1) % SECTORS])
    ]
    at = places[:, filled].flatten(0, 1)
    followers, nodes, shares = _followers(looseness, sector, ring, index)
    guides = hanging.guides.cpu().nonzero()[:, 0]
    nearest = torch.cdist(at, means[guides]).topk(min(GUIDES, len(guides)), largest=False).indices
    nearest = nearest[:, torch.arange(GUIDES) % nearest.shape[1]]
    return SpringBones(
        at, tuple(above.tolist()), tuple(beside), torch.full((len(at),), hanging.top - hanging.hem), guides[nearest],
        hanging.around, _clearance(avatar, at, hanging.around), followers, nodes, shares,
    )  # fmt: skip


def _looseness(avatar: Avatar, hanging: _Hanging) -> Float[Tensor, " n"]:
    """How far each Gaussian swings, 0 to 1, but for the growth towards the hem."""
    away, height = avatar.hanging.norm(dim=1), avatar.rest_means()[:, 1]
    loose = ((away - ON_BODY) / (OFF_BODY - ON_BODY)).clamp(0, 1)
    loose = torch.where(hanging.chosen & (height < hanging.top), loose, 0.0)
    for _ in range(SPREADING):
        loose = torch.where(hanging.chosen, (loose + loose[avatar.neighbors].sum(1)) / 5, 0.0)
    below = ((hanging.hem - height - BELOW[0]) / (BELOW[1] - BELOW[0])).clamp(0, 1)
    return (loose * (1 - below)).cpu()


def _places(
    means: Float[Tensor, "n 3"],
    axis: Float[Tensor, " 3"],
    looseness: Float[Tensor, " n"],
    sector: Float[Tensor, " n"],
    ring: Float[Tensor, " n"],
    bones: int,
) -> tuple[Float[Tensor, "rings sectors 3"], Bool[Tensor, " sectors"]]:
    """The nodes on what hangs, at the mean distance from the axis around them; which sectors are not empty."""
    aside = (sector[:, None] - torch.arange(SECTORS) + SECTORS / 2) % SECTORS - SECTORS / 2
    near = torch.exp(-2 * aside**2) * looseness[:, None]
    radius = (means - axis)[:, [0, 2]].norm(dim=1)
    rows = []
    for level in range(bones + 1):
        weights = near * torch.exp(-4 * (ring - level) ** 2)[:, None] + 1e-9 * near
        rows.append((weights * radius[:, None]).sum(0) / weights.sum(0).clamp_min(1e-12))
    angle = torch.arange(SECTORS) / SECTORS * 2 * math.pi
    out = torch.stack([angle.sin(), torch.zeros(SECTORS), angle.cos()], dim=1)
    return axis + torch.stack(rows)[..., None] * out, (looseness[:, None] * (aside.abs() < 0.5)).sum(
        0
    ) >= LEAST_IN_SECTOR


def _followers(
    looseness: Float[Tensor, " n"],
    sector: Float[Tensor, " n"],
    ring: Float[Tensor, " n"],
    index: Int[Tensor, "rings sectors"],
) -> tuple[Int[Tensor, " k"], Int[Tensor, "k 4"], Float[Tensor, "k 4"]]:
    """Which Gaussians follow, and how far each of the four nodes around them; never those of the first ring."""
    last = len(index) - 1
    chosen = ((looseness > 0.01) & (ring > 0)).nonzero()[:, 0]
    sector, ring = sector[chosen] % SECTORS, ring[chosen].clamp(max=last)
    first, upper = sector.floor().long() % SECTORS, ring.floor().long().clamp(max=last - 1)
    nodes, shares = [], []
    for level in (0, 1):
        for side in (0, 1):
            node = index[upper + level, (first + side) % SECTORS]
            other = index[upper + level, (first + 1 - side) % SECTORS]
            share = torch.where(other < 0, 1.0, (1 - (sector - sector.floor() - side).abs()))
            share = share * (1 - (ring - upper - level).abs()) * looseness[chosen]
            share = torch.where((node < 0) | (upper + level == 0), 0.0, share)
            nodes.append(node.clamp_min(0))
            shares.append(share)
    return chosen, torch.stack(nodes, dim=1), torch.stack(shares, dim=1)


def _clearance(
    avatar: Avatar, places: Float[Tensor, "nodes 3"], around: tuple[tuple[str, str], ...]
) -> Float[Tensor, "nodes capsules"]:
    """How near each node may come to the lines between joints: to the skin around them, or as near as at rest."""
    names, joints = avatar.body.joint_names, avatar.rest.joints.cpu()
    vertices, owner = avatar.rest.vertices.cpu(), avatar.body.weights.argmax(1).cpu()
    columns = []
    for a, b in around:
        ends = joints[names.index(a)], joints[names.index(b)]
        skin = vertices[owner == names.index(a)]
        radius = float(distance_to_line(skin, *ends).quantile(THICKNESS)) + COVER
        columns.append(distance_to_line(places, *ends).clamp(max=radius))
    return torch.stack(columns, dim=1)


def distance_to_line(
    points: Float[Tensor, "n 3"], start: Float[Tensor, " 3"], end: Float[Tensor, " 3"]
) -> Float[Tensor, " n"]:
    """Distance of points from the line between two others, metres."""
    along = end - start
    share = ((points - start) @ along / along.square().sum()).clamp(0, 1)
    distances: Tensor = torch.linalg.norm(points - start - share[:, None] * along, dim=1)
    return distances


def _joined(rings: list[SpringBones]) -> SpringBones:
    """Skirt and hair together."""
    if len(rings) == 1:
        return rings[0]
    one, other = rings
    count, sides = len(one), (one.clearance.shape[1], other.clearance.shape[1])
    nowhere = one.clearance.new_zeros
    return SpringBones(
        torch.cat([one.places, other.places]),
        one.above + tuple(above + count if above >= 0 else -1 for above in other.above),
        one.beside + tuple((a + count, b + count) for a, b in other.beside),
        torch.cat([one.length, other.length]),
        torch.cat([one.guides, other.guides]),
        one.capsules + other.capsules,
        torch.cat([
            torch.cat([one.clearance, nowhere(count, sides[1])], dim=1),
            torch.cat([nowhere(len(other), sides[0]), other.clearance], dim=1),
        ]),
        torch.cat([one.followers, other.followers]),
        torch.cat([one.nodes, other.nodes + count]),
        torch.cat([one.shares, other.shares]),
    )  # fmt: skip
