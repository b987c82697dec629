"""A stand-in for `gsplat.csrc`, the compiled part of gsplat: the same functions, on kernels compiled for the CPU.

gsplat's own Python runs on it unchanged. Memory that the real one leaves uninitialised is filled with NaN, so that
whatever reads it shows.
"""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CHANNELS = 4  # as in entry_points.cpp


class CameraModelType(Enum):
    """gsplat's kinds of camera; the kernels here take a pinhole."""

    PINHOLE = 0
    ORTHO = 1
    FISHEYE = 2
    FTHETA = 3


class Kernels:
    """The functions of `gsplat.csrc` that its rasterization of unpacked Gaussians calls.

    Args:
        library: what `compile_kernels` made.
        to_host, to_device: between the tensors of gsplat's Python and tensors of the CPU.
        launched: called with the name of each kernel, and "wait" where the host waits for the device.
    """

    def __init__(
        self,
        library: Path,
        to_host: Callable[[Tensor], Tensor],
        to_device: Callable[[Tensor], Tensor],
        launched: Callable[[str], None],
    ) -> None:
        # The interpreter keeps its lock, since the kernels have one set of fibers.
        self.library = ctypes.PyDLL(str(library))
        self.to_host, self.to_device, self.launched = to_host, to_device, launched

    def call(self, name: str, *arguments: Tensor | float | None) -> None:
        """One function of entry_points.cpp: integers are unsigned, and None is a null pointer."""
        self.launched(name)
        getattr(self.library, name)(*(_c_value(argument) for argument in arguments))

    def inputs(self, *tensors: Tensor) -> Iterator[Tensor]:
        """Tensors of the CPU, of which the real kernels ask that they lie on CUDA, contiguous."""
        for tensor in tensors:
            assert tensor.is_cuda, "gsplat takes tensors on CUDA only"
            assert tensor.is_contiguous(), "gsplat takes contiguous tensors only"
            assert tensor.dtype in (torch.float32, torch.int32, torch.int64), tensor.dtype
            yield self.to_host(tensor)

    def zeros(self, *tensors: Tensor) -> list[Tensor]:
        """Zeros of the shapes of `tensors`, each made by a launch."""
        for _ in tensors:
            self.launched("zeros")
        return [torch.zeros_like(tensor) for tensor in tensors]

    def projection_ewa_3dgs_fused_fwd(
        self, means: Tensor, covars: None, quats: Tensor, scales: Tensor, opacities: Tensor, viewmats: Tensor,
        Ks: Tensor, width: int, height: int, eps2d: float, near: float, far: float, clip: float,
        compensated: bool, model: CameraModelType,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        assert covars is None and not compensated and model is CameraModelType.PINHOLE
        fields = list(self.inputs(means, quats, scales, opacities, viewmats, Ks))
        cameras, count = len(viewmats), len(means)
        # The real one divides by the number of Gaussians, which ends the process.
        assert count > 0, "gsplat divides by the number of Gaussians"
        radii, means2d = _uninitialised(cameras, count, 2, dtype=torch.int32), _uninitialised(cameras, count, 2)
        depths, conics = _uninitialised(cameras, count), _uninitialised(cameras, count, 3)
        self.call(
            "project", cameras, count, *fields, width, height, float(eps2d), float(near), float(far), float(clip),
            radii, means2d, depths, conics,
        )  # fmt: skip
        return *map(self.to_device, (radii, means2d, depths, conics)), None

    def projection_ewa_3dgs_fused_bwd(
        self, means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor,
        width: int, height: int, eps2d: float, model: CameraModelType, radii: Tensor, conics: Tensor,
        compensations: None, v_means2d: Tensor, v_depths: Tensor, v_conics: Tensor, v_compensations: None,
        viewmats_learned: bool,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        assert not viewmats_learned
        fields = list(self.inputs(means, quats, scales, viewmats, Ks))
        saved = self.inputs(radii, conics, v_means2d, v_depths, v_conics)
        v_means, v_quats, v_scales = gradients = self.zeros(*fields[:3])
        self.call(
            "project_back", len(viewmats), len(means), *fields, width, height, float(eps2d), *saved, *gradients
        )  # fmt: skip
        return self.to_device(v_means), None, self.to_device(v_quats), self.to_device(v_scales), None

    def intersect_tile(
        self, means2d: Tensor, radii: Tensor, depths: Tensor, image_ids: None, gaussian_ids: None,
        images: int, tile: int, tiles_x: int, tiles_y: int, sort: bool, segmented: bool,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        assert image_ids is None and sort and not segmented
        projected = list(self.inputs(means2d, radii, depths))
        count, bits = means2d.shape[-2], ((tiles_x * tiles_y).bit_length(), images.bit_length())
        counts = _uninitialised(*depths.shape, dtype=torch.int32)
        sizes = (tile, tiles_x, tiles_y, *bits)
        self.call("intersect", images, count, *projected, None, *sizes, 0, counts, None, None)
        ends = counts.view(-1).cumsum(0)
        self.launched("cumsum")
        self.launched("wait")
        pairs = int(ends[-1])
        assert 0 <= pairs < 2**30, f"{pairs} pairs of a Gaussian and a tile"
        keys, values = _uninitialised(pairs, dtype=torch.int64), _uninitialised(pairs, dtype=torch.int32)
        if pairs:
            self.call("intersect", images, count, *projected, ends, *sizes, pairs, None, keys, values)
            self.launched("sort")
        return tuple(map(self.to_device, (counts, keys, values)))

    def intersect_offset(self, keys: Tensor, images: int, tiles_x: int, tiles_y: int) -> Tensor:
        (sorted_keys,) = self.inputs(keys)
        starts, tiles = _uninitialised(images, tiles_y, tiles_x, dtype=torch.int32), tiles_x * tiles_y
        if len(keys) == 0:
            return self.to_device(starts.zero_())
        self.call("offsets", len(keys), sorted_keys, images, tiles, tiles.bit_length(), starts)
        return self.to_device(starts)

    def rasterize_to_pixels_3dgs_fwd(
        self, means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: None, masks: None,
        width: int, height: int, tile: int, starts: Tensor, values: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        assert backgrounds is None and masks is None and colors.shape[-1] == CHANNELS
        images, tiles_y, tiles_x = starts.shape
        image, alphas = _uninitialised(images, height, width, CHANNELS), _uninitialised(images, height, width, 1)
        last = _uninitialised(images, height, width, dtype=torch.int32)
        self.call(
            "rasterize", images, means2d.shape[-2], len(values), *self.inputs(means2d, conics, colors, opacities),
            width, height, tile, tiles_x, tiles_y, *self.inputs(starts, values), image, alphas, last,
        )  # fmt: skip
        return tuple(map(self.to_device, (image, alphas, last)))

    def rasterize_to_pixels_3dgs_bwd(
        self, means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: None, masks: None,
        width: int, height: int, tile: int, starts: Tensor, values: Tensor, alphas: Tensor, last: Tensor,
        v_image: Tensor, v_alphas: Tensor, absolute: bool,
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        assert backgrounds is None and masks is None and not absolute
        fields = list(self.inputs(means2d, conics, colors, opacities))
        (images, tiles_y, tiles_x), gradients = starts.shape, self.zeros(*fields)
        if len(values):
            self.call(
                "rasterize_back", images, means2d.shape[-2], len(values), *fields, width, height, tile,
                tiles_x, tiles_y, *self.inputs(starts, values, alphas, last, v_image, v_alphas), *gradients,
            )  # fmt: skip
        return None, *map(self.to_device, gradients)


@contextmanager
def installed(kernels: Kernels) -> Iterator[None]:
    """Inside, gsplat takes `kernels` for its compiled part."""
    module = types.ModuleType("gsplat.csrc")
    module.__dict__.update({name: getattr(kernels, name) for name in dir(kernels) if not name.startswith("_")})
    # As pybind11 exports an enumeration: its members stand in the module too.
    module.__dict__.update({"CameraModelType": CameraModelType}, **CameraModelType.__members__)
    before = {name: entry for name, entry in sys.modules.items() if name.split(".")[0] == "gsplat"}
    for name in before:
        del sys.modules[name]
    sys.modules["gsplat.csrc"] = module
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "gsplat"]:
            del sys.modules[name]
        sys.modules.update(before)


def _uninitialised(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Memory with a content that nobody may read: NaN, or a number that as an index points far outside."""
    return torch.full(shape, torch.nan if dtype.is_floating_point else -(2**31) + 12345, dtype=dtype)


def _c_value(argument: Tensor | float | None) -> Any:
    if argument is None:
        return None
    if isinstance(argument, Tensor):
        return ctypes.c_void_p(argument.data_ptr())
    return ctypes.c_float(argument) if isinstance(argument, float) else ctypes.c_uint32(argument)
