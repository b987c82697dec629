"""A sample run, and a browser for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from avatar.viewer.app import Viewer
from avatar.viewer.session import open_session

from .sample import sample_run
from .webpage import Page, new_tab, shirt


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_run(tmp_path_factory.mktemp("run"), splats=1500, frames=20)


@pytest.fixture(scope="session")
def page(run_folder: Path, browser: object) -> Iterator[Page]:
    """One tab for all tests of the page, since loading it is what takes long."""
    viewer = Viewer(open_session(run_folder), port=8750)
    viewer.store.set(playing=False, drawing_chosen=True)  # this browser has no graphics card, and splats are to be seen
    viewer.start()
    tab, errors = new_tab(browser, viewer.port)
    opened = Page(tab, viewer, errors)
    assert opened.until(lambda: shirt(opened.screenshot()).sum() > 500, 60), "the avatar never appeared"
    yield opened
    tab.close()
    viewer.stop()
    assert errors == [], "the page met errors"
