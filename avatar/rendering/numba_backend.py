"""The fast renderer for machines without CUDA: Numba kernels between PyTorch tensors.

Forward: sort by depth, project, bin into tiles, blend. Backward: blend again, sum up each Gaussian's pairs, go back
through the projection (`cpu_tiles`, `cpu_project`, `cpu_raster`). The result does not depend on the number of threads
and is the same, bit for bit, on every run.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch
from torch import Tensor

from avatar.kernels import splat_blending as cpu_raster
from avatar.kernels import splat_projection as cpu_project
from avatar.kernels import splat_tiling as cpu_tiles
from avatar.kernels.simd import LANES
from avatar.kernels.threads import run_parts, threads
from avatar.rendering.statistics import RenderStatistics
from avatar.types import Cameras, Gaussians, RenderOutput

_MAX_SPARE = 4
_PARTS_A_THREAD = 8  # so that no thread waits long for another, nor for one that the system has stopped


def render_cpu(gaussians: Gaussians, cameras: Cameras, statistics: RenderStatistics | None = None) -> RenderOutput:
    """See `avatar.rendering.renderer.render`. It computes in float32, whatever comes in."""
    fields = [getattr(gaussians, name).float() for name in gaussians.__dataclass_fields__]
    return RenderOutput(*_Render.apply(*fields, cameras, statistics))


class _Render(torch.autograd.Function):
    @staticmethod
    def forward(ctx, means, quats, scales, opacities, colors, cameras: Cameras, statistics):
        fields = [tensor.contiguous() for tensor in (means, quats, scales, opacities, colors)]
        ctx.pictures = [_Picture([field.numpy() for field in fields], cameras, i) for i in range(len(cameras))]
        shape = len(cameras), cameras.height, cameras.width
        outputs = means.new_empty(*shape, 3), means.new_empty(shape), means.new_empty(shape)
        for picture, *images in zip(ctx.pictures, *outputs, strict=True):
            picture.blend(*(_flat(image) for image in images))
        ctx.statistics = statistics
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*fields, *outputs)
        return outputs

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g_rgb: Tensor | None, g_alpha: Tensor | None, g_depth: Tensor | None):
        *fields, rgb, alpha, depth = ctx.saved_tensors
        gradients = [torch.zeros_like(field) for field in fields]
        g_rgb = torch.zeros_like(rgb) if g_rgb is None else g_rgb.contiguous()
        g_alpha = torch.zeros_like(alpha) if g_alpha is None else g_alpha.contiguous()
        g_depth = None if g_depth is None else g_depth.contiguous()
        sums = rgb.new_zeros(len(ctx.pictures), len(fields[0]), 3) if ctx.statistics is not None else None
        for i, picture in enumerate(ctx.pictures):
            picture.blend_back(
                [field.numpy() for field in fields],
                [_flat(image[i]) for image in (rgb, alpha, depth)],
                [None if image is None else _flat(image[i]) for image in (g_rgb, g_alpha, g_depth)],
                [gradient.numpy() for gradient in gradients],
                None if sums is None else sums[i].numpy(),
            )
        if sums is not None:
            ctx.statistics.contribution, ctx.statistics.mean_gradients = sums[..., 0], sums[..., 1:]
        return *gradients, None, None


def _flat(image: Tensor) -> np.ndarray:
    return image.numpy().reshape(-1)


class _Workspace:
    """The arrays that a picture needs from its forward to its backward pass, taken up again by later pictures.

    They only grow, so in the steady state nothing is allocated but the results.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}

    def array(self, name: str, length: int, dtype: type = np.int64) -> np.ndarray:
        """At least `length` elements, holding whatever was left in them."""
        held = self.arrays.get(name)
        if held is None or len(held) < length:
            # One vector more than asked for, since sums are read a vector at a time.
            held = self.arrays[name] = np.empty(length + length // 4 + LANES, dtype)
        return held


_spare: list[_Workspace] = []


def _give_back(workspace: _Workspace) -> None:
    if len(_spare) < _MAX_SPARE:
        _spare.append(workspace)


class _Picture:
    """What the forward pass of one picture leaves for its backward pass."""

    def __init__(self, fields: list[np.ndarray], cameras: Cameras, index: int) -> None:
        try:
            self.work = _spare.pop()
        except IndexError:
            self.work = _Workspace()
        weakref.finalize(self, _give_back, self.work)
        self.size = cameras.width, cameras.height
        self.parts = threads() * (_PARTS_A_THREAD if threads() > 1 else 1)
        self.camera = cpu_project.camera_numbers(cameras, index)
        self._bin(fields)

    def _bin(self, fields: list[np.ndarray]) -> None:
        (width, height), number, work, parts = self.size, len(fields[0]), self.work, self.parts
        order, spare = work.array("order", number), work.array("spare", number)
        depths = work.array("depths", number, np.float32)
        count = cpu_tiles.order_by_depth(fields[0], self.camera, depths, depths.view(np.uint32), order, spare)
        self.order = order[:count]
        tiles = -(-width // LANES) * -(-height // cpu_raster.ROWS)
        self.records = work.array("records", count * cpu_raster.RECORD, np.float32)
        self.layout = work.array("layout", (count + 1) * cpu_tiles.LAYOUT)
        self.starts = work.array("starts", tiles + 1)[: tiles + 1]
        tile_counts = work.array("tile_counts", parts * tiles)[: parts * tiles].reshape(parts, tiles)
        needed = 0
        while True:
            spans = work.array("spans", parts * needed, np.float32)
            room = len(spans) // parts
            needed = max(
                run_parts(
                    cpu_project.project, parts, *fields, self.order, self.camera, width, height,
                    self.records, spans, room, self.layout, tile_counts,
                )
            )  # fmt: skip
            if needed <= room:
                break
        first_pairs = work.array("first_pairs", parts)[:parts]
        pairs = cpu_tiles.open_tiles(tile_counts, self.starts, first_pairs)
        self.entries, self.entry_pairs = work.array("entries", pairs), work.array("entry_pairs", pairs)
        run_parts(
            cpu_tiles.fill_tiles, parts, count, spans, self.layout, tile_counts, first_pairs,
            width, self.entries, self.entry_pairs,
        )  # fmt: skip

    def _tiles(self, *arguments: Any) -> tuple[Any, ...]:
        scratch = self.work.array("scratch", self.parts * cpu_raster.SCRATCH, np.float32)
        return self.starts, self.entries, self.records, scratch, *self.size, *arguments

    def blend(self, rgb: np.ndarray, alpha: np.ndarray, depth: np.ndarray) -> None:
        run_parts(cpu_raster.forward, self.parts, *self._tiles(rgb, alpha, depth))

    def blend_back(
        self,
        fields: list[np.ndarray],
        images: list[np.ndarray],
        g_images: list[np.ndarray | None],
        gradients: list[np.ndarray],
        statistics: np.ndarray | None,
    ) -> None:
        pairs = len(self.entries)
        slots = self.work.array("slots", pairs * cpu_raster.SLOT, np.float32)
        statistics_slots = None
        if statistics is not None:
            statistics_slots = self.work.array("statistics", pairs * cpu_raster.STATISTICS_SLOT, np.float32)
        run_parts(
            cpu_raster.backward, self.parts,
            *self._tiles(*images, *g_images, self.entry_pairs, slots, statistics_slots),
        )  # fmt: skip
        means, quats, scales, opacities, _ = fields
        run_parts(
            cpu_project.project_back, self.parts, means, quats, scales, opacities,
            self.order, self.camera, self.records, self.layout,
            slots, statistics_slots, g_images[2], *gradients, statistics,
        )  # fmt: skip
