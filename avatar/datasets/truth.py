"""The common form of data sets with true poses: one person in one video, to measure tracked poses with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.datasets.posed import SmplPoses
from avatar.errors import UsageError

NAMED = 5  # sequences that an error names


@dataclass(frozen=True)
class PoseTruth:
    """True poses of one person in one video, metres.

    Attributes:
        name: of the sequence and the person.
        frames: number of the video's frame that shows each pose, from 0, ascending.
        smpl: the poses in the axes of each frame's camera (OpenCV), or None.
        joints: places of SMPL's 24 joints, NaN where unknown, or None where `smpl` has them.
        in_camera: whether the axes are those of the camera; else only errors after Procrustes mean anything.
        notes: what the reader should know, one sentence each.
    """

    name: str
    frames: Int[np.ndarray, " t"]
    smpl: SmplPoses | None = None
    joints: Float[Tensor, "t 24 3"] | None = None
    in_camera: bool = True
    notes: tuple[str, ...] = ()


def chosen_clip(where: Path, clip: str | None, available: Sequence[str]) -> str:
    """The sequence that --clip names, or the only one.

    Raises:
        UsageError: there is none of that name, or several and none is named.
    """
    if not available:
        raise UsageError(f"{where} holds no sequence of this data set: it is another folder, or not unpacked.")
    if clip is None and len(available) == 1:
        return available[0]
    if clip is not None and clip in available:
        return clip
    more = f" and {len(available) - NAMED} more" if len(available) > NAMED else ""
    listed = ", ".join(available[:NAMED]) + more
    if clip is None:
        raise UsageError(f"{where} holds {len(available)} sequences: name one by --clip: {listed}.")
    raise UsageError(f"{where} has no sequence {clip!r}; it has {listed}.")


def as_smpl_joints(
    points: Float[np.ndarray, "t p 3"], names: Sequence[str], meanings: Mapping[str, str]
) -> Float[Tensor, "t 24 3"]:
    """SMPL's joints from another skeleton's; NaN where it has none.

    Args:
        names: of the points; meanings: the SMPL joint that a point of a name is, for those that are one.
    """
    joints = np.full((len(points), len(SMPL_JOINTS), 3), np.nan, np.float32)
    for row, name in enumerate(names):
        if name in meanings:
            joints[:, SMPL_JOINTS.index(meanings[name])] = points[:, row]
    return torch.from_numpy(joints)
