"""Evaluation of a run: open, compare, write."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from avatar import __version__
from avatar.datasets.capture import Capture, CaptureClip, load_capture
from avatar.datasets.multicamera import is_multicamera, read_stations
from avatar.errors import UsageError
from avatar.evaluation.alignment import EstimatedPerson, Placement, align, moves
from avatar.evaluation.exposure import usual_exposure
from avatar.evaluation.joint_scores import pose_scores
from avatar.evaluation.limits import limits
from avatar.evaluation.multicamera import station_targets
from avatar.evaluation.plots import as_png, plot_evaluation
from avatar.evaluation.registration import registered, shift_in_pixels
from avatar.evaluation.report import joint_table, table, write_page
from avatar.evaluation.scores import ScoredTarget, Scoring, group_means, independent_networks, score_targets
from avatar.evaluation.targets import (
    EvaluationTarget,
    capture_targets,
    estimated_person,
    held_out_targets,
    training_targets,
)
from avatar.io.files import atomic_write, write_json
from avatar.pipeline.charts import svg
from avatar.pipeline.finished_run import FinishedRun, open_run
from avatar.pipeline.report_page import write_report_page
from avatar.runtime.progress import progress


def evaluate_run(
    folder: Path,
    capture: Path | None = None,
    clip: str | None = None,
    out: Path | None = None,
    backend: str = "auto",
    joints_alone: bool = False,
    device: str = "cpu",
) -> tuple[dict[str, Any], str]:
    """Score a run on its held-out frames and, where a capture is given, on its ground truth.

    Writes `evaluation.json`, `evaluation.html` and its plots as `evaluation.png` into `out`, by default the run folder.

    Args:
        capture: folder of a capture (`docs/formats/capture.md`); clip: which clip the run was trained on, needed only
            where the run's source does not lie in the capture; joints_alone: see `capture_targets`.
        device, backend: where and by which renderer.

    Returns:
        The content of the JSON file and the table to print.

    Raises:
        UsageError, AvatarError: see `open_run` and `load_capture`; or there is nothing to compare with.
    """
    opened = open_run(folder, device=device, props=False)
    if opened.config.get("edits"):
        raise UsageError(
            f"{folder} was edited, so that it no longer looks like its video: evaluate the avatar that it was made "
            f"from, {opened.config.get('edited_from')}."
        )
    if capture is not None and is_multicamera(capture):
        if joints_alone:
            raise UsageError(
                f"{capture} has fixed cameras and no held-out poses, so --joints-alone has nothing to retarget."
            )
        return evaluate_stations(opened, capture, clip, out or folder, backend)
    if capture is not None:
        return _evaluate_on_capture(opened, load_capture(capture), clip, out or folder, backend, joints_alone)
    targets, skipped = held_out_targets(opened, None)
    targets += training_targets(opened, None)
    protocol = {
        "name": "own",
        "test_poses_fitted": False,
        "masks_of_left_out_frames": "the run's own",
        "alignment": "none",
        "driving": "none",
    }
    return score_and_write(opened, targets, skipped, protocol, None, out or folder, backend)


def _evaluate_on_capture(
    opened: FinishedRun, truth: Capture, clip: str | None, out: Path, backend: str, joints_alone: bool
) -> tuple[dict[str, Any], str]:
    """Score a run on the images, joints and held-out poses of a capture; see `evaluate_run`."""
    trained_on = trained_clip(opened, truth, clip)
    targets, skipped = held_out_targets(opened, trained_on)
    targets += training_targets(opened, trained_on)
    person = estimated_person(opened)
    unaligned = align(person, trained_on)
    aligned = registered(opened, person, trained_on, unaligned, backend)
    for placement in (aligned, unaligned):
        more, more_skipped = capture_targets(
            opened, truth, trained_on, placement, joints_alone, aligned=placement is aligned
        )
        targets, skipped = targets + more, [*dict.fromkeys(skipped + more_skipped)]
    right, down = shift_in_pixels(aligned, person, trained_on.cameras[0]).tolist()
    joints = pose_scores(opened, trained_on, aligned) | {"shift_x_px": right, "shift_y_px": down}
    protocol = {
        "name": f"capture, trained on {trained_on.name}",
        "test_poses_fitted": False,
        "masks_of_left_out_frames": "ground truth",
        "alignment": _alignment(person, trained_on, aligned, right, down),
        "driving": _retargeting(truth, joints_alone),
    }
    return score_and_write(opened, targets, skipped, protocol, joints, out, backend)


def _alignment(person: EstimatedPerson, trained_on: CaptureClip, aligned: Placement, right: float, down: float) -> str:
    """How the run's world was brought onto the capture's, in words; the shift in pixels."""
    about = "the training camera"
    if moves(trained_on.cameras) or moves(person.cameras):
        about = "the training cameras of all frames (their mean rotation and the mean of their centres)"
    alignment = (
        f"one scale about {about}, from the limb joints; in rows that say so also one shift of the "
        f"whole clip onto the true silhouettes of the training camera, by {right:.1f} px to the right and "
        f"{down:.1f} px down at the person's depth"
    )
    if aligned.shift[2] != 0:
        alignment += f", and {1e3 * float(aligned.shift[2]):.0f} mm away from the first camera"
    if trained_on.exposure is not None:
        alignment += f"; true images brought to the clip's usual exposure ({usual_exposure(trained_on):.2f})"
    return alignment


def _retargeting(capture: Capture, joints_alone: bool) -> str:
    if not capture.skeletons:
        return "none"
    way = "inverse kinematics on the fitted body to the true joints"
    if joints_alone:
        return f"{way} alone"
    skeletons = capture.skeletons.values()
    way += ", whose offsets in its bones are calibrated on the training clip's true joints"
    if all(skeleton.rest_joints is not None for skeleton in skeletons):
        way += " and the true skeleton's T-pose"
    if all(skeleton.rotations is not None for skeleton in skeletons):
        way += ", held loosely to its rotations"
    return way


def evaluate_stations(
    opened: FinishedRun, folder: Path, clip: str | None, out: Path, backend: str
) -> tuple[dict[str, Any], str]:
    """Score a run trained on some of several fixed cameras on the images of the others; see `evaluate_run`."""
    stations = read_stations(folder)
    capture = Capture(folder, {name: station.clip for name, station in stations.items()})
    trained_on = trained_clip(opened, capture, clip)
    targets, skipped = held_out_targets(opened, None)
    placement = align(estimated_person(opened), trained_on)
    others = [Path(video).resolve() for video in opened.config.get("others", ())]
    for name, station in stations.items():
        if name != trained_on.name and station.clip.video.resolve() not in others:
            more, more_skipped = station_targets(opened, station, placement, out / f"observed_{name}")
            targets, skipped = targets + more, skipped + more_skipped
    protocol = {
        "name": f"cameras of {folder.name}, trained on {trained_on.name}",
        "test_poses_fitted": False,
        "masks": "estimated from each video, not ground truth",
        "alignment": "one scale about the training camera, from the limb joints",
    }
    return score_and_write(opened, targets, skipped, protocol, None, out, backend)


def score_and_write(
    opened: FinishedRun,
    targets: Sequence[EvaluationTarget],
    skipped: Sequence[str],
    protocol: dict[str, Any],
    joints: dict[str, Any] | None,
    out: Path,
    backend: str,
    scoring: Scoring | None = None,
) -> tuple[dict[str, Any], str]:
    """Score all targets and write the files; see `evaluate_run`."""
    usable, reasons = independent_networks(scoring or Scoring(), opened.config)
    scored: list[ScoredTarget] = []
    skipped = list(skipped)
    start, images = time.monotonic(), len({target.truth for target in targets})
    for ones, reason in progress(score_targets(targets, opened, backend, usable), "comparing", images):
        scored += ones
        skipped += reason
    order = {id(target): index for index, target in enumerate(targets)}
    scored.sort(key=lambda one: order[id(one.target)])
    if not scored:
        raise UsageError(f"Nothing to compare with: {'; '.join(skipped[:3]) or 'the run has no held-out frame'}.")
    means = group_means(scored)
    limited = limits(means)
    verdict = [] if limited is None else [limited.sentence()]
    text = "\n".join([_heading(protocol), table(means, reasons), *_poses(joints), *_skipped(skipped), *verdict])
    content = {
        "made_with": __version__,
        "run": opened.run.folder.name,
        "protocol": protocol,
        "lpips": {net: reason or "computed" for net, reason in reasons.items()},
        "means": means,
        "joints": joints,
        "limits": None if limited is None else asdict(limited) | {"sentence": limited.sentence()},
        "skipped": skipped,
        "seconds": round(time.monotonic() - start, 1),
        # The keys keep the words of the first version of this file, since scripts read them.
        "pictures": [
            {"group": one.target.group, "name": one.target.name, "angle": one.target.angle, **one.scores}
            for one in scored
        ],
    }
    write_json(out / "evaluation.json", content)
    figure = plot_evaluation(scored, means, opened.avatar, backend)
    with atomic_write(out / "evaluation.png") as temporary:
        temporary.write_bytes(as_png(figure))
    title, sentence = f"Evaluation of {opened.run.folder.name}", " ".join(verdict)
    write_page(out / "evaluation.html", title, text, svg(figure), scored, sentence)
    if opened.run.report.is_file() and opened.run.evaluation_page.is_file():
        write_report_page(opened.run)  # which now has this page as its last tab
    return content, text


def trained_clip(opened: FinishedRun, capture: Capture, name: str | None) -> CaptureClip:
    """The clip of a capture that a run was trained on.

    Raises:
        UsageError: the run's source is no clip of the capture and no name was given, or there is no such clip.
    """
    if name is not None:
        return capture.clip(name)
    source = Path(str(opened.config.get("source", ""))).resolve()
    for clip in capture.clips.values():
        if clip.video.resolve() == source:
            return clip
    raise UsageError(
        f"{opened.run.folder} was not trained on a clip of {capture.folder} according to its config: name the clip "
        f"with --clip ({', '.join(capture.clips)})."
    )


def _heading(protocol: dict[str, Any]) -> str:
    fitted = "fitted" if protocol["test_poses_fitted"] else "not fitted"
    rest = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in protocol.items() if name in PRINTED)
    return f"protocol: {protocol['name']}; test poses: {fitted}; {rest}"


PRINTED = (
    "dataset", "masks", "masks_of_left_out_frames",
    "alignment", "driving", "split", "resolution", "background", "lpips_net",
    "poses", "published",
)  # fmt: skip


def _poses(joints: dict[str, Any] | None) -> list[str]:
    if joints is None:
        return []
    values = ", ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}" for name, value in joints.items()
    )
    return [f"poses of the clip against the true joints: {values}", *joint_table(joints)]


def _skipped(skipped: Sequence[str]) -> list[str]:
    if not skipped:
        return []
    return [f"skipped and not counted: {len(skipped)}", *(f"  {line}" for line in skipped)]
