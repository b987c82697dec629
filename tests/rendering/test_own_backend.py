"""A renderer of one's own: one function and one registration."""

from collections.abc import Iterator

import pytest
import torch

from avatar.errors import UsageError
from avatar.geometry import project
from avatar.pipeline.settings import settings_for
from avatar.rendering import renderer
from avatar.rendering.renderer import Backend, register_backend, render
from avatar.types import Cameras, Gaussians, RenderOutput

from .scenes import blob, cameras


# --8<-- [start:example]
def render_points(gaussians: Gaussians, cameras: Cameras) -> RenderOutput:
    """Each Gaussian as one opaque pixel; of several in one pixel the last is drawn."""
    images = torch.zeros(len(cameras), cameras.height, cameras.width, 5)
    for image, K, T in zip(images, cameras.K, cameras.T_camera_world, strict=True):
        pixels, depths = project(K, T, gaussians.means)
        x, y = pixels.floor().long().unbind(-1)
        visible = (x >= 0) & (x < cameras.width) & (y >= 0) & (y < cameras.height) & (depths > 0)
        values = torch.cat([gaussians.colors, torch.ones_like(depths)[:, None], depths[:, None]], dim=1)
        image[y[visible], x[visible]] = values[visible]
    return RenderOutput(rgb=images[..., :3], alpha=images[..., 3], depth=images[..., 4])


# --8<-- [end:example]


@pytest.fixture
def points_backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(renderer, "_backends", dict(renderer._backends))
    # --8<-- [start:registration]
    register_backend("points", lambda: render_points, devices=("cpu",), advice="--device cpu")
    # --8<-- [end:registration]
    yield "points"


def test_a_registered_backend_renders(points_backend: str) -> None:
    assert isinstance(render_points, Backend)
    gaussians, view = blob(200), cameras(40, 30, 2)
    out = render(gaussians, view, points_backend)
    assert out.rgb.shape == (2, 30, 40, 3) and set(out.alpha.unique().tolist()) == {0.0, 1.0}
    assert (out.depth[out.alpha > 0] > 0).all()


def test_a_registered_backend_is_named_and_kept_to_its_devices(points_backend: str) -> None:
    assert points_backend in renderer.backend_names()
    with pytest.raises(UsageError, match="points backend cannot render tensors on cuda; use --device cpu"):
        renderer.resolve_backend(points_backend, "cuda")


def test_settings_take_a_registered_backend(points_backend: str) -> None:
    assert settings_for("me.mp4", options={"backend": points_backend, "device": "cpu"}).resolved().backend == "points"
    with pytest.raises(UsageError, match="no render backend 'dots'"):
        settings_for("me.mp4", options={"backend": "dots", "device": "cpu"}).resolved()


def test_a_name_is_registered_once(points_backend: str) -> None:
    for name in (points_backend, "cpu", "auto"):
        with pytest.raises(ValueError, match="already"):
            register_backend(name, lambda: render_points)
