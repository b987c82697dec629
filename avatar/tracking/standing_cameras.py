"""Where several standing cameras are that filmed one person at the same time, and how their clocks differ.

The landmarks of the person are the calibration pattern (Takahashi et al., "Human Pose as Calibration Pattern", 2018):
a bundle adjustment of the cameras, their clocks and their focal lengths, in which each landmark of each instant is
triangulated anew (variable projection, Golub and Pereyra 1973). No body model takes part, so that what one camera
mistakes about depth does not matter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.errors import AvatarError
from avatar.geometry import procrustes
from avatar.landmark_layouts import LAYOUTS
from avatar.tracking.initialization import place
from avatar.tracking.problem import FitProblem
from avatar.tracking.synchronization import candidate_offsets, interpolated

MARKS = tuple(
    f"{side}_{name}" for side in ("left", "right") for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
SURE = 0.5  # confidence of landmarks that count
PIXEL = 0.01  # deviation of a landmark, relative to the person's height in the image
ROBUST_SCALE = 2.0  # deviations
USUAL_STEP, USUAL_LATE = [0.1, 0.1, 0.1, 0.3, 0.3, 0.3], 0.02  # of the unknowns: radians, metres, seconds
STEPS = 50
GAUGE = 1e-3  # deviation of the logarithm of the distance between the first two cameras, which nothing else ties
OFFSET = 0.1  # deviation of an offset from where the adjustment begins, seconds
MOST_INSTANTS, TRIED_INSTANTS = 150, 40  # that the adjustment uses, evenly in time; to compare offsets
MOST_MISSED = 0.05  # heights of the person by which an outlier is off
MOST_ERROR = 0.015  # mean error of landmarks relative to the person's height, beyond which videos do not match
AMBIGUOUS = 1.15  # factor on the smallest error, within which another offset is as good
SAME_FRAMES = 1.5  # frames between two offsets that are the same one
UNSURE_S = 0.5 / 30  # by which an offset may be uncertain
ALIKE_S = 0.4  # time over which the errors of a landmark are alike


@dataclass(frozen=True)
class CameraClip:
    """The landmarks of one person before one standing camera.

    Attributes:
        name: of the video, for messages; layout: of the landmarks.
        problem: the clip as `build_problem` makes it.
        focal_spread: standard deviation of its focal length, relative to it; 0 where it is given.
    """

    name: str
    layout: str
    problem: FitProblem
    focal_spread: float

    @property
    def marks(self) -> list[int]:
        """The landmarks that count."""
        return LAYOUTS[self.layout].indices(*MARKS)

    @property
    def times(self) -> Float[np.ndarray, " n"]:
        """Of the frames, by the clip's own clock, seconds."""
        return self.problem.times.numpy()

    @property
    def frame_s(self) -> float:
        """Usual distance of its frames, seconds."""
        return float(np.median(np.diff(self.times)))

    def pixels(self, at: Float[np.ndarray, " m"]) -> Float[np.ndarray, "m l 2"]:
        """The landmarks at other times of its clock, from the principal point; the first and the last ones go on."""
        within = at.clip(self.times[0], self.times[-1])
        return interpolated(self.problem.pixels[:, self.marks].numpy(), self.times, within)

    def is_sure(self, at: Float[np.ndarray, " m"]) -> Bool[np.ndarray, "m l"]:
        """Which landmarks are sure at other times of its clock; none before the first and after the last frame."""
        sure: np.ndarray = interpolated(self.problem.confidence[:, self.marks].numpy(), self.times, at) > SURE
        return sure

    def relative(self) -> Float[np.ndarray, "n l 3"]:
        """Rough places relative to the middle of the hips, along the camera's axes, metres."""
        places = self.problem.guess[:, self.marks]
        hips = [MARKS.index(f"{side}_hip") for side in ("left", "right")]
        return (places - places[:, hips].mean(1, keepdim=True)).numpy()

    def places(self) -> Float[np.ndarray, "n l 3"]:
        """Rough places before the camera, metres."""
        problem = self.problem
        pixels = torch.cat([problem.pixels, problem.confidence[..., None]], -1)
        position = place(problem.guess, pixels, problem.focal)
        return (problem.guess + position[:, None])[:, self.marks].numpy()


@dataclass(frozen=True)
class OffsetHint:
    """What something else than the motion tells of an offset.

    Attributes:
        seconds: to add to the times of a clip to get those of the first; the adjustment refines them.
        certain: whether no other offset is considered.
    """

    seconds: float
    certain: bool


@dataclass(frozen=True)
class StandingCamera:
    """Where one of several cameras is.

    Attributes:
        R, t: from the first camera's frame to its own; t up to the scale of all, about metres.
        focal: pixels; offset: seconds to add to the times of its clip to get those of the first.
    """

    R: Float[np.ndarray, "3 3"]
    t: Float[np.ndarray, "3"]
    focal: float
    offset: float


