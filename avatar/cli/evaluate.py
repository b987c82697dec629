"""`avatar evaluate`: how good an avatar is on pictures it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from avatar.errors import UsageError


def evaluate(
    run: Annotated[Path, tyro.conf.Positional],
    capture: Path | None = None,
    clip: str | None = None,
    dataset: Path | None = None,
    protocol: Literal["instantavatar", "gauhuman", "humannerf", "hugs", "exavatar"] | None = None,
    fit_test_poses: bool = False,
    joints_alone: bool = False,
    out: Path | None = None,
    backend: Literal["auto", "gsplat", "cpu", "reference"] = "auto",
) -> None:
    """Compare an avatar with the frames it left out, with a capture's truth, or with a public dataset's test pictures.

    Args:
        run: run folder made by `avatar create`.
        capture: folder of a capture with ground truth (docs/capture-format.md).
        clip: clip of the capture that the run was trained on, where its source does not say.
        dataset: folder of a public dataset, of a run made by `avatar create DATASET --protocol P` (docs/evaluation.md).
        protocol: whose split, resolution, background and LPIPS network.
        fit_test_poses: move the test poses, and nothing else, to fit the test pictures first, as some publications do.
        joints_alone: put the avatar into a capture's poses by the places of the true joints alone, though the capture
            tells their T-pose and rotations.
        out: where evaluation.json and evaluation.html go; the run folder if not given.
        backend: the renderer.
    """
    if (dataset is None) != (protocol is None):
        raise UsageError("--dataset and --protocol go together.")
    if dataset is not None and protocol is not None:
        if capture is not None or clip is not None:
            raise UsageError("Give either --capture or --dataset, not both.")
        if joints_alone:
            raise UsageError("--joints-alone is for --capture; a public dataset's poses are the body's own.")
        from avatar.evaluation.benchmarks import evaluate_dataset

        _, text = evaluate_dataset(run, dataset, protocol, fit_test_poses, out, backend)
    else:
        if fit_test_poses:
            raise UsageError(
                "--fit-test-poses is for --dataset with --protocol; elsewhere test poses are never fitted."
            )
        if joints_alone and capture is None:
            raise UsageError("--joints-alone is for --capture: frames that training left out are not driven.")
        from avatar.evaluation.evaluate import evaluate_run

        _, text = evaluate_run(run, capture, clip, out, backend, joints_alone)
    print(text)
    folder = out or run
    print(f"the numbers:  {folder / 'evaluation.json'}")
    print(f"the pictures: {folder / 'evaluation.html'}")
