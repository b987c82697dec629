"""The noun of this room: a motion from anywhere, in our conventions but still of its own size and place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.types import BodyPose, BodyTrack

# From hip to ankle of the mean adult of SMPL, metres: for files that do not give the leg length.
MEAN_LEG = 0.80
TOP_SPEED = 15.0  # m/s; nobody runs faster, so a root that does is not in metres

# World axes of the source, named by what points up, to ours (Y up). "-y" is a camera's frame, x right and y down.
UP_AXES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "y": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "z": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "-y": ((1, 0, 0), (0, -1, 0), (0, 0, -1)),
    "x": ((0, -1, 0), (1, 0, 0), (0, 0, 1)),
}


@dataclass(frozen=True)
class MotionCheck:
    """How well a motion that was read agrees with the joints of its file.

    Attributes:
        limb_degrees: mean angle between the limbs of our body and those of the file, over limbs and frames.
        worst_degrees, worst_limb: the largest, and the joint at which that limb begins.
        path_percent: by how much the path is longer or shorter than in the file, against the length of the legs.
        notes: what the user should know: how it was read where that was not plain, and what does not fit.
    """

    limb_degrees: float
    worst_degrees: float
    worst_limb: str
    path_percent: float
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """One line with the figures and the notes."""
        figures = (
            f"limbs within {self.limb_degrees:.1f} degrees of the file's (at most {self.worst_degrees:.1f}, "
            f"{self.worst_limb.replace('_', ' ')}), path within {abs(self.path_percent):.1f} %"
        )
        return "; ".join((figures, *self.notes))


@dataclass(frozen=True)
class Motion:
    """A motion as read from a file.

    Attributes:
        format: name of the format it came from.
        track: the common 24 joints, away from SMPL's T-pose, with fingers and face where the file has them; Y up,
            metres, seconds. No cameras.
        leg_length: from hip to ankle of the person it was recorded from, metres: what the root's path fits to.
        check: how well it agrees with the joints of its file; None where the file holds no other joints than ours.
    """

    format: str
    track: BodyTrack
    leg_length: float = MEAN_LEG
    check: MotionCheck | None = None


@dataclass(frozen=True)
class ReadOptions:
    """What a file may leave unspecified.

    Attributes:
        up: what points up in its world, a key of `UP_AXES`; None to estimate it.
        fps: frames per second where the file does not state it; None for 30 or the format's own.
        person: which person of several, as the file names them; None for the one with the most frames.
        names: SMPL joint -> name in the file, for unknown skeletons.
        layout: name of the layout of joint arrays; None to infer it from their number.
        rest_pelvis: position of the pelvis of the file's own shaped body at rest, from the origin that its
            translations refer to, metres; None for the mean of its body model.
        size: width and height in pixels of the images that 2D key points lie in.
        clip: name of the clip in a file of several; None for the first one that moves.
        body: path of the user's body file, which motions given as vertices of its surface need.
    """

    up: str | None = None
    fps: float | None = None
    person: str | None = None
    names: dict[str, str] | None = None
    layout: str | None = None
    rest_pelvis: tuple[float, float, float] | None = None
    size: tuple[int, int] | None = None
    clip: str | None = None
    body: str | None = None

    def __post_init__(self) -> None:
        if self.up is not None and self.up not in UP_AXES:
            raise UsageError(f"--up must be one of {', '.join(UP_AXES)}, not {self.up!r}.")
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"--source-fps must lie between 0 and 1000, not {self.fps:g}.")


def up_rotation(up: str) -> Float[Tensor, "3 3"]:
    """The rotation from a world in which `up` points up to ours."""
    return torch.tensor(UP_AXES[up], dtype=torch.float32)


def uniform_track(
    rotations: Float[Tensor, "t 24 3 3"],
    root_position: Float[Tensor, "t 3"],
    fps: float,
    confidence: Float[Tensor, "t 24"] | None = None,
    body: str = "",
    betas: Float[Tensor, " shapes"] | None = None,
    fingers: Float[Tensor, "t 30 3 3"] | None = None,
    face: Float[Tensor, "t 52"] | None = None,
) -> BodyTrack:
    """A track without cameras: evenly spaced instants, one frame each; see `BodyPose` for the arrays."""
    frames = len(rotations)
    hands = None if fingers is None else fingers.float()
    poses = BodyPose(root_position.float(), rotations.float(), hands, None if face is None else face.float())
    return BodyTrack(
        body=body,
        betas=torch.zeros(0) if betas is None else betas,
        poses=poses,
        times=(torch.arange(frames, dtype=torch.float64) / fps).float(),
        confidence=torch.ones(frames, 24) if confidence is None else confidence,
        instant=torch.arange(frames),
    )


def numbers(path: Path, value: Any, name: str, *shape: int | None) -> np.ndarray:
    """`value` as float64 of the given shape (None: any length), or one sentence about what is wrong.

    Raises:
        AvatarError: it is not numbers, of another shape, empty, or holds values that are not finite.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise AvatarError(f"{path}: {name} is not an array of numbers.") from error
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=False)
    )
    if not fits:
        expected = " x ".join("any" if n is None else str(n) for n in shape) or "one number"
        raise AvatarError(f"{path}: {name} has the shape {array.shape}, expected {expected}.")
    if array.size == 0:
        raise AvatarError(f"{path}: {name} holds no frames.")
    if not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array.reshape(len(array) if array.ndim else 1, -1)).all(1))
        raise AvatarError(
            f"{path}: {name} is not finite in {len(bad)} of {len(array)} frames, first in frame {bad[0]}: "
            "cut these frames out or fill them."
        )
    return array


def check_fps(path: Path, fps: float) -> float:
    """The rate itself, or AvatarError if no recording has such a rate."""
    if not np.isfinite(fps) or not 0.1 <= fps <= 10_000:
        raise AvatarError(f"{path} states {fps:g} frames per second: give the true rate with --source-fps.")
    return float(fps)


def check_path(path: Path, root: np.ndarray, fps: float) -> None:
    """Raise AvatarError if the root moves impossibly fast, which means that it is not in metres."""
    if len(root) < 2:
        return
    speed = float(np.median(np.linalg.norm(np.diff(root, axis=0), axis=1)) * fps)
    if speed > TOP_SPEED:
        raise AvatarError(
            f"{path}: the person moves at {speed:.0f} m/s, so its translations are not in metres like its body "
            "(centimetres or millimetres?): divide them by 100 or 1000."
        )
