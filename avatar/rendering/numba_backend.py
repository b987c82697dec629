"""The fast renderer for machines without CUDA: Numba kernels between PyTorch tensors.

Forward: sort by depth, project, bin into tiles, blend. Backward: blend again, sum up each Gaussian's pairs, go back
through the projection. The result does not depend on the number of threads and is the same, bit for bit, on every run.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar.kernels import splat_blending, splat_projection, splat_tiling
from avatar.kernels.simd import LANES, Array
from avatar.kernels.threads import run_parts, threads
from avatar.types import Cameras, Gaussians, RenderOutput

_MAX_SPARE = 4
_PARTS_PER_THREAD = 8  # so that no thread waits long for another, nor for one that the system has suspended


def render_cpu(gaussians: Gaussians, cameras: Cameras) -> RenderOutput:
    """See `avatar.rendering.renderer.render`. It computes in float32, whatever the input."""
    fields = [getattr(gaussians, name).float() for name in gaussians.__dataclass_fields__]
    return RenderOutput(*_Render.apply(*fields, cameras))  # type: ignore[no-untyped-call]  # torch's


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, colors: Tensor, cameras: Cameras
    ) -> tuple[Tensor, Tensor, Tensor]:
        fields = [tensor.contiguous() for tensor in (means, quats, scales, opacities, colors)]
        ctx.images = [_Image([field.numpy() for field in fields], cameras, i) for i in range(len(cameras))]
        shape = len(cameras), cameras.height, cameras.width
        outputs = means.new_empty(*shape, 3), means.new_empty(shape), means.new_empty(shape)
        for image, *planes in zip(ctx.images, *outputs, strict=True):
            image.blend(*(_flat(plane) for plane in planes))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*fields, *outputs)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, g_rgb: Tensor | None, g_alpha: Tensor | None, g_depth: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        *fields, rgb, alpha, depth = ctx.saved_tensors
        gradients = [torch.zeros_like(field) for field in fields]
        g_rgb = torch.zeros_like(rgb) if g_rgb is None else g_rgb.contiguous()
        g_alpha = torch.zeros_like(alpha) if g_alpha is None else g_alpha.contiguous()
        g_depth = None if g_depth is None else g_depth.contiguous()
        for i, image in enumerate(ctx.images):
            image.blend_back(
                [field.numpy() for field in fields],
                [_flat(plane[i]) for plane in (rgb, alpha, depth)],
                [None if plane is None else _flat(plane[i]) for plane in (g_rgb, g_alpha, g_depth)],
                [gradient.numpy() for gradient in gradients],
            )
        return *gradients, None


def _flat(plane: Tensor) -> Array:
    flat: Array = plane.numpy().reshape(-1)
    return flat


class _Workspace:
    """The arrays that an image needs from its forward to its backward pass, reused by later images.

    They only grow, so in the steady state nothing is allocated but the results.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, Array] = {}

    def array(self, name: str, length: int, dtype: type = np.int64) -> Array:
        """At least `length` elements with arbitrary contents."""
        array = self.arrays.get(name)
        if array is None or len(array) < length:
            # One vector more than needed, since sums are read a vector at a time.
            array = self.arrays[name] = np.empty(length + length // 4 + LANES, dtype)
        return array


_spare: list[_Workspace] = []


def _give_back(workspace: _Workspace) -> None:
    if len(_spare) < _MAX_SPARE:
        _spare.append(workspace)


class _Image:
    """One image: what its forward pass leaves for its backward pass."""

    def __init__(self, fields: list[Array], cameras: Cameras, index: int) -> None:
        try:
            self.work = _spare.pop()
        except IndexError:
            self.work = _Workspace()
        weakref.finalize(self, _give_back, self.work)
        self.size = cameras.width, cameras.height
        self.parts = threads() * (_PARTS_PER_THREAD if threads() > 1 else 1)
        self.camera = splat_projection.camera_numbers(cameras, index)
        self._bin(fields)

    def _bin(self, fields: list[Array]) -> None:
        (width, height), number, work, parts = self.size, len(fields[0]), self.work, self.parts
        order, spare = work.array("order", number), work.array("spare", number)
        depths = work.array("depths", number, np.float32)
        count = splat_tiling.order_by_depth(fields[0], self.camera, depths, depths.view(np.uint32), order, spare)
        self.order = order[:count]
        tiles = -(-width // LANES) * -(-height // splat_blending.ROWS)
        self.records = work.array("records", count * splat_blending.RECORD, np.float32)
        self.layout = work.array("layout", (count + 1) * splat_tiling.LAYOUT)
        self.starts = work.array("starts", tiles + 1)[: tiles + 1]
        tile_counts = work.array("tile_counts", parts * tiles)[: parts * tiles].reshape(parts, tiles)
        needed = 0
        while True:
            spans = work.array("spans", parts * needed, np.float32)
            room = len(spans) // parts
            needed = max(
                run_parts(
                    splat_projection.project, parts, *fields, self.order, self.camera, width, height,
                    self.records, spans, room, self.layout, tile_counts,
                )
            )  # fmt: skip
            if needed <= room:
                break
        first_pairs = work.array("first_pairs", parts)[:parts]
        pairs = splat_tiling.open_tiles(tile_counts, self.starts, first_pairs)
        self.entries, self.entry_pairs = work.array("entries", pairs), work.array("entry_pairs", pairs)
        run_parts(
            splat_tiling.fill_tiles, parts, count, spans, self.layout, tile_counts, first_pairs,
            width, self.entries, self.entry_pairs,
        )  # fmt: skip

    def _tiles(self, *arguments: Any) -> tuple[Any, ...]:
        scratch = self.work.array("scratch", self.parts * splat_blending.SCRATCH, np.float32)
        return self.starts, self.entries, self.records, scratch, *self.size, *arguments

    def blend(self, rgb: Array, alpha: Array, depth: Array) -> None:
        run_parts(splat_blending.forward, self.parts, *self._tiles(rgb, alpha, depth))

    def blend_back(
        self,
        fields: list[Array],
        images: list[Array],
        g_images: list[Array | None],
        gradients: list[Array],
    ) -> None:
        pairs = len(self.entries)
        slots = self.work.array("slots", pairs * splat_blending.SLOT, np.float32)
        run_parts(
            splat_blending.backward, self.parts,
            *self._tiles(*images, *g_images, self.entry_pairs, slots),
        )  # fmt: skip
        means, quats, scales, opacities, _ = fields
        run_parts(
            splat_projection.project_back, self.parts, means, quats, scales, opacities,
            self.order, self.camera, self.records, self.layout,
            slots, g_images[2], *gradients,
        )  # fmt: skip
