"""Reading pickles of arrays without running anything in them.

A pickle is a program: it may call any function that it names. Here it may name only what arrays are made of (NumPy
arrays, SciPy sparse matrices, chumpy arrays, torch tensors, plain containers); any other name is refused before it is
imported. Three kinds of file are pickles: those of `pickle` itself, those of joblib, which writes the bytes of each
array into the stream after a small wrapper object and may compress the whole, and npy files of Python objects.
"""

from __future__ import annotations

import bz2
import io
import lzma
import pickle
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from avatar.errors import AvatarError, short_message
from avatar.io.files import require_file

# Real joint regressors have half a million entries when dense; a few bytes could ask for any number.
_MOST_ENTRIES = 1e8
# The largest real arrays and decompressed files have some hundred megabytes; beyond this a file is an attack.
_MOST_BYTES = 1_000_000_000
_NPY_MAGIC = b"\x93NUMPY"


class Refused(Exception):
    """The pickle asks for something that is not an array. The message completes "it ..."."""


def read_pickle(source: Path | bytes, name: str | None = None) -> Any:
    """The arrays and plain containers in a pickle, a joblib file or an npy file of objects; nothing in it is run.

    Sparse and chumpy arrays come as objects with a `toarray()`, torch tensors as NumPy arrays. A single object in an
    npy file, as `numpy.save` writes tables, is returned as itself.

    Args:
        source: the file, or its bytes.
        name: what error messages call it; the path by default.

    Raises:
        UsageError: there is no such file.
        AvatarError: the pickle is broken, or names anything that is not an array.
    """
    if isinstance(source, Path):
        require_file(source)
    name = name or (str(source) if isinstance(source, Path) else "The data")
    try:
        with source.open("rb") if isinstance(source, Path) else io.BytesIO(source) as file:
            return _load(file)
    except Refused as refused:
        raise AvatarError(
            f"{name} was refused: it {refused}, and a pickle may only hold arrays here. "
            "Do not open this file with other programs if you do not trust its source."
        ) from refused
    except Exception as error:  # a broken pickle can fail in any opcode with any kind of error
        raise AvatarError(f"{name} is not a readable pickle of arrays: {short_message(error)}.") from error


def read_npy_header(file: io.BufferedIOBase) -> np.dtype[Any]:
    """Move past the header of an npy file and return the type of its array.

    Raises:
        ValueError: there is no such header.
    """
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    dtype: np.dtype[Any] = header(file)[2]
    return dtype


def _load(file: io.BufferedIOBase) -> Any:
    first_bytes = file.read(len(_NPY_MAGIC))
    file.seek(0)
    if first_bytes != _NPY_MAGIC:
        return _ArrayUnpickler(_decompressed(file, first_bytes)).load()
    if not read_npy_header(file).hasobject:
        raise ValueError("a plain array where a table was expected")
    objects = _ArrayUnpickler(file).load()
    return objects.item() if isinstance(objects, np.ndarray) and objects.shape == () else objects


def _decompressed(file: io.BufferedIOBase, first_bytes: bytes) -> io.BufferedIOBase:
    """Undo joblib's compression, recognized by the first bytes."""
    decompressor: Any
    if first_bytes[:2] == b"\x1f\x8b" or first_bytes[:1] == b"\x78":
        decompressor = zlib.decompressobj(wbits=47)  # gzip or zlib, by its header
    elif first_bytes[:3] == b"BZh":
        decompressor = bz2.BZ2Decompressor()
    elif first_bytes == b"\xfd7zXZ\x00" or first_bytes[:3] == b"\x5d\x00\x00":
        decompressor = lzma.LZMADecompressor()
    else:
        return file
    return io.BytesIO(decompressor.decompress(file.read(), _MOST_BYTES))


class _State:
    """Stands in for a foreign object: keeps the state that the pickle gives and never runs the object's code."""

    def __init__(self, *_: Any) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: Any) -> None:
        self.state = state if isinstance(state, dict) else {}

    def toarray(self) -> np.ndarray:
        raise NotImplementedError


class _SparseMatrix(_State):
    """A SciPy csc or csr matrix."""

    by_rows = False

    def toarray(self) -> np.ndarray:
        from scipy import sparse

        matrix = sparse.csr_matrix if self.by_rows else sparse.csc_matrix
        shape = self.state.get("_shape", self.state.get("shape"))
        if shape is None or np.prod(shape, dtype=float) > _MOST_ENTRIES:
            raise ValueError(f"a sparse matrix of shape {shape}")
        stored = matrix((self.state["data"], self.state["indices"], self.state["indptr"]), shape=shape)
        stored.check_format(full_check=True)
        return np.asarray(stored.toarray())


class _RowSparseMatrix(_SparseMatrix):
    by_rows = True


