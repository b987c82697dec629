"""A prop as a file: one safetensors file with its splats, its mesh and its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from avatar import __version__
from avatar.errors import AvatarError
from avatar.io.files import atomic_write
from avatar.io.meshes import Mesh
from avatar.io.tensor_files import read_tensors
from avatar.model.props import Prop, Shape
from avatar.types import Gaussians

FORMAT = "avatar-prop-1"
SUFFIX = ".safetensors"
_SPLATS = {"means": 3, "quats": 4, "scales": 3, "opacities": 0, "colors": 3, "normals": 3}


def save_prop(prop: Prop, path: Path) -> None:
    """Write a prop, replacing the file in one step.

    Raises:
        AvatarError: it cannot be written.
    """
    from safetensors.torch import save

    shape = prop.shape
    tensors = {name: getattr(shape.gaussians, name) for name in _SPLATS if name != "normals"}
    tensors |= {"normals": shape.normals, "T_anchor_prop": prop.T_anchor_prop, "size": prop.size}
    if shape.mesh is not None:
        tensors |= {f"mesh.{name}": getattr(shape.mesh, name) for name in ("vertices", "faces", "colors")}
    header = {
        "format": FORMAT, "written_by": __version__, "place": prop.place, "worn": str(prop.worn),
    }  # fmt: skip
    content = save({name: value.detach().cpu().contiguous() for name, value in tensors.items()}, metadata=header)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def load_prop(path: Path) -> Prop:
    """Read a prop; its name is that of the file.

    Raises:
        UsageError: there is no such file. AvatarError: it is damaged or no prop.
    """
    header, tensors = read_tensors(path, "prop", FORMAT)
    count = len(tensors.get("means", ()))
    shapes = {name: (count, width) if width else (count,) for name, width in _SPLATS.items()}
    shapes |= {"T_anchor_prop": (4, 4), "size": (3,)}
    for name, shape in shapes.items():
        if name not in tensors or tuple(tensors[name].shape) != shape or not count:
            raise AvatarError(f"{path} is damaged: {name} is missing or of the wrong shape.")
    if any(not bool(torch.isfinite(value).all()) for value in tensors.values()):
        raise AvatarError(f"{path} is damaged: it holds values that are not finite.")
    if {"place", "worn"} - header.keys() or not bool((tensors["size"] > 0).all()):
        raise AvatarError(f"{path} is damaged: it does not say where the prop goes.")
    gaussians = Gaussians(*(tensors[name] for name in _SPLATS if name != "normals"))
    shape_of = Shape(gaussians, tensors["normals"], _mesh(path, tensors))
    return Prop(
        path.stem, shape_of, header["place"], tensors["T_anchor_prop"], tensors["size"], header["worn"] == "True"
    )  # fmt: skip


def _mesh(path: Path, tensors: dict[str, Tensor]) -> Mesh | None:
    parts = [tensors.get(f"mesh.{name}") for name in ("vertices", "faces", "colors")]
    vertices, faces, colors = parts
    if vertices is None or faces is None or colors is None:
        return None
    fits = vertices.shape == colors.shape and vertices.shape[1:] == faces.shape[1:] == (3,)
    if not fits or faces.dtype != torch.int64 or int(faces.min()) < 0 or int(faces.max()) >= len(vertices):
        raise AvatarError(f"{path} is damaged: its mesh does not fit together.")
    return Mesh(vertices, faces, colors)


@dataclass(frozen=True)
class PropFolder:
    """The props of a run, one file each.

    Attributes:
        folder: where they lie; it need not exist.
    """

    folder: Path

    def names(self) -> list[str]:
        """Their names, in alphabetical order."""
        return sorted(path.stem for path in self.folder.glob(f"*{SUFFIX}") if not path.name.startswith("."))

    def path(self, name: str) -> Path:
        """The file of a prop."""
        return self.folder / f"{name}{SUFFIX}"

    def load(self) -> tuple[Prop, ...]:
        """All of them.

        Raises:
            AvatarError: a file is damaged or no prop.
        """
        props = []
        for name in self.names():
            try:
                props.append(load_prop(self.path(name)))
            except AvatarError as error:
                raise AvatarError(
                    f"{error} To go on without it: avatar prop {self.folder.parent} remove {name}"
                ) from error
        return tuple(props)
