"""Wrong use ends with one sentence on standard error and the right exit code, before any work."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from avatar.cli.create import _print_results
from avatar.cli.main import COMMANDS, main
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings, build

Ends = Callable[..., tuple[int, str]]


@pytest.fixture
def ends(capsys: pytest.CaptureFixture[str]) -> Ends:
    """Runs the program and gives its exit code and what it wrote on standard error."""

    def run(*arguments: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        message = capsys.readouterr().err
        assert "Traceback" not in message and "<class" not in message
        assert isinstance(end.value.code, int)
        return end.value.code, message

    return run


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A file that stands for a video; everything here is refused before it is opened."""
    path = tmp_path / "me.mp4"
    path.write_bytes(b"not read")
    return path


@pytest.mark.parametrize(("typed", "meant"), [("veiw", "view"), ("crate", "create"), ("exprot", "export")])
def test_a_mistyped_command_gets_a_suggestion(typed: str, meant: str, ends: Ends) -> None:
    code, message = ends(typed, "runs/me")
    assert code == 2 and message == f"error: There is no command {typed!r}: did you mean {meant}?\n"


@pytest.mark.parametrize("command", ["track", "batch"])
def test_commands_for_one_video_say_so(command: str, ends: Ends) -> None:
    code, message = ends(command, "a.mp4", "b.mp4")
    assert code == 2 and "not also b.mp4" in message and "avatar create" in message
    assert message.count("\n") == 1


def test_create_takes_several_videos(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Ends) -> None:
    other = tmp_path / "you.mp4"
    other.write_bytes(b"not read")
    monkeypatch.chdir(tmp_path)
    assert "There is no file no.mp4" in ends("create", video, "no.mp4")[1]
    assert "--people is for one video" in ends("create", video, other, "--people", "all")[1]
    calls = made(monkeypatch)
    main(["create", str(video), str(other), "--offset", "-0.5", "--device", "cpu"])
    main(["create", "--resume", "runs/me"])
    main(["create", str(video), "--resume"])
    assert [folder for folder, _ in calls] == [Path("runs/me")] * 3
    assert all(one.others == (str(other),) and one.offset == "-0.5" for _, one in calls)
    code, message = ends("create", other, video, "--resume", "--out", "runs/me")
    assert code == 2 and "was started with" in message


def test_an_unknown_command_gets_the_list(ends: Ends) -> None:
    code, message = ends("zzz")
    assert code == 2 and all(command in message for command in COMMANDS)


def test_a_mistyped_option_gets_a_suggestion(video: Path, ends: Ends) -> None:
    code, message = ends("create", video, "--hieght", "1.8")
    assert code == 2 and "--height" in message


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--steps", "0"), "--steps must be at least 1, not 0."),
        (("--steps", "-5"), "--steps must be at least 1, not -5."),
        (("--max-frames", "0"), "--max-frames must be at least 1, not 0."),
        (("--focal", "-1"), "--focal must be above 0 pixels, not -1."),
        (("--pitch", "80"), "--pitch is in degrees, from -60 (looking up) to 60 (down), not 80."),
        (("--preset", "superb"), "There is no preset 'superb'"),
        (("--views", "folder:x"), "--views is for photos"),
        (("--height", "abc"), "'abc'"),
    ],
)
def test_options_of_create_are_checked_first(
    options: tuple[str, ...], sentence: str, video: Path, tmp_path: Path, ends: Ends
) -> None:
    code, message = ends("create", video, "--out", tmp_path / "run", *options)
    assert code == 2 and sentence in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("create",), "avatar create VIDEO"),
        (("create", "--resume"), "avatar create --resume RUN"),
        (("create", "--resume", "nowhere"), "There is no run to resume in nowhere."),
        (("animate", "x", "--motion", "walk", "--fps", "0"), "--fps must be above 0, not 0."),
        (("animate", "x", "--motion", "walk", "--loop", "0"), "--loop must be above 0, not 0."),
        (("batch", "x", "--workers", "0"), "--workers must be at least 1, not 0."),
        (("batch", "x", "--steps", "0"), "--steps must be at least 1, not 0."),
        (("export", "x", "--dataset", "y", "--count", "0"), "--count must be at least 1, not 0."),
        (("view", "x", "--port", "99999"), "--port must be from 1 to 65535, not 99999."),
        (("view", "x", "--port", "0"), "--port must be from 1 to 65535, not 0."),
        (("view", "x", "--host", "192.0.2.1"), "cannot listen on --host 192.0.2.1"),
        (("view", "x", "--host", "no such name"), "cannot listen on --host no such name"),
        (("view", "x"), "holds no finished avatar"),
        (("animate", "x", "--motion", "walk"), "holds no finished avatar"),
        (("export", "x", "--html", "folder/y.html"), "holds no finished avatar"),
        (("describe", "walk", "--time", "900"), "--time must be from 0 to 1.08 s, where walk ends, not 900."),
    ],
)
def test_wrong_use_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Ends
) -> None:
    monkeypatch.chdir(tmp_path)
    code, message = ends(*arguments)
    assert code == 2 and sentence in message and message.count("\n") == 1
    assert not list(tmp_path.iterdir())


