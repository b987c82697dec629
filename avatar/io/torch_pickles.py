"""Reading Python pickles without running them: plain containers and NumPy arrays, as pickle or joblib wrote them.

What may be named in a pickle stands in `avatar.io.pickles`; here joblib's files come on top, which write each
array's bytes into the stream after a small wrapper object, and may be compressed as a whole.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import zlib
from collections import defaultdict
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from avatar.errors import AvatarError, short_message
from avatar.io.pickles import ALLOWED, Refused

# Uncompressed, the largest motions are a few hundred megabytes; beyond this a file is an attack or no motion.
MOST_BYTES = 1_000_000_000


class _JoblibArray:
    """Stands for joblib's `NumpyArrayWrapper`: the array's bytes follow in the stream (joblib 0.10 and later)."""

    def read(self, stream: io.BufferedIOBase) -> np.ndarray:
        state = vars(self)
        dtype, shape = np.dtype(state["dtype"]), tuple(int(n) for n in state["shape"])
        if dtype.hasobject:
            raise Refused("it holds an array of Python objects")
        if state.get("numpy_array_alignment_bytes") is not None:
            stream.read(stream.read(1)[0])  # one byte says how much padding follows
        count = int(np.prod(shape, dtype=np.int64))
        data = stream.read(count * dtype.itemsize) if 0 <= count * dtype.itemsize <= MOST_BYTES else b""
        array = np.frombuffer(data, dtype, count)
        return array.reshape(shape, order=state.get("order", "C"))


def _torch_storage(data: bytes) -> Any:
    """The numbers of a torch tensor inside a pickle; torch's own restricted reader takes them."""
    import torch

    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")


def _torch_tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> np.ndarray:
    import torch

    return torch.empty(0, dtype=storage.dtype).set_(storage.untyped(), offset, size, stride).numpy().copy()


_ALLOWED: dict[str, Any] = {
    **ALLOWED,
    "joblib.numpy_pickle.NumpyArrayWrapper": _JoblibArray,
    "torch._utils._rebuild_tensor_v2": _torch_tensor,
    "torch.storage._load_from_bytes": _torch_storage,
    "collections.defaultdict": lambda *_: defaultdict(dict),
}


# The reader written in Python, because joblib's arrays must be taken from the stream in the middle of reading.
class _Reader(pickle._Unpickler):  # type: ignore[name-defined]
    dispatch: ClassVar[dict[int, Callable]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, stream: io.BufferedIOBase) -> None:
        super().__init__(stream, encoding="latin1")
        self.stream = stream

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _ALLOWED:
            raise Refused(f"it asks to run {module}.{name}")
        return _ALLOWED[f"{module}.{name}"]

    def load_build(self) -> None:
        super().load_build()  # type: ignore[misc]
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        if isinstance(stack[-1], _JoblibArray):
            stack[-1] = stack[-1].read(self.stream)

    dispatch[pickle.BUILD[0]] = load_build


def read_pickle(data: bytes, name: str) -> Any:
    """The containers and arrays of a pickle or joblib file, given its bytes; nothing in it is run.

    Raises:
        AvatarError: the file is broken or holds anything but plain containers and arrays.
    """
    try:
        stream = io.BytesIO(_decompressed(data))
        return _Reader(stream).load()
    except Refused as refused:
        raise AvatarError(f"{name} was refused: {refused}, and a motion file may only hold arrays.") from refused
    except Exception as error:  # a hostile stream can break any of the steps above in its own way
        raise AvatarError(f"{name} is not a pickle of plain arrays: {short_message(error)}.") from error


def _decompressed(data: bytes) -> bytes:
    """Undo joblib's compression, told by the first bytes."""
    if data[:2] == b"\x1f\x8b":
        return _limited(gzip.GzipFile(fileobj=io.BytesIO(data)))
    if data[:3] == b"BZh":
        return _limited(bz2.BZ2File(io.BytesIO(data)))
    if data[:6] == b"\xfd7zXZ\x00" or data[:3] == b"\x5d\x00\x00":
        return _limited(lzma.LZMAFile(io.BytesIO(data)))
    if data[:1] == b"\x78":
        return zlib.decompressobj().decompress(data, MOST_BYTES)
    return data


def _limited(file: Any) -> bytes:
    return file.read(MOST_BYTES)
