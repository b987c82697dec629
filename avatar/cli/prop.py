"""`avatar prop`: what the person wears and holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from avatar.cli.options import Run, Up
from avatar.errors import UsageError

if TYPE_CHECKING:
    from avatar.model.prop_file import PropFolder
    from avatar.model.props import Prop

Action = Annotated[Literal["add", "list", "remove"], tyro.conf.Positional]


def change_props(
    run: Run,
    action: Action = "list",
    what: Annotated[
        str | None, tyro.conf.Positional, tyro.conf.arg(metavar="FILE|NAME", help_behavior_hint="(optional)")
    ] = None,
    to: str | None = None,
    preset: Literal["cup", "phone", "bag", "hat", "glasses", "backpack"] | None = None,
    name: str | None = None,
    scale: float | None = None,
    up: Up = "y",
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0),
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0),
    body: str | None = None,
) -> None:
    """Put things into the hands and on the body of an avatar. They are kept in the run and shown everywhere.

    Args:
        run: run folder made by `avatar create`.
        action: add a thing, list them, or remove one.
        what: the file of what is added: a mesh (.glb, .gltf, .obj, .ply) or splats (.ply, .splat, .spz, .sog,
            .ksplat); without a file --preset takes a simple thing of the program's own. Or the name of what is removed.
        to: where it goes: right_hand, left_hand, head, face, back, or a joint such as left_ankle. By default where its
            preset goes. Fingers close on what is in a hand.
        preset: what kind of thing it is, by which it is sized and placed.
        name: what it will be called; by default as its file.
        scale: metres per unit of the file; by default a unit is a metre, or what suits the preset.
        up: the axis that points up in the file; its front is +z.
        turn: degrees about its own x, y and z axes, before it is placed.
        offset: metres by which it is moved from there. In a hand: towards or from the wrist, towards the thumb, out of
            the palm. On the head and face: left, up, forward. On the back: right, up, away from the back.
        body: path of the body file, if it has moved since the avatar was made.
    """
    from avatar.model.prop_file import PropFolder
    from avatar.pipeline.run_folder import RunFolder

    place = RunFolder(run)
    place.require_avatar()
    folder = PropFolder(place.props)
    if scale is not None and not 0 < scale < 1e6:
        raise UsageError(f"--scale must be above 0, not {scale:g}.")
    if action == "list":
        if what is not None:
            raise UsageError("list takes nothing more; add takes a file, and remove takes a name.")
        _list(run, folder)
    elif action == "remove":
        from avatar.pipeline.props import remove_prop

        if what is None:
            raise UsageError("Pass the name of what is removed; `list` shows the names.")
        remove_prop(folder, what)
        print(f"removed: {what}")
    else:
        from avatar.model.prop_fit import Adjustment
        from avatar.pipeline.finished_run import open_run
        from avatar.pipeline.props import make_prop

        avatar = open_run(run, body, props=False).avatar
        file = None if what is None else Path(what)
        prop, notes = make_prop(avatar, folder.names(), file, preset, to, name, Adjustment(scale, turn, offset), up)
        _add(prop, notes, folder)


def _list(run: Path, folder: PropFolder) -> None:
    for prop in folder.load():
        low, high = (getattr(prop.shape.gaussians.means, end)(0) for end in ("amin", "amax"))
        size = " x ".join(f"{100 * side:.0f}" for side in (high - low).tolist())
        print(f"{prop.name:16} {prop.place:12} {size} cm, {len(prop.shape.gaussians)} splats")
    if not folder.names():
        print(f"nothing yet: avatar prop {run} add --preset hat")


def _add(prop: Prop, notes: Sequence[str], folder: PropFolder) -> None:
    from avatar.model.prop_file import save_prop

    save_prop(prop, folder.path(prop.name))
    for note in notes:
        print(f"note: {note}")
    print(f"added: {prop.name}, {len(prop.shape.gaussians)} splats at {prop.place}  ({folder.path(prop.name)})")
