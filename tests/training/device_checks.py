"""What must hold of training on a GPU: checked on the pretended one in `tests/emulated`, on a real one where it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avatar.body import load_body
from avatar.geometry import rotation_from_rotvec
from avatar.training.trainer import Trainer
from tests.training.test_trainer import Scene, small


def some_frames(scene: Scene, count: int) -> Scene:
    """The first frames alone."""
    observations, track = scene
    fewer = replace(
        observations,
        images=[observations.images[i] for i in range(count)],
        masks=[observations.masks[i] for i in range(count)],
        keypoints=observations.keypoints[:count],
        keypoints_3d=observations.keypoints_3d[:count],
        instant=observations.instant[:count],
        times=observations.times[:count],
    )
    assert track.cameras is not None
    return fewer, replace(
        track, poses=track.poses[:count], times=track.times[:count], confidence=track.confidence[:count],
        instant=track.instant[:count], cameras=track.cameras[:count],
    )  # fmt: skip


def with_fingers(scene: Scene) -> Scene:
    """The same with hands that close over time."""
    observations, track = scene
    count = len(track)
    closing = torch.linspace(0, 0.5, count)[:, None, None] * torch.tensor([0.0, 0.0, 1.0]).expand(count, 30, 3)
    fingers = rotation_from_rotvec(closing)
    return observations, replace(track, poses=replace(track.poses, fingers=fingers))


def first_steps_with_fingers_are_those_of_the_cpu(scene: Scene) -> None:
    first_steps_are_those_of_the_cpu(with_fingers(scene))


def first_steps_are_those_of_the_cpu(scene: Scene) -> None:
    config = small(gaussians=300, deform_start=0.0, refine_start=0.0)
    ours, truth = (
        Trainer(*some_frames(scene, 4), load_body("open"), config, device, "auto") for device in ("cuda", "cpu")
    )
    losses = [float(ours.step()) for _ in range(3)]
    assert losses == pytest.approx([float(truth.step()) for _ in range(3)], rel=1e-3)


def graphs_change_nothing(scene: Scene) -> None:
    """Through a densification and the start of the deformation, after each of which a graph is captured anew."""
    config = small(steps=12, gaussians=300, max_gaussians=400, registrations=0, deform_start=0.5, refine_start=0.1)

    def losses(graphs: bool) -> tuple[list[float], int]:
        trainer = Trainer(*with_fingers(some_frames(scene, 4)), load_body("open"), config, "cuda", "auto")
        trainer.poser.graphs = graphs
        values = []
        for step in range(8):
            values.append(float(trainer.step()))
            if step == 2:
                trainer._densify()
        return values, trainer.poser.captures

    (graphed, captures), (single, none) = losses(True), losses(False)
    assert graphed == pytest.approx(single, rel=1e-3) and captures == 3 and none == 0


def posing_is_that_of_the_cpu(scene: Scene) -> None:
    """The Gaussians of one pose, and the gradients of all that is learned, where the CPU has compiled functions."""
    config = small(gaussians=300, deform_start=0.0, refine_start=0.0)

    def posed(device: str) -> tuple[list[Tensor], list[Tensor]]:
        trainer = Trainer(*some_frames(scene, 4), load_body("open"), config, device, "auto")
        trainer.poser.graphs = False
        deform = trainer.state.avatar.deform
        assert deform is not None
        deform.enabled = True
        gaussians, priors = trainer.poser(1)
        fields = [getattr(gaussians, name) for name in gaussians.__dataclass_fields__]
        sum(_weighted_sum(field) for field in (*fields, priors)).backward()  # type: ignore[union-attr]
        learned = [parameter for group in trainer.state.optimizer.param_groups for parameter in group["params"]]
        gradients = [torch.zeros(1) if one.grad is None else one.grad.cpu() for one in learned]
        return [field.detach().cpu() for field in fields], gradients

    for ours, truth in zip(posed("cuda"), posed("cpu"), strict=True):
        for one, expected in zip(ours, truth, strict=True):
            torch.testing.assert_close(one, expected, atol=1e-4 * float(expected.abs().max()) + 1e-7, rtol=1e-3)


def _weighted_sum(values: Tensor) -> Tensor:
    """A loss in which each number has a weight of its own."""
    weights = torch.linspace(-1, 1, values.numel()).to(values.device).view(values.shape)
    return (values * weights).sum()


CHECKS: tuple[Callable[[Scene], None], ...] = (
    first_steps_are_those_of_the_cpu,
    first_steps_with_fingers_are_those_of_the_cpu,
    graphs_change_nothing,
    posing_is_that_of_the_cpu,
)
