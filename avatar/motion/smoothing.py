"""Temporal smoothing of paths and rotations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.geometry import rotation_from_6d, rotation_to_6d


def smooth_path(values: Float[Tensor, "t *c"], sigma: float) -> Float[Tensor, "t *c"]:
    """Gaussian average over neighbouring frames, `sigma` in frames; the ends are held."""
    if sigma <= 0 or len(values) < 2:
        return values
    reach = max(1, round(3 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=values.dtype) / sigma) ** 2)
    rows = values.reshape(len(values), -1).T[:, None]
    padded = F.pad(rows, (reach, reach), mode="replicate")
    smoothed = F.conv1d(padded, (kernel / kernel.sum())[None, None])
    return smoothed[:, 0].T.reshape(values.shape)


def smooth_rotations(rotations: Float[Tensor, "t *j 3 3"], sigma: float) -> Float[Tensor, "t *j 3 3"]:
    """Gaussian average of rotations over time through their first two columns, `sigma` in frames."""
    return rotation_from_6d(smooth_path(rotation_to_6d(rotations), sigma))
