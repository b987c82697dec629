"""Points of the scene around a person, from frames whose cameras are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.geometry import invert_rigid
from avatar.observation.background_features import INLIER, Features, background_features, matched_indices, work_scale
from avatar.runtime.progress import progress
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Cameras, Observations

MOST_FRAMES = 48  # that are searched for points
NEIGHBOURS = 6  # frames before and after in which a frame's points are looked for
LEAST_OBSERVATIONS = 3
NOISE = 0.4  # of a point's place in the work image, pixels
LEAST_SURE = 0.06  # standard deviation of a point's distance, relative to it
ROUNDS = 4  # of reweighting


@dataclass(frozen=True)
class _Rays:
    """Observations of points: which point, from where, in which direction; focal length in pixels."""

    point: Int[Tensor, " m"]
    origin: Float[Tensor, "m 3"]
    direction: Float[Tensor, "m 3"]
    focal: float


@dataclass(frozen=True)
class ScenePoints:
    """Points of the background in the cameras' world, and the first and the last frame in which each was found."""

    places: Float[Tensor, "p 3"]
    first: Int[Tensor, " p"]
    last: Int[Tensor, " p"]

    def shown_in(self, frame: int) -> Float[Tensor, "q 3"]:
        """The points that a frame shows: those found before or in it, and in it or after it."""
        return self.places[(self.first <= frame) & (frame <= self.last)]


def scene_points(observations: Observations, cameras: Cameras) -> ScenePoints:
    """Points of the background that several frames see from different places; none, if the camera keeps its place.

    Args:
        cameras: one per frame.
    """
    count = len(observations)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST_FRAMES)).round().astype(int)).tolist()

    def look(index: int) -> Features:
        return background_features(observations.images[index], observations.masks[index])

    features = list(map_in_threads(look, progress(chosen, "looking at the scene")))
    scale = work_scale(observations.width, observations.height)
    K = cameras.K[0].double() * torch.tensor([[scale], [scale], [1.0]], dtype=torch.float64)
    T_world_camera = invert_rigid(cameras.T_camera_world[chosen].double())
    rays = []
    for one, T in zip(features, T_world_camera, strict=True):
        pixels = torch.from_numpy(one.points)
        local = torch.cat([(pixels - K[:2, 2]) / K.diagonal()[:2], torch.ones(len(pixels), 1)], 1)
        rays.append(F.normalize(local @ T[:3, :3].mT, dim=-1))
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    total = 0
    for i in range(len(chosen)):
        own = torch.arange(len(rays[i]))
        for j in range(max(0, i - NEIGHBOURS), min(len(chosen), i + NEIGHBOURS + 1)):
            a, b = (own, own) if i == j else map(torch.from_numpy, matched_indices(features[i], features[j]))
            centre = T_world_camera[j, :3, 3].expand(len(a), 3)
            parts.append((total + a, torch.full((len(a),), chosen[j]), centre, rays[j][b]))
        total += len(own)
    point, frame, origin, direction = (torch.cat(part) for part in zip(*parts, strict=True))
    places, agreeing, valid = _triangulated(_Rays(point, origin, direction, float(K[0, 0])), total)
    point, frame = point[agreeing], frame[agreeing]
    first, last = (torch.zeros(total, dtype=torch.int64).scatter_reduce(0, point, frame, way, include_self=False)
                   for way in ("amin", "amax"))  # fmt: skip
    return ScenePoints(places[valid].float(), first[valid], last[valid])


def _triangulated(rays: _Rays, count: int) -> tuple[Float[Tensor, "p 3"], Bool[Tensor, " m"], Bool[Tensor, " p"]]:
    """The points nearest to their rays, robustly; which rays agree; which points are sure."""
    across = torch.eye(3, dtype=torch.float64) - rays.direction[:, :, None] * rays.direction[:, None]
    weight = torch.ones(len(rays.point), dtype=torch.float64)
    for _ in range(ROUNDS):
        A = torch.zeros(count, 3, 3, dtype=torch.float64)
        A.index_add_(0, rays.point, weight[:, None, None] * across)
        b = torch.zeros(count, 3, dtype=torch.float64)
        b.index_add_(0, rays.point, weight[:, None] * (across @ rays.origin[..., None])[..., 0])
        A += (1e-6 * A.diagonal(dim1=1, dim2=2).sum(1) + 1e-9)[:, None, None] * torch.eye(3)
        inverse = A.inverse()
        x = (inverse @ b[..., None])[..., 0]
        away = x[rays.point] - rays.origin
        depth = (away * rays.direction).sum(-1)
        distance = (across @ away[..., None])[..., 0].norm(dim=-1) * rays.focal / depth.clamp_min(0.1)
        weight = (rays.focal / depth.clamp_min(0.1) / NOISE).square() / (1 + (distance / NOISE / 3).square()).square()
    good = (distance < INLIER) & (depth > 0.1)
    support = torch.bincount(rays.point[good], minlength=count)
    total = torch.bincount(rays.point, minlength=count)
    nearest = torch.full((count,), torch.inf, dtype=torch.float64).scatter_reduce(0, rays.point, depth, "amin")
    spread = inverse.diagonal(dim1=1, dim2=2).sum(1).clamp_min(0).sqrt()
    agreed = (support >= LEAST_OBSERVATIONS) & (support > total / 2)
    return x, good, agreed & (nearest > 0) & (spread < LEAST_SURE * nearest)
