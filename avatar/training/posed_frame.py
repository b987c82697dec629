"""The part of a training step that depends on the pose and not on the image; a GPU runs it as one captured graph.

It consists of hundreds of small operations, whose launches take a GPU's host longer than the device needs for them.
A CUDA graph launches all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.errors import short_message
from avatar.model.avatar import Avatar
from avatar.runtime.logging import logger
from avatar.training import losses
from avatar.training.config import TrainConfig
from avatar.training.pose_refinement import InstantRow, PoseRefinement
from avatar.types import Gaussians

PosedTensors = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


class PosedFrame(nn.Module):
    """The Gaussians of one instant in the world, and the loss terms that do not depend on the image."""

    def __init__(self, avatar: Avatar, poses: PoseRefinement, config: TrainConfig) -> None:
        super().__init__()
        self.avatar, self.poses, self.config = avatar, poses, config

    def forward(self, *row: Tensor) -> PosedTensors:
        """The fields of the Gaussians and the sum of the terms, from the values of an `InstantRow`."""
        avatar, config, weights = self.avatar, self.config, self.config.weights
        gaussians, offsets = avatar.pose_with_offsets(self.poses.corrected(InstantRow(*row))[0])
        splats = losses.SplatPriors.from_config(config)
        total = splats(avatar.gaussians, avatar.neighbors) + weights.light * avatar.light.prior_loss()
        if config.refine_poses:
            rotvec, translation = self.poses.delta_rotvec, self.poses.delta_translation
            total = total + weights.pose_size * rotvec.square().mean()
            if len(rotvec) > 2:
                total = total + weights.pose_acceleration * losses.acceleration(rotvec).mean()
                total = total + weights.pose_acceleration * losses.acceleration(translation).mean()
        if offsets.learned is not None:
            total = total + weights.deform * (offsets.learned / config.offset_sigma).square().mean()
        return gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, gaussians.colors, total


class FramePoser:
    """Poses the avatar in training: operation by operation, or on a GPU as a graph that is captured when needed.

    Attributes:
        graphs: whether a GPU runs graphs; off as soon as capturing one fails.
        captures: how often a graph was captured; anew whenever Gaussians were added, removed or bound elsewhere, and
            when the deformation sets in.
    """

    def __init__(self, avatar: Avatar, poses: PoseRefinement, config: TrainConfig) -> None:
        self.avatar, self.poses, self.config = avatar, poses, config
        self.frame = PosedFrame(avatar, poses, config)
        self.captures = 0
        self._captured: tuple[list[Any], Callable[..., PosedTensors]] | None = None
        self.graphs = True

    def __call__(self, instant: int) -> tuple[Gaussians, Float[Tensor, ""]]:
        """The Gaussians at an instant and the loss terms that do not depend on the image."""
        row = self.poses.row(instant)
        run = self._graph(row) if self.graphs and self.avatar.device.type == "cuda" else self.frame
        *fields, priors = run(*row)
        return Gaussians(*fields), priors

    def _graph(self, row: InstantRow) -> Callable[..., PosedTensors]:
        """The graph for the tensors that the avatar has now."""
        _ = self.avatar.neighbors  # computed on the host, which a capture does not allow
        if self._captured is not None and _same(self._captured[0], self._now()):
            return self._captured[1]
        frame = PosedFrame(self.avatar, self.poses, self.config)  # its `forward` becomes the graph
        try:
            run: Any = torch.cuda.make_graphed_callables(frame, tuple(row), allow_unused_input=True)
        except RuntimeError as error:
            logger.info(f"Training runs without CUDA graphs and so more slowly: {short_message(error)}")
            self.graphs, self._captured = False, None
            return self.frame
        graph: Callable[..., PosedTensors] = run
        self.captures += 1
        self._captured = self._now(), graph
        return graph

    def _now(self) -> list[Any]:
        """Everything that a graph captured now would compute with."""
        deform = self.avatar.deform
        return [deform is not None and deform.enabled, *_tensors(self.avatar), *_tensors(self.poses)]


def _tensors(module: nn.Module) -> Iterator[Tensor]:
    """All tensors that a module computes with, those derived from its parameters included."""
    yield from module.parameters()
    yield from module.buffers()
    for value in vars(module).values():
        yield from _tensors_in(value)


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif hasattr(value, "__dataclass_fields__"):
        yield from (tensor for part in vars(value).values() for tensor in _tensors_in(part))


def _same(before: list[Any], now: list[Any]) -> bool:
    return len(before) == len(now) and all(a is b for a, b in zip(before, now, strict=True))
