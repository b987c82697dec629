"""The fast renderers against the obvious one, on values and gradients."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.kernels.threads import set_threads, threads
from avatar.rendering.reference_backend import render_reference
from avatar.rendering.renderer import render, resolve_backend
from avatar.types import Gaussians

from .scenes import FIELDS, Rendered, blob, cameras, run


def check_agreement(ours: Rendered, reference: Rendered) -> None:
    (output, gradients), (true_output, true_gradients) = ours, reference
    for name in ("rgb", "alpha", "depth"):
        torch.testing.assert_close(getattr(output, name), getattr(true_output, name), atol=1e-4, rtol=0)
    for name in FIELDS:
        error = (gradients[name] - true_gradients[name]).norm()
        assert error <= 1e-3 * true_gradients[name].norm() + 1e-9, (name, error, true_gradients[name].norm())


SIZES = [(300, 48, 32, 1), (1500, 96, 70, 1), (200, 37, 53, 3), (100, 1, 40, 1), (100, 40, 1, 1), (20, 1, 1, 1)]


@pytest.mark.parametrize(("count", "width", "height", "number"), SIZES)
def test_cpu_agrees_with_reference(count: int, width: int, height: int, number: int) -> None:
    gaussians, view = blob(count), cameras(width, height, number)
    truth = run(gaussians, view, "reference", torch.float64)
    assert truth[0].alpha.max() > 0.1  # something is in view
    check_agreement(run(gaussians, view, "cpu"), truth)


def test_cpu_agrees_without_a_loss_on_depth() -> None:
    gaussians, view = blob(300), cameras(48, 32)
    truth = run(gaussians, view, "reference", torch.float64, with_depth=False)
    check_agreement(run(gaussians, view, "cpu", with_depth=False), truth)


def test_cpu_agrees_on_huge_tiny_and_thin_splats() -> None:
    gaussians = blob(200, seed=3)
    scales = gaussians.scales.clone()
    scales[:20] = torch.tensor([1.0, 1.0, 0.5])
    scales[20:60] = 1e-4
    scales[60:100] = torch.tensor([0.5, 0.002, 0.002])
    gaussians = Gaussians(gaussians.means, gaussians.quats, scales, gaussians.opacities * 0.3, gaussians.colors)
    view = cameras(64, 48)
    check_agreement(run(gaussians, view, "cpu"), run(gaussians, view, "reference", torch.float64))


def test_opaque_splats_are_cut_and_end_the_pixel() -> None:
    gaussians = blob(150, size=0.3)
    gaussians = Gaussians(gaussians.means, gaussians.quats, gaussians.scales, torch.ones(150), gaussians.colors)
    view = cameras(40, 40)
    truth = run(gaussians, view, "reference", torch.float64)
    assert 0.99 < truth[0].alpha.max() < 1 - 1e-4
    check_agreement(run(gaussians, view, "cpu"), truth)


@pytest.mark.parametrize(
    "gaussians",
    [blob(0), blob(50, center=(100, 0, 0)), blob(50, center=(0, 0, -50)), blob(50, center=(0, 0, -2))],
    ids=["none", "off screen", "behind", "around the camera"],
)
@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_nothing_in_view(gaussians: Gaussians, backend: str) -> None:
    output, gradients = run(gaussians, cameras(33, 20, 2), backend)
    assert output.rgb.shape == (2, 20, 33, 3)
    assert all(torch.isfinite(value).all() for value in (output.rgb, output.depth, *gradients.values()))
    if len(gaussians) == 0 or gaussians.means.abs().max() > 10:
        assert not output.rgb.any() and not output.alpha.any() and not output.depth.any()
        assert not any(value.any() for value in gradients.values())


def test_broken_gaussians_are_not_drawn() -> None:
    good = blob(50)
    broken = blob(3, seed=1)
    broken.means[0, 0], broken.scales[1, 2], broken.quats[2] = torch.nan, torch.inf, 0.0
    both = Gaussians(*(torch.cat([getattr(broken, name), getattr(good, name)]) for name in FIELDS))
    view = cameras(40, 30)
    torch.testing.assert_close(render(both, view, "cpu").rgb, render(good, view, "cpu").rgb)


def test_one_splat_by_hand() -> None:
    """At its centre a splat shows opacity times colour, and its depth is that of its centre."""
    gaussians = Gaussians(
        torch.zeros(1, 3), torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), 0.1),
        torch.tensor([0.6]), torch.tensor([[1.0, 0.5, 0.25]]),
    )  # fmt: skip
    view = cameras(50, 50)
    view.K[0, :2, 2] = 20.5  # the centre of pixel (20, 20)
    for backend in ("cpu", "reference"):
        output = render(gaussians, view, backend)
        torch.testing.assert_close(output.rgb[0, 20, 20], torch.tensor([0.6, 0.3, 0.15]))
        torch.testing.assert_close(output.depth[0, 20, 20], torch.tensor(1.2))
        # sigma is 0.1 m at 2 m, in pixels squared, blurred by 0.3; one pixel beside the centre.
        alpha = 0.6 * torch.exp(-0.5 / (torch.tensor(3.0) ** 2 + 0.3))
        torch.testing.assert_close(output.alpha[0, 20, 21], alpha)


def test_nearer_hides_farther() -> None:
    means = torch.tensor([[0.0, 0, 0.5], [0, 0, -0.5]])
    gaussians = Gaussians(
        means, torch.tensor([[1.0, 0, 0, 0]]).repeat(2, 1), torch.full((2, 3), 0.3),
        torch.full((2,), 0.99), torch.eye(3)[:2],
    )  # fmt: skip
    center = render(gaussians, cameras(32, 32), "cpu").rgb[0, 16, 16]
    assert center[1] > 0.9 > 0.1 > center[0]


def test_a_crop_shows_the_same_pixels() -> None:
    # A crop moves the borders beyond which slopes are limited, so all splats lie well inside.
    gaussians = blob(300)
    gaussians = Gaussians(gaussians.means * 0.3, *(getattr(gaussians, name) for name in FIELDS[1:]))
    whole = render(gaussians, cameras(64, 64), "cpu").rgb[0, 5:55, 7:60]
    part = render(gaussians, cameras(64, 64).cropped(7, 5, 53, 50), "cpu").rgb[0]
    torch.testing.assert_close(part, whole, atol=1e-5, rtol=0)


@pytest.fixture
def keep_threads() -> Iterator[None]:
    before = threads()
    yield
    set_threads(before)


def test_same_bits_on_every_run_and_number_of_threads(keep_threads: None) -> None:
    gaussians, view = blob(2000), cameras(90, 70)
    results = []
    for count in (1, 2, 3, 1):
        set_threads(count)
        output, gradients = run(gaussians, view, "cpu")
        results.append([output.rgb, output.depth, *gradients.values()])
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_several_python_threads_may_render_at_once(keep_threads: None) -> None:
    set_threads(2)
    scenes = [(blob(500, seed=seed), cameras(60 + 8 * seed, 50)) for seed in range(3)]
    alone = [run(*scene, "cpu") for scene in scenes]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(10):
            output, gradients = run(*scenes[k], "cpu")
            if not (torch.equal(output.rgb, alone[k][0].rgb) and torch.equal(gradients["means"], alone[k][1]["means"])):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def test_without_gradients_the_image_is_the_same() -> None:
    gaussians, view = blob(300), cameras(48, 32)
    with_gradients = run(gaussians, view, "cpu")[0]
    with torch.no_grad():
        output = render(gaussians, view, "cpu")
    assert torch.equal(output.rgb.double(), with_gradients.rgb)
    assert not output.rgb.requires_grad


def test_memory_is_reused() -> None:
    from avatar.rendering import numba_backend as cpu

    gaussians, view = blob(500), cameras(64, 64)
    for _ in range(3):
        run(gaussians, view, "cpu")
    sizes = [{name: len(array) for name, array in work.arrays.items()} for work in cpu._spare]
    for _ in range(5):
        run(gaussians, view, "cpu")
    assert [{name: len(array) for name, array in work.arrays.items()} for work in cpu._spare] == sizes


def test_backends_are_chosen_or_refused() -> None:
    assert resolve_backend("auto", "cpu") == "cpu"
    assert resolve_backend("auto", "cuda") == "gsplat"
    with pytest.raises(UsageError, match="no render backend 'opengl'"):
        resolve_backend("opengl", "cpu")
    with pytest.raises(UsageError, match="cannot render tensors on cpu; use --device cuda"):
        resolve_backend("gsplat", "cpu")
    with pytest.raises(UsageError, match="cannot render tensors on cuda"):
        resolve_backend("cpu", "cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="is about machines without CUDA")
def test_gsplat_without_kernels_is_refused_by_name_and_reported_by_auto(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from avatar.rendering.devices import resolve_device
    from avatar.rendering.gsplat_backend import render_gsplat

    with pytest.raises(AvatarError, match=r"gsplat backend cannot start: .*--device cpu"):
        render_gsplat(blob(3), cameras(8, 8))
    messages: list[str] = []
    monkeypatch.setattr("avatar.rendering.devices.logger.info", messages.append)
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert resolve_device("auto") == "cpu"
    assert len(messages) == 1 and "gsplat cannot render" in messages[0]
    assert resolve_device("cuda") == "cuda"
    monkeypatch.setattr("avatar.rendering.gsplat_backend.missing_kernels", lambda: None)
    assert resolve_device("auto") == "cuda"


def test_compilation_is_announced_once_and_only_without_a_cache(tmp_path: Path) -> None:
    """Decided by the cache and not by the clock, which would be wrong on a busy machine."""
    program = """if True:
        import numpy as np
        from avatar.kernels.splat_tiling import open_tiles
        open_tiles(np.ones((1, 2), np.int64), np.empty(3, np.int64), np.empty(1, np.int64))
    """
    announcements = []
    for _ in range(2):
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert process.returncode == 0, process.stderr
        announcements.append(process.stderr.count("Compiling the renderer"))
    assert announcements == [1, 0]


def test_reference_in_float64_passes_gradcheck() -> None:
    gaussians, view = blob(4, size=0.3), cameras(6, 5)
    leaves = [getattr(gaussians, name).double().requires_grad_() for name in FIELDS]

    def image(*fields: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        output = render_reference(Gaussians(*fields), view)
        return output.rgb, output.alpha, output.depth

    assert torch.autograd.gradcheck(image, leaves, eps=1e-6, atol=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize(("count", "width", "height", "number"), SIZES)
def test_gsplat_agrees_with_reference(count: int, width: int, height: int, number: int) -> None:
    gaussians, view = blob(count), cameras(width, height, number)
    truth = run(gaussians, view, "reference", torch.float64)
    check_agreement(run(gaussians, view, "gsplat", device="cuda"), truth)
