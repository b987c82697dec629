"""What the person of a run wears and holds: read from files of other programs, placed, kept beside the avatar."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

from avatar.errors import UsageError
from avatar.exporters.splats import Orientation, Up
from avatar.io.meshes import MESH_SUFFIXES, read_mesh
from avatar.io.splat_files import PACKED_FORMATS, is_splat_file, read_splats
from avatar.model.avatar import Avatar
from avatar.model.prop_file import PropFolder, save_prop
from avatar.model.prop_fit import Adjustment, fit_prop
from avatar.model.prop_shapes import BUILT_IN
from avatar.model.props import Prop, Shape

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}"


def read_shape(path: Path, up: Up = "y") -> Shape:
    """A thing from a file of a mesh or of splats, in the units of the file, turned so that y is up.

    Raises:
        UsageError: there is no such file, or its format is not read.
        AvatarError: it is broken, or needs a package that is not installed.
    """
    if is_splat_file(path):
        shape = Shape.of_splats(read_splats(path))
    elif path.suffix.lower() in MESH_SUFFIXES:
        shape = Shape.of_mesh(read_mesh(path))
    else:
        kinds = ", ".join((*MESH_SUFFIXES, *(f".{kind}" for kind in PACKED_FORMATS)))
        raise UsageError(f"{path.name} is no mesh and no file of splats that is read here: give {kinds}.")
    return shape.moved(Orientation(up).from_file)


def make_prop(
    avatar: Avatar,
    taken: Collection[str],
    file: Path | None,
    preset: str | None,
    place: str | None,
    name: str | None,
    adjustment: Adjustment,
    up: Up = "y",
) -> tuple[Prop, list[str]]:
    """Read a thing from a file, or make a simple one, and place it on an avatar.

    Args:
        taken: names of the props that there are.
        file: of a mesh or of splats; None: the built-in thing of this preset.
        name: what it will be called; None: as its file or preset, with a number if that is taken.

    Returns:
        The prop, and what the user should know, one sentence each.

    Raises:
        UsageError: an option makes no sense, or the name is taken.
        AvatarError: the file is broken.
    """
    chosen = _free_name(taken, name, file.stem if file is not None else str(preset))
    if file is None:
        if preset not in BUILT_IN:
            raise UsageError("Pass a file, such as cup.glb, or --preset for a thing that the program has: "
                             f"{', '.join(BUILT_IN)}.")  # fmt: skip
        shape = Shape.of_mesh(BUILT_IN[preset]())
    else:
        shape = read_shape(file, up)
    return fit_prop(avatar, shape, chosen, preset, place, adjustment)


def keep_props(folder: PropFolder, props: Sequence[Prop]) -> None:
    """Let the files of a folder be those of these props, and no others.

    Raises:
        AvatarError: a file cannot be written.
    """
    for prop in props:
        save_prop(prop, folder.path(prop.name))
    for name in set(folder.names()) - {prop.name for prop in props}:
        folder.path(name).unlink()


def _free_name(taken: Collection[str], name: str | None, base: str) -> str:
    if name is not None:
        if not re.fullmatch(NAME, name):
            raise UsageError(f"--name must be letters, digits, - and _, at most 40 of them, not {name!r}.")
        if name in taken:
            raise UsageError(f"There is already a prop called {name}: remove it first, or give another --name.")
        return name
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", base).strip("-_")[:32] or "prop"
    names, number = [plain, *(f"{plain}-{number}" for number in range(2, 1000))], 0
    while names[number] in taken:
        number += 1
    return names[number]


def remove_prop(folder: PropFolder, name: str) -> None:
    """Delete a prop's file.

    Raises:
        UsageError: there is no such prop.
    """
    if name not in folder.names():
        there = f"has {', '.join(folder.names())}" if folder.names() else "has no props"
        raise UsageError(f"There is no prop called {name!r}: the avatar {there}.")
    folder.path(name).unlink()
