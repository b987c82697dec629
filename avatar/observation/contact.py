"""People whom a detector misses in the whole image: the landmark network is asked for each one alone.

Of two people whose boxes overlap a detector finds one, whose mask holds both. Somebody small in a wide image is missed
now and then, or lost in foliage. But where somebody must be is known from the frames before, and on a crop around that
place, with everybody else painted over, the network finds the right one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from avatar.landmark_layouts import LAYOUTS
from avatar.observation.appearance import Appearance, appearance, difference
from avatar.observation.detectors.flip_test import SAME_PERSON, person_size
from avatar.observation.limbs import limb_zones
from avatar.observation.mask_shapes import dilate
from avatar.types import Detection, LandmarkDetector

LEAST_OVERLAP = 0.03  # of two people's boxes, as a share of the smaller one
CROP_MARGIN = 0.12  # around a person's box, as a share of their size
PAINT = 127  # grey level that hides the others
PAINT_MARGIN = 0.008  # by which they are hidden too widely, as a share of the person's size
REACH = 0.35  # mean distance of the landmarks from where they are expected, as a share of the person's size
LOOKS, UNSURE = 0.5, 0.1  # weights of the difference of appearances and of lacking confidence beside that distance
ROUNDS = 2  # the masks of the first are what is painted over in the second
GOOD = 0.2  # cost of a detection that fits so well that no other is looked for
PERSON = 60  # of a mask: above, it may show the person
LEAST_CONFIDENCE = 0.4  # mean of the landmarks of somebody who shows only when the others are painted over
MOST_COVERED = 0.4  # share of their mask that may lie on what is painted over
# Mean confidence of the landmarks: of a detection that is looked at more closely, of a person who is worth it, and how
# much surer the closer look must be.
DOUBTFUL, WELL_KNOWN, SURER = 0.6, 0.5, 0.1

Keypoints = Float32[np.ndarray, "joints 3"]


@dataclass(frozen=True)
class Expected:
    """Where somebody should be in a frame, by their motion, and how they look; None: not known.

    `certainty`: the usual mean confidence of their landmarks.
    """

    keypoints: Keypoints
    looks: Appearance | None = None
    certainty: float = 1.0


def certainty(keypoints: Keypoints) -> float:
    """Mean confidence of the landmarks that are there."""
    return float(np.nanmean(keypoints[:, 2]))


def landmark_distance(a: Keypoints, b: Keypoints) -> float:
    """Mean distance of the landmarks as a share of the larger person's size; infinite without a common landmark."""
    steps = np.linalg.norm((a - b)[:, :2], axis=1)
    if not np.isfinite(steps).any():  # NaN marks a missing landmark
        return float("inf")
    return float(np.nanmean(steps) / max(person_size(a), person_size(b)))


def box_overlap(a: Keypoints, b: Keypoints, margin: float = 0.0) -> float:
    """Share of the box around the landmarks `a` that lies in the box of `b`, both widened by a share of their size."""
    (low_a, high_a), (low_b, high_b) = _box(a, margin), _box(b, margin)
    common = np.clip(np.minimum(high_a, high_b) - np.maximum(low_a, low_b), 0, None)
    return float(common.prod() / np.maximum((high_a - low_a).prod(), 1.0))


