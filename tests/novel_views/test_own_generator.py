"""A view generator of one's own: one file, one registration (docs/extending/novel-views.md shows both)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from avatar.errors import UsageError
from avatar.novel_views.generator import Photo, View, ViewGenerator
from avatar.novel_views.options import ViewOptions
from avatar.novel_views.registry import GENERATORS, register_generator, view_generator


# --8<-- [start:example]
class MirroredBack:
    """Guesses the back as the mirror image of the front."""

    def __init__(self, confidence: float) -> None:
        self.confidence = confidence

    def terms(self) -> None:
        """No weights, no licence."""

    def generate(self, photo: Photo) -> list[View]:
        """One view, from behind."""
        image, mask = photo.image[:, ::-1].copy(), photo.mask[:, ::-1].copy()
        return [View("the back", image, mask, 180.0, photo.elevation, fov=40.0, confidence=self.confidence)]


def mirrored_back(model: str, options: ViewOptions, device: str) -> ViewGenerator:
    """The generator of `--views mirror:CONFIDENCE`."""
    return MirroredBack(float(model))


# --8<-- [end:example]


@pytest.fixture
def registered() -> Iterator[None]:
    # --8<-- [start:registration]
    register_generator("mirror", mirrored_back)
    # --8<-- [end:registration]
    yield
    del GENERATORS["mirror"]


def test_a_registered_generator_is_chosen_by_name(registered: None) -> None:
    generator = view_generator(ViewOptions(generator="mirror:0.4"), "cpu")
    assert isinstance(generator, ViewGenerator)
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    (view,) = generator.generate(Photo(image, np.full((2, 2), 255, np.uint8), 5.0))
    assert (view.azimuth, view.elevation, view.confidence) == (180, 5, 0.4)
    assert np.array_equal(view.image[:, ::-1], image)


def test_a_registered_generator_is_listed(registered: None) -> None:
    with pytest.raises(UsageError, match="mirror:MODEL"):
        view_generator(ViewOptions(generator="miror:0.4"), "cpu")


@pytest.mark.parametrize("kind", ["orbit", "none", "two words", ""])
def test_a_kind_must_be_new_and_a_plain_name(kind: str) -> None:
    with pytest.raises(ValueError, match="cannot name a view generator"):
        register_generator(kind, mirrored_back)
