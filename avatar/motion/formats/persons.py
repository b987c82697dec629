"""Files that hold several persons, and frames in which a person is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.geometry import quat_from_rotation, rotation_from_quat, slerp
from avatar.motion.formats.container import Content
from avatar.motion.motion import ReadOptions, numbers


def select_person(
    content: Content, persons: Mapping[Any, Any], lengths: Mapping[Any, int], options: ReadOptions
) -> Any:
    """The value of the requested person, or of the one with the most frames.

    Raises:
        AvatarError: the file holds no person. UsageError: there is no such person.
    """
    if not persons:
        raise AvatarError(f"{content.path} holds no person.")
    if options.person is None:
        return persons[max(persons, key=lambda key: lengths[key])]
    for key, value in persons.items():
        if str(key) == options.person:
            return value
    raise UsageError(f"{content.path} has no person {options.person!r}: it has {', '.join(map(str, persons))}.")


def at_frames(
    content: Content, frames: Any, rotations: Float[Tensor, "n j 3 3"], root: np.ndarray
) -> tuple[Float[Tensor, "t j 3 3"], np.ndarray]:
    """Poses at some frames, interpolated by slerp to one for each frame from the first to the last.

    Raises:
        AvatarError: the frame numbers do not fit the poses or do not increase.
    """
    numbered = numbers(content.path, np.ravel(frames), "frame numbers", len(root))
    numbered = numbered - numbered[0]
    if (np.diff(numbered) <= 0).any() or numbered[-1] > 1_000_000:
        raise AvatarError(f"{content.path}: its frame numbers do not increase.")
    if numbered[-1] == len(numbered) - 1:
        return rotations, root
    all_frames = np.arange(int(numbered[-1]) + 1, dtype=np.float64)
    after = np.clip(np.searchsorted(numbered, all_frames), 1, len(numbered) - 1)
    share = (all_frames - numbered[after - 1]) / (numbered[after] - numbered[after - 1])
    quats = quat_from_rotation(rotations)
    t = torch.from_numpy(share).to(quats)[:, None].expand(-1, quats.shape[1])
    filled = slerp(quats[after - 1], quats[after], t)
    path = np.stack([np.interp(all_frames, numbered, root[:, axis]) for axis in range(3)], axis=1)
    return rotation_from_quat(filled), path
