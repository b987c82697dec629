"""The landmarks of people who touch or hide each other, once it is clear whose pixel is whose.

With everybody else replaced by the room behind them, the landmark network sees one person. What the others hide of them
it does not see either: its confidence there falls to nothing, where it would else take somebody else's arm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, UInt8

from avatar.landmark_layouts import LAYOUTS
from avatar.observation.background_plate import Plate, background_plate
from avatar.observation.confidence import reweight_confidence
from avatar.observation.contact import PAINT, PERSON, detected_around
from avatar.observation.hands_face import observe_hands_face
from avatar.observation.left_right import fix_left_right_swaps
from avatar.observation.mask_shapes import dilate, mask_scale
from avatar.pipeline.shared_world import SAME_TIME, everybody
from avatar.runtime.progress import progress
from avatar.types import Detection, ImageList, LandmarkDetector, Observations

MARGIN = 6.0  # pixels by which others are painted over too widely, see `mask_scale`
# Intersection over union of what the network takes for the person and their mask, at least: else it saw something else.
LEAST_AGREEMENT = 0.5

Image = UInt8[np.ndarray, "h w 3"]


@dataclass(frozen=True)
class Alone:
    """One of the people in a frame from which the others are painted away.

    Attributes:
        who: the person; row: of the frame among theirs.
    """

    who: int
    row: int
    image: Image


def with_landmarks_of_each_alone(people: Sequence[Observations], detector: LandmarkDetector) -> list[Observations]:
    """The observations with landmarks, hands and faces of their own in the frames in which people touch.

    Args:
        people: with masks and trust that tell whose pixel is whose.
    """
    looks: list[dict[int, tuple[Image, Detection]]] = [{} for _ in people]
    for alone in progress(list(_frames(people)), "looking at each alone"):
        detection = _detected(alone, people[alone.who], detector)
        if detection is not None:
            looks[alone.who][alone.row] = alone.image, detection
    return [_with_landmarks(one, found) if found else one for one, found in zip(people, looks, strict=True)]


def _frames(people: Sequence[Observations]) -> Iterator[Alone]:
    """Each person in each frame in which others hide or touch them."""
    together = everybody(people)
    plate = background_plate(together.images, together.masks)
    room = None if plate is None else _room(plate)
    for who, one in enumerate(people):
        for row in range(len(one)):
            if one.trust is None or not (one.trust[row] == 0).any():
                continue
            others = np.zeros(one.masks[row].shape, bool)
            for other in people:
                others |= other is not one and _shown_at(other, float(one.times[row]))
            image, own = one.images[row], one.masks[row] > PERSON
            away = dilate(others, MARGIN * mask_scale(one.masks[row])) & ~own
            yield Alone(who, row, np.where(away[..., None], np.uint8(PAINT) if room is None else room, image))


def _room(plate: Plate) -> Image:
    """The room without anybody, also where it never shows."""
    import cv2

    hidden = (~plate.visible).astype(np.uint8)
    room: Image = cv2.inpaint(plate.color.clip(0, 255).astype(np.uint8), hidden, 5, cv2.INPAINT_TELEA)
    return room


def _shown_at(one: Observations, time: float) -> Bool[np.ndarray, "h w"] | bool:
    """The pixels that surely show a person at a time."""
    apart, row = (one.times - time).abs().min(0)
    if float(apart) > SAME_TIME:
        return False
    shown: np.ndarray = one.masks[int(row)] > PERSON
    if one.trust is None:
        return shown
    sure: np.ndarray = one.trust[int(row)] > 0
    return shown & sure if sure.any() else shown


def _detected(alone: Alone, one: Observations, detector: LandmarkDetector) -> Detection | None:
    """What the detector finds of a person in their mask; None where it finds somebody or something else.

    It is asked for the whole image, as in the frames in which they are alone: a crop moves landmarks by two pixels.
    Who is too small there for it is looked for on a crop.
    """
    mask = one.masks[alone.row] > 127
    if not mask.any():
        return None
    rows, columns = np.nonzero(mask)
    box = np.array([[columns.min(), rows.min(), 1], [columns.max(), rows.max(), 1]], np.float32)
    best = _most_alike(detector.detect(alone.image), mask)
    return _most_alike(detected_around(detector, alone.image, [box]), mask) if best is None else best


def _most_alike(detections: list[Detection], mask: Bool[np.ndarray, "h w"]) -> Detection | None:
    """The detection with this mask, if there is one."""
    best, most = None, LEAST_AGREEMENT
    for detection in detections:
        shown = detection.mask > 127
        agreement = (shown & mask).sum() / max((shown | mask).sum(), 1)
        if agreement > most:
            best, most = detection, agreement
    return best


def _with_landmarks(one: Observations, looks: dict[int, tuple[Image, Detection]]) -> Observations:
    rows, layout = sorted(looks), LAYOUTS[one.layout]
    keypoints, keypoints_3d = one.keypoints.numpy().copy(), one.keypoints_3d.numpy().copy()
    for row in rows:
        keypoints[row], keypoints_3d[row] = looks[row][1].keypoints, looks[row][1].keypoints_3d
    _, _, swapped = fix_left_right_swaps(keypoints, keypoints_3d, layout)
    # The sides of all other frames are right already.
    usual = np.delete(swapped, rows, axis=0).mean(0) > 0.5 if len(rows) < len(one) else False
    swapped[rows] ^= usual
    swapped[np.setdiff1d(np.arange(len(one)), rows)] = False
    for points in (keypoints, keypoints_3d):
        points[:] = np.where(swapped[..., None], points[:, list(layout.mirror)], points)
    # The confidence of all other frames is weighed already.
    keypoints[rows] = reweight_confidence(keypoints, swapped, one.times.numpy(), layout)[rows]
    images = ImageList(len(rows), lambda index: looks[rows[index]][0])
    parts = observe_hands_face(images, keypoints[rows], one.layout)
    result = replace(one, keypoints=torch.from_numpy(keypoints), keypoints_3d=torch.from_numpy(keypoints_3d))
    for name, value in parts._asdict().items():
        before = getattr(one, name)
        if before is not None and value is not None:
            after = before.clone()
            after[rows] = value
            result = replace(result, **{name: after})
    return result
