"""What the commands do with an avatar on the pretended GPU: images, videos, exports, scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from avatar.cli.evaluate import evaluate_avatar
from avatar.cli.export import FileOptions, ImageFlags, export_avatar
from avatar.cli.render import render_images
from avatar.evaluation.pose_fitting import fit_pose
from avatar.evaluation.targets import held_out_targets
from avatar.io.camera_file import save_cameras
from avatar.io.files import read_json
from avatar.io.images import read_image
from avatar.metrics.perceptual import load_lpips
from avatar.model.world import World
from avatar.pipeline import previews
from avatar.pipeline.animation import VideoOptions, frames_of
from avatar.pipeline.create import create
from avatar.pipeline.finished_run import open_run
from avatar.pipeline.motions import builtin_track
from avatar.pipeline.report import body_mask_iou, held_out_scores
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import settings_for
from tests.evaluation.conftest import made_up  # noqa: F401  (the fixture)
from tests.viewer.sample import sample_run

from .pretended_cuda import Record

pytestmark = pytest.mark.emulated

Folders = tuple[Path, Path]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "TURN_SECONDS", 0.1)
    monkeypatch.setattr(previews, "PANEL", 64)


def test_a_whole_run_from_its_observations(gpu: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `avatar create --device cuda` does after a video is observed and tracked."""
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))  # no networks are installed here
    load_lpips.cache_clear()
    run = RunFolder(sample_run(tmp_path / "run", splats=300, frames=4, height=96))
    run.track.rename(run.estimated_track)
    run.avatar.unlink()
    small = {"steps": 6, "gaussians": 300, "max_gaussians": 350, "hold_out": 3, "registrations": 0}
    settings = settings_for(tmp_path / "a.mp4", "large", {"device": "cuda", "train": small}).resolved()
    assert (settings.device, settings.backend) == ("cuda", "gsplat")
    report = create(run, settings)
    assert report["gpu"]["name"] == "pretended" and report["gpu"]["gsplat"] and report["held_out"]["psnr"] > 10
    assert read_json(run.report)["gpu"] == report["gpu"]
    for file in (run.avatar, run.track, run.turntable, run.overlay, run.contact, run.report_page):
        assert file.is_file(), file
    assert not run.checkpoint.exists()


def test_previews_and_the_report(gpu: Record, made_up: Folders, tmp_path: Path) -> None:  # noqa: F811
    opened = open_run(made_up[0], device="cuda")
    avatar, track, observations = opened.avatar, opened.track, opened.observations()
    frames = list(previews.turntable_frames(avatar, track.poses[0], 36, 64, "auto"))
    assert len(frames) == 2 and frames[0].shape == (64, 36, 3)
    previews.write_contact_sheet(tmp_path / "contact.png", avatar, track, observations, "auto", frames=2)
    assert held_out_scores(avatar, track, observations, [1], "auto")["psnr"] > 25
    assert body_mask_iou(avatar, track, observations, "auto")["median"] > 0.5


def test_a_motion_is_rendered(gpu: Record, made_up: Folders) -> None:  # noqa: F811
    avatar = open_run(made_up[0], device="cuda").avatar
    track = builtin_track(avatar, "wave")
    for camera in ("follow", "orbit", "front"):
        options = VideoOptions(camera, 36, 64, "white")
        assert next(iter(frames_of(World((avatar,)), [track], options))).shape == (64, 36, 3)


def test_evaluation(gpu: Record, made_up: Folders, tmp_path: Path) -> None:  # noqa: F811
    run, capture = made_up
    evaluate_avatar(run, capture, out=tmp_path, device="cuda")
    assert (tmp_path / "evaluation.json").is_file()
    opened = open_run(run, device="cuda")
    target = held_out_targets(opened, None)[0][0]
    fitted = fit_pose(opened, target, "auto", steps=2)
    assert fitted.pose.rotations.device.type == "cpu"
    assert not torch.equal(fitted.pose.rotations, target.pose.rotations)


def test_images_for_cameras_and_poses(gpu: Record, made_up: Folders, tmp_path: Path) -> None:  # noqa: F811
    run, _ = made_up
    opened = open_run(run)
    save_cameras(tmp_path / "cameras.json", opened.cameras[:2])
    for device in ("cuda", "cpu"):
        out = tmp_path / device
        render_images(run, tmp_path / "cameras.json", run / "track.npz", out, device=device)
    ours, truth = (read_image(tmp_path / device / "0002_0001.png").astype(int) for device in ("cuda", "cpu"))
    assert abs(ours - truth).max() <= 2 and truth.max() > 100


@pytest.mark.usefixtures("coarse_meshes")
def test_exports(gpu: Record, made_up: Folders, tmp_path: Path) -> None:  # noqa: F811
    files: dict[str, Any] = {
        "turntable": tmp_path / "a.webp", "dataset": tmp_path / "data", "html": tmp_path / "a.html",
        "ply": tmp_path / "a.ply", "glb": tmp_path / "a.glb", "motion_file": tmp_path / "a.bvh",
    }  # fmt: skip
    small = ImageFlags("48x64", count=2)
    export_avatar(made_up[0], FileOptions(**files), motion=("wave",), images=small, device="cuda")
    assert all(path.exists() for path in files.values())
    assert len(list((tmp_path / "data" / "images").iterdir())) == 2
