"""What report.json holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar.metrics.perceptual import WEIGHTS_NAME, load_lpips
from avatar.pipeline.report import lpips_or_none


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))
    load_lpips.cache_clear()
    yield tmp_path
    load_lpips.cache_clear()


def test_a_damaged_network_does_not_cost_the_report(cache: Path) -> None:
    assert lpips_or_none() is None
    (cache / WEIGHTS_NAME).write_bytes(b"no tensors")
    assert lpips_or_none() is None
