"""Perceptual distances between images: LPIPS and DISTS, evaluated in plain PyTorch.

Both compare the features of image-classification networks, and so see blur that PSNR rewards. Neither torchvision nor
the packages of their authors are needed: the networks are read from one safetensors file in the user's cache, which
`avatar.metrics.perceptual_weights` makes of published packages. Without that file, LPIPS is computed by the package
`lpips` where it works.

Images are (h, w, 3) sRGB in [0, 1].
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.io.assets import cache_folder

LpipsNet = Literal["alex", "vgg"]
WEIGHTS_NAME = "perceptual.safetensors"
# Mean and standard deviation of ImageNet's images, which the networks were trained on.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# LPIPS rounds them, and states them for images in [-1, 1].
LPIPS_SHIFT, LPIPS_SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# AlexNet (Krizhevsky 2014): stride and padding of each convolution, and whether a pooling layer stands before it.
ALEX = ((4, 2, False), (1, 2, True), (1, 1, True), (1, 1, False), (1, 1, False))
# VGG16 (Simonyan and Zisserman 2015): convolutions in each of the five blocks; features are taken at the end of each.
VGG_BLOCKS = (2, 2, 3, 3, 3)
DISTS_CHANNELS = (3, 64, 128, 256, 512, 512)
DISTS_EPS = 1e-6

# The files that torchvision keeps in torch's cache, which the package `lpips` needs.
TORCHVISION_BACKBONES = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}

Weights = Mapping[str, Tensor]
# Distances of images (n h w 3) from one truth (h w 3), whose features are computed once for all.
Measure = Callable[[Tensor, Tensor], list[float]]
Features = list[Float[Tensor, "n _ _ _"]]


class PerceptualUnavailable(AvatarError):
    """LPIPS or DISTS cannot be computed on this machine; the message says what is missing."""


def weights_path() -> Path:
    """Where the networks lie once they are installed."""
    return cache_folder() / WEIGHTS_NAME


@functools.cache
def load_weights(path: Path) -> Weights:
    """All networks' arrays.

    Raises:
        PerceptualUnavailable: the file is missing or damaged.
    """
    from safetensors.torch import load_file

    if not path.is_file():
        raise PerceptualUnavailable(
            f"LPIPS and DISTS need {path}, which is missing: `avatar doctor` says how to get it."
        )
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own kinds on a damaged file
        raise PerceptualUnavailable(f"{path} is not a readable safetensors file: {short_message(error)}.") from error


def lpips(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], net: LpipsNet = "alex") -> float:
    """Learned perceptual image patch similarity, version 0.1 (Zhang et al. 2018, equation 1); smaller is closer.

    Args:
        net: the backbone whose features are compared.

    Raises:
        PerceptualUnavailable: neither the networks nor the package `lpips` can be used here.
    """
    return load_lpips(net)(image[None], truth)[0]


@functools.cache
def load_lpips(net: LpipsNet) -> Measure:
    """What computes LPIPS on this machine.

    Raises:
        PerceptualUnavailable: see `lpips`.
    """
    if weights_path().is_file():
        return functools.partial(lpips_distances, load_weights(weights_path()), net)
    return packaged_lpips(net)


def lpips_distance(
    weights: Weights, net: LpipsNet, image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]
) -> float:
    """LPIPS by the networks of `load_weights`."""
    return lpips_distances(weights, net, image[None], truth)[0]


@torch.no_grad()
def lpips_distances(
    weights: Weights, net: LpipsNet, images: Float[Tensor, "n h w 3"], truth: Float[Tensor, "h w 3"]
) -> list[float]:
    """LPIPS of several images from one truth, by the networks of `load_weights`."""
    distances = images.new_zeros(len(images))
    for layer, features in enumerate(lpips_features(weights, net, batched(images, truth))):
        features = unit_length(features)
        difference = (features[:-1] - features[-1:]).square_()
        distances += F.conv2d(difference, weights[f"{net}.linear{layer}"].to(features)[None]).mean((1, 2, 3))
    return distances.tolist()


def lpips_loss(
    weights: Weights, net: LpipsNet, image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"]
) -> Float[Tensor, ""]:
    """LPIPS of one image, differentiable in it; `weights` of `load_weights`, best on the device of the images."""
    ours = lpips_features(weights, net, image[None].permute(0, 3, 1, 2))
    with torch.no_grad():
        theirs = lpips_features(weights, net, truth[None].permute(0, 3, 1, 2))
    distances = []
    for layer, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        difference = (unit_length(a) - unit_length(b)).square()
        distances.append(F.conv2d(difference, weights[f"{net}.linear{layer}"].to(difference)[None]).mean())
    return torch.stack(distances).sum()


def packaged_lpips(net: LpipsNet) -> Measure:
    """LPIPS by the package `lpips`, with torchvision's weights from torch's cache; nothing is fetched.

    Raises:
        PerceptualUnavailable: the package, torchvision or the weights are missing.
    """
    backbone = Path(torch.hub.get_dir()) / "checkpoints" / TORCHVISION_BACKBONES[net]
    if not backbone.is_file():
        raise PerceptualUnavailable(
            f"LPIPS ({net}) not computed: neither {weights_path()} nor {backbone} exists; `avatar doctor` says how to "
            "get the networks"
        )
    try:
        import lpips as package

        network = package.LPIPS(net=net, verbose=False).eval().requires_grad_(False)
    except Exception as error:  # a torchvision that does not fit torch raises RuntimeError, not ImportError
        raise PerceptualUnavailable(f"LPIPS ({net}) not computed: {type(error).__name__}: {error}") from error

    @torch.no_grad()
    def distances(images: Tensor, truth: Tensor) -> list[float]:
        batch = batched(images, truth)
        return network.to(images.device)(batch[:-1], batch[-1:], normalize=True).flatten().tolist()  # type: ignore[no-any-return]

    return distances


def lpips_features(weights: Weights, net: LpipsNet, x: Float[Tensor, "n 3 h w"]) -> Features:
    """The five layers of features that LPIPS compares."""
    shift, scale = (_per_channel(values, x.dtype, x.device) for values in (LPIPS_SHIFT, LPIPS_SCALE))
    x = (2 * x - 1 - shift) / scale
    return vgg_features(weights, x, max_pool) if net == "vgg" else alex_features(weights, x)


def dists(image: Float[Tensor, "h w 3"], truth: Float[Tensor, "h w 3"], weights: Weights | None = None) -> float:
    """Deep image structure and texture similarity (Ding et al. 2020, equations 5 to 7); smaller is closer.

    It compares means and covariances of feature maps, and so forgives textures that are moved a little.

    Raises:
        PerceptualUnavailable: the networks are not installed.
    """
    return dists_distances(image[None], truth, weights)[0]


@torch.no_grad()
def dists_distances(
    images: Float[Tensor, "n h w 3"], truth: Float[Tensor, "h w 3"], weights: Weights | None = None
) -> list[float]:
    """DISTS of several images from one truth; see `dists`."""
    weights = load_weights(weights_path()) if weights is None else weights
    alpha, beta = (weights[f"dists.{name}"].to(images).flatten() for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    structure, texture = (torch.split(x / total, list(DISTS_CHANNELS)) for x in (beta, alpha))
    similarity = images.new_zeros(len(images))
    for s, t, features in zip(structure, texture, dists_features(weights, batched(images, truth)), strict=True):
        features = features.flatten(2)
        mean = features.mean(2)
        spread = features.var(2, correction=0)
        products = mean[:-1] * mean[-1]
        covariance = (features[:-1] * features[-1]).mean(2) - products
        squares = mean[:-1].square() + mean[-1].square()
        similarity += (t * (2 * products + DISTS_EPS) / (squares + DISTS_EPS)).sum(1)
        similarity += (s * (2 * covariance + DISTS_EPS) / (spread[:-1] + spread[-1] + DISTS_EPS)).sum(1)
    return (1 - similarity).tolist()


def dists_features(weights: Weights, x: Float[Tensor, "n 3 h w"]) -> Features:
    """The image itself and the five layers of features that DISTS compares."""
    mean, std = (_per_channel(values, x.dtype, x.device) for values in (MEAN, STD))
    return [x, *vgg_features(weights, (x - mean) / std, l2_pool)]


@functools.cache
def _per_channel(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Float[Tensor, "3 1 1"]:
    """Constants kept on the device: copying them in each step of a training would make a GPU wait."""
    return torch.tensor(values, dtype=dtype, device=device)[:, None, None]


def vgg_features(weights: Weights, x: Float[Tensor, "n 3 h w"], pool: Callable[[Tensor], Tensor]) -> Features:
    """VGG16 up to its last convolution: the features at the end of each block, with this pooling between blocks."""
    features, layer = [], 0
    for block, convolutions in enumerate(VGG_BLOCKS):
        x = pool(x) if block else x
        for _ in range(convolutions):
            x = convolved(weights, f"vgg.conv{layer}", x, stride=1, padding=1)
            layer += 1
        features.append(x)
    return features


def alex_features(weights: Weights, x: Float[Tensor, "n 3 h w"]) -> Features:
    """AlexNet's five layers of features."""
    features = []
    for layer, (stride, padding, pooled) in enumerate(ALEX):
        x = F.max_pool2d(x, 3, 2) if pooled else x
        x = convolved(weights, f"alex.conv{layer}", x, stride, padding)
        features.append(x)
    return features


def convolved(weights: Weights, name: str, x: Tensor, stride: int, padding: int) -> Tensor:
    """One convolution and its rectifier."""
    kernel, bias = (weights[f"{name}.{part}"].to(x) for part in ("weight", "bias"))
    # In place, since features fill hundreds of megabytes.
    return F.relu(F.conv2d(x, kernel, bias, stride, padding), inplace=True)


def max_pool(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """The greatest of two by two."""
    return F.max_pool2d(x, 2, 2)


def l2_pool(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Root of the mean square under a Hann window of 3 x 3, every second pixel: pooling without aliasing."""
    hann = x.new_tensor([0.25, 0.5, 0.25])
    window = (hann[:, None] * hann).expand(x.shape[1], 1, 3, 3)
    return (F.conv2d(x.square(), window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def unit_length(features: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Features scaled to unit length at each pixel."""
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + 1e-10)


def batched(images: Float[Tensor, "n h w 3"], truth: Float[Tensor, "h w 3"]) -> Float[Tensor, "n+1 3 h w"]:
    """The images and the truth, which comes last, as networks take them."""
    return torch.cat([images, truth[None]]).float().permute(0, 3, 1, 2)
