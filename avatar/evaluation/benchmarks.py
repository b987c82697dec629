"""Evaluation on the test images of a public dataset, by the protocol of a publication."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from avatar.datasets.posed import DatasetFrame, PosedDataset
from avatar.datasets.protocols import protocol_named
from avatar.errors import AvatarError, UsageError
from avatar.evaluation.evaluate import score_and_write
from avatar.evaluation.pose_fitting import STEPS, fit_pose
from avatar.evaluation.scores import Scoring
from avatar.evaluation.targets import EvaluationTarget, Truth, view_angle
from avatar.io.images import to_float
from avatar.pipeline.finished_run import FinishedRun, open_run
from avatar.runtime.progress import progress


def evaluate_dataset(
    folder: Path,
    dataset: Path,
    protocol: str,
    fit_test_poses: bool = False,
    out: Path | None = None,
    backend: str = "auto",
    device: str = "cpu",
) -> tuple[dict[str, Any], str]:
    """Score a run that was trained on a dataset by a protocol; like `avatar.evaluation.evaluate.evaluate_run`.

    Raises:
        UsageError: the run was not trained by this protocol, or the dataset's folder is not there.
        AvatarError: files of the dataset are missing (each is named) or broken.
    """
    opened, rules = open_run(folder, device=device, props=False), protocol_named(protocol)
    if opened.config.get("protocol") != protocol:
        raise UsageError(
            f"{folder} was not trained by the protocol {protocol}: make a run by `avatar create {dataset} --protocol "
            f"{protocol} --body SMPL.pkl`, which excludes the test images."
        )
    if Path(str(opened.config["source"])).resolve().name != dataset.resolve().name:
        raise UsageError(f"{folder} was trained on {opened.config['source']}, which is not {dataset}.")
    divided = rules.read(dataset)
    targets = targets_of(opened, divided)
    skipped: list[str] = []
    if fit_test_poses:
        targets, skipped = _fitted(opened, targets, backend)
    settings = {
        "name": protocol,
        "test_poses_fitted": fit_test_poses,
        "dataset": rules.dataset,
        "split": rules.split,
        "resolution": rules.resolution,
        "background": rules.background,
        "lpips_net": rules.lpips,
        "poses": f"{divided.about_poses}; of instants that were trained on, as training corrected them",
        "published": f"test poses {rules.published}",
    }
    if fit_test_poses:
        settings["fitting"] = f"{STEPS} steps of Adam on each image's own pose"
    scoring = Scoring([rules.lpips], [rules.background], vgg_images=None)
    return score_and_write(opened, targets, skipped, settings, None, out or folder, backend, scoring)


def targets_of(opened: FinishedRun, dataset: PosedDataset) -> list[EvaluationTarget]:
    """The test images. Poses that occur in training keep the corrections that training made to them.

    Raises:
        UsageError: the run's body is not SMPL.
    """
    poses = dataset.poses.poses(opened.body)
    trained = {shot.frame: row for row, shot in enumerate(dataset.train)}
    targets = []
    for shot in dataset.test:
        row = trained.get(shot.frame)
        pose = poses[shot.pose] if row is None else opened.track.poses[int(opened.track.instant[row])]
        angle = view_angle(shot.camera, opened.cameras.T_camera_world[0], pose.root_position)
        group = "new poses" if row is None else "new views of seen poses"
        targets.append(EvaluationTarget(group, shot.name, pose, shot.camera, _truth(shot), angle))
    return targets


def _truth(shot: DatasetFrame) -> Truth:
    def read() -> tuple[Tensor, Tensor]:
        image, mask = (to_float(part) for part in shot.read())
        return image, mask

    return read


def _fitted(
    opened: FinishedRun, targets: list[EvaluationTarget], backend: str
) -> tuple[list[EvaluationTarget], list[str]]:
    fitted, skipped = [], []
    for target in progress(targets, "fitting test poses"):
        try:
            fitted.append(fit_pose(opened, target, backend))
        except AvatarError as error:
            skipped.append(f"{target.group}, {target.name}: {error}")
    return fitted, skipped