class CloserLook:
    """Asks a detector for each of the people in contact alone, and for those whom it missed or was unsure of."""

    def __init__(self, detector: LandmarkDetector) -> None:
        self._detector, self._layout = detector, LAYOUTS[detector.layout]

    def resolve(
        self, image: UInt8[np.ndarray, "h w 3"], detections: list[Detection], expected: Sequence[Expected]
    ) -> list[Detection]:
        """The detections of an image, with those found anew, each alone, who are in contact, missed or doubtful.

        Args:
            expected: of everybody who was there in the frames before.
        """
        figures, strangers = _assigned(detections, expected)
        places = [
            one.keypoints if figure is None else figure.keypoints for one, figure in zip(expected, figures, strict=True)
        ]
        close = _in_contact(places)
        lost = {
            who
            for who, (one, figure) in enumerate(zip(expected, figures, strict=True))
            if who not in close and one.certainty > WELL_KNOWN and _is_doubtful(figure)
        }
        if not close and not lost:
            return detections
        for _ in range(ROUNDS if close else 0):
            figures = [
                self._ask(image, who, expected, figures) if who in close else figure
                for who, figure in enumerate(figures)
            ]
        for who in lost:
            figures[who] = self._look_for(image, who, expected, figures)
        strangers = [one for one in strangers if not any(_overlap(one.keypoints, places[who]) for who in close)]
        return [figure for figure in figures if figure is not None] + [
            one for one in strangers if not (_is_doubtful(one) and any(_lies_on(one, figures[who]) for who in lost))
        ]

    def _look_for(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        who: int,
        expected: Sequence[Expected],
        figures: Sequence[Detection | None],
    ) -> Detection | None:
        """Somebody looked for on the crop around the place where they should be; what is there already if that is not
        surer."""
        current = figures[who]
        places = [expected[who].keypoints, *([] if current is None else [current.keypoints])]
        best, least = current, 0.0 if current is None else certainty(current.keypoints) + SURER
        for one in detected_around(self._detector, image, places):
            sure, looks = certainty(one.keypoints), appearance(image, one, self._layout)
            cost = self._cost(one, looks, expected[who])
            if (
                sure > max(least, LEAST_CONFIDENCE)
                and cost < REACH
                and not self._is_other(one, looks, cost, who, expected, figures)
            ):
                best, least = one, sure
        return best

    def _ask(
        self,
        image: UInt8[np.ndarray, "h w 3"],
        who: int,
        expected: Sequence[Expected],
        figures: Sequence[Detection | None],
    ) -> Detection | None:
        """One person found alone on the crop around them; None where they are hidden."""
        current = figures[who]
        place = expected[who].keypoints if current is None else current.keypoints
        own = self._zone(image.shape[:2], place)
        others = np.zeros(image.shape[:2], bool)
        for other, figure in enumerate(figures):
            if other != who:
                others |= (
                    self._zone(image.shape[:2], expected[other].keypoints)
                    if figure is None
                    else dilate(figure.mask > PERSON, PAINT_MARGIN * float(person_size(figure.keypoints)))
                )
        places = [place, expected[who].keypoints]
        best, least = None, float("inf")
        for hidden in (others & ~own, others):
            if least < GOOD:
                break
            painted = np.where(hidden[..., None], np.uint8(PAINT), image)
            for one in detected_around(self._detector, painted, places):
                looks = appearance(image, one, self._layout)
                cost = self._cost(one, looks, expected[who])
                if cost < least and not self._is_other(one, looks, cost, who, expected, figures):
                    best, least = one, cost
        return best if least < REACH + LOOKS / 2 else None

    def _cost(self, one: Detection, looks: Appearance, expected: Expected) -> float:
        """How little a detection fits somebody; smaller is better."""
        unlike = float("nan") if expected.looks is None else difference(looks, expected.looks)
        apart = landmark_distance(one.keypoints, expected.keypoints)
        return apart + LOOKS * (0.0 if np.isnan(unlike) else unlike) + UNSURE * (1 - certainty(one.keypoints))

    def _is_other(
        self,
        one: Detection,
        looks: Appearance,
        cost: float,
        who: int,
        expected: Sequence[Expected],
        figures: Sequence[Detection | None],
    ) -> bool:
        """Whether a detection fits somebody else better."""
        return any(
            self._cost(one, looks, expected[other]) < cost
            and (figure is None or landmark_distance(one.keypoints, figure.keypoints) < SAME_PERSON)
            for other, figure in enumerate(figures)
            if other != who
        )

    def _zone(self, shape: tuple[int, ...], keypoints: Keypoints) -> Bool[np.ndarray, "h w"]:
        zones = limb_zones(shape, keypoints, self._layout)
        return np.zeros(shape, bool) if zones is None else zones.body


def detected_around(
    detector: LandmarkDetector, image: UInt8[np.ndarray, "h w 3"], places: Sequence[Float32[np.ndarray, "k 3"]]
) -> list[Detection]:
    """What a detector finds in the part of an image around somebody, in pixels of the whole image.

    Args:
        places: points of whom it is looked for, such as their landmarks, all of which lie in that part.
    """
    rows, columns = _crop(image.shape[:2], places)
    part = np.ascontiguousarray(image[rows, columns])
    return [_enlarged(small, image.shape[:2], rows, columns) for small in detector.detect(part)]


