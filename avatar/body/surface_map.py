"""From a part, U and V to the point of the body's surface that they name: densely sampled charts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.model import Body
from avatar.body.surface_charts import parts_of, surface_charts
from avatar.errors import AvatarError, UsageError, short_message
from avatar.io.files import require_file

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

PARTS = 24
SMPL_VERTICES = 6890
NEAR = 0.06  # in units of the chart, which is 1 long: no point of the surface is farther from what a chart names
# DensePose's own table of its charts.
TABLE = ("All_FaceIndices", "All_Faces", "All_U_norm", "All_V_norm", "All_vertices")


@dataclass(frozen=True)
class SurfaceMap:
    """Points of the surface with their places in the charts.

    Attributes:
        parts: of each point, 0 to 23; chart: its U and V in [0, 1].
        corners, shares: it lies at the shares-weighted mean of these vertices.
        goes_round: whether U is an angle, so that 0 and 1 are the same.
    """

    parts: Int[np.ndarray, " k"]
    chart: Float[np.ndarray, "k 2"]
    corners: Int[Tensor, "k 3"]
    shares: Float[Tensor, "k 3"]
    goes_round: bool

    def find(self, parts: Int[np.ndarray, " p"], chart: Float[np.ndarray, "p 2"]) -> Int[np.ndarray, " p"]:
        """The point nearest to each place in the charts; -1 where no point of the surface is near it."""
        nearest = np.full(len(parts), -1)
        for part in np.unique(parts):
            mine, (rows, tree) = parts == part, self._trees[part]
            if tree is not None:
                apart, index = tree.query(self._spread(chart[mine]))
                nearest[mine] = np.where(apart < NEAR, rows[index], -1)
        return nearest

    @cached_property
    def _trees(self) -> list[tuple[Int[np.ndarray, " m"], cKDTree | None]]:
        from scipy.spatial import cKDTree

        rows = [np.flatnonzero(self.parts == part) for part in range(PARTS)]
        return [(mine, cKDTree(self._spread(self.chart[mine])) if len(mine) else None) for mine in rows]

    def _spread(self, chart: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, "p c"]:
        """The chart where distances mean what they should: an angle becomes a place on a circle of circumference 1."""
        if not self.goes_round:
            return chart
        angle = 2 * math.pi * chart[:, 0]
        return np.stack([np.cos(angle) / (2 * math.pi), np.sin(angle) / (2 * math.pi), chart[:, 1]], 1)


def own_surface_map(body: Body) -> SurfaceMap:
    """The charts that `avatar export --dataset` writes, on the mean body: its vertices and the middles of its faces."""
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    corners, shares = _vertices_and_middles(torch.arange(len(body.template)), body.faces)
    points = (rest.vertices[corners] * shares[..., None]).sum(1)
    parts = parts_of(body, (body.weights[corners] * shares[..., None]).sum(1))
    chart = surface_charts(body, rest).at(points, parts)
    return SurfaceMap(parts.numpy(), chart.double().numpy(), corners, shares, goes_round=True)


def densepose_surface_map(path: Path, body: Body) -> SurfaceMap:
    """DensePose's charts, from the user's own copy of `UV_Processed.mat`, which names vertices of SMPL.

    Raises:
        UsageError: there is no such file, or the body is not SMPL.
        AvatarError: the file is not that table.
    """
    from scipy.io import loadmat

    require_file(path)
    if len(body.template) != SMPL_VERTICES:
        raise UsageError(
            f"DensePose's charts are drawn on SMPL's {SMPL_VERTICES} vertices and the body is {body.name}: give your "
            "SMPL file by --body, or IUV images in the charts of avatar export --dataset."
        )
    try:
        content: dict[str, Any] = loadmat(path, variable_names=TABLE)
        part, faces, U, V, vertices = (np.asarray(content[name]) for name in TABLE)
        # The file counts from 1.
        part, vertices = part.ravel().astype(int) - 1, vertices.ravel().astype(int) - 1
        faces, chart = faces.astype(int) - 1, np.stack([U.ravel(), V.ravel()], 1).astype(float)
        of_point = np.zeros(len(vertices), int)
        of_point[faces] = part[:, None]
        if vertices.min() < 0 or vertices.max() >= SMPL_VERTICES or part.min() < 0 or part.max() >= PARTS:
            raise ValueError("it names vertices or parts that do not exist")
        middles = chart[faces].mean(1)
        corners, shares = _vertices_and_middles(torch.from_numpy(vertices), torch.from_numpy(vertices[faces]))
    except Exception as error:  # a broken file can fail anywhere in the reader
        raise AvatarError(f"{path} is not DensePose's UV_Processed.mat: {short_message(error)}.") from error
    return SurfaceMap(np.concatenate([of_point, part]), np.concatenate([chart, middles]), corners, shares, False)


def _vertices_and_middles(
    vertices: Int[Tensor, " v"], faces: Int[Tensor, "f 3"]
) -> tuple[Int[Tensor, "k 3"], Float[Tensor, "k 3"]]:
    """Points at some vertices, then in the middle of some faces, as means of three vertices."""
    alone = torch.tensor([1.0, 0.0, 0.0]).expand(len(vertices), 3)
    corners = torch.cat([vertices[:, None].expand(-1, 3), faces])
    return corners, torch.cat([alone, torch.full(faces.shape, 1 / 3)])