def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, Settings]]:
    """Replaces the work of `create`; the list grows by each call."""
    calls: list[tuple[Path, Settings]] = []

    def work(run: RunFolder, settings: Settings, *_: object) -> dict[str, Any]:
        calls.append((run.folder, settings))
        return {"held_out": {"frames": 0}, "shape": None}

    monkeypatch.setattr("avatar.pipeline.create.create", work)
    return calls


def test_resume_needs_only_the_run(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = made(monkeypatch)
    monkeypatch.chdir(tmp_path)
    main(["create", str(video), "--steps", "123", "--device", "cpu"])
    for arguments in (
        ["--resume", "runs/me"],
        ["runs/me", "--resume"],
        [str(video), "--resume"],
        [str(video), "--resume", "--out", "runs/me"],
        ["--resume", "--out", "runs/me"],
    ):
        main(["create", *arguments])
    assert len(calls) == 6
    assert all(folder == Path("runs/me") and settings == calls[0][1] for folder, settings in calls)
    assert calls[0][1].train.steps == 123 and calls[0][1].device == "cpu"


def test_runs_of_the_older_layout_are_resumed(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before options had tables, config.json held them side by side."""
    calls = made(monkeypatch)
    run = tmp_path / "run"
    run.mkdir()
    flat = {
        "source": str(video), "protocol": None, "preset": "fast", "device": "cpu", "backend": "cpu", "body": "open",
        "focal": 900.0, "height": 1.8, "shape": "weight=0.6", "max_frames": 40, "person": 2, "detector": "mediapipe",
        "views": "none", "view_frames": 11, "view_offload": True, "train": {"steps": 50},
    }  # fmt: skip
    (run / "config.json").write_text(json.dumps(flat))
    main(["create", "--resume", str(run)])
    settings = calls[0][1]
    assert asdict(settings.track) == {
        "focal": 900.0,
        "height": 1.8,
        "shape": "weight=0.6",
        "pitch": None,
        "camera": "auto",
        "keep_going": False,
        "iuv": None,
        "iuv_charts": None,
    }
    assert asdict(settings.observe) == {
        "max_frames": 40,
        "person": 2,
        "detector": "mediapipe",
        "start": None,
        "end": None,
        "depth": None,
        "depth_scale": None,
    }
    assert asdict(settings.novel_views) == {"generator": "none", "frames": 11, "offload": True}
    assert build(Settings, json.loads((run / "config.json").read_text())) == settings


def test_ctrl_c_says_how_to_continue(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: Ends) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("avatar.pipeline.create.create", interrupted)
    run = tmp_path / "my run (1)"
    code, message = ends("create", video, "--out", run)
    assert code == 130 and message.endswith(f"stopped. Continue with: avatar create --resume '{run}'\n")


def test_what_to_do_next_can_be_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunFolder(tmp_path / "my video (1)")
    shape = {"height": {"value": 1.8, "spread": 0.02}, "age": {"value": 39.0, "spread": 25.0}}
    report = {"held_out": {"frames": 3, "psnr": 28.4, "psnr_box": 24.8, "alpha_iou": 0.9}, "shape": shape}
    _print_results(run, report, show_shape=False)
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    first = lines["next"].split("|")[0]
    assert shlex.split(first) == ["avatar", "view", str(run.folder)]
    assert "28.4 dB over the full image" in lines["PSNR"] and "24.8 dB in the person's box" in lines["PSNR"]
    assert "1.80 m" in lines["height"] and "age" not in lines
    _print_results(run, report, show_shape=True)
    assert "age:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--record", "me.json"], "--record takes a .json file, and goes with --camera"),
        (["--camera", "0", "--record", "me.mp4"], "--record takes a .json file"),
        (["--camera", "0", "--lan"], "--camera shows the avatar in the viewer"),
        (["--port", "99999"], "--port must be from 1 to 65535"),
        ([], "holds no finished avatar"),
    ],
)
def test_the_mirror_refuses_what_does_not_go_together(
    options: list[str], sentence: str, tmp_path: Path, ends: Ends
) -> None:
    code, message = ends("live", tmp_path, *options)
    assert code == 2 and sentence in message and message.count("error:") == 1
