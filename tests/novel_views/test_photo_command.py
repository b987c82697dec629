"""Photos that cannot be used, through the program itself: one sentence, the right exit code, nothing left behind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from avatar.cli.main import main
from avatar.io.assets import asset_path
from avatar.io.videos import open_video

SIZE = (240, 320)


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code and the one line that says why."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    message = capsys.readouterr().err
    errors = [line for line in message.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in message and len(errors) == 1, message
    assert isinstance(end.value.code, int)
    return end.value.code, errors[0]


def a_drawing() -> Image.Image:
    """A stick man: nobody whom a detector of people is sure of."""
    image = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(image)
    pen.ellipse((105, 30, 135, 60), outline="black", width=3)
    for line in (
        (120, 60, 120, 170),
        (120, 90, 80, 140),
        (120, 90, 160, 140),
        (120, 170, 90, 280),
        (120, 170, 150, 280),
    ):
        pen.line(line, fill="black", width=3)
    return image


def a_landscape() -> Image.Image:
    rows = np.linspace(255, 60, SIZE[1]).astype(np.uint8)
    return Image.fromarray(np.repeat(rows[:, None, None], SIZE[0], 1).repeat(3, 2))


@pytest.mark.parametrize(
    ("image", "name", "sentence"),
    [
        (Image.new("RGB", (64, 64)), "thumbnail.png", "64x64: a photo needs at least 128"),
        (Image.new("CMYK", SIZE), "print.jpg", "CMYK"),
        (a_drawing(), "drawing.png", "no person was found"),
        (a_landscape(), "nobody.jpg", "no person was found"),
        (Image.new("RGBA", SIZE, (0, 0, 0, 0)), "empty.png", "no person was found"),
        (Image.fromarray(np.full(SIZE[::-1], 0x8000, np.uint16)), "deep.png", "no person was found"),
    ],
)
def test_photos_that_show_nobody_who_can_be_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], image: Image.Image, name: str, sentence: str
) -> None:
    image.save(tmp_path / name)
    code, message = refused(capsys, "create", tmp_path / name, "--out", tmp_path / "run", "--device", "cpu")
    assert code == 1 and sentence in message and name in message
    assert not (tmp_path / "run").exists()


def test_views_are_looked_at_before_the_photo_is_worked_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a_drawing().save(tmp_path / "photo.png")
    (tmp_path / "bare").mkdir()
    for views, sentence in (
        (f"folder:{tmp_path / 'missing'}", "There is no folder"),
        (f"folder:{tmp_path / 'bare'}", "has no views.json"),
        ("photos", "--views must be none, folder:PATH"),
        ("orbit:", "--views must be none, folder:PATH"),
    ):
        code, message = refused(capsys, "create", tmp_path / "photo.png", "--views", views, "--out", tmp_path / "run")
        assert code == 2 and sentence in message
        assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def somebody() -> np.ndarray:
    """A frame of the sample clip: one person, wholly in view."""
    _time, image = next(iter(open_video(asset_path("clips", "turn.mp4")).frames()))
    return image


def test_half_a_body_and_several_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], somebody: np.ndarray
) -> None:
    height = somebody.shape[0]
    Image.fromarray(somebody[: height // 2]).save(tmp_path / "half.png")
    code, message = refused(capsys, "create", tmp_path / "half.png", "--out", tmp_path / "run")
    assert code == 1 and "half.png" in message and "body" in message
    Image.fromarray(np.concatenate([somebody, somebody], 1)).save(tmp_path / "two.png")
    code, message = refused(capsys, "create", tmp_path / "two.png", "--out", tmp_path / "run")
    assert code == 1 and "shows 2 people: choose one with --person" in message
    assert not (tmp_path / "run").exists()


def test_a_user_types_it(tmp_path: Path) -> None:
    """The program in a process of its own, in the folder where the photo lies."""
    a_drawing().save(tmp_path / "photo.png")
    (tmp_path / "views").mkdir()
    (tmp_path / "views" / "views.json").write_text(json.dumps({"views": []}))
    typed = ["create", "photo.png", "--views", "folder:views"]
    command = [sys.executable, "-c", "from avatar.cli.main import main; main()", *typed]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 1 and "photo.png: no person was found" in ended.stderr
    assert "Traceback" not in ended.stderr and not list(tmp_path.rglob("avatar.safetensors"))