@dataclass(frozen=True)
class Adjustment:
    """Cameras that fit the landmarks of all clips.

    Attributes:
        cameras: one per clip.
        error: mean distance of the landmarks from where the cameras put them, relative to the person's height; an
            outlier counts as `MOST_MISSED`.
        offset_spread: largest standard deviation of an offset, seconds.
    """

    cameras: list[StandingCamera]
    error: float
    offset_spread: float


def solve_cameras(clips: Sequence[CameraClip], hints: Sequence[OffsetHint | None]) -> Adjustment:
    """Place all cameras and set their clocks.

    Args:
        clips: the first one is the reference; hints: of each other clip, what else tells of its offset.

    Raises:
        AvatarError: a clip does not show the same motion as the first, or its motion fits at several offsets.
    """
    pairs = [_pair(clips[0], clip, hint) for clip, hint in zip(clips[1:], hints, strict=True)]
    start = [pairs[0].cameras[0], *(pair.cameras[1] for pair in pairs)]
    return _Bundle(clips, start, MOST_INSTANTS).adjusted()


def _pair(first: CameraClip, second: CameraClip, hint: OffsetHint | None) -> Adjustment:
    """Two cameras by themselves, at the best of all offsets that may be right."""
    hinted = None if hint is None else _adjusted_pair(first, second, hint.seconds)
    rough = candidate_offsets(first.relative(), first.times, second.relative(), second.times)
    if hint is not None and hint.certain:
        rough = []
    results = [one for offset in rough if (one := _adjusted_pair(first, second, offset)) is not None]
    results = sorted([*results, *([] if hinted is None else [hinted])], key=lambda one: one.error)
    if not results or results[0].error > MOST_ERROR:
        raise AvatarError(
            f"{first.name} and {second.name} do not show the same person moving at the same time: give videos of "
            "phones that filmed together, with a second or more in common."
        )
    best = results[0]
    if hinted is not None and hinted.error <= AMBIGUOUS * best.error:
        return hinted
    if is_ambiguous(results, max(first.frame_s, second.frame_s)):
        raise AvatarError(
            f"The clocks of {first.name} and {second.name} could not be matched: what they show fits at several "
            "offsets. If they show the same person at the same time, clap once while both record, or say with --offset "
            "how many seconds later the second one began."
        )
    return best


def is_ambiguous(results: Sequence[Adjustment], frame_s: float) -> bool:
    """Whether the best of several adjustments of two cameras, the first one, leaves the offset open.

    Args:
        frame_s: distance of the frames, seconds.
    """
    best, *others = results
    rivals = [one for one in others if abs(_offset(one) - _offset(best)) > SAME_FRAMES * frame_s]
    return best.offset_spread > UNSURE_S or any(one.error < AMBIGUOUS * best.error for one in rivals)


def _offset(pair: Adjustment) -> float:
    return pair.cameras[1].offset


def _adjusted_pair(first: CameraClip, second: CameraClip, offset: float) -> Adjustment | None:
    """Two cameras adjusted from an offset on; None where the clips have too little in common then."""
    a = first.places()
    b = interpolated(second.places(), second.times, first.times - offset)
    sure = first.is_sure(first.times) & second.is_sure(first.times - offset)
    if sure.sum() < 4 * len(MARKS):
        return None
    R, t = rigid_between(torch.from_numpy(a[sure]), torch.from_numpy(b[sure]))
    start = StandingCamera(R.numpy(), t.numpy(), second.problem.focal, offset)
    reference = StandingCamera(np.eye(3), np.zeros(3), first.problem.focal, 0.0)
    adjusted = _Bundle([first, second], [reference, start], TRIED_INSTANTS).adjusted()
    # From where it ended: another offset shows other instants in both, and errors are compared over all of them.
    return _Bundle([first, second], adjusted.cameras, TRIED_INSTANTS).adjusted()


def rigid_between(a: Float[Tensor, "k 3"], b: Float[Tensor, "k 3"]) -> tuple[Float[Tensor, "3 3"], Float[Tensor, "3"]]:
    """The rotation and translation that bring points nearest to others, without those that fit badly."""
    good = torch.ones(len(a), dtype=torch.bool)
    for _ in range(3):
        _scale, R, t = procrustes(a[good], b[good], scaled=False)
        error = (a @ R.T + t - b).norm(dim=-1)
        good = error <= 2 * error.median()
    return R, t


