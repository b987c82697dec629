"""Made-up clips of people who face the camera: `scripts/front_clips.py` on three of them, with the real detector."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def front_clips() -> ModuleType:
    spec = importlib.util.spec_from_file_location("front_clips", ROOT / "scripts" / "front_clips.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["front_clips"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("pitch", [-15.0, 0.0, 20.0])
def test_the_camera_stands_where_the_clip_says(front_clips: ModuleType, pitch: float) -> None:
    clip = front_clips.make_clip("wave", pitch, "room", 1.0)
    up = clip.camera.T_camera_world[0, :3, 1]
    assert float(torch.rad2deg(-torch.asin(up[2]))) == pytest.approx(pitch, abs=1e-3)
    vertices = clip.body.vertices(clip.body.rest(clip.betas), clip.poses)
    x = vertices @ clip.camera.T_camera_world[0, :3, :3].T + clip.camera.T_camera_world[0, :3, 3]
    pixels = x @ clip.camera.K[0].T
    pixels = pixels[..., :2] / pixels[..., 2:]
    assert pixels.min() > 0 and pixels[..., 0].max() < front_clips.WIDTH and pixels[..., 1].max() < front_clips.HEIGHT


@pytest.mark.slow
@pytest.mark.parametrize(
    ("motion", "pitch", "scene"), [("wave", 0.0, "room"), ("arm-circles", 20.0, "plain"), ("bounce", 10.0, "room")]
)
def test_people_filmed_from_the_front_stand_upright(
    front_clips: ModuleType, tmp_path: Path, motion: str, pitch: float, scene: str
) -> None:
    errors = front_clips.evaluate(front_clips.make_clip(motion, pitch, scene, 2.0), tmp_path, False)
    assert errors.trunk < 8 and errors.whole < 4
    assert abs(errors.pitch) < 6
    assert errors.pa < 75
