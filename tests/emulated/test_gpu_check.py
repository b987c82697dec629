"""The check for a machine with a GPU, rehearsed on the pretended one: packed, unpacked, every stage run."""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.viewer.sample import sample_run

from .pretended_cuda import Record

pytestmark = pytest.mark.emulated

SCRIPTS = Path(__file__).parents[2] / "scripts"


def test_the_check_is_rehearsed(gpu: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))  # no networks are installed there, as on a bare machine
    monkeypatch.setattr("torch.cuda.get_device_properties", lambda _: SimpleNamespace(name="pretended", total_memory=0))
    monkeypatch.setattr("avatar.pipeline.previews.TURN_SECONDS", 0.1)
    monkeypatch.setattr("avatar.pipeline.previews.PANEL", 64)
    from gpu_check import check
    from gpu_prepare import pack

    run = sample_run(tmp_path / "run", splats=400, frames=4, height=96)
    size = pack(run, tmp_path / "packed", f"{sys.version_info[0]}.{sys.version_info[1]}", wheels=False, kernels=None)
    assert 0 < size < 25
    out = tmp_path / "out"
    assert check(tmp_path / "packed" / "run", out, tiny=True), (out / "gpu_check.json").read_text(encoding="utf-8")
    results = json.loads((out / "gpu_check.json").read_text(encoding="utf-8"))
    assert {result["state"] for result in results.values()} == {"ok"}
    assert results["train balanced"]["graphs"] > 0 and results["train without graphs"]["graphs"] == 0
    assert results["agreement"]["worst_pixel"]["rgb"] < 1 / 255
    for name in ("summary.txt", "agree.png", "contact.png", "turntable.webp", "avatar.safetensors"):
        assert (out / name).is_file(), name


def test_wheels_are_packed_without_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from gpu_prepare import UNUSED, leave_out

    wheel = tmp_path / "a-1-py3-none-any.whl"
    sources = {"a/x.cu": "code", "a/glm/doc/x.png": "image", "a/glm/x.hpp": ""}
    record = "a-1.dist-info/RECORD"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in sources.items():
            archive.writestr(name, content)
        archive.writestr(record, "".join(f"{name},,\n" for name in (*sources, record)))
    leave_out(wheel, UNUSED)
    with zipfile.ZipFile(wheel) as archive:
        assert archive.namelist() == ["a/x.cu", "a/glm/x.hpp", record] and archive.read("a/x.cu") == b"code"
        assert archive.read(record).decode().split() == ["a/x.cu,,", "a/glm/x.hpp,,", f"{record},,"]
    assert list(tmp_path.iterdir()) == [wheel]


def test_the_script_is_whole() -> None:
    """The shell reads it without running it."""
    import shutil
    import subprocess

    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    subprocess.run([bash, "-n", str(SCRIPTS / "gpu_check.sh")], check=True)
