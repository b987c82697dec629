"""Scores of images and of poses, one record each, and their means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import CaptureClip
from avatar.evaluation.alignment import Placement
from avatar.evaluation.comparison_strip import comparison_jpeg
from avatar.evaluation.ground_truth import HIPS, SCORED
from avatar.evaluation.targets import SIDE_DEGREES, EvaluationTarget, estimated_person
from avatar.geometry import procrustes
from avatar.metrics import images as metrics
from avatar.metrics import perceptual
from avatar.metrics import poses as pose_metrics
from avatar.metrics.detail import detail_scores
from avatar.pipeline.finished_run import FinishedRun
from avatar.rendering.renderer import render
from avatar.types import Cameras

BACKGROUNDS = {"white": 1.0, "black": 0.0}
NETS: tuple[perceptual.LpipsNet, ...] = ("alex", "vgg")
FEET = [SMPL_JOINTS.index("left_foot"), SMPL_JOINTS.index("right_foot")]


@dataclass(frozen=True)
class ScoredTarget:
    """A target with its scores, and a JPEG that compares it with the avatar (`strip`)."""

    target: EvaluationTarget
    scores: dict[str, float]
    strip: bytes


def lpips_reasons(nets: Sequence[perceptual.LpipsNet] = NETS) -> dict[perceptual.LpipsNet, str | None]:
    """For each network why it cannot be used here, or None."""
    reasons: dict[perceptual.LpipsNet, str | None] = {}
    for net in nets:
        try:
            perceptual.load_lpips(net)
            reasons[net] = None
        except perceptual.PerceptualUnavailable as error:
            reasons[net] = str(error)
    return reasons


@torch.no_grad()
def score_target(
    target: EvaluationTarget,
    opened: FinishedRun,
    backend: str,
    nets: Sequence[perceptual.LpipsNet],
    backgrounds: Sequence[str] = tuple(BACKGROUNDS),
) -> ScoredTarget:
    """Render one target and score it, composited over each background with its own coverage.

    Returns:
        Scores by name, such as `psnr_white` and `psnr_box_white`; those of the box are missing where the truth
        shows nobody.
    """
    device = opened.avatar.device
    rgb, alpha = target.truth()
    out = render(opened.avatar.pose(target.pose.to(device)), target.camera.to(device), backend)
    alpha_estimate = out.alpha[0].cpu().clamp(0, 1)
    scores = {"iou": metrics.alpha_iou(alpha_estimate, alpha)}
    box = metrics.person_box(alpha)
    pair: dict[str, tuple[Tensor, Tensor]] = {}
    for name in backgrounds:
        value = BACKGROUNDS[name]
        truth = rgb * alpha[..., None] + value * (1 - alpha[..., None])
        image = out.composite([value] * 3)[0].cpu().clamp(0, 1)
        pair[name] = (image, truth)
        # The networks take seconds per image; publications print LPIPS on one background.
        used = nets if name == backgrounds[0] else ()
        scores |= image_scores(image, truth, used, name)
        if box is not None:
            scores |= image_scores(image[box], truth[box], used, f"box_{name}")
    image, truth = pair["white"] if "white" in pair else next(iter(pair.values()))
    scores |= detail_scores(image, truth, alpha)
    if nets and box is not None and perceptual.weights_path().is_file():
        scores["dists_box"] = perceptual.dists(image[box], truth[box])
    return ScoredTarget(target, scores, comparison_jpeg(truth, image))


def image_scores(
    image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], nets: Sequence[perceptual.LpipsNet], label: str
) -> dict[str, float]:
    """PSNR, SSIM and LPIPS of one pair, named `psnr_LABEL` and so on."""
    scores = {f"psnr_{label}": metrics.psnr(image, truth), f"ssim_{label}": metrics.ssim(image, truth)}
    return scores | {f"lpips_{net}_{label}": perceptual.lpips(image, truth, net) for net in nets}


def group_means(scored: Sequence[ScoredTarget]) -> dict[str, dict[str, float]]:
    """Mean scores of each group, and of its parts nearer and farther than 90 degrees from the training camera."""
    groups: dict[str, list[ScoredTarget]] = {}
    for one in scored:
        groups.setdefault(one.target.group, []).append(one)
    parts: dict[str, list[ScoredTarget]] = {}
    for name, members in groups.items():
        parts[name] = members
        for side, within in (("within", True), ("beyond", False)):
            subset = [
                one for one in members if one.target.angle is not None and (one.target.angle <= SIDE_DEGREES) == within
            ]
            if 0 < len(subset) < len(members):
                parts[f"{name}, {side} {SIDE_DEGREES:.0f}°"] = subset
    return {name: _means([one.scores for one in members]) for name, members in parts.items()}


def _means(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Means over the records that have each number: what is missing is never counted as zero."""
    names = dict.fromkeys(name for record in scores for name in record)
    # The key keeps its first name, since scripts read it from evaluation.json.
    means: dict[str, float] = {"pictures": float(len(scores))}
    for name in names:
        values = [record[name] for record in scores if name in record]
        means[name] = sum(values) / len(values)
    return means


def pose_scores(opened: FinishedRun, clip: CaptureClip, placement: Placement) -> dict[str, Any]:
    """The run's poses against the true joints, in true metres, on the limbs, shoulders and neck.

    Distances are in millimetres, after aligning the middle of the hips (`mpjpe`) or after Procrustes
    (`pa_mpjpe`), both also with one constant offset per joint removed (`_offsets`), since skeletons differ.
    `size_after_scale` is the body's size relative to the true one once the depth is right: it differs from
    1 where the assumed focal length is wrong, which one scale cannot correct (`focal_ratio`: assumed by true). The
    principal point cannot be recovered from a video: other views are shifted by `principal_point_x_px` and `_y_px`
    (assumed minus true, in pixels of the true camera).
    """
    pairs = estimated_person(opened).frames_of(clip)
    frames, own = list(pairs), [int(opened.track.instant[i]) for i in pairs.values()]
    avatar = opened.avatar
    poses = avatar.body.complete(opened.track.poses[own])
    Ts = joint_transforms(avatar.rest.joints, avatar.body.parents, poses)[:, list(avatar.body.smpl_index)].clone()
    Ts[..., :3, 3] *= placement.scale
    truth = placement.points(clip.joints[frames]) * placement.scale
    estimated = Ts[..., :3, 3]
    depth = placement.T_run_camera[2, :3]
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
        "hips_depth_rms_mm": 1e3 * float((hips_off @ depth).square().mean().sqrt()),
        "acceleration_error_m_s2": float(
            pose_metrics.acceleration_error(estimated[:, chosen], truth[:, chosen], fps).mean()
        ) if len(frames) > 2 else None,
        "foot_sliding_mm_s": None if sliding is None else 1e3 * sliding,
        "true_foot_sliding_mm_s": None if true_sliding is None else 1e3 * true_sliding,
    }  # fmt: skip


def _relative_focal(cameras: Cameras) -> float:
    """Focal length of the first camera in widths of its image."""
    return float(cameras.K[0, 0, 0] / cameras.width)


def _axis_off(assumed: Cameras, true: Cameras) -> dict[str, float]:
    """How far the assumed principal point is from the true one, in pixels of the true camera."""
    scale = true.width / assumed.width
    off = scale * assumed.K[0, :2, 2] - true.K[0, :2, 2]
    return {"x": float(off[0]), "y": float(off[1])}