class _ChumpyArray(_State):
    """A chumpy array: either the numbers themselves, `x`, or a selection `idxs` of another array `a`."""

    def toarray(self) -> np.ndarray:
        if "x" in self.state:
            return _plain(self.state["x"])
        selection = _plain(self.state["a"]).ravel()[_plain(self.state["idxs"])]
        return np.reshape(selection, self.state.get("preferred_shape", selection.shape))


def _plain(value: Any) -> np.ndarray:
    return np.asarray(value.toarray() if isinstance(value, _State) else value)


def _reconstructor(cls: type, base: type, state: Any) -> Any:
    """What `copyreg._reconstructor` does, for our own stand-ins only."""
    if not issubclass(cls, _State):
        raise Refused(f"asks to run copyreg._reconstructor of {cls.__name__}")
    return cls()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as Python 3 writes them into old pickle protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"asks to run _codecs.encode to {encoding}")
    return text.encode("latin1")


def _numpy_names() -> dict[str, Any]:
    from numpy._core import multiarray, numeric

    names: dict[str, Any] = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype}
    for package in ("numpy.core", "numpy._core"):
        names[f"{package}.multiarray._reconstruct"] = multiarray._reconstruct
        names[f"{package}.multiarray.scalar"] = multiarray.scalar
        names[f"{package}.numeric._frombuffer"] = numeric._frombuffer  # type: ignore[attr-defined]
    return names


def _empty_bytes() -> bytes:
    """Bytes in old protocols, where only empty ones are written this way; `bytes(10**12)` would fill the memory."""
    return b""


class _JoblibArray:
    """Stands in for joblib's `NumpyArrayWrapper`: the array's bytes follow in the stream (joblib 0.10 and later)."""

    def read(self, file: io.BufferedIOBase) -> np.ndarray:
        state = vars(self)
        dtype, shape = np.dtype(state["dtype"]), tuple(int(n) for n in state["shape"])
        if dtype.hasobject:
            raise Refused("holds an array of Python objects")
        if state.get("numpy_array_alignment_bytes") is not None:
            file.read(file.read(1)[0])  # one byte says how much padding follows
        count = int(np.prod(shape, dtype=np.int64))
        data = file.read(count * dtype.itemsize) if 0 <= count * dtype.itemsize <= _MOST_BYTES else b""
        return np.frombuffer(data, dtype, count).reshape(shape, order=state.get("order", "C"))


def _torch_storage(data: bytes) -> Any:
    """The numbers of a torch tensor inside a pickle, through torch's own restricted reader."""
    import torch

    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")


def _torch_tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> np.ndarray:
    import torch

    tensor = torch.empty(0, dtype=storage.dtype).set_(storage.untyped(), offset, size, stride)
    return tensor.numpy().copy()


_PLAIN_TYPES = (object, bool, int, float, complex, str, list, tuple, dict, set, frozenset, slice)
_BUILTINS: dict[str, Any] = {plain.__name__: plain for plain in _PLAIN_TYPES} | {"bytes": _empty_bytes}
_ALLOWED: dict[str, Any] = {
    **_numpy_names(),
    **{f"{module}.{name}": plain for name, plain in _BUILTINS.items() for module in ("builtins", "__builtin__")},
    **{f"{module}._reconstructor": _reconstructor for module in ("copyreg", "copy_reg")},
    "collections.OrderedDict": OrderedDict,
    "collections.defaultdict": lambda *_: defaultdict(dict),
    "_codecs.encode": _encode,
    "chumpy.ch.Ch": _ChumpyArray,
    "chumpy.reordering.Select": _ChumpyArray,
    **{f"scipy.sparse.{m}.csc_matrix": _SparseMatrix for m in ("csc", "_csc")},
    **{f"scipy.sparse.{m}.csr_matrix": _RowSparseMatrix for m in ("csr", "_csr")},
    "joblib.numpy_pickle.NumpyArrayWrapper": _JoblibArray,
    "torch._utils._rebuild_tensor_v2": _torch_tensor,
    "torch.storage._load_from_bytes": _torch_storage,
}


# The unpickler that is written in Python, because joblib's arrays must be read from the middle of the stream.
class _ArrayUnpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[..., None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, file: io.BufferedIOBase) -> None:
        super().__init__(file, encoding="latin1")
        self.file = file

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" not in _ALLOWED:
            raise Refused(f"asks to run {module}.{name}")
        return _ALLOWED[f"{module}.{name}"]

    def persistent_load(self, pid: Any) -> Any:
        raise Refused(f"refers to the external object {pid!r}")

    def load_build(self) -> None:
        stack: list[Any] = self.stack  # type: ignore[attr-defined]
        if callable(stack[-2]):  # setting attributes of a class or function would change it for every later file
            raise Refused(f"asks to change {stack[-2]!r}")
        super().load_build()  # type: ignore[misc]
        if isinstance(stack[-1], _JoblibArray):
            stack[-1] = stack[-1].read(self.file)

    dispatch[pickle.BUILD[0]] = load_build
