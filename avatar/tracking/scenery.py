"""What stands behind the person: places that they stand before in other frames.

Where a fitted limb has missed the person, its place in the image shows the scenery behind them, and nothing hides them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from avatar.geometry import project
from avatar.types import BodyTrack, Cameras, Observations

LOOKS = 24  # frames that are looked at, evenly spaced
NEARER = 0.3  # metres by which somebody comes nearer who may have passed what hid them
KEEPS_PLACE = 0.02  # metres that a camera may move and still shows the scenery from one place
EMPTY, PERSON = 64, 128  # of a mask: below and above
RING = 0.06  # width of the surroundings of a place, in heights of the person
LEAST_RING = 0.2  # of a place's area: fewer pixels of the ring that both frames show say nothing
ALIKE = 16  # difference of the brightest changed channel up to which two pixels show the same, of 255
MOSTLY = 0.5
COVERED = 0.3  # share of a place that the person stands before in other frames; none of it where something hides them


@dataclass(frozen=True)
class Look:
    """One frame of the clip at reduced size.

    Attributes:
        pixels_from_rays: its camera, without the place; depth: of the person, metres.
    """

    image: UInt8[np.ndarray, "h w 3"]
    mask: UInt8[np.ndarray, "h w"]
    pixels_from_rays: Float[np.ndarray, "3 3"]
    depth: float

    def seen_from(self, other: Look) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w"]]:
        """Image and mask as the camera of `other` would show them; masks are half full where this one shows nothing."""
        import cv2

        H = other.pixels_from_rays @ np.linalg.inv(self.pixels_from_rays)
        size = self.mask.shape[::-1]
        image = cv2.warpPerspective(self.image, H, size)
        mask = cv2.warpPerspective(self.mask, H, size, borderValue=(EMPTY + PERSON) // 2)
        return np.asarray(image), np.asarray(mask)


class Scenery:
    """The scenery of a clip whose camera keeps its place.

    Args:
        track: of the same frames, with cameras.
        scale, size: of the reduced images; tall: height of the person in them, pixels.
    """

    def __init__(
        self, observations: Observations, track: BodyTrack, scale: float, size: tuple[int, int], tall: float
    ) -> None:
        self._observations, self._track = observations, track
        self._scale, self._size, self._tall = scale, size, tall
        count = min(LOOKS, len(observations))
        self._looks = [self._look(int(index)) for index in np.linspace(0, len(observations) - 1, count).round()]

    @staticmethod
    def of(
        observations: Observations, track: BodyTrack, scale: float, size: tuple[int, int], tall: float
    ) -> Scenery | None:
        """The scenery; None where there are no images, or the camera moves."""
        if not len(observations.images) or track.cameras is None or not _keeps_place(track.cameras):
            return None
        return Scenery(observations, track, scale, size, tall)

    def shows(self, index: int, part: Bool[np.ndarray, "h w"]) -> bool:
        """Whether a part of a frame without the person shows what they stand before in other frames.

        In such a frame they must be no nearer to the camera, and the part's surroundings must look the same, so that
        nothing has been put there meanwhile. So must the part itself in frames that show it without the person.
        """
        here = self._look(index)
        ring = widened(part, RING * self._tall) & ~part & (here.mask < EMPTY)
        behind, changed, empty = np.zeros_like(part), np.zeros(part.shape), np.zeros(part.shape)
        for look in self._looks:
            image, mask = look.seen_from(here)
            alike = np.abs(image.astype(int) - here.image).max(2) <= ALIKE
            both = ring & (mask < EMPTY)
            if (
                look.depth > here.depth - NEARER
                and both.sum() > LEAST_RING * part.sum()
                and alike[both].mean() > MOSTLY
            ):
                behind |= part & (mask >= PERSON)
            empty += mask < EMPTY
            changed += (mask < EMPTY) & ~alike
        often_empty = part & (empty > 0)
        something_else = changed[often_empty].sum() > MOSTLY * empty[often_empty].sum()
        return bool(behind.sum() > COVERED * part.sum() and not something_else)

    def _look(self, index: int) -> Look:
        import cv2

        observations, track = self._observations, self._track
        cameras, root = track.cameras, track.poses.root_position[int(observations.instant[index])]
        assert cameras is not None
        image, mask = (
            cv2.resize(np.ascontiguousarray(one), self._size, interpolation=cv2.INTER_AREA)
            for one in (observations.images[index][..., :3], observations.masks[index])
        )
        K = np.diag([self._scale, self._scale, 1.0]) @ cameras.K[index].numpy()
        depth = project(cameras.K[index], cameras.T_camera_world[index], root[None])[1]
        return Look(image, mask, K @ cameras.T_camera_world[index, :3, :3].numpy(), float(depth))


def _keeps_place(cameras: Cameras) -> bool:
    places = -(cameras.T_camera_world[:, :3, :3].mT @ cameras.T_camera_world[:, :3, 3:])[..., 0]
    return float((places - places.mean(0)).norm(dim=1).max()) < KEEPS_PLACE


def disc(radius: float) -> UInt8[np.ndarray, "k k"]:
    """A disc of a radius in pixels, for OpenCV's morphology."""
    import cv2

    side = 2 * max(1, round(radius)) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))


def widened(part: Bool[np.ndarray, "h w"], radius: float) -> Bool[np.ndarray, "h w"]:
    """A part of an image and what lies around it."""
    import cv2

    return np.asarray(cv2.dilate(part.astype(np.uint8), disc(radius))) > 0
