"""Options of the observation stage."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    person: int | None = None
    start: float | None = None
    end: float | None = None
    max_frames: int = 120
    detector: str = "auto"
