"""Functions of `avatar.geometry` as products with constant tables: a few launches on a GPU instead of dozens.

They round differently, so the functions of the same name stay for everything else.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from avatar import geometry


def quat_multiply(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """Hamilton product of wxyz quaternions: first `b`, then `a`."""
    return (a[:, :, None] * b[:, None]).flatten(1) @ _hamilton_table(a.dtype, a.device)


def quat_from_rotation(R: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 4"]:
    """Unit quaternions wxyz; see `avatar.geometry.quat_from_rotation`."""
    table, constant = _product_table(R.dtype, R.device)
    return geometry.quat_from_products(torch.addmm(constant, R.flatten(1), table).unflatten(1, (4, 4)))


def rotate(q: Float[Tensor, "n 4"], v: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    """Vectors rotated by unit quaternions wxyz: v + 2 w (u x v) + 2 u x (u x v), with u the imaginary part."""
    w, u = q[:, :1], q[:, 1:]
    twice = 2 * torch.linalg.cross(u, v)
    return torch.addcmul(v + torch.linalg.cross(u, twice), w, twice)


@cache
def _hamilton_table(dtype: torch.dtype, device: torch.device) -> Float[Tensor, "16 4"]:
    units = torch.eye(4, dtype=dtype)
    return geometry.quat_multiply(units.repeat_interleave(4, 0), units.repeat(4, 1)).to(device)


@cache
def _product_table(dtype: torch.dtype, device: torch.device) -> tuple[Float[Tensor, "9 16"], Float[Tensor, " 16"]]:
    constant = geometry.quat_products(torch.zeros(3, 3, dtype=dtype)).flatten()
    units = torch.eye(9, dtype=dtype).unflatten(1, (3, 3))
    return (geometry.quat_products(units).flatten(1) - constant).to(device), constant.to(device)
