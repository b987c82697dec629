"""What a tab shows, pixel for pixel against the exact render of the same pose from the tab's own camera."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from avatar.io.images import to_float
from avatar.metrics.images import psnr
from avatar.viewer.server_images import client_camera, render_image_and_depth

from .webpage import BAR, Page

EXACT_DB = 35.0


@pytest.fixture(autouse=True)
def bare(page: Page) -> Iterator[None]:
    """The person alone, in the middle of a motion."""
    page.viewer.store.set(clip="as filmed", frame=11.0, edited=None, playing=False, ground=False, handles="off")
    yield
    page.viewer.store.set(drawing="splats", ground=True)


def error_db(page: Page) -> float:
    """PSNR of the tab against the exact render, in the person's box."""
    viewer = page.viewer
    state = viewer.store.state
    (client,) = viewer.server.get_clients().values()
    shot = page.canvas()
    camera = client_camera(client.camera, max(shot.shape[:2]))
    gaussians = viewer.session.gaussians(viewer.session.posed_state(state))
    exact, depth = render_image_and_depth(gaussians, camera, state.background)
    rows, columns = np.nonzero(depth < 100)
    # The timeline lies over the lower part.
    box = slice(rows.min(), min(rows.max() + 1, len(shot) - BAR)), slice(columns.min(), columns.max() + 1)
    assert exact.shape == shot.shape
    return psnr(to_float(shot[box].copy()), to_float(exact[box].copy()))


def test_splats_in_the_browser_are_the_exact_render(page: Page) -> None:
    assert page.until(lambda: error_db(page) > EXACT_DB), f"{error_db(page):.1f} dB"


def test_images_from_the_server_are_the_exact_render_at_rest_and_in_motion(page: Page) -> None:
    page.viewer.store.set(drawing="images")
    assert page.until(lambda: [sent.full for sent in page.viewer.server_images.sent.values()] == [True])
    assert page.until(lambda: error_db(page) > EXACT_DB), f"{error_db(page):.1f} dB at rest"