class _Bundle:
    """The least-squares problem of all cameras, clocks and focal lengths."""

    def __init__(self, clips: Sequence[CameraClip], start: Sequence[StandingCamera], most: int) -> None:
        self.clips, self.start = clips, start
        times = clips[0].times
        self.at = times[np.linspace(0, len(times) - 1, min(most, len(times))).round().astype(int)]
        # Landmarks of neighbouring instants err alike: as if only this share of them counted.
        self.independent = min(1.0, (self.at[-1] - self.at[0]) / (ALIKE_S * len(self.at)))
        self.sizes = np.array([float(clip.problem.person_height[0]) for clip in clips])
        # The same ones all the time, so that the residuals are smooth in the offsets.
        pairs = zip(clips, start, strict=True)
        self.sure = np.stack([clip.is_sure(self.at - camera.offset) for clip, camera in pairs])
        self.spreads = np.array([max(clip.focal_spread, 1e-4) for clip in clips])

    def adjusted(self) -> Adjustment:
        """The cameras that fit best."""
        from scipy.optimize import least_squares

        others = len(self.clips) - 1
        usual = np.array([*USUAL_STEP * others, *[USUAL_LATE] * others, *self.spreads])
        solved = least_squares(
            self._residuals, np.zeros(len(usual)), x_scale=usual, loss="soft_l1", f_scale=ROBUST_SCALE, max_nfev=STEPS
        )
        cameras = self._cameras(solved.x)
        missed = PIXEL * np.linalg.norm(self._missed(cameras), axis=-1)[self.sure & (self.sure.sum(0) >= 2)]
        missed = missed.clip(max=MOST_MISSED)
        normal = solved.jac.T @ solved.jac * self.independent + 1e-9 * np.eye(len(usual))
        spread = np.sqrt(np.diag(np.linalg.inv(normal)))[self._offsets]
        return Adjustment(cameras, float(missed.mean()) if len(missed) else math.inf, float(spread.max()))

    @property
    def _offsets(self) -> slice:
        """Where the offsets are among the unknowns."""
        return slice(6 * (len(self.clips) - 1), 7 * (len(self.clips) - 1))

    def _cameras(self, x: Float[np.ndarray, " u"]) -> list[StandingCamera]:
        """The cameras of a step away from the start."""
        from scipy.spatial.transform import Rotation

        others = len(self.clips) - 1
        steps, late, focals = x[: 6 * others].reshape(others, 6), x[self._offsets], np.exp(x[7 * others :])
        cameras = [StandingCamera(np.eye(3), np.zeros(3), self.start[0].focal * float(focals[0]), 0.0)]
        for old, step, seconds, factor in zip(self.start[1:], steps, late, focals[1:], strict=True):
            R = Rotation.from_rotvec(step[:3]).as_matrix() @ old.R
            cameras.append(StandingCamera(R, old.t + step[3:], old.focal * float(factor), old.offset + float(seconds)))
        return cameras

    def _residuals(self, x: Float[np.ndarray, " u"]) -> Float[np.ndarray, " r"]:
        cameras = self._cameras(x)
        away = self._missed(cameras)
        focals = np.array([camera.focal / clip.problem.focal for camera, clip in zip(cameras, self.clips, strict=True)])
        grown = np.linalg.norm(cameras[1].t) / np.linalg.norm(self.start[1].t)
        priors = np.concatenate([np.log(focals) / self.spreads, x[self._offsets] / OFFSET])
        return np.concatenate([away.ravel(), priors / math.sqrt(self.independent), [np.log(grown) / GAUGE]])

    def _missed(self, cameras: Sequence[StandingCamera]) -> Float[np.ndarray, "c m l 2"]:
        """How far triangulated landmarks are projected from where they were detected, in deviations; 0 where unsure."""
        pixels = self.pixels(cameras)
        away = projected(cameras, triangulated(cameras, pixels, self.sure)) - pixels
        return np.where(self.sure[..., None] & np.isfinite(away), away / (PIXEL * self.sizes[:, None, None, None]), 0.0)

    def pixels(self, cameras: Sequence[StandingCamera]) -> Float[np.ndarray, "c m l 2"]:
        """The landmarks of all clips at the instants."""
        pairs = zip(self.clips, cameras, strict=True)
        return np.stack([clip.pixels(self.at - camera.offset) for clip, camera in pairs])


def projected(cameras: Sequence[StandingCamera], points: Float[np.ndarray, "m l 3"]) -> Float[np.ndarray, "c m l 2"]:
    """Pixels of points of the first camera's frame in all cameras, from the principal point."""
    result = []
    for camera in cameras:
        x = points @ camera.R.T + camera.t
        result.append(camera.focal * x[..., :2] / np.maximum(x[..., 2:], 0.1))
    return np.stack(result)


def triangulated(
    cameras: Sequence[StandingCamera], pixels: Float[np.ndarray, "c m l 2"], sure: Bool[np.ndarray, "c m l"]
) -> Float[np.ndarray, "m l 3"]:
    """The points nearest to all rays, in the first camera's frame; NaN where fewer than two cameras show one.

    Args:
        pixels: from the principal point; sure: which of them count.
    """
    A, b = np.zeros((*pixels.shape[1:3], 3, 3)), np.zeros((*pixels.shape[1:3], 3))
    for camera, own, counts in zip(cameras, pixels, sure, strict=True):
        ray = np.concatenate([own / camera.focal, np.ones((*own.shape[:2], 1))], -1) @ camera.R
        ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
        across = counts[..., None, None] * (np.eye(3) - ray[..., :, None] * ray[..., None, :])
        A, b = A + across, b - across @ (camera.R.T @ camera.t)
    enough = sure.sum(0) >= 2
    A = np.where(enough[..., None, None], A + 1e-9 * np.eye(3), np.eye(3))
    return np.where(enough[..., None], np.linalg.solve(A, b[..., None])[..., 0], np.nan)
