"""Bundle adjustment: cameras, points and focal length that explain the places of points in images (Triggs et al. 2000).

Each point is a direction from the origin and an inverse distance, which is well behaved even where the distance is
hardly known. The points are eliminated block by block, so that a step costs little more than its cameras.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.geometry import rotation_from_rotvec, skew

ROBUST_PIXELS = 1.0  # distance at which the weight of an observation falls to a quarter (Geman and McClure 1987)
INVERSE_SPREAD = 2.0  # of the inverse distances, whose median is 1
STEPS, LEAST_GAIN = 40, 5e-4  # of the solver, and the relative gain below which it stops
NEAREST = 1e-3  # distance before a camera, in the unit of the scene


@dataclass(frozen=True)
class PointObservations:
    """Where points lie in frames: for each observation its frame, its point, and pixels from the principal point."""

    frame: Int[Tensor, " m"]
    point: Int[Tensor, " m"]
    pixel: Float[Tensor, "m 2"]

    def where(self, chosen: Bool[Tensor, " m"]) -> PointObservations:
        """Some of the observations."""
        return PointObservations(self.frame[chosen], self.point[chosen], self.pixel[chosen])


@dataclass(frozen=True)
class Scene:
    """Cameras and points up to one similarity; the median inverse distance of the points is 1. Float64.

    Attributes:
        R, t: world to camera, of each frame; log_focal: of the focal length in pixels.
        directions, inverse: a point lies at `direction / inverse`.
    """

    R: Float[Tensor, "n 3 3"]
    t: Float[Tensor, "n 3"]
    log_focal: float
    directions: Float[Tensor, "p 3"]
    inverse: Float[Tensor, " p"]


@dataclass(frozen=True)
class Unknowns:
    """What is solved for: always the rotations, and, if asked for, the places of cameras, and the points.

    Attributes:
        focal_spread: standard deviation of the given focal length, relative to it; 0: it is exact.
    """

    places: bool
    points: bool
    log_focal: float
    focal_spread: float


@dataclass(frozen=True)
class Adjusted:
    """A solution.

    Attributes:
        error: robust squared distance of the observations, mean, square pixels.
        distance: of each observation from its point, pixels.
        focal_spread: standard deviation of the focal length, relative to it, as the observations tell it.
    """

    scene: Scene
    error: float
    distance: Float[Tensor, " m"]
    focal_spread: float


@dataclass(frozen=True)
class _System:
    """Normal equations: cameras (and the focal length) by themselves, points by themselves, and both together."""

    cameras: Float[Tensor, "c c"]
    points: Float[Tensor, "p 3 3"]
    both: Float[Tensor, "c q"]
    of_cameras: Float[Tensor, " c"]
    of_points: Float[Tensor, "p 3"]
    cost: float
    error: float
    distance: Float[Tensor, " m"]


def adjust(observed: PointObservations, start: Scene, unknowns: Unknowns) -> Adjusted:
    """Levenberg and Marquardt from a start."""
    scene, damping = start, 1e-2
    system = _linearized(observed, scene, unknowns)
    for _ in range(STEPS):
        moved = _moved(scene, system, damping)
        then = _linearized(observed, moved, unknowns)
        gain = 1 - then.cost / max(system.cost, 1e-12)
        if gain > 0:
            scene, system, damping = moved, then, max(damping / 5, 1e-9)
        else:
            damping *= 4
        if 0 < gain < LEAST_GAIN or damping > 1e6:
            break
    spread = _reduced(system, 1e-6)[0].inverse()[-1, -1].clamp_min(0).sqrt() * math.sqrt(max(system.error, 1e-12))
    unit = float(scene.inverse.median()) if unknowns.points else 1.0
    scene = replace(scene, t=scene.t * unit, inverse=scene.inverse / unit)
    return Adjusted(scene, system.error, system.distance, float(spread))


def _linearized(observed: PointObservations, scene: Scene, unknowns: Unknowns) -> _System:
    n, p, i, j = len(scene.R), len(scene.directions), observed.frame, observed.point
    rotated = (scene.R[i] @ scene.directions[j, :, None])[..., 0]
    x = rotated + scene.inverse[j, None] * scene.t[i]
    z = x[:, 2:].clamp_min(NEAREST)
    focal = math.exp(scene.log_focal)
    pixel = focal * x[:, :2] / z
    away = pixel - observed.pixel
    square = away.square().sum(1) / ROBUST_PIXELS**2
    weight = (1 / (1 + square).square())[:, None, None]
    by_x = torch.cat([focal / z[..., None] * torch.eye(2, dtype=z.dtype), -(pixel / z)[..., None]], 2)
    by_camera = torch.cat([-by_x @ skew(rotated), by_x * scene.inverse[j, None, None] * unknowns.places], 2)
    by_point = torch.cat([by_x @ scene.R[i] @ _tangents(scene.directions)[j], by_x @ scene.t[i][..., None]], 2)
    by_point = by_point * unknowns.points
    by_focal = pixel[..., None] if unknowns.focal_spread else torch.zeros_like(pixel[..., None])

    def summed(values: Tensor, index: Tensor, count: int) -> Tensor:
        return values.new_zeros(count, *values.shape[1:]).index_add_(0, index, values)

    camera_t, point_t, focal_t = ((weight * part).mT for part in (by_camera, by_point, by_focal))
    cameras = torch.zeros(6 * n + 1, 6 * n + 1, dtype=z.dtype)
    cameras[:-1, :-1] = torch.block_diag(*summed(camera_t @ by_camera, i, n))
    cameras[:-1, -1] = cameras[-1, :-1] = summed(camera_t @ by_focal, i, n).flatten()
    cameras[-1, -1] = (focal_t @ by_focal).sum()
    both = torch.zeros(n, 6, p, 3, dtype=z.dtype)
    both[i, :, j] = camera_t @ by_point
    both = torch.cat([both.view(6 * n, 3 * p), summed(point_t @ by_focal, j, p).view(1, -1)])
    of_cameras = torch.cat(
        [summed(camera_t @ away[..., None], i, n).flatten(), (focal_t @ away[..., None]).sum()[None]]
    )
    points, of_points = summed(point_t @ by_point, j, p), summed(point_t @ away[..., None], j, p)[..., 0]
    error = (square / (1 + square)).sum() * ROBUST_PIXELS**2
    beyond = (scene.inverse - 1) / INVERSE_SPREAD
    points[:, 2, 2] += 1 / INVERSE_SPREAD**2
    of_points[:, 2] += beyond / INVERSE_SPREAD
    cost = error + beyond.square().sum()
    if unknowns.focal_spread:
        longer = (scene.log_focal - unknowns.log_focal) / unknowns.focal_spread
        cameras[-1, -1] += 1 / unknowns.focal_spread**2
        of_cameras[-1] += longer / unknowns.focal_spread
        cost = cost + longer**2
    distance = square.sqrt() * ROBUST_PIXELS
    mean = float(error) / max(len(i), 1)
    return _System(cameras, points, both, of_cameras, of_points, float(cost), mean, distance)


def _reduced(system: _System, damping: float) -> tuple[Tensor, Tensor, Tensor]:
    """The equations of the cameras alone, those times their points' inverse blocks, and these blocks."""
    floor = 1e-6  # of what is no unknown
    diagonal = torch.diag_embed(system.points.diagonal(dim1=1, dim2=2) + floor)
    inverse = (system.points + damping * diagonal).inverse()
    count = len(inverse)
    eliminated = (system.both.view(-1, count, 1, 3) @ inverse).view(-1, 3 * count)
    alone = system.cameras + torch.diag(damping * system.cameras.diagonal() + floor)
    return alone - eliminated @ system.both.T, eliminated, inverse


