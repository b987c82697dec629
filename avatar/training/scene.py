"""The scene around the person as splats that stand still, from the frames of a video with the person left out.

Splats start on surfaces through the points that several frames see (piecewise planar over a triangulation of each
frame), on the floor below, and in a vertical plane behind the person where nothing tells the depth; training then
moves, turns and colours them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.geometry import invert_rigid, quat_from_rotation
from avatar.io.images import to_float
from avatar.metrics.images import psnr
from avatar.metrics.ssim import ssim
from avatar.observation.background_features import free_background
from avatar.observation.scene_points import scene_points
from avatar.rendering.renderer import render
from avatar.runtime.progress import Progress
from avatar.types import Cameras, Gaussians, Observations

LONG_SIDE = 480  # of the images that are trained on, pixels
GRID = 3.0  # distance of new splats in these images, pixels
SEED_FRAMES = 24  # from which splats start, each where those before leave a gap
COVERED = 0.7  # alpha above which a pixel needs no new splat
MOST_SPLATS = 80_000
FILL = (0.3, 0.6)  # shares of the steps after which gaps are filled again
LEAST_OPACITY = 0.05  # of a splat, below which it is removed then
BEHIND_M = 1.5  # distance of the plane behind the person
ON_FLOOR_M = 0.1  # height of a point, below which what is around it in an image is the floor
FARTHEST_M = 30.0
THIN = 0.1  # thickness of a splat, relative to its smaller extent
STEEPEST = 6.0  # ratio of a splat's extents at the start
SIMILARITY, OPAQUE = 0.3, 0.1  # weights of 1 - SSIM and of gaps
MEASURED = 8  # views
RATES = {"means": 1e-3, "quats": 5e-3, "log_scales": 1e-2, "logit_opacities": 3e-2, "raw_colors": 3e-2}


@dataclass(frozen=True)
class SceneView:
    """One frame of reduced size.

    Attributes:
        image: sRGB in [0, 1]; free: where it shows background, 1 or 0; camera: of this size.
    """

    image: Float[Tensor, "h w 3"]
    free: Float[Tensor, "h w"]
    camera: Cameras

    def painted(self) -> SceneView:
        """The view with what is not free painted in the colours around it (Telea 2004)."""
        import cv2

        image = (255 * self.image).byte().numpy()
        image = cv2.inpaint(image, (self.free == 0).byte().numpy(), 3, cv2.INPAINT_TELEA)
        return replace(self, image=to_float(image))


def scene_views(observations: Observations, cameras: Cameras) -> list[SceneView]:
    """All frames in the size in which the scene is trained."""
    import cv2

    scale = min(1.0, LONG_SIDE / max(cameras.width, cameras.height))
    size = max(1, round(cameras.width * scale)), max(1, round(cameras.height * scale))
    views = []
    for index in range(len(observations)):
        image = cv2.resize(observations.images[index], size, interpolation=cv2.INTER_AREA)
        whole = free_background(observations.masks[index]).astype(np.uint8)
        free = cv2.resize(whole, size, interpolation=cv2.INTER_NEAREST)
        camera = cameras[index].resized(*size)
        views.append(SceneView(to_float(image.astype(np.uint8)), torch.from_numpy(free).float(), camera))
    return views


def distances(view: SceneView, points: Float[Tensor, "p 3"], person: Float[Tensor, "3"]) -> Float[Tensor, "h w"]:
    """How far away along the optical axis the surface in each pixel probably lies, metres.

    Args:
        points: that the view sees, world; person: a place on the floor at which the person stands.
    """
    from scipy.interpolate import LinearNDInterpolator
    from scipy.spatial import cKDTree

    height, width = view.free.shape
    inverse = 1 / np.minimum(_stage(view, person), FARTHEST_M)
    K, T = view.camera.K[0], view.camera.T_camera_world[0]
    local = points @ T[:3, :3].T + T[:3, 3]
    before = local[:, 2] > 0.1
    local, on_floor = local[before], (points[before, 1] < ON_FLOOR_M).numpy()
    pixels = (local[:, :2] / local[:, 2:] * K.diagonal()[:2] + K[:2, 2]).numpy()
    if len(local) >= 4:
        values = (1 / local[:, 2]).numpy()
        y, x = np.mgrid[:height, :width] + 0.5
        between = LinearNDInterpolator(pixels, values)(x, y)
        nearest = cKDTree(pixels).query(np.stack([x, y], -1))[1]
        floor = 1 / np.minimum(_stage(view, None), FARTHEST_M)
        surface = np.maximum(np.where(np.isfinite(between), between, values[nearest]), floor)
        # The floor, at a grazing angle, has few points of its own. Triangles from these to furniture would stand over
        # it: spikes from another side.
        inverse = np.where(on_floor[nearest] & (floor > 1 / FARTHEST_M), floor, surface)
    return torch.from_numpy(1 / np.maximum(inverse, 1 / FARTHEST_M)).float()


def _stage(view: SceneView, person: Float[Tensor, "3"] | None) -> Float[np.ndarray, "h w"]:
    """Distance along the optical axis of the floor, and of a vertical plane behind the person; inf where neither is."""
    height, width = view.free.shape
    T_world_camera = invert_rigid(view.camera.T_camera_world)[0]
    centre, rays = T_world_camera[:3, 3], _rays(view) @ T_world_camera[:3, :3].T
    depth = torch.where(rays[..., 1] < -1e-6, -centre[1] / rays[..., 1].clamp(max=-1e-6), torch.inf)
    if person is not None:
        away = (person - centre) * torch.tensor([1.0, 0.0, 1.0])
        distance = away.norm() + BEHIND_M
        along = rays @ F.normalize(away, dim=0)
        depth = torch.minimum(depth, torch.where(along > 1e-3, distance / along.clamp_min(1e-3), torch.inf))
    result: np.ndarray = depth.view(height, width).numpy()
    return result


def _rays(view: SceneView) -> Float[Tensor, "h w 3"]:
    """Through the pixels, with 1 along the optical axis; in the camera's frame."""
    height, width = view.free.shape
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    K = view.camera.K[0]
    return torch.stack([(x - K[0, 2]) / K[0, 0], (y - K[1, 2]) / K[1, 1], torch.ones_like(x)], -1)


