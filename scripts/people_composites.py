"""Put two people into one video with exact masks, and measure what the landmark network finds of each.

    python scripts/people_composites.py CAPTURE OUT              # writes the clips
    python scripts/people_composites.py CAPTURE OUT --measure    # and asks the network, some minutes

Of the person of a capture who turns on the spot and of a recoloured mirror image. In `cross` one walks past before the
other, in `behind` the other stands behind. Each becomes three videos: `cross.mp4`, `cross-front.mp4` and
`cross-back.mp4` (one of them alone in the same room), and their masks `cross-front/0000.png`, ...
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tyro
from jaxtyping import Bool, Float32, UInt8

from avatar.datasets.capture import load_capture
from avatar.io.images import write_image
from avatar.io.videos import VideoWriter, open_video
from avatar.observation.background_plate import Plate, background_plate
from avatar.observation.contact import PAINT, PERSON
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.mask_shapes import dilate, mask_scale
from avatar.pipeline.landmarks_alone import MARGIN
from avatar.types import Detection, ImageList, LandmarkDetector

FRAMES, FPS = 36, 12
WIDTH, HEIGHT = 360, 640  # of the capture's images in the composite, which is twice as wide
PHASE = 9  # frames by which the mirror image is ahead
NOISE = 1.5  # grey levels
# Pixels to the right of the middle where the one in front and the one behind begin and end.
PLACES = {"cross": ((-170, 170), (170, -170)), "behind": ((-40, -40), (45, 45))}
RED = (165, 5)  # hues of OpenCV, half degrees: a red shirt, not skin
SHIRT_ROWS, TROUSER_ROWS = (0.28, 0.53), (0.4, 1.0)  # shares of the image's height
BLUE = 90  # and above: trousers
TURNED = 60  # half degrees by which these hues are turned
TOUCH = 8.0  # pixels between two people who touch
LEAST_PIXELS = 4000  # of somebody of whom landmarks are looked for
LEAST_AGREEMENT = 0.5  # of the detector's mask and the true one
SURE, WRONG_PX = 0.3, 10.0  # confidence of landmarks that count; distance from those in the own clip

Image = UInt8[np.ndarray, "h w 3"]
Mask = UInt8[np.ndarray, "h w"]


@dataclass(frozen=True)
class Composite:
    """Two people, the one in front first.

    Attributes:
        images: with both; alone: with one of them; masks: of each, as if alone.
    """

    images: list[Image]
    alone: tuple[list[Image], list[Image]]
    masks: tuple[list[Mask], list[Mask]]

    def shown(self, who: int, frame: int) -> Mask:
        """The mask of what shows of somebody."""
        front, own = self.masks[0][frame], self.masks[who][frame]
        return own if who == 0 else np.rint(own * (1 - front / 255.0)).astype(np.uint8)


def main(
    capture: tyro.conf.Positional[Path],
    out: tyro.conf.Positional[Path],
    clip: str = "turn",
    measure: bool = False,
) -> None:
    """Write the clips.

    Args:
        capture: the folder, see docs/formats/capture.md. out: the folder to write. clip: of the capture, in which the
            camera stands still. measure: whether the landmarks are measured too.
    """
    images, masks = filmed(capture, clip)
    plate = background_plate(listed(images), listed(masks))
    assert plate is not None, "the camera moves"
    for name in PLACES:
        composite = composed(images, masks, room_of(plate), name)
        write(composite, out, name)
        if measure:
            print_landmarks(composite, name)


def filmed(capture: Path, clip: str) -> tuple[list[Image], list[Mask]]:
    """Images and masks of evenly spaced frames of a clip, in the size of the composite."""
    true, size = load_capture(capture).clips[clip], (WIDTH, HEIGHT)
    chosen = np.linspace(0, len(true) - 1, FRAMES).round().astype(int).tolist()
    frames = [image for _, image in open_video(true.video).frames(chosen)]
    images = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in frames]
    return images, [cv2.resize(true.masks[index], size, interpolation=cv2.INTER_AREA) for index in chosen]


def room_of(plate: Plate) -> Image:
    """The room without anybody, also where it never shows."""
    hidden = (~plate.visible).astype(np.uint8)
    return np.asarray(cv2.inpaint(plate.color.clip(0, 255).astype(np.uint8), hidden, 5, cv2.INPAINT_TELEA))


def composed(images: list[Image], masks: list[Mask], room: Image, name: str) -> Composite:
    """Two people in a room that goes on as its mirror image."""
    half, generator = WIDTH // 2, np.random.default_rng(0)
    wide = np.concatenate([room[:, half:][:, ::-1], room, room[:, :half][:, ::-1]], axis=1).astype(np.float32)
    both: list[Image] = []
    alone: tuple[list[Image], list[Image]] = ([], [])
    shown: tuple[list[Mask], list[Mask]] = ([], [])
    for frame, share in enumerate(np.linspace(0, 1, FRAMES)):
        other = (frame + PHASE) % FRAMES
        front = placed(images[frame], masks[frame], PLACES[name][0], share)
        back = placed(recoloured(images[other])[:, ::-1], masks[other][:, ::-1], PLACES[name][1], share)
        noise = generator.normal(0, NOISE, wide.shape)
        for taken, people in ((alone[0], [front]), (alone[1], [back]), (both, [back, front])):
            image: np.ndarray = wide
            for color, mask in people:
                image = image + (color - image) * (mask[..., None] / np.float32(255))
            taken.append((image + noise).round().clip(0, 255).astype(np.uint8))
        for taken_masks, (_, mask) in zip(shown, (front, back), strict=True):
            taken_masks.append(mask)
    return Composite(both, alone, shown)


def placed(image: Image, mask: Mask, places: tuple[int, int], share: float) -> tuple[Image, Mask]:
    """An image and its mask moved within the wide image."""
    shift = WIDTH / 2 + places[0] + share * (places[1] - places[0])
    move, size = np.array([[1, 0, shift], [0, 1, 0]], np.float32), (2 * WIDTH, HEIGHT)
    return np.asarray(cv2.warpAffine(image, move, size)), np.asarray(cv2.warpAffine(mask, move, size))


def recoloured(image: Image) -> Image:
    """The same person in a green shirt and purple trousers."""
    hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
    hue, rows = hsv[..., 0].astype(int), np.arange(HEIGHT)[:, None] / HEIGHT
    shirt = ((hue >= RED[0]) | (hue <= RED[1])) & (rows > SHIRT_ROWS[0]) & (rows < SHIRT_ROWS[1])
    trousers = (hue > BLUE) & (rows > TROUSER_ROWS[0]) & (rows < TROUSER_ROWS[1])
    hsv[..., 0] = np.where(shirt | trousers, (hue + TURNED) % 180, hue)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def write(composite: Composite, out: Path, name: str) -> None:
    """Write the three videos and the masks."""
    front, back = composite.alone
    for ending, images in (("", composite.images), ("-front", front), ("-back", back)):
        with VideoWriter(out / f"{name}{ending}.mp4", FPS) as video:
            for image in images:
                video.add(image)
    for ending, masks in zip(("front", "back"), composite.masks, strict=True):
        for frame, mask in enumerate(masks):
            write_image(out / f"{name}-{ending}" / f"{frame:04d}.png", mask)


def print_landmarks(composite: Composite, name: str) -> None:
    """How far the landmarks in frames of contact are from those in the person's own clip, by what is painted over."""
    detector = choose_detector("auto")[0]
    union = [np.maximum(a, b) for a, b in zip(*composite.masks, strict=True)]
    plate = background_plate(listed(composite.images), listed(union))
    assert plate is not None
    room = room_of(plate)
    for who, person in enumerate(("front", "back")):
        errors: dict[str, list[Float32[np.ndarray, "joints 2"] | None]] = {}
        for frame in range(0, FRAMES, 2):
            true = detected(detector, composite.alone[who][frame], composite.masks[who][frame])
            if true is None or not touch(composite, who, frame):
                continue
            for way, image in looks(composite, who, frame, room):
                found = detected(detector, image, composite.shown(who, frame))
                errors.setdefault(way, []).append(None if found is None else distances(found, true))
        for way, each in errors.items():
            print(f"{name}, {person}, {way}: {summary(each)}", flush=True)


