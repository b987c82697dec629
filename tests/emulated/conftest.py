"""One pretended device for a test, on kernels that are compiled once for the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .compile_kernels import compile_kernels, missing_tool
from .gsplat_csrc import Kernels, installed
from .pretended_cuda import PretendedTensor, Record, on_host, pretended_cuda


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared library of gsplat's kernels."""
    problem = missing_tool()
    if problem is not None:
        pytest.skip(problem)
    return compile_kernels(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def gpu(kernels: Path) -> Iterator[Record]:
    """A machine with a GPU, and the record of what it does."""
    from avatar.rendering.gsplat_backend import missing_kernels

    with pretended_cuda() as record, installed(Kernels(kernels, on_host, PretendedTensor, record.launched)):
        missing_kernels.cache_clear()
        yield record
    missing_kernels.cache_clear()
