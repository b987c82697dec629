"""What each Gaussian shows: skin, face, hair, top, bottom or shoes.

Where a garment may lie is known from the body, what it looks like from the places where it certainly lies. Both give
each Gaussian a chance of each label, and one random walk over the surface (Grady, "Random walks for image
segmentation", PAMI 2006, with the priors of his CVPR 2005 paper) settles the borders where the colours change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body.parts import PARTS
from avatar.io.colors import lab_of_rgb
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.model.garment_borders import moved_borders

GARMENTS: tuple[str, ...] = ("skin", "face", "hair", "top", "bottom", "shoes")
SKIN, FACE, HAIR, TOP, BOTTOM, SHOES = range(len(GARMENTS))

# For looking at the labels: skin, face, hair, top, bottom, shoes.
LABEL_COLORS = (
    (0.95, 0.75, 0.60), (1.00, 0.55, 0.50), (0.15, 0.15, 0.15), (0.85, 0.20, 0.20), (0.20, 0.35, 0.80),
    (0.25, 0.70, 0.35),
)  # fmt: skip
SHADE = 0.4  # share of a label's colour that stays in the darkest splat

NEIGHBORS = 12
SMOOTHING_PASSES = 3  # over the neighbours, so that a print makes no borders
EDGE = 6.0  # Lab units of the smoothed colours at which a walker hesitates to step over
LEAK = 1e-3  # least weight of an edge, relative to one between equal colours
CERTAINTY = 0.3  # weight of a Gaussian's own chances against one edge to a neighbour
SOLID = 0.3  # opacity, as far as it was observed, from which a Gaussian is compared with at a border
ROUNDS = 2  # of estimating the labels' colours and labelling
SECTORS = 24  # around the neck, in each of which hair hangs down or does not
BIN = 4.0  # Lab units of a colour histogram
BLUR = (2.0, 1.5, 1.5)  # bins: shading changes lightness more than hue
UNUSUAL = 2e-4  # chance of a colour that a label's histogram does not contain
BARE = 7.0  # Lab units in (a, b), and twice as many in L, within which something is itself skin
ISLAND = 0.04  # share of a label's Gaussians below which a piece that lies apart belongs to what surrounds it


@dataclass(frozen=True)
class _Places:
    """Where the Gaussians lie on the unshaped body at rest, so that limits hold for every stature.

    Attributes:
        points: metres at the body's stature; part: index into `PARTS`.
        torso: 0 at the hips, 1 at the neck; leg: 0 at the ankle, 1 at the hip; arm: 0 at the shoulder, 1 at the wrist.
        head: 0 at the joint of the head, 1 at the crown.
    """

    points: Float[np.ndarray, "n 3"]
    part: Int[np.ndarray, " n"]
    torso: Float[np.ndarray, " n"]
    leg: Float[np.ndarray, " n"]
    arm: Float[np.ndarray, " n"]
    head: Float[np.ndarray, " n"]

    def on(self, *names: str) -> Bool[np.ndarray, " n"]:
        """Which lie on one of these parts of the body."""
        return np.isin(self.part, [PARTS.index(name) for name in names])


@torch.no_grad()
def garment_labels(avatar: Avatar) -> Int[Tensor, " n"]:
    """Index into `GARMENTS` of each Gaussian, on the CPU.

    About a second for 65,000 Gaussians. `FinishedRun.garments` keeps them beside the avatar: prefer it where there is
    a run. Part maps (`export --dataset`) draw these as they draw normals: one colour per label, unlit.

    Trousers and a skirt are both "bottom", hats are "hair", a dress is "top" above the waist and "bottom" below it.
    """
    places = _places(avatar)
    gaussians = avatar.gaussians
    neighbors = _neighbors(avatar.rest_means().cpu().numpy())
    raw = lab_of_rgb(gaussians.colors.cpu()).numpy()
    lab = _smoothed(raw, neighbors)
    weight = (gaussians.opacities * (0.1 + 0.9 * gaussians.observed.clamp(0, 1))).cpu().numpy()
    seeds = _without_bare(_seeds(places), lab, places)
    location = _location(places)
    location[:, [label for label in (HAIR, TOP, BOTTOM, SHOES) if not (seeds == label).any()]] = 0
    labels = seeds
    for _ in range(ROUNDS):
        chances = _with_attached_hair(location, labels, places) * _color_chances(lab, labels, weight)
        chances = chances / np.maximum(chances.sum(1, keepdims=True), 1e-12)
        chances = _walk(lab, neighbors, seeds, chances, CERTAINTY * weight)
        labels = chances.argmax(1)
    labels = _without_islands(labels, chances, neighbors)
    points, own = avatar.rest_means().cpu().numpy(), _smoothed(raw, neighbors, passes=1)
    labels = moved_borders(labels, (SKIN, TOP, BOTTOM, SHOES), points, own, weight > SOLID, neighbors)
    return torch.from_numpy(labels)


def labels_of(name: str) -> tuple[int, ...]:
    """The labels that a name of `GARMENTS` means to people: skin is that of the face too."""
    label = GARMENTS.index(name)
    return (SKIN, FACE) if label == SKIN else (label,)


def label_colors(labels: Int[Tensor, " n"], colors: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """The labels as colours over the splats' own brightness, so that folds remain visible."""
    table = colors.new_tensor(LABEL_COLORS)
    return table[labels.to(colors.device)] * (SHADE + (1 - SHADE) * colors.mean(-1, keepdim=True).clamp(0, 1))