def _moved(scene: Scene, system: _System, damping: float) -> Scene:
    """The scene after one damped step."""
    reduced, eliminated, inverse = _reduced(system, damping)
    step = -torch.linalg.solve(reduced, system.of_cameras - eliminated @ system.of_points.flatten())
    rest = system.of_points + (system.both.T @ step).view(-1, 3)
    point = -(inverse @ rest[..., None])[..., 0]
    moves = step[:-1].view(-1, 6)
    directions = scene.directions + (_tangents(scene.directions) @ point[:, :2, None])[..., 0]
    return Scene(
        rotation_from_rotvec(moves[:, :3]) @ scene.R,
        scene.t + moves[:, 3:],
        scene.log_focal + float(step[-1]),
        F.normalize(directions, dim=-1),
        scene.inverse + point[:, 2],
    )


def _tangents(directions: Float[Tensor, "p 3"]) -> Float[Tensor, "p 3 2"]:
    """Two unit vectors at right angles to each direction and to each other."""
    x, _, z = torch.eye(3, dtype=directions.dtype)
    helper = torch.where(directions[:, 2:].abs() < 0.9, z, x)
    a = F.normalize(torch.linalg.cross(helper, directions), dim=-1)
    return torch.stack([a, torch.linalg.cross(directions, a)], -1)
