"""One animation clip of a glTF file: which one of several, and its channels at common times."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.face import FACE_UNITS
from avatar.errors import AvatarError
from avatar.geometry import slerp
from avatar.motion.formats.arkit_csv import unit_of_name
from avatar.motion.formats.clips import choose_clip
from avatar.motion.formats.gltf_file import GltfFile

LONGEST_SECONDS = 3600.0
# Node -> kind of channel -> its values at the common times.
Tracks = dict[int, dict[str, Tensor]]


def read_clip(
    file: GltfFile, name: str | None, fps: float
) -> tuple[Float[np.ndarray, " t"], Tracks, Float[Tensor, "t 52"] | None]:
    """The channels of a clip, resampled to common times, seconds from its first key; and the face by its morph targets.

    Args:
        name: of the clip; None for the first one in which something moves.

    Raises:
        UsageError: there is no such clip. AvatarError: it is broken.
    """
    clips = file.scene.get("animations") or []
    names = [str(clip.get("name") or f"clip {number}") for number, clip in enumerate(clips, start=1)]
    chosen = choose_clip(file.path, names, name, lambda index: _moves(file, clips[index]))
    curves = _curves(file, clips[chosen])
    last = max((float(curve.keys[-1]) for curve in curves), default=-1.0)
    first = min((float(curve.keys[0]) for curve in curves), default=0.0)
    if not 0 <= last - first <= LONGEST_SECONDS:
        raise AvatarError(f"{file.path}: its animation lasts {last:g} s.")
    times = np.arange(int((last - first) * fps + 1e-6) + 1) / fps
    tracks: Tracks = {}
    for curve in curves:
        tracks.setdefault(curve.node, {})[curve.kind] = curve.at(first + times)
    return times, tracks, _face(file, clips[chosen], first + times)


class _Curve:
    """Keys of one channel.

    Attributes:
        node, kind: what it moves: "translation", "rotation", "scale" or the "weights" of morph targets.
        keys: seconds.
        values: (keys, width, n) of n numbers; width is 3 for a cubic spline, whose tangents stand before and after.
        interpolation: of the specification: LINEAR, STEP or CUBICSPLINE.
    """

    def __init__(
        self, file: GltfFile, animation: dict[str, Any], channel: dict[str, Any], targets: int | None = None
    ) -> None:
        sampler = animation["samplers"][channel["sampler"]]
        self.node, self.kind = int(channel["target"]["node"]), str(channel["target"]["path"])
        self.keys = file.accessor(sampler["input"])[:, 0]
        self.interpolation = sampler.get("interpolation", "LINEAR")
        values = file.accessor(sampler["output"])
        if targets is not None:  # the weights of all morph targets stand one after the other
            values = values.reshape(-1, max(targets, 1))
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
    """The channels that move nodes."""
    return [
        _Curve(file, animation, channel)
        for channel in animation["channels"]
        if channel["target"]["path"] in ("translation", "rotation", "scale") and "node" in channel["target"]
    ]


def _face(file: GltfFile, animation: dict[str, Any], times: Float[np.ndarray, " t"]) -> Float[Tensor, "t 52"] | None:
    """The units of the face by the morph targets named like them, of all meshes; None where none is animated."""
    face = torch.zeros(len(times), len(FACE_UNITS))
    named = False
    for channel in animation["channels"]:
        if channel["target"]["path"] != "weights" or "node" not in channel["target"]:
            continue
        mesh = file.scene["meshes"][file.scene["nodes"][channel["target"]["node"]]["mesh"]]
        curve = _Curve(file, animation, channel, targets := len(mesh["primitives"][0].get("targets", [])))
        weights = curve.at(times)
        for target, name in enumerate(mesh.get("extras", {}).get("targetNames", [])[:targets]):
            unit = unit_of_name(str(name))
            if unit is not None:
                column, named = FACE_UNITS.index(unit), True
                face[:, column] = torch.maximum(face[:, column], weights[:, target].float().clamp(0, 1))
    return face if named else None


def _moves(file: GltfFile, animation: dict[str, Any]) -> bool:
    return any(float((curve.values - curve.values[:1]).abs().max()) > 1e-4 for curve in _curves(file, animation))
