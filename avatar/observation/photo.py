"""One photo in, `Observations` of one frame out; and that frame as a clip that stands still, for the tracking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from avatar.errors import AvatarError, UsageError
from avatar.io.heic import is_heic
from avatar.io.images import read_image
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.confidence import check_in_view
from avatar.observation.detectors.flip_test import person_size
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.matting import refine_mask
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Detection, ImageList, LandmarkDetector, Observations

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".heic", ".heif", ".avif")
LONGEST_SIDE = 1920
SMALLEST_SIDE = 128
SMALLEST_PERSON = 96  # px, diagonal of the landmarks
UNSURE = 0.25  # mean confidence of the landmarks below which it is hardly a person
OPAQUE = 250  # alpha from which a pixel hides what is behind it
STILL_FRAMES = 5


def is_photo(path: Path) -> bool:
    """Whether `path` names or holds an image rather than a video."""
    return path.suffix.lower() in PHOTO_SUFFIXES or (path.is_file() and is_heic(path))


def observe_photo(
    path: str | Path, person: int | None = None, detector: LandmarkDetector | None = None
) -> Observations:
    """Find the person in a photo: landmarks, their 3D guess and a sharp mask.

    Args:
        path: png, jpg, webp, heic or avif; where it is transparent, its alpha is the mask.
        person: which person, 1 being the largest; needed where there are several.

    Raises:
        UsageError: there is no such file, or no person of that number.
        AvatarError: it is not a readable image, too small, shows nobody, several people or only an upper body.
    """
    path = Path(path)
    pixels = read_image(path)
    if min(pixels.shape[:2]) < SMALLEST_SIDE:
        raise AvatarError(
            f"{path} is {pixels.shape[1]}x{pixels.shape[0]}: a photo needs at least {SMALLEST_SIDE} pixels per side."
        )
    pixels = scaled_down(pixels, LONGEST_SIDE)
    image, alpha = on_white(pixels)
    if detector is None:
        detector, _ = choose_detector()
    # In a separate thread, which frees the network; freed at exit it prints an error.
    (people,) = map_in_threads(detector.detect, [image])
    detection = _choose(people, person, path)
    mask = refine_mask(image, detection.mask, None) if alpha is None else alpha
    height, width = mask.shape
    layout = LAYOUTS[detector.layout]
    if person_size(detection.keypoints) < SMALLEST_PERSON:
        raise AvatarError(
            f"{path}: the person is only {person_size(detection.keypoints):.0f} pixels large; "
            f"at least {SMALLEST_PERSON} are needed."
        )
    notes = check_in_view(detection.keypoints[None], layout, width, height, str(path))
    if mask.max() < 128:
        raise AvatarError(f"{path}: the person could not be separated from the background.")
    return Observations(
        images=ImageList.of((image,)),
        masks=ImageList.of((mask,)),
        keypoints=torch.from_numpy(detection.keypoints[None].astype(np.float32)),
        keypoints_3d=torch.from_numpy(detection.keypoints_3d[None].astype(np.float32)),
        layout=detector.layout,
        instant=torch.zeros(1, dtype=torch.int64),
        times=torch.zeros(1),
        width=width,
        height=height,
        frame_weight=torch.ones(1),
        source=str(path),
        notes=tuple(notes),
    )


def still_clip(photo: Observations, rate: float = 30.0) -> Observations:
    """The photo as a short clip without motion, the form in which tracking fits it."""
    count = STILL_FRAMES
    return replace(
        photo,
        images=ImageList.of((photo.images[0],) * count),
        masks=ImageList.of((photo.masks[0],) * count),
        keypoints=photo.keypoints.repeat(count, 1, 1),
        keypoints_3d=photo.keypoints_3d.repeat(count, 1, 1),
        instant=torch.arange(count),
        times=torch.arange(count) / rate,
        frame_weight=None,
    )


def scaled_down(pixels: UInt8[np.ndarray, "h w c"], longest: int) -> UInt8[np.ndarray, "h2 w2 c"]:
    """The image with its longer side at most `longest` pixels, by area averaging."""
    import cv2

    scale = longest / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def on_white(
    pixels: UInt8[np.ndarray, "h w c"],
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"] | None]:
    """An image on white and its alpha, or None where it hides everything behind it."""
    if pixels.shape[2] == 3 or pixels[..., 3].min() >= OPAQUE:
        return np.ascontiguousarray(pixels[..., :3]), None
    share: Float[np.ndarray, "h w 1"] = pixels[..., 3:] / 255
    return np.rint(pixels[..., :3] * share + 255 * (1 - share)).astype(np.uint8), pixels[..., 3].copy()


def _choose(detections: list[Detection], person: int | None, path: Path) -> Detection:
    sure = [one for one in detections if one.keypoints[:, 2].mean() > UNSURE]
    if not sure:
        raise AvatarError(
            f"{path}: no person was found. Give a photo of one real person who is wholly in view; drawings and "
            "dolls are often not recognised."
        )
    if person is None and len(sure) > 1:
        raise AvatarError(f"{path} shows {len(sure)} people: choose one with --person, 1 being the largest.")
    number = person or 1
    if not 1 <= number <= len(sure):
        raise UsageError(f"{path} shows {len(sure)} people: there is no person {number}.")
    return sorted(sure, key=lambda one: -float(person_size(one.keypoints)))[number - 1]
