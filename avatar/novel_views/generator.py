"""What every generator of views promises, and how its pictures become part of the observations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from avatar.errors import AvatarError, UsageError
from avatar.observation.matting import largest_region, refine_mask
from avatar.types import LandmarkDetector

BACKGROUND_SPREAD = 12.0  # grey levels, within which the border of a picture counts as one colour
BACKGROUND_REACH = 18  # grey levels from the background's colour that still are background


@dataclass(frozen=True)
class View:
    """A picture of the person of a photo, in the same pose, from another side.

    Attributes:
        name: for messages.
        image: sRGB; mask: soft mask of the person.
        azimuth: degrees round the person from where the photo was taken; at 90 the camera stands to the left of a
            person who faces the photo's camera, and sees the left side.
        elevation: degrees that the camera stands above the horizontal plane through the person's middle.
        fov: degrees across the longer side of the picture.
        confidence: how far the picture is trusted, in [0, 1], before its azimuth and agreement are looked at.
    """

    name: str
    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    azimuth: float
    elevation: float
    fov: float
    confidence: float = 1.0


@dataclass(frozen=True)
class Photo:
    """What a generator starts from.

    Attributes:
        image: the photo; mask: soft mask of the person.
        elevation: degrees that its camera stands above the horizontal plane through the person's middle.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    elevation: float


@runtime_checkable
class ViewGenerator(Protocol):
    """Makes views of the person in a photo. Whatever it is, its views are guesses."""

    def terms(self) -> str | None:
        """A sentence on the licence of what makes the views, or None where nobody but the user knows."""
        ...

    def generate(self, photo: Photo) -> list[View]:
        """The views, without the photo itself.

        Raises:
            AvatarError: packages, weights, files or memory are missing; one sentence says which.
        """
        ...


def view_generator(name: str, device: str, frames: int, offload: bool) -> ViewGenerator | None:
    """The generator of "folder:PATH", "orbit:MODEL" or "edit:MODEL"; None for "none".

    Args:
        frames: views of an orbit, at most; offload: keep weights in main memory while they are not used.

    Raises:
        UsageError: there is no such generator.
    """
    kind, _, what = name.partition(":")
    if name == "none":
        return None
    if not what or kind not in ("folder", "orbit", "edit"):
        raise UsageError(f"--views must be none, folder:PATH, orbit:MODEL or edit:MODEL, not {name!r}.")
    if kind == "folder":
        from avatar.novel_views.folder import FolderViews

        return FolderViews(what)
    if kind == "orbit":
        from avatar.novel_views.sv3d import OrbitViews

        return OrbitViews(what, device, frames, offload=offload)
    from avatar.novel_views.image_edit import EditedViews

    return EditedViews(what, device, offload=offload)


def person_mask(
    image: UInt8[np.ndarray, "h w 3"], name: str, detector: LandmarkDetector | None
) -> UInt8[np.ndarray, "h w"]:
    """The person in a generated picture: what is not plain background, or else what the detector finds.

    Raises:
        AvatarError: the background is not plain and nobody is found.
    """
    border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).astype(np.float32)
    # The person may touch the border: half of it is enough to know the background.
    color = np.median(border, axis=0)
    plain = np.abs(border - color).max(-1) < BACKGROUND_SPREAD
    if plain.mean() > 0.5:
        return not_background(image, color)
    found = [] if detector is None else detector.detect(image)
    if not found:
        raise AvatarError(f"{name}: no person was found, and the background is not plain: give it an alpha channel.")
    return refine_mask(image, found[0].mask, None)


def not_background(image: UInt8[np.ndarray, "h w 3"], color: Float32[np.ndarray, " 3"]) -> UInt8[np.ndarray, "h w"]:
    """Everything that plain background of one colour, flooded from the border, does not reach."""
    import cv2

    framed = cv2.copyMakeBorder(image, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=[float(v) for v in color])
    flooded = np.zeros((framed.shape[0] + 2, framed.shape[1] + 2), np.uint8)
    reach = (BACKGROUND_REACH,) * 3
    cv2.floodFill(framed, flooded, (0, 0), 0, reach, reach, cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | 8)
    return largest_region(np.where(flooded[2:-2, 2:-2] > 0, 0, 255).astype(np.uint8))
