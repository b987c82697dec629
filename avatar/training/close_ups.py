"""Close-ups: face and hands, at which people look first, get finer splats and steps of their own at the end.

A step on a whole image moves each splat once, and most of its time goes to the rest of the body. A close-up shows the
box of one part and moves that part's splats alone, while poses, light and all other splats stay: ten of them take as
long as one whole step. They come last, when poses and light stand.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body.parts import PARTS
from avatar.geometry import project
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.model.gaussians import PARAMETERS, TriangleGaussians
from avatar.rendering.renderer import render
from avatar.runtime.progress import Progress
from avatar.training.config import TrainConfig
from avatar.training.densification import split_gaussians
from avatar.training.initialization import ADAM_EPSILON
from avatar.training.inpainting import OBSERVED
from avatar.training.losses import SplatPriors
from avatar.training.views import TrainingView
from avatar.training.visibility import PosedView
from avatar.types import BodyPose, Gaussians

RESERVED = 1 / 14  # share of all Gaussians that only face and hands get
LEAST_OPACITY = 0.1  # of Gaussians that are split
FINEST = 0.7  # pixels; standard deviation below which none is split
HANDS = 0.5  # steps for each hand, relative to those for the head
FIRST_RATE, LAST_RATE = 0.3, 0.03  # of the initial learning rates
MARGIN, LEAST_SIDE = 10, 24  # pixels around a part in its box, and of a box that shows something
EDGE = 0.01  # share of a part's Gaussians that may lie beyond each side of its box
LEAST_SHOWN = 150.0  # pixels of a part in an image that is worth a close-up
REACH = 3.0  # standard deviations up to which a Gaussian is seen


@dataclass(frozen=True)
class CloseUp:
    """One part of the person in one image.

    Attributes:
        view: cut to the part; pose: of the body; around: all Gaussians in it but the part's own.
    """

    view: TrainingView
    pose: BodyPose
    around: Gaussians


def detailed_parts(avatar: Avatar) -> list[Bool[Tensor, " n"]]:
    """Which Gaussians are the head's, the left hand's and the right hand's."""
    part, left = part_of_gaussians(avatar), avatar.surface.anchors[:, 0] > avatar.rest.joints[0, 0]
    head = (part == PARTS.index("head")) | (part == PARTS.index("face"))
    hands = part == PARTS.index("hands")
    return [head, hands & left, hands & ~left]


@torch.no_grad()
def refine_details(avatar: Avatar, optimizer: torch.optim.Adam, views: Iterable[PosedView], cap: int) -> None:
    """Split the largest Gaussians of face and hands that images show in two, until there are `cap` in all.

    Args:
        optimizer: of the avatar's Gaussians.
        views: what they are shown in; none becomes smaller than their pixels.
    """
    gaussians, size = avatar.gaussians, avatar.gaussians.scales.amax(1)
    chosen = torch.stack(detailed_parts(avatar)).any(0) & (avatar.observed >= OBSERVED)
    chosen &= (gaussians.opacities > LEAST_OPACITY) & (size > FINEST * _pixel(views))
    room = min(max(cap - len(gaussians), 0), int(chosen.sum()))
    split = torch.where(chosen, size, 0.0).argsort(descending=True, stable=True)[:room]
    keep = torch.ones_like(chosen)
    keep[split] = False
    quats = torch.nn.functional.normalize(gaussians.quats, dim=-1)
    split_gaussians(gaussians, optimizer, keep.nonzero()[:, 0], split, quats)
    avatar.refresh()


def _pixel(views: Iterable[PosedView]) -> float:
    """Metres that a pixel of a usual view shows where the person stands."""
    sizes = []
    for view, pose in views:
        _, depth = project(view.camera.K[0], view.camera.T_camera_world[0], pose.root_position[None])
        sizes.append(depth[0] / view.camera.K[0, 0, 0])
    return float(torch.stack(sizes).median())


def train_close_ups(
    avatar: Avatar,
    views: Iterable[PosedView],
    config: TrainConfig,
    image_loss: Callable[[Gaussians, TrainingView], Float[Tensor, ""]],
    rng: torch.Generator,
    backend: str = "auto",
) -> None:
    """Train the Gaussians of head and hands on boxes around them, one part after the other, while the rest stays.

    Args:
        views: all trained frames at full resolution, with their poses.
        image_loss: compares Gaussians with a view; rng: chooses the order of the views.
    """
    parts = detailed_parts(avatar)
    shown = close_ups_of(avatar, parts, views, backend)
    steps = [round(share * config.close_ups * config.steps) for share in (1, HANDS, HANDS)]
    with Progress("close-ups of face and hands", sum(steps)) as bar:
        for own, close_ups, count in zip(parts, shown, steps, strict=True):
            if close_ups:
                _train_part(avatar, own, close_ups, count, config, image_loss, rng, bar.step)
            else:
                bar.step(count=count)
    avatar.refresh()