def touch(composite: Composite, who: int, frame: int) -> bool:
    """Whether enough of somebody shows, and the other is near."""
    own, other = composite.shown(who, frame) > 127, composite.shown(1 - who, frame) > 127
    return bool(own.sum() >= LEAST_PIXELS and (dilate(own, TOUCH) & other).any())


def looks(composite: Composite, who: int, frame: int, room: Image) -> Iterator[tuple[str, Image]]:
    """The frame with the other painted away in several ways."""
    image, own = composite.images[frame], composite.shown(who, frame)
    other, scale = composite.shown(1 - who, frame) > PERSON, mask_scale(own)
    yield "nothing painted", image

    def painted(color: Any, mask: Bool[np.ndarray, "h w"], margin: float = MARGIN) -> Image:
        return np.where((dilate(other, margin * scale) & ~mask)[..., None], color, image).astype(np.uint8)

    mask = own > PERSON
    yield "room", painted(room, mask)
    yield "room, a third of the margin", painted(room, mask, MARGIN / 3)
    yield "room, twice the margin", painted(room, mask, 2 * MARGIN)
    yield "grey", painted(PAINT, mask)
    yield "room, mask 3 px too wide", painted(room, dilate(mask, 3.0))
    yield "room, mask 3 px too narrow", painted(room, ~dilate(~mask, 3.0))


def detected(detector: LandmarkDetector, image: Image, mask: Mask) -> Detection | None:
    """The detection of whom a mask shows, if there is one."""
    person, best, most = mask > 127, None, LEAST_AGREEMENT
    for one in detector.detect(image):
        shown = one.mask > 127
        agreement = (shown & person).sum() / max((shown | person).sum(), 1)
        if agreement > most:
            best, most = one, agreement
    return best


def distances(found: Detection, true: Detection) -> Float32[np.ndarray, "joints 2"]:
    """Of each landmark the distance from the other, pixels, and its confidence."""
    apart = np.linalg.norm((found.keypoints - true.keypoints)[:, :2], axis=1)
    return np.stack([apart, found.keypoints[:, 2]], axis=1).astype(np.float32)


def summary(each: list[Float32[np.ndarray, "joints 2"] | None]) -> str:
    found = [one for one in each if one is not None]
    if not found:
        return f"found in 0 of {len(each)} frames"
    apart, confidence = np.concatenate(found).T
    sure = confidence > SURE
    return (
        f"found in {len(found)} of {len(each)} frames, {np.average(apart, weights=confidence):.2f} px, "
        f"{100 * np.mean(apart[sure] > WRONG_PX):.1f} % of the sure ones wrong"
    )


def listed(images: list[Any]) -> ImageList:
    return ImageList(len(images), lambda index: images[index])


if __name__ == "__main__":
    tyro.cli(main)
