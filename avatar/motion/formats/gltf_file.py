"""A glTF 2.0 file: its JSON, its buffers, and the numbers of its accessors (Khronos 2021, sections 3.6 and 4.4)."""

from __future__ import annotations

import base64
import binascii
import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from avatar.errors import AvatarError

KINDS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
MOST_VALUES = 50_000_000


@dataclass
class GltfFile:
    """An opened file. Buffers are read when an accessor needs them: those of meshes and images are not.

    Attributes:
        path: the file.
        scene: its JSON.
        chunk: the binary part of a GLB.
    """

    path: Path
    scene: dict[str, Any]
    chunk: bytes
    _buffers: dict[int, bytes] = field(default_factory=dict)

    def accessor(self, index: int) -> np.ndarray:
        """The numbers of an accessor, (count, width), with normalised integers brought to [-1, 1].

        Raises:
            AvatarError: they are compressed, or in a file that is not there. ValueError: they reach beyond the buffer.
        """
        accessor = self.scene["accessors"][index]
        kind, count, width = np.dtype(KINDS[accessor["componentType"]]), accessor["count"], WIDTHS[accessor["type"]]
        if not 1 <= count <= MOST_VALUES // width:
            raise ValueError(f"an accessor of {count} elements")
        if "bufferView" in accessor:
            values = self._view(accessor["bufferView"], accessor.get("byteOffset", 0), kind, count, width)
        else:
            values = np.zeros((count, width))  # so the specification; a sparse part may follow
        if "sparse" in accessor:
            values = self._with_sparse(values, accessor["sparse"], kind, width)
        return np.clip(values / np.iinfo(str(kind)).max, -1, 1) if accessor.get("normalized") else values

    def _with_sparse(self, values: np.ndarray, sparse: dict[str, Any], kind: np.dtype[Any], width: int) -> np.ndarray:
        """The values with those that a sparse accessor replaces."""
        count, indices, new = sparse["count"], sparse["indices"], sparse["values"]
        index_kind = np.dtype(KINDS[indices["componentType"]])
        at = self._view(indices["bufferView"], indices.get("byteOffset", 0), index_kind, count, 1)[:, 0].astype(int)
        values = values.copy()
        values[at] = self._view(new["bufferView"], new.get("byteOffset", 0), kind, count, width)
        return values

    def _view(self, index: int, offset: int, kind: np.dtype[Any], count: int, width: int) -> np.ndarray:
        """`count` rows of numbers from a buffer view."""
        view = self.scene["bufferViews"][index]
        packed = next((name for name in MESHOPT if name in view.get("extensions", {})), None)
        if packed:
            raise AvatarError(
                f"{self.path} is compressed by {packed}, which is not read: unpack it by `gltf-transform copy IN OUT`, "
                "or export it without compression."
            )
        start, size = view.get("byteOffset", 0) + offset, kind.itemsize * width
        stride = view.get("byteStride") or size
        needed = stride * (count - 1) + size
        used = self._buffer(view["buffer"])[start : start + needed]
        if start < 0 or stride < size or len(used) < needed:
            raise ValueError("an accessor reaches beyond its buffer")
        raw = np.frombuffer(used + bytes(stride - size), np.uint8)
        rows = raw.reshape(count, stride)[:, :size]
        return np.ascontiguousarray(rows).view(kind).reshape(count, width).astype(np.float64)

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = self.scene["buffers"][index]
            data = self._buffer_data(buffer.get("uri"))
            if len(data) < buffer["byteLength"]:
                raise AvatarError(
                    f"{self.path} is cut off: {buffer['byteLength']} bytes are announced, {len(data)} exist."
                )
            self._buffers[index] = data
        return self._buffers[index]

    def _buffer_data(self, uri: str | None) -> bytes:
        if uri is None:
            return self.chunk
        if uri.startswith("data:"):
            try:
                return base64.b64decode(uri.partition(",")[2])
            except binascii.Error as error:
                raise AvatarError(f"{self.path} is a broken glTF file: {error}.") from error
        folder = self.path.parent.resolve()
        beside = (folder / unquote(uri)).resolve()
        if not (beside.is_relative_to(folder) and beside.is_file()):
            raise AvatarError(
                f"{self.path} keeps its data in another file, {uri}, which is not beside it: copy it there, or export "
                "everything as one GLB file."
            )
        return beside.read_bytes()


def open_gltf(path: Path, data: bytes) -> GltfFile:
    """Open a GLB, or a glTF whose buffers are inside or beside it.

    Raises:
        AvatarError: it is cut off. ValueError, struct.error: it is broken.
    """
    if data[:4] != b"glTF":
        return GltfFile(path, json.loads(data), b"")
    length = struct.unpack_from("<I", data, 12)[0] if len(data) >= 20 else 0
    if len(data) < 20 + max(length, 1):
        raise AvatarError(f"{path} is cut off: its JSON takes {length} bytes, and the file has {len(data)}.")
    scene, chunk = json.loads(data[20 : 20 + length]), b""
    start = 20 + length
    if start + 8 <= len(data):
        chunk = data[start + 8 : start + 8 + struct.unpack_from("<I", data, start)[0]]
    return GltfFile(path, scene, chunk)