def _train_part(
    avatar: Avatar,
    own: Bool[Tensor, " n"],
    close_ups: Sequence[CloseUp],
    steps: int,
    config: TrainConfig,
    image_loss: Callable[[Gaussians, TrainingView], Float[Tensor, ""]],
    rng: torch.Generator,
    done: Callable[[], object],
) -> None:
    part, priors, queue = avatar_of(avatar, own), SplatPriors.from_config(config), list[int]()
    gaussians = part.gaussians
    groups = [{"params": [getattr(gaussians, name)], "initial": getattr(config.rates, name)} for name in PARAMETERS]
    adam = torch.optim.Adam(groups, lr=0.0, eps=ADAM_EPSILON, fused=True)
    for step in range(steps):
        queue = queue or torch.randperm(len(close_ups), generator=rng).tolist()
        shown = close_ups[queue.pop()]
        for group in adam.param_groups:
            group["lr"] = group["initial"] * FIRST_RATE * (LAST_RATE / FIRST_RATE) ** (step / steps)
        adam.zero_grad(set_to_none=True)
        posed = Gaussians.cat([part.own_pose(shown.pose), shown.around])
        (image_loss(posed, shown.view) * shown.view.weight + priors(gaussians, part.neighbors)).backward()
        adam.step()
        done()
    with torch.no_grad():
        for name in PARAMETERS:
            getattr(avatar.gaussians, name)[own] = getattr(gaussians, name)


@torch.no_grad()
def close_ups_of(
    avatar: Avatar, parts: Sequence[Bool[Tensor, " n"]], views: Iterable[PosedView], backend: str
) -> list[list[CloseUp]]:
    """For each part its close-ups, from the views that show enough of it."""
    shown: list[list[CloseUp]] = [[] for _ in parts]
    for view, pose in views:
        posed = avatar.own_pose(pose)
        pixels, depths = project(view.camera.K[0], view.camera.T_camera_world[0], posed.means)
        reach = REACH * posed.scales.amax(1, keepdim=True) * view.camera.K[0, 0, 0] / depths.clamp_min(1e-3)[:, None]
        for own, close_ups in zip(parts, shown, strict=True):
            box = _box(pixels[own], view)
            if box is None:
                continue
            low, high = (pixels.new_tensor([getattr(side, end) for side in reversed(box)]) for end in ("start", "stop"))
            near = ((pixels > low - reach) & (pixels < high + reach)).all(1) & (depths > 0)
            cut = view.cropped(box)
            white = replace(posed, colors=own[:, None].expand(-1, 3).to(posed.colors)).where(near)
            if float(render(white, cut.camera, backend).rgb[..., 0].sum()) >= LEAST_SHOWN:
                close_ups.append(CloseUp(cut, pose, posed.where(near & ~own)))
    return shown


def _box(pixels: Float[Tensor, "k 2"], view: TrainingView) -> tuple[slice, slice] | None:
    """Rows and columns of a view around a part; None where too little of it is in view."""
    if not len(pixels):
        return None
    ordered, edge = pixels.sort(dim=0).values, int(EDGE * len(pixels))
    height, width = view.mask.shape
    left, top = (max(int(value) - MARGIN, 0) for value in ordered[edge].tolist())
    right, bottom = (
        min(int(value) + MARGIN, size) for value, size in zip(ordered[-1 - edge].tolist(), (width, height), strict=True)
    )
    return (slice(top, bottom), slice(left, right)) if min(right - left, bottom - top) >= LEAST_SIDE else None


@torch.no_grad()
def avatar_of(avatar: Avatar, chosen: Bool[Tensor, " n"]) -> Avatar:
    """An avatar of copies of some of the Gaussians; its light and deformation are copies that learn nothing."""
    whole = avatar.gaussians
    gaussians = TriangleGaussians(whole.face[chosen], whole.bary[chosen], whole.scales[chosen], whole.colors[chosen])
    for name in ("observed", *PARAMETERS):
        getattr(gaussians, name).copy_(getattr(whole, name)[chosen])
    part = Avatar(avatar.body, avatar.betas, gaussians, deform=False, diffused=avatar.diffused).to(avatar.device)
    part.light, part.deform = copy.deepcopy((avatar.light, avatar.deform))
    for module in (part.light, part.deform):
        if module is not None:
            module.requires_grad_(False)
    part.refresh(avatar.hanging[chosen])
    return part
