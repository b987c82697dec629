"""gsplat's own kernels against the reference renderer, on values and gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from avatar.rendering import gsplat_backend
from avatar.rendering.renderer import render
from avatar.types import Cameras, Gaussians
from tests.rendering.scenes import FIELDS, blob, cameras, run
from tests.rendering.test_backends import SIZES, check_agreement

from .pretended_cuda import Record

pytestmark = pytest.mark.emulated


def check_gsplat(gaussians: Gaussians, view: Cameras, with_depth: bool = True) -> None:
    truth = run(gaussians, view, "reference", torch.float64, with_depth=with_depth)
    assert truth[0].alpha.max() > 0.1  # something is in view
    check_agreement(run(gaussians, view, "gsplat", device="cuda", with_depth=with_depth), truth)


@pytest.mark.parametrize(("count", "width", "height", "number"), SIZES)
def test_gsplat_agrees_with_the_reference(gpu: Record, count: int, width: int, height: int, number: int) -> None:
    check_gsplat(blob(count), cameras(width, height, number))


def test_gsplat_agrees_without_a_loss_on_depth(gpu: Record) -> None:
    check_gsplat(blob(300), cameras(48, 32), with_depth=False)


def test_gsplat_agrees_on_huge_tiny_and_thin_splats(gpu: Record) -> None:
    gaussians = blob(200, seed=3)
    scales = gaussians.scales.clone()
    scales[:20] = torch.tensor([1.0, 1.0, 0.5])
    scales[20:60] = 1e-4
    scales[60:100] = torch.tensor([0.5, 0.002, 0.002])
    check_gsplat(
        Gaussians(gaussians.means, gaussians.quats, scales, gaussians.opacities * 0.3, gaussians.colors),
        cameras(64, 48),
    )


def test_gsplat_agrees_on_opaque_splats(gpu: Record) -> None:
    gaussians = blob(150, size=0.3)
    check_gsplat(
        Gaussians(gaussians.means, gaussians.quats, gaussians.scales, torch.ones(150), gaussians.colors),
        cameras(40, 40),
    )


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_gsplat_agrees_with_the_other_backends_on_a_person(gpu: Record, backend: str) -> None:
    """Splats of a body's size and density, as most users see them, in the precision that each backend has."""
    from tests.viewer.sample import sample_avatar, sample_track

    avatar = sample_avatar(1500)
    track = sample_track(avatar, 3)
    assert track.cameras is not None
    with torch.no_grad():
        posed = avatar.pose(track.poses[1])
    view = track.cameras[1].resized(90, 120)
    check_agreement(run(posed, view, "gsplat", device="cuda"), run(posed, view, backend))


@pytest.mark.parametrize(
    "gaussians",
    [blob(0), blob(50, center=(100, 0, 0)), blob(50, center=(0, 0, -50)), blob(50, center=(0, 0, -2))],
    ids=["none", "off screen", "behind", "around the camera"],
)
def test_nothing_in_view(gpu: Record, gaussians: Gaussians) -> None:
    output, gradients = run(gaussians, cameras(33, 20, 2), "gsplat", device="cuda")
    assert output.rgb.shape == (2, 20, 33, 3)
    assert all(torch.isfinite(value).all() for value in (output.rgb, output.depth, *gradients.values()))
    if len(gaussians) == 0 or gaussians.means.abs().max() > 10:
        assert not output.rgb.any() and not output.alpha.any() and not output.depth.any()
        assert not any(value.any() for value in gradients.values())


def test_broken_gaussians_are_not_drawn(gpu: Record) -> None:
    broken = blob(60)
    broken.means[0, 0], broken.scales[1, 2], broken.quats[2], broken.opacities[3] = torch.nan, torch.inf, 0.0, torch.nan
    sound = Gaussians(*(getattr(broken, name)[4:] for name in FIELDS))
    ours, truth = (render(one.to("cuda"), cameras(40, 30), "gsplat") for one in (broken, sound))
    for name in ("rgb", "alpha", "depth"):
        torch.testing.assert_close(getattr(ours, name).cpu(), getattr(truth, name).cpu(), atol=1e-6, rtol=0)


def test_a_crop_shows_the_same_pixels(gpu: Record) -> None:
    gaussians = blob(300)
    gaussians = Gaussians(gaussians.means * 0.3, *(getattr(gaussians, name) for name in FIELDS[1:])).to("cuda")
    whole = render(gaussians, cameras(64, 64), "gsplat").rgb[0, 5:55, 7:60]
    part = render(gaussians, cameras(64, 64).cropped(7, 5, 53, 50), "gsplat").rgb[0]
    torch.testing.assert_close(part.cpu(), whole.cpu(), atol=1e-5, rtol=0)


Rasterization = Callable[..., Any]


def with_quaternions_xyzw(means: Any, quats: Any, *rest: Any, **options: Any) -> tuple[Any, ...]:
    return (means, quats.roll(-1, dims=-1), *rest)


def with_pixel_centres_at_whole_numbers(*arguments: Any, **options: Any) -> tuple[Any, ...]:
    *fields, Ts, K, width, height = arguments
    shift = torch.zeros_like(K)
    shift[..., :2, 2] = 0.5
    return (*fields, Ts, K + shift, width, height)


@pytest.mark.parametrize("mistake", [with_quaternions_xyzw, with_pixel_centres_at_whole_numbers])
def test_a_planted_error_of_convention_is_noticed(
    gpu: Record, monkeypatch: pytest.MonkeyPatch, mistake: Callable[..., tuple[Any, ...]]
) -> None:
    right = gsplat_backend._rasterization()
    monkeypatch.setattr(
        gsplat_backend, "_rasterization", lambda: lambda *fields, **options: right(*mistake(*fields), **options)
    )
    for count, width, height, number in SIZES[:3]:
        with pytest.raises(AssertionError):
            check_gsplat(blob(count), cameras(width, height, number))
