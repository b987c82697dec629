"""Arrays of SMPL poses in the shapes that programs give them -> world rotations per frame, of one person of several.

A joint's rotation is an axis-angle vector, a 3x3 matrix or a quaternion (wxyz); joints stand in a row or in an axis of
their own; before them comes an axis of frames, and one of people where a file holds several.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.geometry import rotation_from_quat, rotation_from_rotvec
from avatar.runtime.logging import logger

BODY_JOINTS = (21, 23)  # of SMPL-X and SMPL, without the root
WHOLE_JOINTS = (22, 24, 52, 55)
SIX = (22, 24)  # joints whose rotations are also stored as six numbers each (Zhou et al. 2019)
ODD_JOINTS = range(22, 60)  # EasyMocap and others append what is no joint


@dataclass(frozen=True)
class PoseArray:
    """Rotations of some joints, with the axes that stand before them.

    Attributes:
        name: what messages call it.
        values: (..., joints, 3, 3) matrices or (..., joints, 3) axis-angle vectors.
        matrices: which of the two.
    """

    name: str
    values: np.ndarray
    matrices: bool

    @property
    def leading(self) -> tuple[int, ...]:
        """The axes before the joints: (), (frames,), or (people, frames) in either order."""
        return self.values.shape[: -3 if self.matrices else -2]


def pose_array(path: Path, value: Any, name: str, joints: tuple[int, ...]) -> PoseArray:
    """Tell the joints from the axes before them.

    Args:
        joints: numbers of joints that such an array can have.

    Raises:
        AvatarError: it is not numbers. UsageError: no number of joints fits.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AvatarError(f"{path}: {name} is not an array of numbers.") from error
    shape = array.shape
    if shape[-2:] == (3, 3) and _are_rotations(array):
        if shape[-3:-2] and shape[-3] in joints:
            return PoseArray(name, array, True)
        if 1 in joints:
            return PoseArray(name, array[..., None, :, :], True)
    if shape[-1:] == (3,) and shape[-2:-1] and shape[-2] in joints:
        return PoseArray(name, array, False)
    if shape[-2:-1] and shape[-2] in joints and shape[-1] in (4, 9):
        array = array.reshape(*shape[:-2], -1)
        shape = array.shape
    six = shape[-1:] == (6,) and shape[-2:-1] and shape[-2] in joints
    if six or (shape and shape[-1] in [6 * number for number in joints if number in SIX]):
        raise UsageError(
            f"{path}: {name} has the shape {shape}: rotations of six numbers, which leave open whether they are rows "
            "or columns of matrices: store axis-angle, matrices or quaternions."
        )
    for width in (3, 9, 4):
        if shape and shape[-1] % width == 0 and shape[-1] // width in joints:
            rows = array.reshape(*shape[:-1], shape[-1] // width, width)
            if width == 3:
                return PoseArray(name, rows, False)
            return PoseArray(name, rows.reshape(*rows.shape[:-1], 3, 3) if width == 9 else _from_quats(rows), True)
    if 24 in joints and shape and shape[-1] % 3 == 0 and shape[-1] // 3 in ODD_JOINTS:
        return PoseArray(name, array.reshape(*shape[:-1], -1, 3)[..., :22, :], False)
    expected = " or ".join(str(3 * number) for number in joints)
    raise UsageError(f"{path}: {name} has the shape {shape}, which fits no SMPL body: a frame has {expected} numbers.")


def _are_rotations(array: np.ndarray) -> bool:
    """Whether the last two axes are 3x3 rotations, rather than three vectors."""
    return bool(np.abs(array @ np.swapaxes(array, -1, -2) - np.eye(3)).max(initial=0) < 0.05)


def _from_quats(rows: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    matrices: np.ndarray = rotation_from_quat(torch.from_numpy(rows / np.maximum(length, 1e-9))).numpy()
    return matrices


@dataclass(frozen=True)
class PersonAxis:
    """Which axes before the joints are frames and people, and whose poses to take.

    Attributes:
        frames: how many.
        axis: of the people, 0 or 1; None where there is none.
        index: the person.
    """

    frames: int
    axis: int | None = None
    index: int = 0

    def take(self, value: np.ndarray, width: int) -> np.ndarray:
        """The person's rows (frames, ...) of an array whose last `width` axes belong to a frame."""
        leading = value.shape[: value.ndim - width]
        if len(leading) == 2:
            axis = self.axis if self.axis is not None else (0 if leading[0] == 1 else 1)
            chosen: np.ndarray = np.take(value, self.index if self.axis is not None else 0, axis=axis)
            return chosen
        return value if leading else value[None]


def find_person(path: Path, leading: tuple[int, ...], requested: str | None, tell: bool = True) -> PersonAxis:
    """The axis of people: the shorter of two, the first of equal ones.

    Args:
        leading: the axes before the joints.
        tell: log which person is taken where there are several and none is requested.

    Raises:
        UsageError: there is no such person, or there are more axes.
    """
    if len(leading) > 2:
        raise UsageError(f"{path}: its poses have {len(leading)} axes before the joints; expected people and frames.")
    if 0 in leading:
        raise AvatarError(f"{path} holds no frames.")
    if len(leading) < 2:
        if requested not in (None, "0"):
            raise UsageError(f"{path} has no person {requested!r}: it holds one, 0.")
        return PersonAxis(leading[0] if leading else 1)
    axis = 0 if leading[0] <= leading[1] else 1
    people = [str(number) for number in range(leading[axis])]
    if requested is not None and requested not in people:
        raise UsageError(f"{path} has no person {requested!r}: it has {', '.join(people)}.")
    if tell and requested is None and len(people) > 1:
        logger.warning(f"{path} holds {len(people)} people, 0 to {people[-1]}: 0 is used; --person chooses another.")
    return PersonAxis(leading[1 - axis], axis, int(requested or 0))


def person_rotations(path: Path, arrays: list[PoseArray], person: PersonAxis) -> Float[Tensor, "t j 3 3"]:
    """The rotations of one person, the joints of all arrays in a row.

    Raises:
        AvatarError: the arrays differ in their frames or hold values that are not finite.
        UsageError: the values are in degrees.
    """
    parts = []
    for array in arrays:
        rows = person.take(array.values, 3 if array.matrices else 2)
        if len(rows) != person.frames:
            raise AvatarError(f"{path}: {array.name} has {len(rows)} frames, the poses have {person.frames}.")
        bad = np.flatnonzero(~np.isfinite(rows.reshape(len(rows), -1)).all(1))
        if len(bad):
            raise AvatarError(
                f"{path}: {array.name} is not finite in {len(bad)} of {len(rows)} frames, first in frame {bad[0]}: "
                "cut these frames out or fill them."
            )
        if not array.matrices:
            _check_radians(path, rows)
        turned = torch.from_numpy(rows)
        parts.append(turned if array.matrices else rotation_from_rotvec(turned))
    return torch.cat(parts, dim=1)


def _check_radians(path: Path, rows: np.ndarray) -> None:
    if rows.shape[1] > 1 and float(np.linalg.norm(rows[:, -21:], axis=-1).max()) > 4 * np.pi:
        raise UsageError(
            f"{path}: its joints rotate by hundreds of radians, so the values are in degrees: convert them."
        )