def splats_on(view: SceneView, depth: Float[Tensor, "h w"], wanted: Bool[Tensor, "h w"]) -> Gaussians:
    """Flat splats on the surface that a view shows, on a grid."""
    T_world_camera = invert_rigid(view.camera.T_camera_world)[0]
    places = (_rays(view) * depth[..., None]) @ T_world_camera[:3, :3].T + T_world_camera[:3, 3]
    right, down = places.diff(dim=1)[:-1], places.diff(dim=0)[:, :-1]
    rows = torch.arange(GRID / 2, len(right), GRID).long()
    columns = torch.arange(GRID / 2, right.shape[1], GRID).long()
    y, x = (index.flatten() for index in torch.meshgrid(rows, columns, indexing="ij"))
    chosen = wanted[y, x]
    y, x = y[chosen], x[chosen]
    a, b = right[y, x], down[y, x]
    least = (depth[y, x] / view.camera.K[0, 0, 0])[:, None]
    along = F.normalize(a, dim=-1)
    b = b - (b * along).sum(-1, keepdim=True) * along
    extents = torch.cat([a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)], 1)
    extents = torch.minimum(torch.maximum(extents, 0.5 * least), STEEPEST * least) * GRID * 0.5
    across = F.normalize(b, dim=-1)
    quats = quat_from_rotation(torch.stack([along, across, torch.linalg.cross(along, across)], -1))
    scales = torch.cat([extents, THIN * extents.amin(1, keepdim=True)], 1)
    return Gaussians(places[y, x], quats, scales, torch.full((len(y),), 0.9), view.image[y, x])


