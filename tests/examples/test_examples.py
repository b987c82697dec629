"""Each program of examples/ runs from the command line, on a small avatar or a few frames of the sample video."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from avatar.body import load_body
from avatar.io.assets import asset_path
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames

EXAMPLES = Path(__file__).parents[2] / "examples"
BVH = Path(__file__).parents[1] / "motion" / "data" / "mixamo.bvh"
LONGEST = 60  # lines


def run(name: str, *words: str | Path) -> str:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, words)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An avatar file of a small grey person."""
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones(len(body.faces)), 1500, torch.Generator().manual_seed(0))
    path = tmp_path_factory.mktemp("examples") / "avatar.safetensors"
    Avatar(body, betas, gaussians, deform=False).save(path)
    return path


def test_examples_are_short_and_all_are_run() -> None:
    programs = sorted(EXAMPLES.glob("*.py"))
    tests = Path(__file__).read_text(encoding="utf-8")
    assert len(programs) == 6
    for program in programs:
        assert len(program.read_text(encoding="utf-8").splitlines()) <= LONGEST, program.name
        assert f'"{program.stem}"' in tests, program.name


def test_drive_with_bvh(person: Path, tmp_path: Path) -> None:
    video, page = tmp_path / "motion.mp4", tmp_path / "motion.html"
    words = ("--out", video, "--page", page, "--size", "48", "64", "--frames", "3")
    assert run("drive_with_bvh", person, BVH, *words).startswith("3 frames")
    assert video.stat().st_size > 500 and page.stat().st_size > 10_000


def test_render_orbit(person: Path, tmp_path: Path) -> None:
    run("render_orbit", person, "--out", tmp_path, "--frames", "3", "--size", "48", "64")
    images = [np.asarray(Image.open(path)) for path in sorted(tmp_path.glob("*.png"))]
    assert [image.shape for image in images] == [(64, 48, 4)] * 3
    assert all(image[..., 3].max() > 200 and image[0, :, 3].max() == 0 for image in images)


def test_own_renderer_loop(person: Path) -> None:
    output = run("own_renderer_loop", person, "--steps", "30", "--size", "48", "64")
    assert float(output.split("error ")[1]) < 0.1


def test_own_detector(tmp_path: Path) -> None:
    out = tmp_path / "me.safetensors"
    run("own_detector", asset_path("clips", "turn.mp4"), "--out", out, "--max-frames", "8", "--steps", "3")
    assert len(Avatar.load(out)) > 1000


def test_create(tmp_path: Path) -> None:
    out = tmp_path / "run with spaces"
    run("create", asset_path("clips", "turn.mp4"), "--out", out, "--max-frames", "6", "--steps", "3")
    assert (out / "avatar.html").stat().st_size > 10_000


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_batch_with_ray(tmp_path: Path) -> None:
    # A file that is no video: Ray, the task and its failure are tested without the minutes of an avatar.
    (tmp_path / "broken.mp4").write_bytes(b"not a video")
    output = run("batch_with_ray", tmp_path, "--out", tmp_path / "runs", "--steps", "3")
    assert "broken.mp4: failed, " in output and "not a video" in output
