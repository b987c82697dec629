"""The tables give what the formulas give, with their gradients."""

import torch

from avatar import geometry
from avatar.model import rotation_tables
from avatar.model.rotation_tables import rotate


def test_tables_agree_with_formulas() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 50, 4, dtype=torch.float64, generator=generator).unbind()
    a = torch.nn.functional.normalize(a, dim=-1)
    v, R = torch.randn(50, 3, dtype=torch.float64, generator=generator), geometry.rotation_from_quat(a)
    assert torch.allclose(rotation_tables.quat_multiply(a, b), geometry.quat_multiply(a, b))
    assert torch.allclose(rotation_tables.quat_from_rotation(R), geometry.quat_from_rotation(R))
    assert torch.allclose(rotate(a, v), (R @ v[..., None]).squeeze(-1))
