"""The command line as a person meets it: help with true defaults, presets, the configuration as TOML."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from avatar import __version__
from avatar.cli.create_options import entries
from avatar.cli.main import COMMANDS, main
from avatar.errors import UsageError
from avatar.pipeline.settings import PRESETS, Settings, settings_for, to_toml


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the program."""
    code = 0
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    return code, output.out, output.err


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_without_none(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, command, "--help")
    assert code == 0 and f"usage: avatar {command}" in text
    assert "default: None" not in text and "{None}" not in text and "default: )" not in text


def test_lines_of_help_end_where_the_terminal_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "2000")
    for command, words in (("prop", "where its preset goes"), ("animate", "(metres), age (years)")):
        assert words in run(capsys, command, "--help")[1]


def test_positionals_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    names = {"create": "VIDEO", "track": "VIDEO", "batch": "VIDEOS", "describe": "MOTION"}
    names |= dict.fromkeys(("view", "animate", "export", "evaluate", "render"), "RUN")
    for command, name in names.items():
        usage = run(capsys, command, "--help")[1].splitlines()[0]
        assert f" {name}" in usage


@pytest.mark.parametrize("preset", PRESETS)
def test_help_shows_the_default_of_every_setting(preset: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = " ".join(run(capsys, "create", "--preset", preset, "--help")[1].replace("│", " ").split())
    options = list(entries(settings_for("", preset)))
    assert len(options) > 40
    for entry in options:
        assert entry.text, f"{entry.place} has no help text"
        start = re.search(rf"{re.escape(entry.flag)}[ ,]", text)
        assert start, entry.flag
        default = re.search(r"\((?:default: ([^()]*)|optional)\)", text[start.end() :])
        assert default, entry.flag
        if entry.value is not None:
            assert default[1] == str(entry.value), entry.place


def test_the_training_has_groups_and_the_short_names_stay(capsys: pytest.CaptureFixture[str]) -> None:
    text = run(capsys, "create", "--help")[1]
    for group in ("person", "quality", "machine", "research", "training", "training weights", "training rates"):
        assert f" {group} options " in text
    for flag in ("--steps", "--seed", "--deform", "--train.steps", "--train.weights.ssim", "--train.rates.offset"):
        assert flag in text


def test_the_balanced_preset_is_the_default() -> None:
    assert settings_for("a.mp4") == Settings("a.mp4")


def test_the_printed_configuration_is_a_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--preset", "fast", "--height", 1.82, "--steps", 77, "--train.weights.ssim", 0.5, "--train.no-light")
    code, text, _ = run(capsys, "create", "--print-config", *options)
    assert code == 0
    values = tomllib.loads(text)
    assert values["track"] == {"height": 1.82, "camera": "auto", "keep_going": False} and values["train"]["steps"] == 77
    assert values["train"]["weights"]["ssim"] == 0.5 and values["train"]["light"] is False
    mine = tmp_path / "my preset.toml"
    mine.write_text(text)
    assert run(capsys, "create", "--print-config", "--preset", mine)[1] == text
    expected = settings_for("a.mp4", "fast", {"height": 1.82, "train": {"steps": 77, "light": False}})
    weights = replace(expected.train.weights, ssim=0.5)
    expected = replace(expected, preset=str(mine), train=replace(expected.train, weights=weights))
    assert settings_for("a.mp4", str(mine)) == expected
    assert to_toml(expected) == text


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train": {"steps": 0}}, "--steps must be at least 1, not 0"),
        ({"max_frames": -3}, "--max-frames must be at least 1"),
        ({"focal": 0.0}, "--focal must be above 0"),
        ({"train": {"hold_out": -1}}, "--train.hold-out must be 0 or more"),
        ({"depth_scale": 0.001}, "--depth-scale is the unit of the images of --depth: give both"),
        ({"depth": "depth", "depth_scale": 0.0}, "--depth-scale is in metres per unit"),
        ({"heigth": 1.8}, "no entry 'heigth'"),
    ],
)
def test_settings_that_nothing_can_be_done_with(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        settings_for("a.mp4", options=options)


def test_version_and_help_are_fast_and_without_torch() -> None:
    for option in ("--version", "--help"):
        watch = (
            "import sys, avatar.cli.main as m\ntry: m.main(sys.argv[1:])\nfinally: assert 'torch' not in sys.modules"
        )
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            answer = subprocess.run([sys.executable, "-c", watch, option], capture_output=True, text=True, check=True)
            seconds.append(time.perf_counter() - start)
        assert min(seconds) < 1.0
        assert __version__ in answer.stdout if option == "--version" else "avatar create me.mp4" in answer.stdout


def test_the_options_of_create_need_no_torch() -> None:
    watch = "import sys, avatar.cli.main as m\ntry: m.main(['create', '--print-config'])\nfinally: print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", watch], capture_output=True, text=True, check=True)
    assert "steps = 1350" in answer.stdout and " torch " not in answer.stdout


def test_the_module_is_the_program() -> None:
    answer = subprocess.run([sys.executable, "-m", "avatar"], capture_output=True, text=True, check=True)
    assert "avatar create me.mp4" in answer.stdout and all(f"  {name} " in answer.stdout for name in COMMANDS)


def test_completion_knows_commands_and_training_settings(capsys: pytest.CaptureFixture[str]) -> None:
    code, script, _ = run(capsys, "--tyro-print-completion", "bash")
    assert code == 0 and "evaluate" in script and "--train.weights.ssim" in script