def others_in(
    image: UInt8[np.ndarray, "h w 3"], detections: list[Detection], detector: LandmarkDetector, most: int
) -> list[Detection]:
    """People whom a detector finds only when those that it finds first are painted over.

    Args:
        most: people in one image.
    """
    others: list[Detection] = []
    hidden = np.zeros(image.shape[:2], bool)
    new = detections
    while new and len(detections) + len(others) < most:
        for one in new:
            hidden |= dilate(one.mask > PERSON, PAINT_MARGIN * float(person_size(one.keypoints)))
        painted = np.where(hidden[..., None], np.uint8(PAINT), image)
        new = [one for one in detector.detect(painted) if _is_new(one, hidden, [*detections, *others])]
        others += new[: most - len(detections) - len(others)]
    return others


def _is_new(one: Detection, hidden: Bool[np.ndarray, "h w"], people: Sequence[Detection]) -> bool:
    """Whether this is somebody, and not the painted shape of somebody else."""
    mask = one.mask > 127
    if not mask.any() or hidden[mask].mean() > MOST_COVERED or certainty(one.keypoints) < LEAST_CONFIDENCE:
        return False
    return all(landmark_distance(one.keypoints, other.keypoints) >= SAME_PERSON for other in people)


def _assigned(
    detections: list[Detection], expected: Sequence[Expected]
) -> tuple[list[Detection | None], list[Detection]]:
    """The detection of everybody who is expected, nearest pairs first, None where there is none; and the others."""
    figures: list[Detection | None] = [None] * len(expected)
    taken: set[int] = set()
    pairs = sorted(
        (landmark_distance(one.keypoints, detection.keypoints), who, index)
        for who, one in enumerate(expected)
        for index, detection in enumerate(detections)
    )
    for apart, who, index in pairs:
        if apart < REACH and figures[who] is None and index not in taken:
            figures[who] = detections[index]
            taken.add(index)
    return figures, [detection for index, detection in enumerate(detections) if index not in taken]


def _in_contact(places: Sequence[Keypoints]) -> set[int]:
    """Indices of the people whose boxes overlap."""
    return {who for a, b in combinations(range(len(places)), 2) if _overlap(places[a], places[b]) for who in (a, b)}


def _is_doubtful(figure: Detection | None) -> bool:
    """Whether nothing was found, or something of which the detector is unsure."""
    return figure is None or certainty(figure.keypoints) < DOUBTFUL


def _lies_on(one: Detection, figure: Detection | None) -> bool:
    return figure is not None and _overlap(one.keypoints, figure.keypoints)


def _overlap(a: Keypoints, b: Keypoints) -> bool:
    return max(box_overlap(a, b), box_overlap(b, a)) >= LEAST_OVERLAP


def _crop(shape: tuple[int, ...], places: Sequence[Float32[np.ndarray, "k 3"]]) -> tuple[slice, slice]:
    """Rows and columns around people, within an image."""
    margin = CROP_MARGIN * max(float(person_size(place)) for place in places)
    boxes = [_box(place, 0.0) for place in places]
    low = np.min([box[0] for box in boxes], axis=0) - margin
    high = np.max([box[1] for box in boxes], axis=0) + margin
    (left, top), (right, bottom) = (
        np.clip(corner.round(), 0, shape[::-1]).astype(int).tolist() for corner in (low, high)
    )
    return slice(min(top, shape[0] - 2), max(bottom, top + 2)), slice(min(left, shape[1] - 2), max(right, left + 2))


def _enlarged(small: Detection, shape: tuple[int, ...], rows: slice, columns: slice) -> Detection:
    """The detection of a crop in the whole image."""
    mask = np.zeros(shape, np.uint8)
    mask[rows, columns] = small.mask
    keypoints = small.keypoints + np.array([columns.start, rows.start, 0], np.float32)
    return Detection(keypoints, small.keypoints_3d, mask)


def _box(keypoints: Float32[np.ndarray, "k 3"], margin: float) -> tuple[np.ndarray, np.ndarray]:
    places, wider = keypoints[:, :2].astype(float), margin * float(person_size(keypoints))
    return np.nanmin(places, 0) - wider, np.nanmax(places, 0) + wider
