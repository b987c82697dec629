"""Prior knowledge of the person and the camera, given by the user."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from avatar.errors import UsageError

STEEPEST_PITCH = 60.0  # degrees
CAMERAS = ("auto", "still", "turning", "moving")


@dataclass(frozen=True)
class TrackOptions:
    """Prior knowledge of the person and the camera; every entry is optional.

    Attributes:
        height: height of the person in metres. Without it the size of everything is known only up to a scale.
        shape: shape of the person in words, such as height=1.82,weight=0.6; the body keeps to it. The words are height
            (metres, the same as --height), age (years), weight, gender (0 male to 1 female), muscle and proportions
            (0 to 1). Not available for SMPL files.
        focal: focal length of the camera in pixels.
        pitch: how far the camera looks down, degrees; negative: up.
        camera: how the camera moved: auto (the background tells), still, turning (it keeps its place), moving, or a
            file with the camera of each frame, or with the intrinsics alone; see docs/manual/create.md.
        keep_going: take the result even if the fit has clearly failed.
        iuv: folder with one IUV image (PNG) for each frame of the video, from a dense detector of your own, in the
            charts of `avatar export --dataset`, or in DensePose's; see docs/manual/detectors.md.
        iuv_charts: your copy of DensePose's UV_Processed.mat, for IUV images in DensePose's charts; needs an SMPL file
            as --body.
    """

    height: float | None = None
    shape: str | None = None
    focal: float | None = None
    pitch: float | None = None
    camera: str = "auto"
    keep_going: bool = False
    iuv: str | None = None
    iuv_charts: str | None = None


def check_camera(camera: str) -> None:
    """Refuse what is neither a word nor a file.

    Raises:
        UsageError: see above.
    """
    if camera not in CAMERAS and not Path(camera).exists():
        raise UsageError(f"--camera is {', '.join(CAMERAS)} or a file, and there is no file {camera}.")


def check_pitch(pitch: float | None) -> None:
    """Refuse a pitch at which no whole person is in view.

    Raises:
        UsageError: it is out of range.
    """
    if pitch is not None and not -STEEPEST_PITCH <= pitch <= STEEPEST_PITCH:
        raise UsageError(
            f"--pitch is in degrees, from {-STEEPEST_PITCH:g} (looking up) to {STEEPEST_PITCH:g} (down), not {pitch:g}."
        )
