"""Other people's pixels: where somebody else is before, behind or beside the person, these tell nothing of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, UInt8

from avatar.io.images import read_mask
from avatar.io.observations_file import image_path
from avatar.observation.company import found_twice, overlaps
from avatar.observation.mask_shapes import dilate, mask_scale
from avatar.observation.person_tracks import PersonTrack

PERSON = 60  # of a coarse mask: above, it may show somebody
NEAR = 10.0  # width of the strip around others that is not trusted either, see `mask_scale`
LEAST_TRUSTED = 0.7  # share of the person's mask; with less, the mask itself is not to be trusted


@dataclass(frozen=True)
class Neighbors:
    """Where other people are in the frames of one person.

    Attributes:
        person: whose frames; others: everybody else of the same shot; close: in which of the person's frames somebody
            is close; masks: folder of everybody's coarse masks.
    """

    person: PersonTrack
    others: Sequence[PersonTrack]
    close: Bool[np.ndarray, " frames"]
    masks: Path

    @staticmethod
    def of(person: PersonTrack, everyone: Sequence[PersonTrack], times: Sequence[float], masks: Path) -> Neighbors:
        """The neighbours of one of several people; `times` are those of the frames that their indices name."""
        others = [
            track for track in everyone
            if track is not person and track.shot == person.shot and not found_twice(person, track)
        ]  # fmt: skip
        return Neighbors(person, others, overlaps(person, others, times), masks)

    def apart(self, index: int) -> tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"] | None]:
        """The coarse mask of the person's frame `index` without others' pixels, and which pixels are trusted.

        Returns:
            The mask, and 0 where others are and 255 elsewhere, or 0 everywhere if the mask may hold somebody else; None
            where nobody is near.
        """
        own, masks = self._mask(self.person, self.person.frames[index]), self._masks_of_others(index)
        if not masks:  # where somebody is close whom the detector does not see, nothing tells them apart
            return own, np.zeros_like(own) if self.close[index] else None
        other = np.maximum.reduce(masks)
        theirs = dilate(other > PERSON, NEAR * mask_scale(other))
        if not (theirs & (own > PERSON)).any():
            return own, None
        alone = np.where(other > own, 0, own).astype(np.uint8)
        trusted = (alone > 127) & ~theirs
        if trusted.sum() < LEAST_TRUSTED * (own > 127).sum():
            return own, np.zeros_like(own)
        return alone, np.where(theirs, 0, 255).astype(np.uint8)

    def everybody(self, index: int) -> UInt8[np.ndarray, "h w"]:
        """The coarse masks of all people in the person's frame `index`, in one."""
        own = self._mask(self.person, self.person.frames[index])
        together: UInt8[np.ndarray, "h w"] = np.maximum.reduce([own, *self._masks_of_others(index)])
        return together

    def _masks_of_others(self, index: int) -> list[UInt8[np.ndarray, "h w"]]:
        frame = self.person.frames[index]
        return [self._mask(other, frame) for other in self.others if frame in other.frames]

    def _mask(self, track: PersonTrack, frame: int) -> UInt8[np.ndarray, "h w"]:
        return read_mask(image_path(self.masks, track.numbers[track.frames.index(frame)]))
