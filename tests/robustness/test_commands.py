"""Wrong use and bad input through the program itself: one sentence on stderr, the right exit code, nothing left."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from avatar.cli.main import main
from avatar.errors import UsageError
from avatar.pipeline.batch import find_videos
from avatar.pipeline.doctor import examine, report


def ends(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    """Exit code of the program and what it wrote on standard error."""
    with pytest.raises(SystemExit) as end:
        main([str(argument) for argument in arguments])
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert isinstance(end.value.code, int)
    return end.value.code, message


@pytest.mark.parametrize(
    "name", ["zero_bytes.mp4", "text.mp4", "audio_only.mp4", "header_only.mp4", "odd_one_pixel.mkv", "zero_frames.mp4"]
)
def test_bad_videos(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    code, message = ends(capsys, "create", corpus / "video" / name, "--out", tmp_path / "run")
    errors = [line for line in message.splitlines() if line.startswith("error: ")]
    assert code == 1 and len(errors) == 1 and name in errors[0]
    assert not (tmp_path / "run").exists()


def test_wrong_use_of_create(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = corpus / "video" / "odd_plain.mp4"
    out = ("--out", tmp_path / "run")
    for arguments, sentence in (
        ((tmp_path / "none.mp4",), "There is no file"),
        ((video, "--preset", "superb"), "no preset"),
        ((video, "--resume"), "no run to resume"),
        ((video, "--body", tmp_path / "none.npz"), "none.npz"),
    ):
        code, message = ends(capsys, "create", *arguments, *out)
        assert code in (1, 2) and sentence in message, message
        assert not (tmp_path / "run").exists()
    if not torch.cuda.is_available():
        code, message = ends(capsys, "create", video, "--device", "cuda", *out)
        assert code == 2 and "--device cpu" in message
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("precious")
    code, message = ends(capsys, "create", video, *out)
    assert code == 2 and "--overwrite" in message
    code, message = ends(capsys, "create", video, "--overwrite", *out)
    assert code == 2 and (tmp_path / "run" / "letter.txt").read_text() == "precious"
    # Other programs have a config.json too.
    (tmp_path / "run" / "config.json").write_text('{"model_type": "bert"}')
    code, message = ends(capsys, "create", video, "--overwrite", *out)
    assert code == 2 and "was not made by this program" in message
    assert (tmp_path / "run" / "letter.txt").read_text() == "precious"
    code, message = ends(capsys, "create", video, "--resume", *out)
    assert code == 2 and "config.json" in message and (tmp_path / "run" / "letter.txt").is_file()


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_folder_that_cannot_be_written(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tmp_path.chmod(0o500)
    code, message = ends(capsys, "create", corpus / "video" / "odd_plain.mp4", "--out", tmp_path / "run")
    assert code == 1 and "Cannot write" in message


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="there is no folder here that nobody may write")
def test_a_folder_that_nobody_can_write(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = ends(capsys, "create", corpus / "video" / "odd_plain.mp4", "--out", "/proc/self/run")
    assert code == 1 and "Cannot write into /proc/self/run" in message


def test_names_that_no_file_can_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 5000
    for arguments in (("animate", tmp_path, "--motion", f"{long}.bvh"), ("create", long), ("track", f"{long}.mp4")):
        code, message = ends(capsys, *arguments)
        assert code in (1, 2) and message.count("error: ") == 1 and len(message) < 1000, message


def test_a_folder_of_another_program_is_no_run(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    for command in ("view", "evaluate", "export", "animate"):
        more = {"export": ("--ply", tmp_path / "me.ply"), "animate": ("--motion", "walk")}.get(command, ())
        code, message = ends(capsys, command, tmp_path, *more)
        assert code == 2 and "holds no finished avatar" in message, message


def test_wrong_shape_attributes_are_refused_before_detection(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, out = corpus / "video" / "odd_plain.mp4", ("--out", tmp_path / "run")
    for arguments, sentence in (
        (("--shape", "wait=0.5"), "the words are height 1.3 to 2.2 metres"),
        (("--shape", "height=1.8", "--height", "1.8"), "give a height; use one"),
        (("--height", "182"), "--height is in metres"),
    ):
        code, message = ends(capsys, "create", video, *arguments, *out)
        assert code == 2 and sentence in message and "finding the person" not in message, message
        assert not (tmp_path / "run").exists()


def test_a_file_where_the_folder_should_be(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").write_text("a file")
    code, message = ends(capsys, "create", corpus / "video" / "odd_plain.mp4", "--out", tmp_path / "run")
    assert code == 2 and "is a file" in message


def test_a_batch_continues_after_bad_videos_and_keeps_finished_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "videos", tmp_path / "runs"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mov"):
        (folder / name).write_text("This is a letter.")
    (folder / "notes.txt").write_text("not a video")
    done = out / "b"
    done.mkdir(parents=True)
    (done / "avatar.safetensors").write_bytes(b"finished")
    (done / "report.json").write_text(json.dumps({"held_out": {"psnr": 25.0}, "seconds": {"train": 60.0}}))
    code, message = ends(capsys, "batch", folder, "--out", out, "--workers", "2")
    assert code == 1 and "2 of 3 videos failed" in message
    outcomes = json.loads((out / "batch.json").read_text())
    assert [outcome["state"] for outcome in outcomes] == ["failed", "done", "failed"]
    assert "a.mp4" in outcomes[0]["reason"]
    page = (out / "index.html").read_text()
    assert "1 of 3 avatars" in page and "25.0 dB" in page and "b/report/thumbnail.jpg" in page


def test_a_list_of_videos(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("# ours\none.mp4\n\nmore/two.mp4\n")
    assert find_videos(tmp_path / "list.txt") == [tmp_path / "one.mp4", tmp_path / "more" / "two.mp4"]
    (tmp_path / "list.txt").write_text("one.mp4\nmore/one.mov\n")
    with pytest.raises(UsageError, match="one"):
        find_videos(tmp_path / "list.txt")


def test_the_doctor_names_what_is_missing_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    findings = {finding.name: finding for finding in examine()}
    assert findings["torch"].state == "works" and torch.__version__.startswith(findings["torch"].detail.split("+")[0])
    assert findings["ffmpeg"].state == "works" and findings["body/open.npz"].state == "works"
    assert "Everything required works" in report(list(findings.values()))
    monkeypatch.setitem(sys.modules, "viser", None)  # as if a library of the system were missing
    broken = {finding.name: finding for finding in examine()}["viser"]
    assert broken.state == "missing" and "cannot be loaded" in broken.detail
    monkeypatch.undo()
    monkeypatch.setattr("avatar.io.assets.ROOT", tmp_path)
    missing = [finding for finding in examine() if finding.state == "missing"]
    assert len(missing) == 4 and all(finding.remedy for finding in missing)
    assert missing[0].remedy in report(missing)


def test_a_closed_pipe_gives_no_traceback() -> None:
    program = [sys.executable, "-c", "from avatar.cli.main import main; main()", "motions"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 141
