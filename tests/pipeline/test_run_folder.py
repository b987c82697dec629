"""The run folder: never overwritten unasked, held by one process, left as it was when the input is bad."""

from pathlib import Path

import pytest

from avatar.errors import AvatarError, UsageError
from avatar.pipeline.run_folder import RunFolder, locked_run

CONFIG = '{"source": "me.mp4", "train": {}}'


def finished(run: RunFolder, text: str) -> None:
    run.config.write_text(CONFIG)
    run.estimated_track.write_text("")
    run.avatar.write_text(text)


def test_a_second_run_is_refused_without_overwrite(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with locked_run(run, overwrite=False, resume=False):
        finished(run, "first")
    with pytest.raises(UsageError, match="--overwrite"), locked_run(run, overwrite=False, resume=False):
        pass
    assert run.avatar.read_text() == "first"


def test_overwrite_replaces_a_run_only_when_the_new_one_stands(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with locked_run(run, overwrite=False, resume=False):
        finished(run, "first")
    with pytest.raises(AvatarError), locked_run(run, overwrite=True, resume=False):
        run.config.write_text(CONFIG)
        raise AvatarError("There is no person in view.")
    assert run.avatar.read_text() == "first"
    with locked_run(run, overwrite=True, resume=False):
        finished(run, "second")
    assert run.avatar.read_text() == "second"
    assert not (run.folder / ".previous").exists()


def test_a_failed_first_run_leaves_no_folder(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with pytest.raises(AvatarError), locked_run(run, overwrite=False, resume=False):
        run.config.write_text(CONFIG)
        raise AvatarError("This is not a video.")
    assert not run.folder.exists()


def test_a_folder_of_something_else_is_never_cleared(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError, match="not made by this program"), locked_run(RunFolder(tmp_path), True, False):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    with locked_run(run, False, False):
        finished(run, "first")
        with pytest.raises(UsageError, match="Another process"), locked_run(run, False, resume=True):
            pass


def test_resume_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run to resume"), locked_run(RunFolder(tmp_path / "none"), False, True):
        pass