class SceneTrainer:
    """Training of a scene: `run` is the loop.

    Args:
        observations: frames with the person's masks; cameras: one per frame, world, floor at y = 0.
        person: where the person stands in each frame, on the floor.
    """

    def __init__(
        self,
        observations: Observations,
        cameras: Cameras,
        person: Float[Tensor, "frames 3"],
        backend: str = "auto",
        seed: int = 0,
    ) -> None:
        self.views = scene_views(observations, cameras)
        self.points, self.person, self.backend = scene_points(observations, cameras), person, backend
        self.rng = torch.Generator().manual_seed(seed)
        frames = torch.unique(torch.cat([self.points.first, self.points.last])).tolist() or list(range(len(self.views)))
        chosen = np.unique(np.linspace(0, len(frames) - 1, SEED_FRAMES).round().astype(int))
        # From all sides first, so that none is left out if there are too many.
        self.seed_frames = [frames[k] for k in sorted(chosen, key=lambda k: _reversed_bits(int(k)))]

    def run(self, steps: int) -> Gaussians:
        """Splats that look like the background of all frames."""
        splats = self.with_gaps_filled(None)
        with Progress("training the scene", steps) as bar:
            for begin, end in pairwise([round(share * steps) for share in (0.0, *FILL, 1.0)]):
                if begin:
                    splats = self.with_gaps_filled(splats.where(splats.opacities > LEAST_OPACITY))
                splats = self.trained(splats, range(begin, end), steps, bar)
        return self.with_gaps_filled(splats, hidden=True)

    @torch.no_grad()
    def with_gaps_filled(self, splats: Gaussians | None, hidden: bool = False) -> Gaussians:
        """More splats where views show gaps; each view fills what those before it leave.

        Args:
            hidden: fill also what the person hides in all views, in the colours around.
        """
        parts = [] if splats is None else [splats]
        for index in self.seed_frames:
            if sum(map(len, parts)) >= MOST_SPLATS and not hidden:
                break
            view = self.views[index]
            gap = torch.ones_like(view.free, dtype=torch.bool) if hidden else view.free > 0
            if parts:
                gap &= render(Gaussians.cat(parts), view.camera, self.backend).alpha[0] < COVERED
            if gap.any():
                depth = distances(view, self.points.shown_in(index), self.person[index])
                parts.append(splats_on(view.painted() if hidden else view, depth, gap))
        return Gaussians.cat(parts)

    def trained(self, start: Gaussians, steps: range, total: int, bar: Progress) -> Gaussians:
        """The splats after some of all steps."""
        values = {
            "means": start.means.clone(),
            "quats": start.quats.clone(),
            "log_scales": start.scales.log(),
            "logit_opacities": start.opacities.logit(1e-4),
            "raw_colors": start.colors.logit(0.02),
        }
        groups = [{"params": [value.requires_grad_()], "name": name} for name, value in values.items()]
        optimizer = torch.optim.Adam(groups, lr=0.0, eps=1e-8, fused=True)
        queue: list[int] = []
        for step in steps:
            queue = queue or torch.randperm(len(self.views), generator=self.rng).tolist()
            for group in optimizer.param_groups:
                group["lr"] = RATES[group["name"]] * 0.1 ** (step / total)
            loss = self._loss(_activated(values), self.views[queue.pop()])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            bar.step(f"loss {float(loss.detach()):.4f}, {len(start)} splats")
        with torch.no_grad():
            return _activated(values)

    def _loss(self, splats: Gaussians, view: SceneView) -> Float[Tensor, ""]:
        free = view.free[..., None]
        out = render(splats, view.camera, self.backend)
        shown, truth = out.composite(torch.rand(3, generator=self.rng))[0] * free, view.image * free
        gaps = ((1 - out.alpha[0]) * view.free).mean()
        return (shown - truth).abs().mean() + SIMILARITY * (1 - ssim(shown, truth)) + OPAQUE * gaps

    @torch.no_grad()
    def psnr(self, splats: Gaussians) -> float:
        """How well a few views are reproduced where they show background, dB."""
        chosen = np.unique(np.linspace(0, len(self.views) - 1, MEASURED).round().astype(int)).tolist()
        values = []
        for view in (self.views[k] for k in chosen):
            shown = render(splats, view.camera, self.backend).on_white()[0].clamp(0, 1)
            free = view.free > 0
            values.append(psnr(shown[free][None], view.image[free][None]))
        return sum(values) / len(values)


def _reversed_bits(number: int) -> int:
    return int(f"{number:016b}"[::-1], 2)


def _activated(values: dict[str, Tensor]) -> Gaussians:
    return Gaussians(
        values["means"],
        F.normalize(values["quats"], dim=-1),
        values["log_scales"].clamp(max=math.log(1.0)).exp(),
        values["logit_opacities"].sigmoid(),
        values["raw_colors"].sigmoid(),
    )
