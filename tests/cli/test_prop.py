"""`avatar prop` from the command line: added, listed, removed, seen by the other commands, refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar.io.images import read_image
from avatar.model.prop_file import PropFolder
from tests.cli.test_help_and_configuration import run
from tests.viewer.sample import sample_avatar


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sample_avatar(600).save(tmp_path / "me" / "avatar.safetensors")
    return tmp_path / "me"


def test_a_prop_is_added_listed_shown_and_removed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pose = ("--pose", "standing", "--camera", "front", "--size", "120x200", "--backend", "reference")
    assert run(capsys, "animate", folder, *pose, "--out", folder / "bare.png")[0] == 0
    code, text, _ = run(capsys, "prop", folder, "add", "--preset", "backpack", "--scale", "1.5")
    assert code == 0 and "added: backpack" in text
    assert run(capsys, "prop", folder, "add", "--preset", "backpack")[0] == 0
    code, text, _ = run(capsys, "prop", folder)
    assert code == 0 and [line.split()[:2] for line in text.splitlines()] == [
        ["backpack", "back"], ["backpack-2", "back"],
    ]  # fmt: skip
    assert run(capsys, "prop", folder, "remove", "backpack-2")[0] == 0
    assert PropFolder(folder / "props").names() == ["backpack"]
    assert run(capsys, "animate", folder, *pose, "--out", folder / "pack.png")[0] == 0
    bare, pack = (read_image(folder / name).astype(int) for name in ("bare.png", "pack.png"))
    assert (abs(bare - pack).max(-1) > 40).sum() > 20
    assert run(capsys, "prop", folder, "remove", "backpack")[0] == 0
    assert "nothing yet" in run(capsys, "prop", folder, "list")[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add",), "Pass a file, such as cup.glb, or --preset"),
        (("add", "none.glb", "--to", "head"), "There is no file none.glb"),
        (("add", "--preset", "hat", "--to", "moon"), "--to must be right_hand"),
        (("add", "--preset", "hat", "--name", "../hat"), "--name must be letters"),
        (("add", "--preset", "hat", "--scale", "-1"), "--scale must be above 0"),
        (("remove",), "Pass the name of what is removed"),
        (("remove", "hat"), "There is no prop called 'hat'"),
        (("list", "hat"), "list takes nothing more"),
    ],
)
def test_wrong_use_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], sentence: str
) -> None:
    code, _, error = run(capsys, "prop", folder, *arguments)
    assert code == 2 and error.startswith("error: ") and sentence in error and error.count("\n") == 1
    assert PropFolder(folder / "props").names() == []


def test_a_damaged_prop_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "prop", folder, "add", "--preset", "hat")
    path = folder / "props" / "hat.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    code, _, error = run(capsys, "animate", folder, "--pose", "standing", "--out", folder / "a.png")
    assert code == 1 and "hat.safetensors is not a readable prop file" in error and "remove hat" in error
    assert run(capsys, "prop", folder, "remove", "hat")[0] == 0
