"""The dispatcher: compiled code for float32 on the CPU, tensors for everything else."""

import threading
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from avatar.kernels.dispatch import compiled_by, compiled_runs, tensor_functions
from avatar.metrics.ssim import ssim
from avatar.model.blend_shapes import displacements
from avatar.model.joint_transforms import joint_transforms_and_quats
from avatar.model.skinning import skin_gaussians
from avatar.training.losses import photometric_loss, splat_priors


@dataclass(frozen=True)
class Pair:
    a: Tensor
    b: Tensor | None = None


def _compiled(pair: Pair, scale: Tensor | None = None) -> str:
    return "compiled"


@compiled_by(_compiled)
def which(pair: Pair, scale: Tensor | None = None) -> str:
    """Which of the two runs."""
    return "tensors"


SINGLE, DOUBLE = torch.zeros(2), torch.zeros(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("pair", "scale", "expected"),
    [
        (Pair(SINGLE), None, "compiled"),
        (Pair(SINGLE, torch.arange(2)), SINGLE, "compiled"),
        (Pair(SINGLE, DOUBLE), None, "tensors"),
        (Pair(SINGLE), DOUBLE, "tensors"),
        (Pair(SINGLE.to("meta")), None, "tensors"),
    ],
)
def test_all_floating_tensors_decide(pair: Pair, scale: Tensor | None, expected: str) -> None:
    assert which(pair, scale) == which(pair, scale=scale) == expected


def test_tensor_functions_can_be_forced_in_one_thread() -> None:
    elsewhere: list[str] = []
    with tensor_functions():
        assert which(Pair(SINGLE)) == "tensors"
        thread = threading.Thread(target=lambda: elsewhere.append(which(Pair(SINGLE))))
        thread.start()
        thread.join()
    assert which(Pair(SINGLE)) == "compiled" and elsewhere == ["compiled"]


def test_parameters_of_modules_count() -> None:
    assert compiled_runs(torch.nn.Linear(2, 2)) and not compiled_runs(torch.nn.Linear(2, 2).double())


@pytest.mark.parametrize(
    "operation", [ssim, displacements, joint_transforms_and_quats, skin_gaussians, photometric_loss, splat_priors]
)
def test_operations_keep_the_documentation_of_their_tensor_function(operation: object) -> None:
    assert operation.__doc__ and operation.__doc__ == operation.tensors.__doc__  # type: ignore[attr-defined]
