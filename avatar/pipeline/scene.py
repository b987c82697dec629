"""A room or a landscape around the person, from a file of splats or of a mesh, its floor where the person stands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import UsageError
from avatar.exporters.splats import Orientation, Up
from avatar.io.splat_files import read_splats
from avatar.model.props import Shape
from avatar.pipeline.props import read_shape
from avatar.types import Gaussians

FILMED = "the scene of a run, in its world"  # in the header of a PLY: it is not moved
HEADER = 2000  # bytes that hold the comments of our own PLY
NO_STEP = 0.04  # metres: a floor this close to y = 0 is there
LAYER = 0.02  # metres: how thick a floor is taken to be
LOWER = 0.5  # share of the height, from below, in which the floor lies
NARROWEST, WIDEST = 0.8, 500.0  # metres between which the size of a scene is believable
MESH_SPLATS, MESH_COVER = 200_000, 1.8  # of a mesh, see `Shape.of_mesh`
LEVEL = 0.8  # cosine of the slope up to which a splat can be floor


@dataclass(frozen=True)
class ScenePlacement:
    """How a scene lies around the person.

    Attributes:
        up: the axis that points up in the file.
        scale: metres per unit of the file.
        floor: height of the floor in the file, in its units, along `up`; None: it is estimated.
        offset: x and z of the place in the world to which the middle of the scene comes, metres; None: a scene
            that lies around the origin stays there, another is centred.
    """

    up: Up = "y"
    scale: float = 1.0
    floor: float | None = None
    offset: tuple[float, float] | None = None


def read_scene(path: Path, placement: ScenePlacement | None = None) -> tuple[Gaussians, str]:
    """A scene in the world, floor at y = 0, and a sentence that says where it was put.

    Raises:
        UsageError: there is no such file, or its size makes no sense.
        AvatarError: it is broken, or needs a package that is not installed.
    """
    placement = placement or ScenePlacement()
    if placement == ScenePlacement() and _is_filmed(path):
        filmed = read_splats(path)
        return filmed, f"{len(filmed)} splats, where the person was filmed"
    if not placement.scale > 0:
        raise UsageError(f"--scene-scale must be above 0, not {placement.scale:g}.")
    shape = read_shape(path)
    if shape.mesh is not None:
        shape = Shape.of_mesh(shape.mesh, MESH_SPLATS, cover=MESH_COVER)
    shape = shape.moved(Orientation(placement.up).from_file)
    gaussians = replace(
        shape.gaussians, means=shape.gaussians.means * placement.scale, scales=shape.gaussians.scales * placement.scale
    )
    low, high = gaussians.inner_box
    wide = float((high - low)[[0, 2]].max())
    if not NARROWEST <= wide <= WIDEST:
        raise UsageError(
            f"{path} would be {wide:.3g} m wide: say how many metres a unit of the file is, such as --scene-scale "
            f"{_usual(wide) * placement.scale:.1g}."
        )
    floor, origin = placement.floor, "given"
    if floor is None:
        floor, origin = floor_height(gaussians, shape.normals) / placement.scale, "estimated"
        if abs(floor * placement.scale) < NO_STEP:  # a scene in the world of the person, as `avatar scene` writes it
            floor = 0.0
    floor *= placement.scale
    middle = (low + high) / 2
    around = bool(((low < 0) & (high > 0))[[0, 2]].all())
    x, z = placement.offset if placement.offset is not None else (0.0, 0.0)
    moves = not around or placement.offset is not None
    shift = torch.tensor([x - float(middle[0]) if moves else 0.0, -floor, z - float(middle[2]) if moves else 0.0])
    size = " x ".join(f"{side:.1f}" for side in (high - low).tolist())
    where = f", its middle moved to x = {x:g}, z = {z:g}" if moves else ""
    note = f"{len(gaussians)} splats, {size} m, floor {origin} at {floor / placement.scale:.2f} of the file{where}"
    return replace(gaussians, means=gaussians.means + shift), note


def _is_filmed(path: Path) -> bool:
    """Whether a file is the scene of a run."""
    if path.suffix.lower() != ".ply" or not path.is_file():
        return False
    with path.open("rb") as file:
        return FILMED.encode() in file.read(HEADER)


def floor_height(gaussians: Gaussians, normals: Float[Tensor, "n 3"]) -> float:
    """Height of the floor: the layer in the lower half of the scene with the largest level area, metres."""
    y = gaussians.means[:, 1]
    largest = gaussians.scales.sort(dim=1, descending=True).values
    area = largest[:, 0] * largest[:, 1] * gaussians.opacities * (normals[:, 1].abs() > LEVEL)
    low, high = gaussians.inner_box
    level = (y > low[1] - LAYER) & (y < low[1] + LOWER * (high[1] - low[1])) & (area > 0)
    if not bool(level.any()):
        return float(low[1])
    index = ((y[level] - low[1] + LAYER) / LAYER).long()
    # Of a single wide splat no more counts than of a few usual ones, and a floor between two layers counts in both.
    weight = area[level].clamp(max=float(area[level].quantile(0.95)) if int(level.sum()) > 20 else None)
    layers = torch.zeros(int(index.max()) + 2).index_add(0, index, weight)
    best = int((layers[:-1] + layers[1:]).argmax())
    near = level.clone()
    near[level] = (index == best) | (index == best + 1)
    return float(y[near].median())


def _usual(wide: float) -> float:
    """A power of ten that brings a width to metres of a room."""
    factor = 1.0
    while wide * factor < NARROWEST:
        factor *= 10
    while wide * factor > WIDEST:
        factor /= 10
    return factor
