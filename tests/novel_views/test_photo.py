"""A photo is read, or refused with one sentence."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.errors import AvatarError, UsageError
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.photo import is_photo, observe_photo, still_clip
from avatar.types import Detection

WIDTH, HEIGHT = 240, 320


def a_person(left: int = 80, width: int = 80, top: int = 30, bottom: int = 290, sure: float = 0.9) -> Detection:
    names = LAYOUTS["blazepose33"].names
    rows = {"nose": 0.05, "eye": 0.04, "ear": 0.05, "mouth": 0.08, "shoulder": 0.2, "hip": 0.5, "knee": 0.75}
    keypoints = np.zeros((len(names), 3), np.float32)
    for index, name in enumerate(names):
        part = next((value for key, value in rows.items() if key in name), 0.97 if "ankle" in name else 0.6)
        side = 0.2 if "right" in name else 0.8
        keypoints[index] = left + side * width, top + part * (bottom - top), sure
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : min(bottom, HEIGHT), left : left + width] = 255
    return Detection(keypoints, np.zeros((len(names), 3), np.float32), mask)


@dataclass
class Sees:
    """A detector that returns `people`."""

    people: list[Detection] = field(default_factory=list)
    layout: str = "blazepose33"

    def detect(self, image: np.ndarray) -> list[Detection]:
        self.image = image
        return self.people


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "photo.png"
    Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(path)
    return path


def test_a_photo_is_one_frame_of_one_instant(photo: Path) -> None:
    observations = observe_photo(photo, detector=Sees([a_person()]))
    assert len(observations) == len(observations.images) == len(observations.masks) == 1
    assert observations.instant.tolist() == [0]
    assert (observations.width, observations.height) == (WIDTH, HEIGHT)
    inside = np.zeros((HEIGHT, WIDTH), bool)
    inside[60:260, 95:145] = True
    assert observations.masks[0][inside].min() > 200


def test_alpha_is_the_mask(photo: Path, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(photo))
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[40:280, 90:150] = 180
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / "cut.png")
    detector = Sees([a_person()])
    observations = observe_photo(tmp_path / "cut.png", detector=detector)
    assert np.array_equal(observations.masks[0], alpha)
    # The hidden colours are not shown to the detector.
    assert (detector.image[0] == 255).all()


def test_an_opaque_alpha_is_no_mask(photo: Path, tmp_path: Path) -> None:
    Image.open(photo).convert("RGBA").save(tmp_path / "opaque.png")
    observations = observe_photo(tmp_path / "opaque.png", detector=Sees([a_person()]))
    assert observations.masks[0].min() == 0


def test_sixteen_bits_are_read(tmp_path: Path) -> None:
    Image.fromarray(np.full((HEIGHT, WIDTH), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    assert observe_photo(tmp_path / "deep.png", detector=Sees([a_person()])).images[0].max() == 0x80


@pytest.mark.parametrize(
    ("people", "sentence"),
    [
        ([], "no person was found"),
        ([a_person(sure=0.1)], "no person was found"),
        ([a_person(0, 70), a_person(120, 80)], "shows 2 people: choose one with --person"),
        ([a_person(bottom=500)], "only the upper body"),
        ([a_person(100, 20, 100, 150)], "only 4"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(photo: Path, people: list[Detection], sentence: str) -> None:
    with pytest.raises(AvatarError, match=sentence):
        observe_photo(photo, detector=Sees(people))


def test_one_of_several_people_may_be_chosen(photo: Path) -> None:
    small, large = a_person(0, 60, 100, 260), a_person(120, 90)
    assert observe_photo(photo, 2, Sees([large, small])).keypoints[0, 0, 0] < 60
    assert observe_photo(photo, 1, Sees([small, large])).keypoints[0, 0, 0] > 120
    with pytest.raises(UsageError, match="no person 3"):
        observe_photo(photo, 3, Sees([small, large]))


def test_a_thumbnail_and_print_colours_are_refused(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "small.png")
    with pytest.raises(AvatarError, match="64x64: a photo needs at least 128"):
        observe_photo(tmp_path / "small.png", detector=Sees([a_person()]))
    Image.new("CMYK", (WIDTH, HEIGHT)).save(tmp_path / "print.jpg")
    with pytest.raises(AvatarError, match="CMYK"):
        observe_photo(tmp_path / "print.jpg", detector=Sees([a_person()]))


def test_photos_are_distinguished_from_videos(tmp_path: Path) -> None:
    assert is_photo(tmp_path / "a.JPG") and not is_photo(tmp_path / "a.mp4")


def test_the_still_clip_shows_the_photo_at_growing_times(photo: Path) -> None:
    clip = still_clip(observe_photo(photo, detector=Sees([a_person()])))
    assert len(clip) == len(clip.images) == len(clip.masks) == len(clip.instant)
    assert (clip.times.diff() > 0).all() and torch.equal(clip.keypoints[0], clip.keypoints[-1])
