"""`avatar batch --ray`: the same tasks on a Ray cluster, here a local one."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from avatar.errors import UsageError
from avatar.io.assets import asset_path
from avatar.pipeline.ray_pool import ray_pool
from tests.robustness.test_commands import ends

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra splat-avatar[ray]")


@pytest.mark.slow
def test_one_is_made_one_is_done_already_and_a_bad_one_does_not_stop_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The paths of the videos are relative to a folder in which Ray's processes do not start."""
    (tmp_path / "bad.mp4").write_text("This is a letter.")
    clip = asset_path("clips", "turn.mp4")
    (tmp_path / "list.txt").write_text(f"bad.mp4\ndone.mp4\n{clip}\n")
    done = tmp_path / "runs" / "done"
    done.mkdir(parents=True)
    (done / "avatar.safetensors").write_bytes(b"finished")
    (done / "report.json").write_text(json.dumps({"held_out": {"psnr": 25.0}, "seconds": {"train": 60.0}}))
    monkeypatch.chdir(tmp_path)
    small = ("--preset", "fast", "--max-frames", "24", "--steps", "20", "--device", "cpu")
    code, output = ends(capsys, "batch", "list.txt", "--out", "runs", "--workers", "2", "--ray", "local", *small)
    assert code == 1 and "1 of 3 videos failed" in output
    outcomes = json.loads((tmp_path / "runs" / "batch.json").read_text())
    assert [outcome["state"] for outcome in outcomes] == ["failed", "done", "done"]
    assert "bad.mp4" in outcomes[0]["reason"] and outcomes[2]["run"] == "runs/turn"
    assert (tmp_path / "runs" / "turn" / "turntable.mp4").is_file()
    assert (done / "avatar.safetensors").read_bytes() == b"finished"
    assert "2 of 3 avatars" in (tmp_path / "runs" / "index.html").read_text()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nonsense"])
def test_an_address_that_does_not_answer_is_reported_at_once(address: str) -> None:
    with pytest.raises(UsageError, match=address), ray_pool(address, 1, "cpu"):
        pass


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"splat-avatar\[ray\]"), ray_pool("127.0.0.1:1", 1, "cpu"):
        pass