def _places(avatar: Avatar) -> _Places:
    body = avatar.body.to("cpu")
    rest = body.rest(torch.zeros_like(avatar.betas.cpu()))
    face, bary = avatar.gaussians.face.cpu(), avatar.gaussians.bary.cpu()
    points = torch.einsum("nc,ncx->nx", bary, rest.vertices[body.faces[face]]).numpy()
    at = dict(zip(body.joint_names, rest.joints.numpy(), strict=True))
    hip, ankle, neck, head = (float(at[name][1]) for name in ("left_hip", "left_ankle", "neck", "head"))
    shoulder, wrist = float(at["left_shoulder"][0]), float(at["left_wrist"][0])
    crown = float(rest.vertices[:, 1].max())
    return _Places(
        points=points,
        part=part_of_gaussians(avatar).cpu().numpy(),
        torso=(points[:, 1] - hip) / (neck - hip),
        leg=(points[:, 1] - ankle) / (hip - ankle),
        arm=(np.abs(points[:, 0]) - shoulder) / (wrist - shoulder),
        head=(points[:, 1] - head) / (crown - head),
    )


def _seeds(places: _Places) -> Int[np.ndarray, " n"]:
    """The label of each Gaussian that lies where people usually wear nothing else, -1 elsewhere."""
    seeds = np.full(len(places.part), -1)
    front = places.points[:, 2] > np.quantile(places.points[places.on("head"), 2], 0.6)
    seeds[places.on("face") & front & (places.head < 0.55)] = FACE
    seeds[places.on("hands") & (places.arm > 1.2)] = SKIN
    seeds[places.on("head") & (places.head > 0.85)] = HAIR
    seeds[places.on("torso") & (places.torso > 0.45) & (places.torso < 0.75)] = TOP
    seeds[places.on("legs", "torso") & (places.leg < 0.97) & (places.leg > 0.82)] = BOTTOM
    seeds[places.on("feet") & (places.leg < -0.05)] = SHOES
    return seeds


def _without_bare(
    seeds: Int[np.ndarray, " n"], lab: Float[np.ndarray, "n 3"], places: _Places
) -> Int[np.ndarray, " n"]:
    """The seeds less those of a label that shows the colour of skin: bald heads, bare feet and chests."""
    seeds = seeds.copy()
    skin = np.median(lab[(seeds == FACE) | (seeds == SKIN)], 0)
    for label in (HAIR, TOP, SHOES):
        own = np.median(lab[seeds == label], 0)
        if np.hypot(*(own - skin)[1:]) < BARE and abs(own[0] - skin[0]) < 2 * BARE:
            seeds[seeds == label] = SKIN
    return seeds


def _location(places: _Places) -> Float[np.ndarray, "n labels"]:
    """How usual each label is in each place, whatever it looks like."""
    chance = np.zeros((len(places.part), len(GARMENTS)))
    torso, arms, legs, feet = (places.on(name) for name in ("torso", "arms", "legs", "feet"))
    above = places.on("head", "face")
    neck = torso & (places.torso > 1)
    chance[:, SKIN] = 0.5
    chance[above | neck, SKIN] = 1.0
    chance[places.on("face"), FACE] = 1.0
    chance[places.on("face"), SKIN] = 0.05
    chance[above, HAIR] = 1.0
    chance[torso, HAIR] = 0.4 * _ramp(places.torso[torso], 0.5, 1.0)
    chance[torso, TOP] = _ramp(places.torso[torso], -0.05, 0.25)
    chance[neck, TOP] = 1 - 0.9 * _ramp(places.torso[neck], 1.0, 1.15)
    chance[arms, TOP] = 1.0
    chance[places.on("hands"), TOP] = 0.2 * (1 - _ramp(places.arm[places.on("hands")], 1.0, 1.25))
    chance[legs, TOP] = 0.5 * _ramp(places.leg[legs], 0.6, 1.0)
    chance[torso, BOTTOM] = 1 - _ramp(places.torso[torso], 0.05, 0.4)
    chance[legs, BOTTOM] = 1.0
    chance[feet, BOTTOM] = 0.5 * _ramp(places.leg[feet], -0.12, 0.0)
    chance[legs, SHOES] = 0.08 * (1 - _ramp(places.leg[legs], 0.0, 0.5))
    chance[feet, SHOES] = 1.0
    return chance


