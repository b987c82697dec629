"""Simple things made of a few surfaces: a cup, a phone, a hat and others. Metres, y up, their front towards +z."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.io.meshes import Mesh

Color = tuple[float, float, float]
AROUND = 64  # corners of a circle


def cup() -> Mesh:
    """A mug of 9.5 cm with a handle at its left."""
    wall = _revolved([(0.0, 0.004), (0.037, 0.004), (0.037, 0.095), (0.040, 0.095), (0.040, 0.0), (0.0, 0.0)], _BLUE)
    angles = torch.linspace(-1.25, 1.25, 24)
    path = torch.stack([0.034 + 0.032 * angles.cos(), 0.048 + 0.032 * angles.sin(), 0 * angles], dim=1)
    return Mesh.cat([wall, _tube(path, 0.005, _BLUE)])


def phone() -> Mesh:
    """A phone of 15 cm with its screen in front."""
    return Mesh.cat([_box((0.072, 0.15, 0.008), _BLACK), _box((0.066, 0.14, 0.001), _SCREEN, (0.0, 0.0, 0.0045))])


def hat() -> Mesh:
    """A bowler with a brim, hollow."""
    crown = [(0.084 * math.cos(a), 0.035 + 0.085 * math.sin(a)) for a in torch.linspace(0, math.pi / 2, 12).tolist()]
    inside = [(0.0, crown[-1][1] - 0.003), *((0.966 * x, y - 0.003) for x, y in reversed(crown[:-1]))]
    band = _revolved([(0.0865, 0.034), (0.0865, 0.010), (0.084, 0.008)], _BAND)
    brim = [(0.081, 0.0), (0.125, 0.004), (0.128, 0.006), (0.125, 0.008), (0.084, 0.004)]
    return Mesh.cat([_revolved([*inside, *brim, *crown], _BLACK), band])


def glasses() -> Mesh:
    """Round glasses, 14 cm wide; the lenses are open."""
    turn = torch.linspace(0, 2 * math.pi, 41)
    rims = [
        _tube(torch.stack([side * 0.034 + 0.024 * turn.cos(), 0.021 * turn.sin(), 0 * turn], dim=1), 0.0018, _BROWN)
        for side in (-1, 1)
    ]
    bridge = _tube(torch.tensor([[-0.011, 0.006, 0.0], [0.0, 0.009, 0.001], [0.011, 0.006, 0.0]]), 0.0016, _BROWN)
    temples = [
        _tube(torch.tensor([[side * x, y, z] for x, y, z in _TEMPLE]), 0.0018, _BROWN) for side in (-1, 1)
    ]  # fmt: skip
    return Mesh.cat([*rims, bridge, *temples])


def backpack() -> Mesh:
    """A day pack of 42 cm with a pocket in front, straps at the back."""
    straps = [_tube(torch.tensor([[side * x, y, z] for x, y, z in _STRAP]), 0.011, _BLACK) for side in (-1, 1)]
    return Mesh.cat([
        _box((0.29, 0.42, 0.14), _GREEN, rounding=0.05),
        _box((0.22, 0.18, 0.05), _OLIVE, (0.0, -0.09, 0.09), rounding=0.02),
        *straps,
    ])  # fmt: skip


def bag() -> Mesh:
    """A handbag of 25 cm with a handle above it."""
    angles = torch.linspace(0, math.pi, 24)
    path = torch.stack([0.07 * angles.cos(), 0.115 + 0.11 * angles.sin(), 0 * angles], dim=1)
    return Mesh.cat([_box((0.28, 0.23, 0.09), _BROWN, rounding=0.025), _tube(path, 0.006, _BLACK)])


_BLUE, _BLACK, _SCREEN = (0.13, 0.35, 0.75), (0.07, 0.07, 0.08), (0.55, 0.75, 0.9)
_BAND, _BROWN, _GREEN, _OLIVE = (0.45, 0.08, 0.1), (0.33, 0.18, 0.09), (0.13, 0.33, 0.24), (0.3, 0.35, 0.2)
# From the rim over the ear: half of the glasses.
_TEMPLE = ((0.058, 0.006, 0.0), (0.068, 0.008, -0.004), (0.070, 0.008, -0.03), (0.075, 0.006, -0.10),
           (0.076, -0.010, -0.122))  # fmt: skip
# From the top of the pack over the shoulder and under the arm back to its foot: half of the straps.
_STRAP = ((0.07, 0.19, -0.05), (0.09, 0.265, -0.10), (0.105, 0.275, -0.19), (0.11, 0.21, -0.28), (0.12, 0.08, -0.325),
          (0.145, -0.05, -0.30), (0.17, -0.12, -0.18), (0.14, -0.17, -0.05))  # fmt: skip

BUILT_IN: dict[str, Callable[[], Mesh]] = {
    "cup": cup, "phone": phone, "hat": hat, "glasses": glasses, "backpack": backpack, "bag": bag,
}  # fmt: skip


def _grid(points: Float[Tensor, "rows columns 3"], color: Color) -> Mesh:
    """Two triangles in each cell of a sheet, whose front is at rows x columns."""
    rows, columns = points.shape[:2]
    index = torch.arange(rows * columns).view(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    faces = torch.cat([torch.stack(corners, dim=-1).flatten(0, 1) for corners in ((a, c, d), (a, b, c))])
    vertices = points.flatten(0, 1)
    keep = torch.linalg.cross(*(vertices[faces[:, k]] - vertices[faces[:, 0]] for k in (1, 2))).norm(dim=1) > 1e-12
    return Mesh(vertices, faces[keep], torch.tensor(color).repeat(len(vertices), 1))


def _revolved(profile: Sequence[tuple[float, float]], color: Color) -> Mesh:
    """A surface around the y axis: radius and height along its outline, the outside at the right of its course
    upwards."""
    turn = torch.linspace(0, 2 * math.pi, AROUND + 1)
    radius, height = torch.tensor(profile).T[:, :, None]
    around = torch.stack([radius * turn.sin(), height.expand(-1, AROUND + 1), radius * turn.cos()], dim=-1)
    return _grid(around.flip(0), color)


def _tube(path: Float[Tensor, "n 3"], radius: float, color: Color) -> Mesh:
    """A round bar along a path, open at its ends; a path of few points is rounded off."""
    while len(path) < 20:  # corner cutting (Chaikin 1974)
        inner = torch.stack([0.75 * path[:-1] + 0.25 * path[1:], 0.25 * path[:-1] + 0.75 * path[1:]], dim=1)
        path = torch.cat([path[:1], inner.flatten(0, 1)[1:-1], path[-1:]])
    along = F.normalize(torch.cat([path[1:2] - path[:1], path[2:] - path[:-2], path[-1:] - path[-2:-1]]), dim=1)
    side, sides = torch.linalg.cross(along[0], _most_across(along[0])), []
    for direction in along:  # carried along without twist
        side = F.normalize(side - (side @ direction) * direction, dim=0)
        sides.append(side)
    across = torch.stack(sides)
    above = torch.linalg.cross(along, across)
    turn = torch.linspace(0, 2 * math.pi, 13)[None, :, None]
    return _grid(path[:, None] + radius * (turn.cos() * across[:, None] + turn.sin() * above[:, None]), color)


def _most_across(direction: Float[Tensor, " 3"]) -> Float[Tensor, " 3"]:
    return torch.eye(3)[int(direction.abs().argmin())]


def _box(size: tuple[float, float, float], color: Color, middle: Color = (0, 0, 0), rounding: float = 0.0) -> Mesh:
    """A box, its edges rounded with a radius."""
    half, steps = torch.tensor(size) / 2, torch.linspace(-1, 1, 25)
    sides = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            u, v = torch.meshgrid(steps, steps, indexing="ij")
            sheet = torch.stack([torch.full_like(u, sign), u, v], dim=-1).roll(axis, -1) * half
            sides.append(_grid(sheet.flip(0) if sign > 0 else sheet, color))
    box = Mesh.cat(sides)
    inner = (half - rounding).clamp_min(0.0)
    core = torch.minimum(torch.maximum(box.vertices, -inner), inner)
    vertices = box.vertices
    if rounding:
        vertices = core + torch.minimum(half, torch.tensor(rounding)) * F.normalize(vertices - core, dim=1)
    return Mesh(vertices + torch.tensor(middle), box.faces, box.colors)
