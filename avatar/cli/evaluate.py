"""`avatar evaluate`: how good an avatar is on images it was not trained on."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from avatar.cli.options import Backend, Device, Run, Switch
from avatar.errors import UsageError
from avatar.pipeline.settings import ProtocolName, TruthName


def evaluate_avatar(
    run: Run,
    capture: Path | None = None,
    clip: str | None = None,
    dataset: Path | None = None,
    protocol: ProtocolName | TruthName | None = None,
    body: str | None = None,
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
        clip: clip of the capture that the run was trained on, if its source does not say; sequence and person of a
            dataset with true poses.
        dataset: folder of a public dataset, for a run made by `avatar create DATASET --protocol P`, or with true poses
            for a run made from a video of its images; see docs/manual/evaluate.md.
        protocol: publication whose split, resolution, background and LPIPS network are used, or dataset with true
            poses: bedlam, gtahuman, gtahuman2, voccl3d, freeman, adt.
        body: file of the body model of a dataset with true poses; by default the run's.
        fit_test_poses: first fit the test poses, and nothing else, to the test images, as some publications do.
        joints_alone: pose the avatar by the positions of a capture's true joints alone, without their T-pose and
            rotations.
        out: folder for evaluation.json and evaluation.html; by default the run folder.
        device: where to render; auto takes CUDA where it works.
        backend: renderer; auto takes gsplat on CUDA and cpu elsewhere.
    """
    if (dataset is None) != (protocol is None):
        raise UsageError("--dataset and --protocol go together.")
    if body is not None and protocol not in get_args(TruthName):
        raise UsageError("--body is for a dataset with true poses, whose body model it names.")
    if dataset is not None and protocol in get_args(TruthName):
        if capture is not None or fit_test_poses or joints_alone:
            raise UsageError("A dataset with true poses goes without --capture, --fit-test-poses and --joints-alone.")
        from avatar.evaluation.true_poses import evaluate_poses

        _, text = evaluate_poses(run, dataset, cast(TruthName, protocol), clip, body, out)
        print(text)
        print(f"report:  {(out or run) / 'evaluation.json'}")
        return
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
