"""Scores of images, one record each, and their means."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError
from avatar.evaluation.body_error import errors_on_body
from avatar.evaluation.comparison_strip import comparison_jpeg
from avatar.evaluation.regions import BodyView, body_view, region_scores
from avatar.evaluation.surface import surface_errors
from avatar.evaluation.targets import SIDE_DEGREES, TRAINING_GROUP, EvaluationTarget, Truth
from avatar.metrics import images as metrics
from avatar.metrics import perceptual
from avatar.metrics.detail import SIGMAS, detail_scores, interior
from avatar.metrics.misplacement import local_shift, noise_share
from avatar.pipeline.finished_run import FinishedRun
from avatar.rendering.renderer import render
from avatar.runtime.thread_map import map_in_threads
from avatar.types import RenderOutput

BACKGROUNDS = {"white": 1.0, "black": 0.0}
NETS: tuple[perceptual.LpipsNet, ...] = ("alex", "vgg")
# VGG takes seconds per image, so that a long row is judged by it (LPIPS and DISTS) on this many images, evenly spread.
VGG_IMAGES = 8
# One network at a time: each uses all processors by itself, and its features fill hundreds of megabytes.
_networks = threading.Lock()


@dataclass(frozen=True)
class Scoring:
    """What is computed: LPIPS by these networks on the first of these backgrounds, the rest on all of them.

    Attributes:
        vgg_images: how many images of a row are judged by VGG, None for all; dists: whether DISTS is computed.
    """

    nets: Sequence[perceptual.LpipsNet] = NETS
    backgrounds: Sequence[str] = tuple(BACKGROUNDS)
    vgg_images: int | None = VGG_IMAGES
    dists: bool = True


@dataclass(frozen=True)
class RenderedTarget:
    """A target as the avatar shows it.

    Attributes:
        view: what the image shows of the body; None where that is not needed.
        nets: LPIPS networks to compare it by; dists: whether DISTS is computed.
    """

    target: EvaluationTarget
    output: RenderOutput
    view: BodyView | None
    nets: Sequence[perceptual.LpipsNet]
    dists: bool


@dataclass(frozen=True)
class ScoredTarget:
    """A target with its scores.

    Attributes:
        strip: a JPEG that compares the truth with the avatar.
        errors: colour error at each triangle of the body, NaN where it is not in view; None for brief targets.
    """

    target: EvaluationTarget
    scores: dict[str, float]
    strip: bytes
    errors: Float[Tensor, " f"] | None = None


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


def independent_networks(
    scoring: Scoring, config: Mapping[str, Any]
) -> tuple[Scoring, dict[perceptual.LpipsNet, str | None]]:
    """What of `scoring` can be computed here and did not train the avatar, and for each network why not, or None.

    Args:
        config: of the run. With the perceptual loss an avatar is trained by VGG, whose features DISTS has too.
    """
    reasons = lpips_reasons(scoring.nets)
    weight: Any = config
    for name in ("train", "weights", "perceptual"):
        weight = weight.get(name) if isinstance(weight, Mapping) else None
    if weight:
        scoring = replace(scoring, dists=False)
        if "vgg" in reasons:
            reasons["vgg"] = "LPIPS (vgg) and DISTS not computed: this avatar was trained by VGG"
    return replace(scoring, nets=[net for net, reason in reasons.items() if reason is None]), reasons


def score_targets(
    targets: Sequence[EvaluationTarget], opened: FinishedRun, backend: str, scoring: Scoring
) -> Iterator[tuple[list[ScoredTarget], list[str]]]:
    """The scores of all targets, one true image at a time: its features are computed once for all that show it.

    Rendering runs ahead while a few threads score.

    Yields:
        The scored targets of one image, and why it was skipped, if it was.
    """
    jobs = rendered_by_image(targets, opened, backend, scoring)
    yield from map_in_threads(lambda job: _score_or_reason(job, scoring.backgrounds), jobs)


@torch.no_grad()
def rendered_by_image(
    targets: Sequence[EvaluationTarget], opened: FinishedRun, backend: str, scoring: Scoring
) -> Iterator[list[RenderedTarget]]:
    """All targets rendered, those of one true image together."""
    by_vgg = judged_by_vgg(targets, scoring.vgg_images)
    images: dict[Truth, list[int]] = {}
    for index, target in enumerate(targets):
        images.setdefault(target.truth, []).append(index)
    device = opened.avatar.device
    for members in images.values():
        job = []
        for index in members:
            target, thorough = targets[index], index in by_vgg
            out = render(opened.avatar.pose(target.pose.to(device)), target.camera.to(device), backend)
            output = RenderOutput(out.rgb.cpu(), out.alpha.cpu().clamp(0, 1), out.depth.cpu())
            view = None if target.brief else body_view(opened.avatar, target.pose, target.camera, backend)
            nets = [net for net in scoring.nets if thorough or net != "vgg"]
            dists = thorough and scoring.dists and bool(scoring.nets) and perceptual.weights_path().is_file()
            job.append(RenderedTarget(target, output, view, nets, dists))
        yield job


def judged_by_vgg(targets: Sequence[EvaluationTarget], most: int | None) -> set[int]:
    """Indices of at most `most` targets of each group, evenly spread, and none of the brief ones."""
    groups: dict[str, list[int]] = {}
    for index, target in enumerate(targets):
        if not target.brief:
            groups.setdefault(target.group, []).append(index)
    chosen: set[int] = set()
    for members in groups.values():
        count = len(members) if most is None else min(most, len(members))
        chosen |= {members[int((i + 0.5) * len(members) / count)] for i in range(count)}
    return chosen


def _score_or_reason(job: Sequence[RenderedTarget], backgrounds: Sequence[str]) -> tuple[list[ScoredTarget], list[str]]:
    try:
        return score_image(job, backgrounds), []
    except AvatarError as error:
        return [], [f"{job[0].target.group}, {job[0].target.name}: {error}"]


@torch.no_grad()
def score_image(rendered: Sequence[RenderedTarget], backgrounds: Sequence[str]) -> list[ScoredTarget]:
    """Score targets that share one true image, composited over each background with their own coverage.

    Returns:
        Scores by name, such as `psnr_white` and `psnr_box_white`; those of the box are missing where the truth
        shows nobody.

    Raises:
        AvatarError: the true image or depth is broken.
    """
    rgb, alpha = rendered[0].target.truth()
    depth = rendered[0].target.depth()
    box = metrics.person_box(alpha)
    scores = [{"iou": metrics.alpha_iou(one.output.alpha[0], alpha)} for one in rendered]
    crops = {"": (slice(None), slice(None))} | ({} if box is None else {"box_": box})
    on: dict[str, tuple[Tensor, Tensor]] = {}
    for name in backgrounds:
        value = BACKGROUNDS[name]
        truth = rgb * alpha[..., None] + value * (1 - alpha[..., None])
        images = torch.cat([one.output.composite([value] * 3).clamp(0, 1) for one in rendered])
        on[name] = images, truth
        for prefix, crop in crops.items():
            for image, record in zip(images, scores, strict=True):
                record[f"psnr_{prefix}{name}"] = metrics.psnr(image[crop], truth[crop])
                record[f"ssim_{prefix}{name}"] = metrics.ssim(image[crop], truth[crop])
    images, truth = on[backgrounds[0]]
    for prefix, crop in crops.items():
        for net in dict.fromkeys(net for one in rendered for net in one.nets):
            chosen = [i for i, one in enumerate(rendered) if net in one.nets]
            with _networks:
                distances = perceptual.load_lpips(net)(images[chosen][:, *crop], truth[crop])
            for index, distance in zip(chosen, distances, strict=True):
                scores[index][f"lpips_{net}_{prefix}{backgrounds[0]}"] = distance
    images, truth = on.get("white", (images, truth))
    chosen = [i for i, one in enumerate(rendered) if one.dists and box is not None]
    if chosen and box is not None:
        with _networks:
            distances = perceptual.dists_distances(images[chosen][:, *box], truth[box])
        for index, distance in zip(chosen, distances, strict=True):
            scores[index]["dists_box"] = distance
    for one, image, record in zip(rendered, images, scores, strict=True):
        record |= detail_scores(image, truth, alpha) | _part_scores(one, image, truth, alpha, depth)
        if one.target.group == TRAINING_GROUP:
            record |= _registration_scores(image, truth, torch.minimum(alpha, one.output.alpha[0]))
    return [
        ScoredTarget(
            one.target,
            record,
            comparison_jpeg(truth, image),
            None if one.view is None else errors_on_body(image, truth, one.view),
        )
        for one, image, record in zip(rendered, images, scores, strict=True)
    ]


def _part_scores(
    one: RenderedTarget,
    image: Float[Tensor, "h w 3"],
    truth: Float[Tensor, "h w 3"],
    alpha: Float[Tensor, "h w"],
    true_depth: Float[Tensor, "h w"] | None,
) -> dict[str, float]:
    if one.view is None:
        return {}
    own_alpha = one.output.alpha[0]
    with _networks:
        scores = region_scores(image, truth, torch.minimum(alpha, own_alpha), one.view.labels, one.nets, one.dists)
    if true_depth is not None:
        depth = one.output.depth[0] / own_alpha.clamp_min(1e-6) * one.target.scale
        scores |= surface_errors(depth, own_alpha, true_depth, alpha, one.view.labels)
    return scores


def _registration_scores(
    image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], coverage: Float[Tensor, "h w"]
) -> dict[str, float]:
    region = interior(coverage)
    scores = {
        "local_shift_px": local_shift(image, truth, region),
        "noise_share": noise_share(truth, region, SIGMAS[0]),
    }
    return {name: value for name, value in scores.items() if value is not None}


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
