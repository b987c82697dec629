"""A training step on a device that is not the CPU: torch's `meta`, which knows shapes and devices but no numbers.

Reading a number from it fails, just where a GPU would have to wait; and every operation is checked for operands on
several devices, which torch itself detects only for some on `meta`.
"""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from avatar.body import load_body
from avatar.body.hand_angles import relaxed_fingers
from avatar.kernels.dispatch import tensor_functions
from avatar.training.initialization import new_optimizer
from avatar.training.trainer import Trainer
from avatar.types import Cameras, Gaussians, RenderOutput
from tests.training.test_trainer import Scene, scene, small  # noqa: F401  (the fixture)


class OneDevice(TorchDispatchMode):
    """Fails where an operation mixes devices. Copies may, and numbers of the CPU without a shape."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if "copy" not in func.__name__:
            leaves = [x for x in tree_leaves((args, kwargs or {})) if isinstance(x, torch.Tensor) and x.dim()]
            devices = {leaf.device.type for leaf in leaves}
            if len(devices) > 1:
                raise RuntimeError(f"{func} of several devices: {devices}")
        return func(*args, **(kwargs or {}))


def stand_in_image(gaussians: Gaussians, cameras: Cameras, backend: str) -> RenderOutput:
    """Not an image, but of an image's shape, and differentiable in all fields like a renderer."""
    total = sum(getattr(gaussians, name).sum() for name in gaussians.__dataclass_fields__)
    rgb = (cameras.K.sum() + total).expand(len(cameras), cameras.height, cameras.width, 3)
    return RenderOutput(rgb, rgb[..., 0], rgb[..., 0])


def move_trainer(trainer: Trainer, device: str) -> None:
    """Move the whole run; what is computed from numbers once, and not in each step, is computed before."""
    state = trainer.state
    assert state.avatar.neighbors.device.type == "cpu"  # needs numbers, which `meta` does not have
    assert len(state.avatar.hand_face_rig.joints) == 55
    rich = state.avatar.body.with_hands_and_face
    assert rich is not None and rich.straight_hand is not None
    straight = rich.straight_hand.to(device)
    state.avatar.to(device)
    vars(state.avatar.body.with_hands_and_face)["straight_hand"] = straight
    state.poses.to(device)
    state.gradients = state.gradients.to(device)
    trainer.device = torch.device(device)
    state.optimizer = torch.optim.Adam(
        [{**group, "fused": False} for group in new_optimizer(state.avatar, state.poses, trainer.config).param_groups],
        foreach=False,
    )
    for level in trainer.views.levels:
        level[:] = [({name: plane.to(device) for name, plane in planes.items()}, c.to(device)) for planes, c in level]


@pytest.mark.parametrize("fingers", [None, relaxed_fingers()])
def test_a_step_stays_on_its_device_and_waits_for_nothing(
    scene: Scene,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    fingers: torch.Tensor | None,
) -> None:
    observations, track = scene
    if fingers is not None:
        track = replace(track, poses=replace(track.poses, fingers=fingers.repeat(len(track.poses), 1, 1, 1)))
    trainer = Trainer(observations, track, load_body("open"), small())
    move_trainer(trainer, "meta")
    monkeypatch.setattr("avatar.training.trainer.render", stand_in_image)
    trainer.state.step = 110  # late enough for the deformation
    with OneDevice():
        loss = trainer.step()
    assert loss.device.type == "meta"
    learned = dict((*trainer.state.avatar.named_parameters(), *trainer.state.poses.named_parameters()))
    del learned["deform.out.bias"]  # it drops out: the answer for the mean pose is subtracted
    assert all(parameter.grad is not None and parameter.grad.device.type == "meta" for parameter in learned.values())
    trainer.state.poses.rotations = track.poses.rotations
    with pytest.raises(RuntimeError, match="several devices"), OneDevice():
        trainer.step()


def test_tensor_functions_learn_the_same_as_kernels(scene: Scene) -> None:  # noqa: F811
    """The tensor code that a GPU uses, on the CPU, with the reference renderer, against the fused kernels."""
    observations, track = scene
    config = small(gaussians=400, max_gaussians=400, long_side=40, steps=4, deform_start=0.0, refine_start=0.0)
    fused = Trainer(observations, track, load_body("open"), config)
    plain = copy.deepcopy(fused)
    plain.backend = "reference"
    ours = [float(fused.step()) for _ in range(3)]
    with tensor_functions():
        theirs = [float(plain.step()) for _ in range(3)]
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert ours[0] != ours[1]
