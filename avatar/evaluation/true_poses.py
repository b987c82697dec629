"""The tracked poses of a run against the true poses of a data set: MPJPE, PVE and both after Procrustes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar import __version__
from avatar.body import Body, load_body
from avatar.body.skinning import joint_transforms
from avatar.datasets.protocols import TRUTHS, TruthName
from avatar.datasets.truth import PoseTruth
from avatar.errors import UsageError
from avatar.evaluation.ground_truth import HIPS, SCORED
from avatar.geometry import transform
from avatar.io.files import write_json
from avatar.io.videos import open_video
from avatar.metrics import poses as pose_metrics
from avatar.pipeline.finished_run import FinishedRun, open_run
from avatar.types import BodyPose


@dataclass(frozen=True)
class _Posed:
    """A body in some poses, in the axes of each frame's camera."""

    joints: Float[Tensor, "t 24 3"]
    vertices: Float[Tensor, "t v 3"] | None = None


def evaluate_poses(
    folder: Path,
    dataset: Path,
    name: TruthName,
    clip: str | None = None,
    body: str | None = None,
    out: Path | None = None,
) -> tuple[dict[str, Any], str]:
    """Compare the poses of a run, made from the images of a sequence as a video, with the true ones.

    Writes `evaluation.json` into `out`, by default the run folder.

    Args:
        clip: which sequence, and which person; body: file of the data set's body model, by default the run's body.

    Returns:
        The content of the JSON file and the table to print.

    Raises:
        UsageError: the run was not made from a video that is still there, the sequence is not in the data set, the body
            is not the data set's, or no frame of the run has a true pose.
        AvatarError: files are missing or broken.
    """
    opened = open_run(folder, props=False)
    truth = TRUTHS[name].read(dataset, clip)
    rows, frames, times = paired(opened, truth)
    estimated, model = _estimated(opened, frames), opened.body if body is None else load_body(body)
    true = _true(truth, rows, model)
    reason = _other_mesh(opened.body, model, truth)
    scores = pose_errors(estimated, true, times, truth.in_camera, vertices=reason is None)
    notes = [*truth.notes, *([] if reason is None else [reason])]
    if not truth.in_camera:
        notes.append("the data set tells no camera, so that errors are after Procrustes alone")
    protocol = {"name": name, "dataset": TRUTHS[name].dataset, "sequence": truth.name, "notes": notes}
    joints = {"frames": len(rows), **scores}
    content = {"made_with": __version__, "run": opened.run.folder.name, "protocol": protocol, "joints": joints}
    write_json((out or folder) / "evaluation.json", content)
    lines = [f"{TRUTHS[name].dataset}, {truth.name}: {len(rows)} frames of {len(truth.frames)} with a true pose"]
    lines += [f"  {key:24} {value:.1f}" for key, value in scores.items()]
    return content, "\n".join([*lines, *(f"note: {note}" for note in notes)])


def paired(opened: FinishedRun, truth: PoseTruth) -> tuple[list[int], list[int], Float[Tensor, " t"]]:
    """Rows of the truth, frames of the run that show the same, and their times in seconds.

    Raises:
        UsageError: the run's video is not there, or no frame has a true pose.
    """
    if opened.config.get("protocol") is not None:
        raise UsageError(
            f"{opened.run.folder} has the poses of a data set, so that there is nothing to measure: make a run from "
            "the images as a video, by avatar create VIDEO."
        )
    observations, video = opened.observations(), Path(str(opened.config["source"]))
    if not video.is_file():
        raise UsageError(f"There is no file {video}, from which the run was made and which tells its frames.")
    shown: Int[np.ndarray, " n"] = replace(open_video(video), start=observations.start).indices(
        observations.times.double().numpy()
    )
    rows = {int(frame): row for row, frame in enumerate(truth.frames)}
    pairs = [(rows[int(frame)], index) for index, frame in enumerate(shown) if int(frame) in rows]
    if not pairs:
        raise UsageError(
            f"No frame of {opened.run.folder} has a true pose: they are of frames {truth.frames[0]} to "
            f"{truth.frames[-1]} of the sequence, and the run shows {shown.min()} to {shown.max()} of its video."
        )
    chosen, frames = (list(part) for part in zip(*pairs, strict=True))
    return chosen, frames, observations.times[frames]


def pose_errors(
    estimated: _Posed, true: _Posed, times: Float[Tensor, " t"], in_camera: bool, vertices: bool
) -> dict[str, float]:
    """Errors in millimetres, of the limb joints and the neck that the truth has, and of the vertices.

    MPJPE is after aligning the middle of the hips, PVE the pelvis. Acceleration is in m/s^2, in the camera's axes.
    """
    known = [joint for joint in SCORED if bool(true.joints[:, joint].isfinite().all())]
    hips = [known.index(hip) for hip in HIPS]
    own, joints = estimated.joints[:, known], true.joints[:, known]
    scores = {"pa_mpjpe_mm": 1e3 * float(pose_metrics.pa_mpjpe(own, joints).mean())}
    if in_camera:
        scores["mpjpe_mm"] = 1e3 * float(pose_metrics.mpjpe(own, joints, hips).mean())
        even = len(times) > 2 and float(times.diff().max()) < 1.5 * float(times.diff().min())
        if even:
            centred, wanted = (x - x[:, hips].mean(1, keepdim=True) for x in (own, joints))
            fps = 1 / float(times.diff().mean())
            scores["acceleration_error_m_s2"] = float(pose_metrics.acceleration_error(centred, wanted, fps).mean())
    if vertices and estimated.vertices is not None and true.vertices is not None:
        mine, theirs = estimated.vertices, true.vertices
        scores["pve_mm"] = 1e3 * float(pose_metrics.pve(mine, theirs, estimated.joints[:, 0], true.joints[:, 0]).mean())
        scores["pa_pve_mm"] = 1e3 * float(pose_metrics.pa_mpjpe(mine, theirs).mean())
    return scores


def _estimated(opened: FinishedRun, frames: list[int]) -> _Posed:
    poses = opened.track.poses[opened.track.instant[frames].tolist()]
    posed = _posed(opened.body, opened.track.betas, poses)
    Ts = opened.cameras.T_camera_world[frames]
    assert posed.vertices is not None
    return _Posed(transform(Ts, posed.joints), transform(Ts, posed.vertices))


def _true(truth: PoseTruth, rows: list[int], body: Body) -> _Posed:
    if truth.smpl is None:
        assert truth.joints is not None
        return _Posed(truth.joints[rows])
    poses = truth.smpl[rows]
    return _posed(body, poses.shape(body), poses.poses_in(body, torch.eye(3)))


def _posed(body: Body, betas: Float[Tensor, " s"], poses: BodyPose) -> _Posed:
    rest, playing = body.rest(betas), body.playing(poses)
    joints = rest.joints if playing is body else playing.joint_regressor @ rest.vertices
    Ts = joint_transforms(joints, playing.parents, playing.complete(poses))
    return _Posed(Ts[:, list(playing.smpl_index), :3, 3], body.vertices(rest, poses))


def _other_mesh(own: Body, model: Body, truth: PoseTruth) -> str | None:
    """Why vertices cannot be compared; None where they can."""
    if truth.smpl is None:
        return "the data set has joints and no body, so that there is no PVE"
    if own.faces.shape != model.faces.shape or not torch.equal(own.faces, model.faces):
        return f"the run's body, {own.name}, has other vertices than {model.name}, so that there is no PVE"
    return None
