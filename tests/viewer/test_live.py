"""The preview of a running training: shown, paused, stopped, and never a burden."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import viser
from websockets.sync.client import ClientConnection, connect

from avatar.runtime.progress import Progress, listeners
from avatar.viewer import live
from avatar.viewer.app import Viewer
from avatar.viewer.live import LivePreview
from avatar.viewer.session import open_session
from avatar.viewer.stage_images import BODY, frame_with_body, frame_with_landmarks, newest_frame

from .sample import sample_avatar
from .webpage import new_tab

CAMERA = {
    "type": "ViewerCameraMessage", "wxyz": (1.0, 0.0, 0.0, 0.0), "position": (0.0, 1.0, 3.0), "fov": 0.7,
    "near": 0.01, "far": 100.0, "image_height": 100, "image_width": 100, "look_at": (0.0, 1.0, 0.0),
    "up_direction": (0.0, 1.0, 0.0),
}  # fmt: skip


@pytest.fixture
def preview(monkeypatch: pytest.MonkeyPatch) -> Iterator[LivePreview]:
    monkeypatch.setattr(live, "UPDATE_SECONDS", 0.0)
    preview = LivePreview(8830)
    yield preview
    preview.close()


def open_page(preview: LivePreview | Viewer) -> ClientConnection:
    """A tab of a preview or of the viewer that never reads what it is sent."""
    subprotocols = [f"viser-v{viser.__version__}"]
    page = connect(f"ws://127.0.0.1:{preview.port}", subprotocols=subprotocols)  # type: ignore[arg-type]
    page.send(msgspec.msgpack.encode(CAMERA))
    wait_until(lambda: len(preview.server.get_clients()) == 1)
    return page


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end, "it did not happen in good time"
        time.sleep(0.02)


def test_nothing_is_posed_while_nobody_looks(preview: LivePreview) -> None:
    assert preview.after_step(1, sample_avatar(100), 0.5, None)
    assert preview.splats is None and preview._latest is None


def test_the_avatar_and_its_numbers_appear(preview: LivePreview) -> None:
    page = open_page(preview)
    avatar = sample_avatar(100)
    assert preview.after_step(7, avatar, 0.25, 21.5)
    wait_until(lambda: preview.splats is not None and preview.losses == [(7, 0.25)])
    assert "21.50 dB" in preview.text.content and "100 splats" in preview.text.content
    page.close()


def test_a_page_that_never_reads_does_not_slow_training(preview: LivePreview) -> None:
    page = open_page(preview)
    avatar = sample_avatar(20000)
    began = time.monotonic()
    alone = time.process_time()
    for step in range(5):
        preview.after_step(step, avatar, 1.0, None)
    assert time.monotonic() - began < 10
    assert time.process_time() - alone < 10
    page.close()


def test_pause_holds_and_a_lost_page_lets_go(preview: LivePreview) -> None:
    page = open_page(preview)
    avatar = sample_avatar(100)
    preview._toggle_pause()
    went_on = threading.Event()

    def train() -> None:
        preview.after_step(1, avatar, 1.0, None)
        went_on.set()

    training = threading.Thread(target=train)
    training.start()
    assert not went_on.wait(0.6)
    page.close()
    assert went_on.wait(15)
    training.join()
    assert not preview.paused, "the next page would stop it again"


def test_stop_ends_training_even_when_paused(preview: LivePreview) -> None:
    page = open_page(preview)
    avatar = sample_avatar(100)
    preview._toggle_pause()
    answers: list[bool] = []
    training = threading.Thread(target=lambda: answers.append(preview.after_step(1, avatar, 1.0, None)))
    training.start()
    preview._stop()
    training.join(15)
    assert answers == [False]
    page.close()


def test_the_page_shows_what_is_going_on_and_becomes_the_viewer(
    preview: LivePreview, run_folder: Path, browser: Any
) -> None:
    session = open_session(run_folder)
    observations, track = session.observations, session.track
    assert observations is not None and track is not None
    tab, errors = new_tab(browser, preview.port)
    tab.locator(".avatar-bar").wait_for(timeout=60_000)
    with Progress("fit", 4) as bar:
        bar.step()
        tab.get_by_text("Fitting the body").wait_for(timeout=40_000)
        tab.get_by_text("left").wait_for(timeout=40_000)
        assert tab.get_by_label("Progress").get_attribute("value") == "0.25"
    assert tab.get_by_role("button", name="Pause").is_disabled()
    image = tab.get_by_alt_text("what is being worked on")
    preview.observed(observations)
    image.wait_for(timeout=40_000)
    preview.tracked(observations, track, session.avatar.body)
    first = image.get_attribute("src")
    wait_until(lambda: image.get_attribute("src") != first)
    preview.after_step(1, sample_avatar(100), 0.5, None)
    image.wait_for(state="hidden", timeout=40_000)
    preview.say_goodbye("Stopped. Kept: the body track.")
    tab.get_by_text("Kept: the body track").wait_for(state="attached", timeout=40_000)
    viewer = preview.become_viewer(run_folder)
    tab.locator(".avatar-strip").wait_for(timeout=60_000)
    assert tab.get_by_label("Progress").count() == 0
    viewer.stop()
    tab.get_by_text("cannot be reached").wait_for(timeout=40_000)
    tab.close()
    assert errors == [] and preview._progressed not in listeners


def test_frames_are_drawn_with_outline_landmarks_and_body(run_folder: Path) -> None:
    session = open_session(run_folder)
    observations, track = session.observations, session.track
    assert observations is not None and track is not None
    plain = observations.images[3]
    outlined = frame_with_landmarks(observations, 3)
    edge = (np.abs(outlined.astype(int) - plain).max(-1) > 60) & (outlined[..., 1] > 200)
    assert 100 < edge.sum() < 0.1 * edge.size
    over = frame_with_body(observations, track, session.avatar.body, 3)
    body = (over == np.array(BODY)).all(-1)
    inside = observations.masks[3] > 127
    assert (body & inside).sum() > 0.95 * body.sum() > 500


def test_the_newest_frame_of_an_observation(run_folder: Path, tmp_path: Path) -> None:
    assert newest_frame(tmp_path) is None
    assert newest_frame(run_folder / "observations") is not None
