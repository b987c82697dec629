"""Meshes of other programs (GLB, glTF, OBJ, PLY), as triangles with a colour at each corner, read by trimesh."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.io.exposure import srgb
from avatar.io.files import MOST_BYTES, require_file

MESH_SUFFIXES = (".glb", ".gltf", ".obj", ".ply")
# Triangles are divided until a texture is sampled this finely, over the longest side of the mesh.
_TEXTURE_STEPS = 120
_MOST_FACES = 300_000
_GREY = 0.7
FARTHEST = 1e9  # units; beyond that areas overflow


@dataclass(frozen=True)
class Mesh:
    """Coloured triangles.

    Attributes:
        vertices: metres.
        faces: counter-clockwise seen from outside.
        colors: of the vertices, sRGB in [0, 1].
    """

    vertices: Float[Tensor, "v 3"]
    faces: Int[Tensor, "f 3"]
    colors: Float[Tensor, "v 3"]

    @staticmethod
    def cat(parts: list[Mesh]) -> Mesh:
        """All of these together; at least one."""
        starts = np.cumsum([0, *(len(part.vertices) for part in parts)]).tolist()
        return Mesh(
            torch.cat([part.vertices for part in parts]),
            torch.cat([part.faces + start for part, start in zip(parts, starts, strict=False)]),
            torch.cat([part.colors for part in parts]),
        )

    def stretched(self, factors: Float[Tensor, " 3"]) -> Mesh:
        """The same mesh, larger by a factor along each axis."""
        return replace(self, vertices=self.vertices * factors)


def read_mesh(path: Path) -> Mesh:
    """All meshes of a file in one, in the axes and units of the file. Textures become colours of finer triangles.

    Raises:
        UsageError: there is no such file.
        AvatarError: it is broken or holds no triangles.
    """
    require_file(path)
    import trimesh

    if path.stat().st_size > MOST_BYTES:
        raise AvatarError(f"{path} is too large: {path.stat().st_size / 1e9:.3g} GB.")
    try:
        with np.errstate(all="ignore"):  # what is not finite is refused below
            scene = trimesh.load_scene(str(path), process=False)
        parts = []
        for node in scene.graph.nodes_geometry:
            T, name = scene.graph[node]
            geometry = scene.geometry[name]
            if isinstance(geometry, trimesh.Trimesh) and len(geometry.faces):
                parts.append(_part(geometry.copy().apply_transform(T), path.suffix.lower() in (".glb", ".gltf")))
    except Exception as error:  # trimesh raises whatever its parsers stumble over
        raise AvatarError(f"{path} is not a readable mesh: {short_message(error)}.") from error
    if not parts:
        raise AvatarError(f"{path} holds no triangles: give a mesh, or splats.")
    return Mesh.cat(parts)


def _part(geometry: Any, linear: bool) -> Mesh:
    """One mesh of trimesh; `linear`: colours that are no texture are linear light, as glTF's are."""
    faces, places = np.asarray(geometry.faces), np.asarray(geometry.vertices)
    if faces.min() < 0 or faces.max() >= len(places):
        raise ValueError("it refers to vertices that it does not have")
    if not (np.abs(places) < FARTHEST).all():  # nor are they NaN
        raise ValueError("its vertices are not finite")
    textured = getattr(getattr(geometry.visual, "material", None), "baseColorTexture", None) is not None or (
        getattr(getattr(geometry.visual, "material", None), "image", None) is not None
    )
    if textured and geometry.visual.uv is not None:
        longest = float(max(geometry.extents))
        while len(geometry.faces) < _MOST_FACES / 4 and geometry.edges_unique_length.max() > longest / _TEXTURE_STEPS:
            geometry = geometry.subdivide()
    else:
        textured = False
    colors = _GREY * np.ones((len(geometry.vertices), 3))
    if geometry.visual.defined:
        visual = geometry.visual if geometry.visual.kind in ("vertex", "face") else geometry.visual.to_color()
        if geometry.visual.kind is not None:
            colors = np.broadcast_to(visual.vertex_colors[..., :3] / 255.0, colors.shape)
            colors = srgb(colors) if linear and not textured else colors
    return Mesh(
        torch.tensor(np.asarray(geometry.vertices), dtype=torch.float32),
        torch.tensor(np.asarray(geometry.faces), dtype=torch.int64),
        torch.tensor(np.array(colors), dtype=torch.float32),
    )
