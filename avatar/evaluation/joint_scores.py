"""Scores of a run's poses against true joints."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import CaptureClip
from avatar.evaluation.alignment import Placement
from avatar.evaluation.camera_scores import camera_scores
from avatar.evaluation.ground_truth import HIPS, LIMBS, SCORED
from avatar.evaluation.targets import estimated_person
from avatar.geometry import procrustes
from avatar.metrics import poses as pose_metrics
from avatar.pipeline.finished_run import FinishedRun
from avatar.types import Cameras

FEET = [SMPL_JOINTS.index("left_foot"), SMPL_JOINTS.index("right_foot")]


def pose_scores(opened: FinishedRun, clip: CaptureClip, placement: Placement) -> dict[str, Any]:
    """The run's poses against the true joints, in true metres, on the limbs, shoulders and neck.

    Distances are in millimetres, after aligning the middle of the hips (`mpjpe`) or after Procrustes
    (`pa_mpjpe`), both also with one constant offset per joint removed (`_offsets`), since skeletons differ.
    `joints_along_rms_mm` and `joints_across_rms_mm` are the limb joints' errors about their common middle, along the
    optical axis of the training camera and across it (per axis). `middle_along_rms_mm` and `middle_across_rms_mm` are
    the errors of that middle.
    `size_after_scale` is the body's size relative to the true one once the depth is right: it differs from
    1 where the assumed focal length is wrong, which one scale cannot correct (`focal_ratio`: assumed by true). The
    principal point cannot be recovered from a video: other views are shifted by `principal_point_x_px` and `_y_px`
    (assumed minus true, in pixels of the true camera).
    """
    person = estimated_person(opened)
    pairs = person.frames_of(clip)
    frames, own = list(pairs), [int(opened.track.instant[i]) for i in pairs.values()]
    body = opened.body
    poses = body.complete(opened.track.poses[own])
    Ts = joint_transforms(opened.rest.joints, body.parents, poses)[:, list(body.smpl_index)].clone()
    Ts[..., :3, 3] *= placement.scale
    truth = placement.points(clip.joints[frames]) * placement.scale
    estimated = Ts[..., :3, 3]
    R_camera_run = opened.cameras.T_camera_world[list(pairs.values()), :3, :3]
    limbs = (estimated[:, list(LIMBS)] - truth[:, list(LIMBS)]) @ R_camera_run.mT
    middle = limbs.mean(1)
    hips_off = (estimated[:, list(HIPS)] - truth[:, list(HIPS)]).mean(1)
    centred = Ts.clone()
    centred[..., :3, 3] -= hips_off[:, None]
    offset = pose_metrics.with_constant_offsets(centred, truth)
    chosen, hips = list(SCORED), [SCORED.index(hip) for hip in HIPS]
    fps = (len(frames) - 1) / max(float(clip.times[frames[-1]] - clip.times[frames[0]]), 1e-6)
    contact = pose_metrics.standing(truth[:, FEET], fps)
    sliding = pose_metrics.foot_sliding(estimated[:, FEET], contact, fps)
    true_sliding = pose_metrics.foot_sliding(truth[:, FEET], contact, fps)
    return {
        "frames": len(frames),
        "scale": placement.scale,
        "size_after_scale": float(procrustes(truth[:, chosen], estimated[:, chosen])[0].mean()),
        "focal_ratio": _relative_focal(opened.cameras) / _relative_focal(clip.cameras),
        **{f"principal_point_{axis}_px": value for axis, value in _axis_off(opened.cameras, clip.cameras).items()},
        "mpjpe_mm": 1e3 * float(pose_metrics.mpjpe(estimated[:, chosen], truth[:, chosen], hips).mean()),
        "pa_mpjpe_mm": 1e3 * float(pose_metrics.pa_mpjpe(estimated[:, chosen], truth[:, chosen]).mean()),
        "mpjpe_offsets_mm": 1e3 * float(pose_metrics.mpjpe(offset[:, chosen], truth[:, chosen], hips).mean()),
        "pa_mpjpe_offsets_mm": 1e3 * float(pose_metrics.pa_mpjpe(offset[:, chosen], truth[:, chosen]).mean()),
        **_along_and_across("joints", limbs - middle[:, None]),
        **_along_and_across("middle", middle),
        "hips_depth_rms_mm": 1e3 * float((hips_off * R_camera_run[:, 2]).sum(-1).square().mean().sqrt()),
        "acceleration_error_m_s2": float(
            pose_metrics.acceleration_error(estimated[:, chosen], truth[:, chosen], fps).mean()
        ) if len(frames) > 2 else None,
        "foot_sliding_mm_s": None if sliding is None else 1e3 * sliding,
        "true_foot_sliding_mm_s": None if true_sliding is None else 1e3 * true_sliding,
        **camera_scores(person, clip, placement),
    }  # fmt: skip


def _along_and_across(name: str, errors: Float[Tensor, "*b 3"]) -> dict[str, float]:
    """Root mean squares along the view and across it (per axis), mm, of errors in metres in camera axes."""
    x, y, z = errors.square().flatten(0, -2).mean(0).tolist()
    return {f"{name}_along_rms_mm": 1e3 * z**0.5, f"{name}_across_rms_mm": 1e3 * ((x + y) / 2) ** 0.5}


def _relative_focal(cameras: Cameras) -> float:
    """Focal length of the first camera in widths of its image."""
    return float(cameras.K[0, 0, 0] / cameras.width)


def _axis_off(assumed: Cameras, true: Cameras) -> dict[str, float]:
    """How far the assumed principal point is from the true one, in pixels of the true camera."""
    scale = true.width / assumed.width
    off = scale * assumed.K[0, :2, 2] - true.K[0, :2, 2]
    return {"x": float(off[0]), "y": float(off[1])}
