"""Who stands before somebody else lends them no arm."""

from dataclasses import replace

import numpy as np
import torch

from avatar.pipeline.landmarks_alone import with_landmarks_of_each_alone
from avatar.types import ImageList, Observations
from tests.observation.crowd import BLUE, GREEN, HEIGHT, RED, WIDTH, Crowd, Figure, image_of

FRAMES = 6
TOUCHING = range(2, 5)


def people() -> tuple[list[Observations], list[list[Figure]]]:
    """One stands, one walks past before them: masks, trust, and landmarks of both together where they touch."""
    back = [Figure(100, RED, BLUE)] * FRAMES
    front = [Figure(x, GREEN, RED) for x in (200, 170, 118, 115, 112, 60)]
    images = [image_of(a, b) for a, b in zip(back, front, strict=True)]
    observed = []
    for figures, others in ((back, []), (front, back)):
        masks = [figure.truth() for figure in figures]
        if not others:
            masks = [mask & ~other.truth() for mask, other in zip(masks, front, strict=True)]
        trust = [
            ~(other.truth() & ~mask) if index in TOUCHING else np.ones_like(mask)
            for index, (mask, other) in enumerate(zip(masks, others or front, strict=True))
        ]
        keypoints = np.stack([Crowd().detect(image_of(figure))[0].keypoints for figure in figures])
        for index in TOUCHING:
            keypoints[index, :, 0] += 20
        observed.append(observations(images, masks, trust, keypoints))
    return observed, [back, front]


def observations(
    images: list[np.ndarray], masks: list[np.ndarray], trust: list[np.ndarray], keypoints: np.ndarray
) -> Observations:
    return Observations(
        images=ImageList(FRAMES, lambda index: images[index]),
        masks=ImageList(FRAMES, lambda index: (255 * masks[index]).astype(np.uint8)),
        trust=ImageList(FRAMES, lambda index: (255 * trust[index]).astype(np.uint8)),
        keypoints=torch.from_numpy(keypoints),
        keypoints_3d=torch.zeros(FRAMES, 33, 3),
        layout="blazepose33",
        instant=torch.arange(FRAMES),
        times=torch.arange(FRAMES) / 10,
        width=WIDTH,
        height=HEIGHT,
    )


def test_each_has_the_landmarks_of_their_own_pixels() -> None:
    observed, figures = people()
    for one, before, own in zip(with_landmarks_of_each_alone(observed, Crowd()), observed, figures, strict=True):
        apart = [index for index in range(FRAMES) if index not in TOUCHING]
        assert torch.equal(one.keypoints[apart], before.keypoints[apart])
        for index in TOUCHING:
            _, columns = np.nonzero(before.masks[index])
            ends = one.keypoints[index, :, 0].numpy()
            assert ends.min() >= columns.min() - 2 and ends.max() <= columns.max() + 2
            assert own[index].truth()[HEIGHT // 2, round(float(ends.mean()))]


def test_landmarks_stay_where_the_network_sees_nobody() -> None:
    observed, _ = people()
    nobody = replace(observed[0], masks=ImageList(FRAMES, lambda _: np.zeros((HEIGHT, WIDTH), np.uint8)))
    one, _ = with_landmarks_of_each_alone([nobody, observed[1]], Crowd())
    assert torch.equal(one.keypoints, nobody.keypoints)
