"""Settings shared by all tests."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

# As `avatar/__init__.py` does for the program; here the plugin that checks shapes may load torch first, and OpenMP
# reads it only then.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import tempfile

import pytest

from tests.browser import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# What this user has installed for LPIPS must not decide what the tests do; processes that tests start inherit it.
_CACHE = tempfile.TemporaryDirectory(prefix="avatar-cache-")
os.environ["AVATAR_CACHE"] = _CACHE.name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _keep_together(items)
    _skip_gpu(items)


def _keep_together(items: list[pytest.Item]) -> None:
    """With several processes a file stays in one of them with its fixtures, and so does all that needs the browser."""
    for item in items:
        group = "browser" if "browser" in getattr(item, "fixturenames", ()) else item.path.as_posix()
        item.add_marker(pytest.mark.xdist_group(group))


def _skip_gpu(items: list[pytest.Item]) -> None:
    """Tests marked `gpu`, asked for where there is none, are skipped and say so."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="torch finds no CUDA device here"))


@pytest.fixture
def coarse_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Meshes of avatars are made in a second, and look like it."""
    from avatar.exporters import glb
    from avatar.exporters.surface import MeshQuality

    small = MeshQuality(voxel=0.012, views=12, height=256, triangles=6000, texture=256)
    monkeypatch.setattr(glb, "QUALITY", small)


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """One Chromium for all tests."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()
