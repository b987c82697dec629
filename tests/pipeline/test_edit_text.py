"""Clothes by words with a stub in place of an editing pipeline: only the garment changes, and only in colour."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from avatar.errors import AvatarError, UsageError
from avatar.io.colors import lab_of_rgb
from avatar.model.garments import BOTTOM, HAIR, SHOES, TOP
from avatar.model.recoloring import garment_color
from avatar.pipeline.edit import Edits, edit_run
from avatar.pipeline.edit_text import pieces_of, repaint
from avatar.pipeline.finished_run import open_run
from tests.model.painted_people import Look, painted
from tests.pipeline.test_edit import made_run

BROWN = (110, 70, 40)


class PaintsEverythingBrown:
    """An editing pipeline that also spoils what it should leave alone, and returns another size."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def __call__(self, image: Any, prompt: str) -> Any:
        from PIL import Image

        self.prompts.append(prompt)
        pixels = np.asarray(image).copy()
        pixels[pixels.min(-1) < 250] = BROWN
        return SimpleNamespace(images=[Image.fromarray(pixels).resize((384, 512))])


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> PaintsEverythingBrown:
    stub = PaintsEverythingBrown()
    monkeypatch.setattr("avatar.pipeline.edit_text.load_pipeline", lambda *_: stub)
    monkeypatch.setattr("avatar.pipeline.edit_text.SIZE", (192, 256))
    monkeypatch.setattr("avatar.pipeline.edit.write_turntable", lambda *_: None)
    return stub


@pytest.mark.parametrize(
    ("text", "labels", "words"),
    [
        ("a leather jacket", (TOP,), "a leather jacket"),
        ("Blue Jeans", (BOTTOM,), "Blue Jeans"),
        ("red rubber boots", (SHOES,), "red rubber boots"),
        ("an evening dress", (TOP, BOTTOM), "an evening dress"),
        ("a jacket over a shirt with jeans", (TOP,), "a jacket over a shirt with jeans"),
        ("hair=green curls", (HAIR,), "green curls"),
    ],
)
def test_words_say_which_garment(text: str, labels: tuple[int, ...], words: str) -> None:
    assert pieces_of(text) == (labels, words)


def test_words_without_a_garment_are_refused() -> None:
    with pytest.raises(UsageError, match=r"which garment .*top=something shiny"):
        pieces_of("something shiny")


def test_only_the_garment_takes_the_colours(pipeline: PaintsEverythingBrown) -> None:
    person = painted(Look(print=None), count=6000)
    before = {name: value.clone() for name, value in person.avatar.state_dict().items()}
    repaint(person, "a leather jacket", "stub")
    assert len(pipeline.prompts) == 8 and all("the top" in p and "a leather jacket" in p for p in pipeline.prompts)
    top = person.has(TOP)
    for name, value in person.avatar.state_dict().items():
        others = value[~top] if name == "gaussians.raw_colors" else value
        assert torch.equal(others, before[name][~top] if name == "gaussians.raw_colors" else before[name])
    apart = lab_of_rgb(garment_color(person.avatar, top)[None]) - lab_of_rgb(torch.tensor([BROWN]) / 255)
    assert apart.norm() < 8


def test_the_run_says_that_words_painted_it(pipeline: PaintsEverythingBrown, tmp_path: Path) -> None:
    model = tmp_path / "weights"
    model.mkdir()
    (model / "README.md").write_text("---\nlicense: some-terms\n---\n", encoding="utf-8")
    made_run(tmp_path / "red", Look())
    edit_run(tmp_path / "red", Edits(text=("blue jeans",), model=str(model)), tmp_path / "new")
    text = open_run(tmp_path / "new").run.report.read_text(encoding="utf-8")
    assert "some-terms" in text and "colours alone" in text and "blue jeans" in text


def test_words_need_weights(tmp_path: Path) -> None:
    made_run(tmp_path / "red", Look())
    with pytest.raises(UsageError, match="go together"):
        edit_run(tmp_path / "red", Edits(text=("a jacket",)), tmp_path / "new")
    with pytest.raises(AvatarError, match="no folder"):
        edit_run(tmp_path / "red", Edits(text=("a jacket",), model=str(tmp_path / "nowhere")), tmp_path / "new")
    assert not (tmp_path / "new").exists()
