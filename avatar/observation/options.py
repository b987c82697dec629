"""Options of the observation stage."""

from __future__ import annotations

import math
from dataclasses import dataclass

from avatar.errors import UsageError


@dataclass(frozen=True)
class ObserveOptions:
    """Options for choosing frames, the person and the detector.

    Attributes:
        person: which person, if there are several; 1 is the largest and most persistent.
        start: beginning of the part of the video that is used, seconds.
        end: end of that part, seconds; without it the end of the video.
        max_frames: maximum number of frames; keyframes are chosen automatically.
        detector: landmark detector: mediapipe (ships with the program), auto (mediapipe, with hands and face refined
            where their models are installed), or onnx:FILE for an RTMPose, RTMW or DWPose model; see
            docs/manual/detectors.md.
        depth: depth images of a depth camera for each frame of the video, registered to it: a folder of 16-bit PNGs, an
            .npy or .npz array, or a 16-bit video (FFV1); see docs/manual/create.md.
        depth_scale: metres per unit of these images.
    """

    person: int | None = None
    start: float | None = None
    end: float | None = None
    max_frames: int = 120
    detector: str = "auto"
    depth: str | None = None
    depth_scale: float | None = None


def check_depth_scale(options: ObserveOptions) -> None:
    """Refuse a unit of depth that is no length, or is given without depth.

    Raises:
        UsageError: see above.
    """
    scale = options.depth_scale
    if scale is None:
        return
    if options.depth is None:
        raise UsageError("--depth-scale is the unit of the images of --depth: give both.")
    if not 0 < scale < math.inf:
        raise UsageError(f"--depth-scale is in metres per unit, such as 0.001 for millimetres, not {scale:g}.")
