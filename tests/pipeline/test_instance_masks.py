"""Whose pixel is whose, with avatars that are off by a little: truth is known."""

import numpy as np
import pytest

from avatar.pipeline.instance_masks import Rendered, separated_masks

HEIGHT, WIDTH = 240, 200
RED, GREEN = np.array([0.8, 0.2, 0.2]), np.array([0.2, 0.7, 0.2])


def body(x: float, y: float = 0.0) -> np.ndarray:
    """A head on a trunk on two legs."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    rows, columns = rows - y, columns - x
    head = (rows - 40) ** 2 + columns**2 < 15**2
    trunk = (np.abs(rows - 95) < 40) & (np.abs(columns) < 24)
    legs = (np.abs(rows - 175) < 42) & (np.abs(np.abs(columns) - 13) < 9)
    return np.asarray(head | trunk | legs)


def rendered(x: float, color: np.ndarray, depth: float, y: float = 0.0) -> Rendered:
    alpha = body(x, y).astype(np.float32)
    rgb = np.broadcast_to(color, (HEIGHT, WIDTH, 3)).astype(np.float32)
    return Rendered(alpha, rgb, np.full((HEIGHT, WIDTH), depth, np.float32))


@pytest.mark.parametrize(("apart", "deep"), [(40, 0.5), (25, 0.05), (25, -0.02)])
def test_pixels_go_to_who_shows_there(apart: int, deep: float) -> None:
    """Also where depth says little, or the wrong: then colours tell."""
    front, back = body(100), body(100 + apart)
    rng = np.random.default_rng(0)
    image = np.full((HEIGHT, WIDTH, 3), 0.5)
    image[back], image[front] = GREEN, RED
    image = (255 * np.clip(image + 0.03 * rng.standard_normal(image.shape), 0, 1)).astype(np.uint8)
    together = (255 * (front | back)).astype(np.uint8)
    people = [rendered(101, RED + 0.05, 3.0, 1), rendered(99 + apart, GREEN - 0.05, 3.0 + deep, -1)]
    truths = [front, back & ~front]
    instances = separated_masks(image, together, people)
    for one, truth in zip(instances, truths, strict=True):
        trusted = one.trust > 0
        assert (trusted & truth).sum() > 0.6 * truth.sum() and one.agreement > 0.85
        shown = (one.mask > 127) & trusted
        assert (shown & truth).sum() / (shown | (truth & trusted)).sum() > 0.94
    assert (instances[0].trust[truths[1]] > 0).mean() < 0.1 and (instances[1].trust[truths[0]] > 0).mean() < 0.1


def test_an_avatar_that_is_elsewhere_is_not_trusted() -> None:
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    image[body(60)] = (255 * RED).astype(np.uint8)
    together = (255 * body(60)).astype(np.uint8)
    here, elsewhere = separated_masks(image, together, [rendered(60, RED, 3.0), rendered(150, GREEN, 3.0)])
    assert (here.trust[body(60)] > 0).mean() > 0.95 and here.agreement > 0.95 and elsewhere.agreement < 0.1
    here, gone = separated_masks(image, together, [rendered(60, RED, 3.0), None])
    assert here.trust.any() and not gone.trust.any()


def test_an_arm_before_somebody_else_that_its_avatar_holds_elsewhere_is_nobodys() -> None:
    front, back, arm = body(60), body(140), np.zeros((HEIGHT, WIDTH), bool)
    arm[80:100, 84:150] = True  # reaches from the one before the trunk of the other
    image = np.full((HEIGHT, WIDTH, 3), 0.5)
    image[back], image[front | arm] = GREEN, RED
    together = (255 * (front | back | arm)).astype(np.uint8)
    image = np.asarray(np.rint(255 * image), np.uint8)
    people = separated_masks(image, together, [rendered(60, RED, 3.0), rendered(140, GREEN, 3.05)])
    over = arm & back  # but for its edges, where the colours of both are near
    for one in people:
        assert (one.trust[over] > 0).mean() < 0.2
    assert (people[1].trust[back & ~arm] > 0).mean() > 0.8 and (people[0].trust[front] > 0).mean() > 0.8