def _with_attached_hair(
    location: Float[np.ndarray, "n labels"], labels: Int[np.ndarray, " n"], places: _Places
) -> Float[np.ndarray, "n labels"]:
    """The location's chances without hair on the torso where no hair hangs down past the jaw: that is a dark collar."""
    x, _, z = (places.points - places.points[places.on("head")].mean(0)).T
    sector = ((np.arctan2(x, z) / (2 * np.pi) + 0.5) * SECTORS).astype(int) % SECTORS
    jaw = places.on("head", "face") & (places.head < 0.25)
    if not (labels == HAIR).any() or not jaw.any():
        return location
    count = np.bincount(sector[jaw], minlength=SECTORS)
    share = np.bincount(sector[jaw & (labels == HAIR)], minlength=SECTORS) / np.maximum(count, 1)
    share = np.maximum.reduce([share, np.roll(share, 1), np.roll(share, -1)])
    result, torso = location.copy(), places.on("torso")
    result[torso, HAIR] *= np.clip(2 * share[sector[torso]], 0, 1)
    return result


def _ramp(x: Float[np.ndarray, " n"], low: float, high: float) -> Float[np.ndarray, " n"]:
    """0 below `low`, 1 above `high`, straight between them."""
    return np.clip((x - low) / (high - low), 0, 1)


def _neighbors(means: Float[np.ndarray, "n 3"]) -> Int[np.ndarray, "n k"]:
    from scipy.spatial import cKDTree

    indices: Int[np.ndarray, "n k"] = cKDTree(means).query(means, k=NEIGHBORS + 1)[1][:, 1:]
    return indices


def _smoothed(
    lab: Float[np.ndarray, "n 3"], neighbors: Int[np.ndarray, "n k"], passes: int = SMOOTHING_PASSES
) -> Float[np.ndarray, "n 3"]:
    """Colours averaged over the surface."""
    for _ in range(passes):
        lab = (lab + lab[neighbors].sum(1)) / (NEIGHBORS + 1)
    return lab


def _color_chances(
    lab: Float[np.ndarray, "n 3"], labels: Int[np.ndarray, " n"], weight: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n labels"]:
    """How usual each Gaussian's colour is for each label, by blurred histograms of those that have it."""
    from scipy.ndimage import gaussian_filter

    cell = tuple(np.clip((lab + (0, 110, 110)) / BIN, 0, 55).astype(int).T)
    chances = np.full((len(lab), len(GARMENTS)), UNUSUAL)
    # Face and skin share their colours; the face has besides those of eyes, brows, lips, glasses and masks.
    for label in range(len(GARMENTS)):
        own = (labels == label) | (label == SKIN) & (labels == FACE)
        if own.any():
            histogram = np.zeros((56, 56, 56))
            np.add.at(histogram, tuple(axis[own] for axis in cell), weight[own])
            histogram = gaussian_filter(histogram, BLUR, truncate=3.0)
            chances[:, label] += histogram[cell] / max(histogram.sum(), 1e-9)
    return chances


def _walk(
    lab: Float[np.ndarray, "n 3"],
    neighbors: Int[np.ndarray, "n k"],
    seeds: Int[np.ndarray, " n"],
    chances: Float[np.ndarray, "n labels"],
    certainty: Float[np.ndarray, " n"],
) -> Float[np.ndarray, "n labels"]:
    """For each Gaussian the chance that a walk over the surface ends at each label."""
    import scipy.sparse as sparse
    from scipy.sparse.linalg import cg

    count = len(lab)
    start, end = np.repeat(np.arange(count), NEIGHBORS), neighbors.ravel()
    steps = np.exp(-((lab[start] - lab[end]) ** 2).sum(1) / (2 * EDGE**2)) + LEAK
    graph = sparse.csr_matrix((steps, (start, end)), shape=(count, count))
    graph = (graph + graph.T) / 2
    seeded = seeds >= 0
    fixed = np.zeros_like(chances)
    fixed[np.flatnonzero(seeded), seeds[seeded]] = 1
    degree = np.asarray(graph.sum(1)).ravel() + certainty
    free = np.flatnonzero(~seeded)
    # (degree - graph) x = certainty * chances, scaled to a unit diagonal.
    root = 1 / np.sqrt(degree[free])
    inside = sparse.eye(len(free)) - sparse.diags(root) @ graph[free][:, free] @ sparse.diags(root)
    right = root[:, None] * (graph[free] @ fixed + certainty[free, None] * chances[free])
    result = fixed
    for label in range(len(GARMENTS)):
        if right[:, label].any():
            result[free, label] = root * cg(inside.tocsr(), right[:, label], rtol=1e-3)[0]
    return result


def _without_islands(
    labels: Int[np.ndarray, " n"], chances: Float[np.ndarray, "n labels"], neighbors: Int[np.ndarray, "n k"]
) -> Int[np.ndarray, " n"]:
    """Small pieces apart from the rest of their label take the next likely label."""
    import scipy.sparse as sparse

    start, end = np.repeat(np.arange(len(labels)), neighbors.shape[1]), neighbors.ravel()
    same = labels[start] == labels[end]
    graph = sparse.coo_matrix((np.ones(same.sum()), (start[same], end[same])), shape=(len(labels),) * 2)
    piece = sparse.csgraph.connected_components(graph, directed=False)[1]
    small = np.bincount(piece)[piece] < ISLAND * np.bincount(labels)[labels]
    others = chances[small]
    others[np.arange(len(others)), labels[small]] = 0
    result = labels.copy()
    result[small] = others.argmax(1)
    return result
