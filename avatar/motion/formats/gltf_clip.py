"""One animation clip of a glTF file: which one of several, and its channels at common times."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError
from avatar.geometry import slerp
from avatar.motion.formats.clips import choose_clip
from avatar.motion.formats.gltf_file import GltfFile

LONGEST_SECONDS = 3600.0
# Node -> kind of channel -> its values at the common times.
Tracks = dict[int, dict[str, Tensor]]


def read_clip(file: GltfFile, name: str | None, fps: float) -> tuple[Float[np.ndarray, " t"], Tracks]:
    """The channels of a clip, resampled to common times, seconds from its first key.

    Args:
        name: of the clip; None for the first one in which something moves.

    Raises:
        UsageError: there is no such clip. AvatarError: it is broken.
    """
    clips = file.scene.get("animations") or []
    names = [str(clip.get("name") or f"clip {number}") for number, clip in enumerate(clips, start=1)]
    curves = _curves(file, clips[choose_clip(file.path, names, name, lambda index: _moves(file, clips[index]))])
    last = max((float(curve.keys[-1]) for curve in curves), default=-1.0)
    first = min((float(curve.keys[0]) for curve in curves), default=0.0)
    if not 0 <= last - first <= LONGEST_SECONDS:
        raise AvatarError(f"{file.path}: its animation lasts {last:g} s.")
    times = np.arange(int((last - first) * fps + 1e-6) + 1) / fps
    tracks: Tracks = {}
    for curve in curves:
        tracks.setdefault(curve.node, {})[curve.kind] = curve.at(first + times)
    return times, tracks


class _Curve:
    """Keys of one channel.

    Attributes:
        node, kind: what it moves: "translation", "rotation" or "scale".
        keys: seconds.
        values: (keys, 3 or 4); of a cubic spline (keys, 3, 3 or 4) with the tangents before and after each value.
        interpolation: of the specification: LINEAR, STEP or CUBICSPLINE.
    """

    def __init__(self, file: GltfFile, animation: dict[str, Any], channel: dict[str, Any]) -> None:
        sampler = animation["samplers"][channel["sampler"]]
        self.node, self.kind = int(channel["target"]["node"]), str(channel["target"]["path"])
        self.keys = file.accessor(sampler["input"])[:, 0]
        self.interpolation = sampler.get("interpolation", "LINEAR")
        values = file.accessor(sampler["output"])
        width = 3 if self.interpolation == "CUBICSPLINE" else 1
        if len(values) != width * len(self.keys) or not np.isfinite(values).all() or not np.isfinite(self.keys).all():
            raise AvatarError(f"{file.path}: an animation channel of {self.kind} is broken or not finite.")
        self.values = torch.from_numpy(values.reshape(len(self.keys), width, -1))

    def at(self, times: Float[np.ndarray, " t"]) -> Float[Tensor, "t d"]:
        """The values at some times; before the first and after the last key they are held."""
        last = len(self.keys) - 1
        after = np.clip(np.searchsorted(self.keys, times, side="right"), min(1, last), last)
        before = np.maximum(after - 1, 0)
        step = self.keys[after] - self.keys[before]
        share = torch.from_numpy(np.clip((times - self.keys[before]) / np.maximum(step, 1e-9), 0, 1))
        if self.interpolation == "STEP":
            return self.values[np.where(share.numpy() >= 1, after, before), 0]
        if self.interpolation == "CUBICSPLINE":
            return self._spline(before, after, share[:, None], torch.from_numpy(step)[:, None])
        one, two = self.values[before, 0], self.values[after, 0]
        return slerp(one, two, share) if self.kind == "rotation" else torch.lerp(one, two, share[:, None])

    def _spline(self, before: np.ndarray, after: np.ndarray, t: Tensor, step: Tensor) -> Float[Tensor, "t d"]:
        """Hermite's cubic (glTF 2.0, appendix C); `_matrix` normalises the quaternions."""
        (_, one, out), (into, two, _) = self.values[before].unbind(1), self.values[after].unbind(1)
        t2, t3 = t**2, t**3
        return (
            (2 * t3 - 3 * t2 + 1) * one
            + step * (t3 - 2 * t2 + t) * out
            + (3 * t2 - 2 * t3) * two
            + step * (t3 - t2) * into
        )


def _curves(file: GltfFile, animation: dict[str, Any]) -> list[_Curve]:
    """The channels that move nodes; those of morph targets and materials are left out."""
    return [
        _Curve(file, animation, channel)
        for channel in animation["channels"]
        if channel["target"]["path"] in ("translation", "rotation", "scale") and "node" in channel["target"]
    ]


def _moves(file: GltfFile, animation: dict[str, Any]) -> bool:
    return any(float((curve.values - curve.values[:1]).abs().max()) > 1e-4 for curve in _curves(file, animation))
