"""CUDA's compiler is found where it lies, and NVIDIA's wheels are made into a toolkit that torch can use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from avatar.errors import AvatarError
from avatar.pipeline.doctor import _gsplat
from avatar.rendering import cuda_toolkit, gsplat_backend
from avatar.rendering.cuda_toolkit import find_nvcc, missing_compiler, prepare_build

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the wheels are made into a toolkit by links")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a C++ compiler and without CUDA's; the folder of NVIDIA's wheels, which are not there yet."""
    for name in ("CUDA_HOME", "CUDA_PATH", "MAX_JOBS"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    tools = tmp_path / "tools"
    executable(tools / "c++")
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cuda_toolkit, "_SYSTEM_HOME", tmp_path / "nowhere")
    wheels = tmp_path / "site-packages" / "nvidia" / "cu13"
    monkeypatch.setattr(cuda_toolkit, "_wheel_homes", lambda: [wheels])
    return wheels


def executable(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)


def install_wheels(home: Path) -> None:
    executable(home / "bin" / "nvcc")
    for name in ("include/cuda.h", "nvvm/bin/cicc", "lib/libcudart.so.13"):
        executable(home / name)


def test_what_is_missing_is_named_with_its_remedy(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_nvcc() is None
    problem = missing_compiler()
    assert problem is not None and "nvcc" in problem and "pip install 'splat-avatar[cuda]'" in problem
    monkeypatch.setattr(gsplat_backend, "kernels_are_built", lambda: False)
    finding = _gsplat()
    assert finding.state == "missing" and "nvcc" in finding.detail and "splat-avatar[cuda]" in finding.remedy
    install_wheels(bare)
    assert missing_compiler() is None
    assert _gsplat().state == "works" and "--build-kernels" in _gsplat().detail
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert "no C++ compiler (no-such-compiler)" in (missing_compiler() or "")


def test_wheels_become_a_toolkit(bare: Path) -> None:
    install_wheels(bare)
    prepare_build()
    home = Path(os.environ.pop("CUDA_HOME"))
    assert home.is_relative_to(Path(os.environ["AVATAR_CACHE"])) and int(os.environ.pop("MAX_JOBS")) >= 1
    for name in ("bin/nvcc", "include/cuda.h", "nvvm/bin/cicc", "lib64/libcudart.so", "lib64/libcudart.so.13"):
        assert (home / name).is_file(), name


def test_a_toolkit_of_the_system_is_used_as_it_is(bare: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install_wheels(bare)
    executable(tmp_path / "cuda" / "bin" / "nvcc")
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda"))
    prepare_build()
    assert find_nvcc() == tmp_path / "cuda" / "bin" / "nvcc"
    assert os.environ["CUDA_HOME"] == str(tmp_path / "cuda")


def test_kernels_are_built_only_for_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(AvatarError, match="no CUDA device"):
        gsplat_backend.build_kernels()
