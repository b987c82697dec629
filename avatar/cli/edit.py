"""`avatar edit`: other colours, other clothes, another head, as an avatar of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from avatar.cli.options import Backend, Device, Run, Switch


def edit_avatar(
    run: Run,
    out: Path | None = None,
    recolor: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--recolour"], help_behavior_hint="(optional)")] = (),
    wear: tuple[str, ...] = (),
    head: Path | None = None,
    face: Path | None = None,
    text: tuple[str, ...] = (),
    model: str | None = None,
    overwrite: Switch = False,
    body: str | None = None,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Make an edited copy of an avatar; the avatar itself stays as it is. The edits: docs/manual/edit.md.

    Args:
        run: run folder made by `avatar create`.
        out: the new run folder; by default RUN-edited.
        recolor: LABEL=COLOUR, such as top=#2050b0 hair=saddlebrown. Labels are skin, face, hair, top, bottom and shoes;
            colours are #RRGGBB or names of CSS. Prints and folds stay.
        wear: OTHER:CLOTHES, such as runs/you:top,shoes: clothes (top, bottom, shoes) of another avatar, on this body.
        head: run folder of another avatar, whose head and hair this body gets.
        face: photo of a face from the front, which the avatar gets in its own tone of skin.
        text: clothes in words, such as "a leather jacket" or "bottom=red corduroy": an image-editing pipeline of
            diffusers repaints 8 views, and the garment takes the colours; its shape stays (needs the extra "views").
        model: the pipeline for --text: a folder with weights, or a name on the Hugging Face hub.
        overwrite: replace an older run in --out.
        body: path of the body file, if it has moved since the avatars were made.
        device: where the turntable is rendered; auto takes CUDA where it works.
        backend: renderer of the turntable.
    """
    from avatar.pipeline.edit import Edits, edit_run
    from avatar.rendering.devices import resolve_device

    named = run if run.name else run.resolve()  # "." has no name
    target = out or named.with_name(f"{named.name}-edited")
    edits = Edits(wear, head, face, text, model, recolor)
    done = edit_run(run, edits, target, overwrite, body, resolve_device(device, backend), backend)
    for edit in done:
        print(f"edited:  {edit['sentence']}")
    print(f"avatar:  {target}")
    print(f"look:    avatar view {target}")
