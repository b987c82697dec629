"""Hands stored as principal components of MANO (Romero et al. 2017), which only the user's own body file can expand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.files import load_hand_components
from avatar.errors import AvatarError
from avatar.geometry import rotation_from_rotvec
from avatar.motion.formats.pose_arrays import PersonAxis
from avatar.runtime.logging import logger

# EasyMocap's poses: 66 numbers of the body, 6 components per hand, and for SMPL-X 9 of jaw and eyes.
EASYMOCAP = {78: 6, 87: 6}
BODY = 66


def hands_after_body(
    path: Path, poses: np.ndarray, person: PersonAxis, body: str | None
) -> Float[Tensor, "t 30 3 3"] | None:
    """The hands in EasyMocap's poses (..., 78 or 87), None in poses of other widths."""
    count = EASYMOCAP.get(poses.shape[-1] if poses.ndim else 0)
    if count is None:
        return None
    return expanded_hands(path, [poses[..., BODY : BODY + 2 * count].astype(np.float64)], person, body)


def expanded_hands(
    path: Path, hands: list[np.ndarray], person: PersonAxis, body: str | None
) -> Float[Tensor, "t 30 3 3"] | None:
    """The joints of both hands from their principal components; None without a body file, with a warning.

    Args:
        hands: one array per hand, or one with both, left hand first.
        body: file of SMPL-H or SMPL-X. Its mean hand is added, as smplx does by default (`flat_hand_mean=False`).

    Raises:
        AvatarError: the numbers do not belong to the frames, or the body file holds no hands.
    """
    rows = np.concatenate([person.take(hand, 1).reshape(person.frames, -1) for hand in hands], axis=1)
    if not np.isfinite(rows).all():
        raise AvatarError(f"{path}: the principal components of its hands are not finite: cut these frames out.")
    count = rows.shape[1] // 2
    if not 1 <= count <= 45 or rows.shape[1] % 2:
        raise AvatarError(f"{path}: {rows.shape[1]} numbers per frame are no two hands.")
    if not rows.any():
        return None
    if body is None:
        logger.warning(
            f"{path}: its hands are {count} principal components of MANO each, which only a body file of SMPL-H or "
            "SMPL-X can expand: give it with --source-body; without it the hands stay at rest."
        )
        return None
    mean, components = load_hand_components(Path(body))
    coefficients = torch.from_numpy(rows).reshape(-1, 2, count)
    rotvecs = mean.double() + torch.einsum("thk,hkc->thc", coefficients, components[:, :count].double())
    return rotation_from_rotvec(rotvecs.reshape(-1, 30, 3))
