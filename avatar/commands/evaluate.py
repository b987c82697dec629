"""`avatar evaluate`: how good an avatar is on pictures it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro


def evaluate(
    run: Annotated[Path, tyro.conf.Positional],
    capture: Path | None = None,
    clip: str | None = None,
    out: Path | None = None,
    backend: Literal["auto", "gsplat", "cpu", "reference"] = "auto",
) -> None:
    """Compare an avatar with the frames it left out, or with a capture's truth.

    Args:
        run: run folder made by `avatar create`.
        capture: folder of a capture with ground truth (docs/capture-format.md).
        clip: clip of the capture that the run was trained on, where its source does not say.
        out: where evaluation.json and evaluation.html go; the run folder if not given.
        backend: the renderer.
    """
    from avatar.evaluate.run import evaluate_run

    _, text = evaluate_run(run, capture, clip, out, backend)
    print(text)
    folder = out or run
    print(f"the numbers:  {folder / 'evaluation.json'}")
    print(f"the pictures: {folder / 'evaluation.html'}")
