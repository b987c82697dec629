"""Stages: computed once, loaded afterwards, and never taken for complete when they were interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from avatar.pipeline.stages import Stage, cached


def run_stage(folder: Path, calls: list[str], fail: bool = False) -> str:
    stage = Stage("count", (folder / "first", folder / "last"), {})

    def compute() -> str:
        calls.append("compute")
        return "result"

    def save(result: str) -> None:
        (folder / "first").write_text(result)
        if fail:
            raise OSError("the disk is full")
        (folder / "last").write_text(result)

    value = cached(stage, (folder / "last").read_text, save, compute)
    assert stage.seconds["count"] >= 0
    return value


def test_a_complete_stage_is_loaded_and_not_computed_again(tmp_path: Path) -> None:
    calls: list[str] = []
    assert run_stage(tmp_path, calls) == run_stage(tmp_path, calls) == "result"
    assert calls == ["compute"]


def test_an_interrupted_stage_is_computed_again(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.raises(OSError):
        run_stage(tmp_path, calls, fail=True)
    assert run_stage(tmp_path, calls) == "result"
    assert calls == ["compute", "compute"]
