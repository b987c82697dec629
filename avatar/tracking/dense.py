"""Dense correspondence: pixels that the user's own detector ties to points of the body's surface.

Such IUV images (DensePose, Güler et al. 2018; DaNet, Zhang et al. 2020; UltraPose, Yan et al. 2021) name in each pixel
the point of the surface that it shows. Detectors are wrong about whole parts, left for right or an arm for the trunk:
the term is robust, and the first passes leave out some parts of each frame, so that the fit leans on none (DaNet's
part dropout).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.surface_map import PARTS, SurfaceMap, densepose_surface_map, own_surface_map
from avatar.runtime.thread_map import map_in_threads
from avatar.tracking.kinematics import SkinnedPoints
from avatar.tracking.options import TrackOptions
from avatar.types import ImageList, Observations

POINTS = 100  # pixels of a frame in one pass
CANDIDATES = 20  # pixels of each part, from which a pass takes some
DROPPED = 0.25  # share of the parts of a frame that each of the first passes leaves out
FIRST = 2  # passes, which decide which way limbs go; the others see all parts
FEWEST = 12  # pixels; smaller parts are noise


@dataclass(frozen=True)
class DenseMatches:
    """Points of the surface, others at each instant, with the pixels that show them.

    Attributes:
        points: on the body.
        pixels: from the principal point.
        weight: 0 where there is no pair.
    """

    points: SkinnedPoints
    pixels: Float[Tensor, "n p 2"]
    weight: Float[Tensor, "n p"]


@dataclass(frozen=True)
class FrameCandidates:
    """Pixels of one frame with the points of the surface map that they show."""

    parts: Int[np.ndarray, " c"]
    pixels: Float[np.ndarray, "c 2"]
    points: Int[np.ndarray, " c"]


class DenseSampler:
    """Takes pixels from the IUV images of a clip, as many of each part, without large ones outweighing the limbs."""

    def __init__(self, body: Body, surface: SurfaceMap, observations: Observations) -> None:
        assert observations.iuv is not None
        self.body, self.surface = body, surface
        self.trust = torch.ones(len(observations))
        if observations.frame_weight is not None:
            self.trust = observations.frame_weight
        images = observations.iuv
        self.frames = list(
            map_in_threads(lambda index: self._candidates(images, observations, index), range(len(observations)))
        )

    def _candidates(self, images: ImageList, observations: Observations, index: int) -> FrameCandidates:
        import cv2

        image = images[index]
        size = image.shape[1], image.shape[0]
        person = np.ones(image.shape[:2], bool)
        for masks, least in ((observations.masks, 128), (observations.trust, 1)):
            if masks is not None and len(masks):
                person &= cv2.resize(masks[index], size, interpolation=cv2.INTER_AREA) >= least
        labels = np.where(person, image[..., 0], 0)
        chooser = np.random.default_rng(index)
        chosen = []
        for part in range(1, PARTS + 1):
            place = np.flatnonzero(labels == part)
            if len(place) >= FEWEST:
                chosen.append(chooser.choice(place, min(CANDIDATES, len(place)), replace=False))
        at = np.concatenate(chosen) if chosen else np.zeros(0, int)
        values = image.reshape(-1, 3)[at]
        points = self.surface.find(values[:, 0].astype(int) - 1, values[:, 1:] / 255)
        rows, columns = np.divmod(at, size[0])
        frame = np.array([observations.width, observations.height])
        pixels = np.stack([columns + 0.5, rows + 0.5], 1) / size * frame - frame / 2
        good = points >= 0
        return FrameCandidates(values[good, 0].astype(int), pixels[good], points[good])

    def sample(self, turn: int) -> DenseMatches:
        """The pixels of one pass; each `turn` takes others."""
        points = np.zeros((len(self.frames), POINTS), np.int64)
        pixels = np.zeros((len(self.frames), POINTS, 2))
        weight = torch.zeros(len(self.frames), POINTS, dtype=torch.float64)
        for index, frame in enumerate(self.frames):
            chooser = np.random.default_rng([turn, index])
            kept = chooser.random(PARTS + 1) >= (DROPPED if turn < FIRST else 0.0)
            rows = chooser.permutation(np.flatnonzero(kept[frame.parts]))[:POINTS]
            points[index, : len(rows)], pixels[index, : len(rows)] = frame.points[rows], frame.pixels[rows]
            weight[index, : len(rows)] = float(self.trust[index])
        return DenseMatches(self._on_body(torch.from_numpy(points)), torch.from_numpy(pixels), weight)

    def _on_body(self, points: Int[Tensor, "n p"]) -> SkinnedPoints:
        corners, shares = self.surface.corners[points], self.surface.shares[points].double()
        rest, dirs, weights = (
            torch.einsum("npc,npc...->np...", shares, values[corners].double())
            for values in (self.body.template, self.body.shape_dirs, self.body.weights)
        )
        return SkinnedPoints(rest, dirs, weights, torch.full((points.shape[-1],), -1))


def dense_sampler(observations: Observations, body: Body, options: TrackOptions) -> DenseSampler | None:
    """What reads the IUV images of the clip, in DensePose's charts if the user gave those; None without images.

    Raises:
        UsageError, AvatarError: see `densepose_surface_map`.
    """
    if observations.iuv is None:
        return None
    charts = options.iuv_charts
    surface = own_surface_map(body) if charts is None else densepose_surface_map(Path(charts), body)
    return DenseSampler(body, surface, observations)
