"""The viewer of a machine with a GPU, without a browser: everything that it draws, records and writes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from avatar.viewer import files_panel, record
from avatar.viewer.app import Viewer
from avatar.viewer.compare_panel import compared
from avatar.viewer.live import LivePreview
from avatar.viewer.picking import joint_at_ray
from avatar.viewer.session import open_session
from avatar.viewer.state import Drag, LightChoice
from tests.viewer.sample import sample_avatar, sample_run
from tests.viewer.test_live import open_page, wait_until

from .pretended_cuda import Record

pytestmark = pytest.mark.emulated


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_run(tmp_path_factory.mktemp("run"), splats=400, frames=4)


@pytest.fixture
def viewer(gpu: Record, run_folder: Path) -> Iterator[Viewer]:
    viewer = Viewer(open_session(run_folder, "cuda"), port=8860)
    yield viewer
    viewer.server.stop()


LOOKS: list[dict[str, Any]] = [
    {"drawing": "images", "playing": True},
    {"drawing": "splats", "playing": False},
    {"drawing": "splats", "playing": True},
    {"drawing": "splats", "held": 20, "playing": False},
    {"clip": "walk", "drawing": "splats", "playing": True},
    {"colors": "observed"},
    {"colors": "garments"},
    {"light": LightChoice("even")},
    {"detail": 0.5, "opacity": 0.4},
    {"mesh": True, "skeleton": True},
    {"handles": "joint", "playing": False},
    {"handles": "hands and feet", "playing": False},
    {"compare": "side by side", "playing": False},
    {"cameras": True},
]


def test_every_look_is_drawn(viewer: Viewer) -> None:
    first = viewer.store.state
    assert first.drawing == "images"
    for changes in LOOKS:
        state = replace(first, **changes)
        viewer._draw(state, None)
    viewer._draw(replace(first, betas=tuple(beta + 0.1 for beta in first.betas)), first)


def test_a_tab_is_sent_images(viewer: Viewer) -> None:
    open_page(viewer)
    viewer._draw(viewer.store.state, None)
    assert len(viewer.server_images.sent) == 1


def test_a_hand_is_pulled(viewer: Viewer) -> None:
    state = viewer.store.state
    start = viewer.session.pose(state)
    pulled = viewer._pull(replace(state, drag=Drag(20, (0.3, 1.2, 0.3), start)))
    viewer._show_drawn_pose(start)
    assert pulled.edited is not None


def test_a_limb_is_clicked(viewer: Viewer) -> None:
    """On a ray that meets a splat."""
    posed = viewer.session.posed_state(viewer.store.state)
    origin = viewer.session.gaussians(posed).means[0].cpu() + torch.tensor([0.0, 0.0, 3.0])
    assert joint_at_ray(viewer.session.avatar, posed.pose, origin, torch.tensor([0.0, 0.0, -1.0])) is not None


def test_a_frame_is_compared(viewer: Viewer) -> None:
    state = replace(viewer.store.state, compare="side by side", playing=False)
    session = viewer.session
    assert compared(state, session, session.posed_state(state))[-1] > 20


def test_videos_are_recorded(viewer: Viewer) -> None:
    session, state = viewer.session, viewer.store.state
    blurred, clear = record.Finish((255, 255, 255), blur=True), record.Finish((255, 255, 255), transparent=True)
    assert next(record.turntable(session, state, (48, 64), blurred)).shape == (64, 48, 3)
    frames = list(record.clip_frames(session, state, session.clip(state.clip), (48, 64), None, clear))
    assert len(frames) == 4 and frames[0].shape == (64, 48, 4)


@pytest.mark.usefixtures("coarse_meshes")
@pytest.mark.parametrize(
    ("write", "name"), [(files_panel._page, "a.html"), (files_panel._splats, "a.ply"), (files_panel._mesh, "a.glb")]
)
def test_files_are_written(
    viewer: Viewer, tmp_path: Path, write: files_panel.Writer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_panel, "motions_for_page", lambda *_: {})  # the motion that is shown is enough
    write(viewer.session, viewer.store, tmp_path / name)
    assert (tmp_path / name).stat().st_size > 1000


def test_training_is_previewed(gpu: Record) -> None:
    preview = LivePreview(8870)
    try:
        open_page(preview)
        assert preview.after_step(7, sample_avatar(100).to("cuda"), 0.25, 21.5)
        wait_until(lambda: preview.splats is not None)
    finally:
        preview.close()
