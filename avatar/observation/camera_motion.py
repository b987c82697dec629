"""How the camera moved, from the background: it stands still, turns and keeps its place, or moves.

The simplest model that explains the background wins. Each is compared with one that explains more: standing still with
the places of the same points, a rotation with the matches that some motion explains whatever their depths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float

from avatar.errors import AvatarError, UsageError
from avatar.geometry import rigid
from avatar.io.camera_motion_file import USUAL_FOCAL_SPREAD, CameraMotion, CameraRegime
from avatar.observation.background_features import (
    INLIER,
    LEAST_MATCHES,
    Features,
    background_features,
    chained_rotations,
    consistent_with_depth,
    matched_points,
    rotation_between,
    work_scale,
)
from avatar.observation.camera_reconstruction import reconstruct_cameras
from avatar.observation.small_motion import swaying_cameras, sways
from avatar.observation.time_spans import spans_in_words
from avatar.runtime.progress import progress
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Cameras, Observations

PROBES = 9  # frames by which the regime is decided
STILL = 0.75  # pixels of the work image by which the background of a standing camera may be displaced
# Share of the matches with any consistent depth that a rotation must explain.
ROTATION_SHARE = 0.7
# Sharpness of a frame, relative to its surroundings, below which it counts as blurred; share from which it is reported.
BLURRED, LEAST_BLURRED = 0.5, 0.03


@dataclass(frozen=True)
class Probe:
    """What two frames say about the motion between them.

    Attributes:
        matches: number of matched points; displacement: median distance between them, pixels of the work image.
        consistent: matches that some motion of the camera explains; rotated: those that a rotation explains too.
    """

    matches: int
    displacement: float
    consistent: int
    rotated: int


class Background:
    """What the frames of a video show of the background: a few of them at once, all of them when first asked for.

    Attributes:
        observations: frames in order of time, with the person's masks; K: of the work images.
        probes: features of evenly spaced frames.
    """

    def __init__(self, observations: Observations, focal: float) -> None:
        self.observations, self.K = observations, _work_intrinsics(observations, focal)
        self.chosen = np.unique(np.linspace(0, len(observations) - 1, PROBES).round().astype(int)).tolist()
        self.probes = list(map_in_threads(self._look, self.chosen))

    @cached_property
    def features(self) -> list[Features]:
        """Of all frames."""
        done = dict(zip(self.chosen, self.probes, strict=True))
        rest = [index for index in range(len(self.observations)) if index not in done]
        done |= zip(rest, map_in_threads(self._look, progress(rest, "following the background")), strict=True)
        return [done[index] for index in range(len(self.observations))]

    @cached_property
    def chain(self) -> tuple[Float[np.ndarray, "n 3 3"], float, Bool[np.ndarray, " n"]]:
        """`chained_rotations` of all frames."""
        return chained_rotations(self.features, self.K)

    def _look(self, index: int) -> Features:
        return background_features(self.observations.images[index], self.observations.masks[index])


def estimate_camera_motion(
    observations: Observations, focal: float, focal_given: bool, regime: CameraRegime | None = None
) -> CameraMotion:
    """How the camera of a video moved.

    What cannot be estimated (blank walls, blur, too little parallax) falls to the next simpler model, which a note
    says.

    Args:
        observations: frames in order of time, with the person's masks; focal: given or assumed focal length, pixels.
        focal_given: whether it was given; regime: how the camera moved, if the user said; None: decided here.

    Raises:
        UsageError: the user asked for a moving camera, and pycolmap is not installed.
    """
    still = standing_still(observations, focal, focal_given)
    if regime == "still" or not len(observations.images):
        return still
    background = Background(observations, focal)
    decided, note = (regime, None) if regime is not None else decide(background.probes, background.K)
    if decided == "still":
        return replace(still, notes=(note,) if note else ())
    spread = 0.0 if focal_given else USUAL_FOCAL_SPREAD
    models: list[Callable[[], CameraMotion]] = []
    if regime != "turning" and sways(background.probes, background.K, spread):
        models.append(
            lambda: swaying_cameras(observations, background.features, background.chain, background.K, spread)
        )
    if decided == "moving":
        models.append(lambda: reconstruct_cameras(observations, focal, focal_given))
    failure: list[str] = []
    for model in models:
        try:
            motion = model()
            return replace(motion, notes=(*motion.notes, *note_on_blur(observations)))
        except AvatarError as error:
            if isinstance(error, UsageError) and regime is not None:
                raise
            failure = [f"the camera moves, but {error}; it was taken for one that turns and keeps its place"]
    return _turning(background, still, failure)


def _turning(background: Background, still: CameraMotion, notes: list[str]) -> CameraMotion:
    """The motion of a camera that keeps its place; it stands still if the background cannot be followed."""
    observations, (rotations, residual, lost) = background.observations, background.chain
    if lost.sum() > len(lost) // 2:
        nothing = "the background shows too little to follow the camera, which was taken to stand still"
        return replace(still, notes=(*notes, nothing))
    if lost.any():
        where = spans_in_words(observations.times.numpy(), lost)
        notes.append(
            f"the camera moved too fast, or showed too little background, {where}: it could not be followed in "
            f"{int(lost.sum())} of {len(lost)} frames"
        )
    T = rigid(torch.from_numpy(rotations).float(), torch.zeros(len(lost), 3))
    cameras = Cameras(still.cameras.K, T, observations.width, observations.height)
    pixels = residual / work_scale(observations.width, observations.height)
    return CameraMotion("turning", cameras, still.focal_given, pixels, notes=(*notes, *note_on_blur(observations)))


def standing_still(observations: Observations, focal: float, focal_given: bool) -> CameraMotion:
    """A camera that stands still, with the optical axis in the middle of the image."""
    T = torch.eye(4).repeat(len(observations), 1, 1)
    cameras = Cameras.centred(focal, T, observations.width, observations.height)
    return CameraMotion("still", cameras, focal_given)


def decide(probes: Sequence[Features], K: Float[np.ndarray, "3 3"]) -> tuple[CameraRegime, str | None]:
    """The regime that evenly spaced frames show, and a note where they hardly show anything.

    Args:
        K: of the work images.
    """
    if np.median([len(one.points) for one in probes]) < LEAST_MATCHES:
        return "still", "the background is too blank to tell whether the camera moved: it was taken to stand still"
    middle = len(probes) // 2
    others = [one for index, one in enumerate(probes) if index != middle]
    from_middle = [look_at_pair(one, probes[middle], K) for one in others]
    if all(probe.matches >= LEAST_MATCHES and probe.displacement < STILL for probe in from_middle):
        return "still", None
    neighbours = [look_at_pair(a, b, K) for a, b in pairwise(probes)]
    telling = [probe for probe in [*from_middle, *neighbours] if probe.consistent >= LEAST_MATCHES]
    if not telling:
        # Frames with texture that do not match: only a camera that goes elsewhere shows that.
        return "moving", None
    share = float(np.quantile([probe.rotated / probe.consistent for probe in telling], 0.25))
    return ("turning" if share >= ROTATION_SHARE else "moving"), None


def look_at_pair(a: Features, b: Features, K: Float[np.ndarray, "3 3"]) -> Probe:
    """Compare the backgrounds of two frames; K is that of the work images."""
    p, q = matched_points(a, b)
    if len(p) < LEAST_MATCHES:
        return Probe(len(p), float("inf"), 0, 0)
    consistent = consistent_with_depth(p, q)
    _, distance = rotation_between(p, q, K)
    displacement = float(np.median(np.linalg.norm(p - q, axis=1)))
    return Probe(len(p), displacement, int(consistent.sum()), int((consistent & (distance < INLIER)).sum()))


def note_on_blur(observations: Observations) -> list[str]:
    """A sentence on the frames of a camera that moves which are blurred, if there are any."""
    if observations.frame_weight is None:
        return []
    blurred = (observations.frame_weight < BLURRED).numpy()
    if blurred.sum() < max(2, LEAST_BLURRED * len(blurred)):
        return []
    where = spans_in_words(observations.times.numpy(), blurred)
    return [f"the camera or the person moved too fast {where}: these frames are blurred and count less"]


def _work_intrinsics(observations: Observations, focal: float) -> Float[np.ndarray, "3 3"]:
    """The intrinsics of the work images."""
    scale = work_scale(observations.width, observations.height)
    return np.array(
        [
            [scale * focal, 0, scale * observations.width / 2],
            [0, scale * focal, scale * observations.height / 2],
            [0, 0, 1],
        ]
    )
