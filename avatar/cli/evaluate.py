"""`avatar evaluate`: how good an avatar is on images it was not trained on."""

from __future__ import annotations

from pathlib import Path

from avatar.cli.options import Backend, Device, Run, Switch
from avatar.errors import UsageError
from avatar.pipeline.settings import ProtocolName


def evaluate_avatar(
    run: Run,
    capture: Path | None = None,
    clip: str | None = None,
    dataset: Path | None = None,
    protocol: ProtocolName | None = None,
    fit_test_poses: Switch = False,
    joints_alone: Switch = False,
    out: Path | None = None,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Measure an avatar on held-out frames, on a capture with ground truth, or on the test images of a public dataset.

    Args:
        run: run folder made by `avatar create`.
        capture: folder of a capture with ground truth (docs/formats/capture.md).
        clip: clip of the capture that the run was trained on, if its source does not say.
        dataset: folder of a public dataset, for a run made by `avatar create DATASET --protocol P`; see
            docs/manual/evaluate.md.
        protocol: publication whose split, resolution, background and LPIPS network are used.
        fit_test_poses: first fit the test poses, and nothing else, to the test images, as some publications do.
        joints_alone: pose the avatar by the positions of a capture's true joints alone, without their T-pose and
            rotations.
        out: folder for evaluation.json and evaluation.html; by default the run folder.
        device: where to render; auto takes CUDA where it works.
        backend: renderer; auto takes gsplat on CUDA and cpu elsewhere.
    """
    if (dataset is None) != (protocol is None):
        raise UsageError("--dataset and --protocol go together.")
    if dataset is not None and protocol is not None:
        if capture is not None or clip is not None:
            raise UsageError("Give either --capture or --dataset, not both.")
        if joints_alone:
            raise UsageError("--joints-alone is for --capture; a public dataset's poses are the body's own.")
        from avatar.evaluation.benchmarks import evaluate_dataset
        from avatar.rendering.devices import resolve_device

        where = resolve_device(device, backend)
        _, text = evaluate_dataset(run, dataset, protocol, fit_test_poses, out, backend, where)
    else:
        if fit_test_poses:
            raise UsageError(
                "--fit-test-poses is for --dataset with --protocol; elsewhere test poses are never fitted."
            )
        if joints_alone and capture is None:
            raise UsageError("--joints-alone is for --capture: held-out frames are not retargeted.")
        from avatar.evaluation.evaluate import evaluate_run
        from avatar.rendering.devices import resolve_device

        where = resolve_device(device, backend)
        _, text = evaluate_run(run, capture, clip, out, backend, joints_alone, where)
    print(text)
    folder = out or run
    print(f"report:  {folder / 'evaluation.json'}")
    print(f"images:  {folder / 'evaluation.html'}")
