"""Reading pickles of arrays without running anything in them.

A pickle is a program: it may call any function that it names. Here it may name only what arrays are made of (NumPy
arrays, SciPy sparse matrices, chumpy's arrays, plain containers); any other name is refused before it is imported.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from avatar.errors import AvatarError, short_message
from avatar.io.files import require_file

# Spread out, real joint regressors have half a million entries; a few bytes could ask for any number.
_MOST_ENTRIES = 1e8


class Refused(Exception):
    """The pickle names something that is not an array."""


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
        made = matrix((self.state["data"], self.state["indices"], self.state["indptr"]), shape=shape)
        made.check_format(full_check=True)
        return made.toarray()


class _RowSparseMatrix(_SparseMatrix):
    by_rows = True


class _ChumpyArray(_State):
    """A chumpy array: either the numbers themselves, `x`, or a selection `idxs` of another array `a`."""

    def toarray(self) -> np.ndarray:
        if "x" in self.state:
            return _plain(self.state["x"])
        chosen = _plain(self.state["a"]).ravel()[_plain(self.state["idxs"])]
        return chosen.reshape(self.state.get("preferred_shape", chosen.shape))


def _plain(value: Any) -> np.ndarray:
    return np.asarray(value.toarray() if isinstance(value, _State) else value)


def _reconstructor(cls: type, base: type, state: Any) -> Any:
    """What `copyreg._reconstructor` does, for our own stand-ins only."""
    if not issubclass(cls, _State):
        raise Refused(f"copyreg._reconstructor of {cls.__name__}")
    return cls()


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes as Python 3 writes them into old pickle protocols."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


def _numpy_names() -> dict[str, Any]:
    from numpy._core import multiarray, numeric

    names: dict[str, Any] = {"numpy.ndarray": np.ndarray, "numpy.dtype": np.dtype}
    for package in ("numpy.core", "numpy._core"):
        names[f"{package}.multiarray._reconstruct"] = multiarray._reconstruct  # type: ignore[attr-defined]
        names[f"{package}.multiarray.scalar"] = multiarray.scalar  # type: ignore[attr-defined]
        names[f"{package}.numeric._frombuffer"] = numeric._frombuffer  # type: ignore[attr-defined]
    return names


def _empty_bytes() -> bytes:
    """Bytes in old protocols, where only empty ones are written this way; `bytes(10**12)` would fill the memory."""
    return b""


_PLAIN_TYPES = (object, bool, int, float, complex, str, list, tuple, dict, set, frozenset, slice)
_BUILTINS: dict[str, Any] = {made.__name__: made for made in _PLAIN_TYPES} | {"bytes": _empty_bytes}
ALLOWED: dict[str, Any] = {
    **_numpy_names(),
    **{f"{module}.{name}": made for name, made in _BUILTINS.items() for module in ("builtins", "__builtin__")},
    **{f"{module}._reconstructor": _reconstructor for module in ("copyreg", "copy_reg")},
    "collections.OrderedDict": OrderedDict,
    "_codecs.encode": _encode,
    "chumpy.ch.Ch": _ChumpyArray,
    "chumpy.reordering.Select": _ChumpyArray,
    **{f"scipy.sparse.{m}.csc_matrix": _SparseMatrix for m in ("csc", "_csc")},
    **{f"scipy.sparse.{m}.csr_matrix": _RowSparseMatrix for m in ("csr", "_csr")},
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        allowed = ALLOWED.get(f"{module}.{name}")
        if allowed is None:
            raise Refused(f"{module}.{name}")
        return allowed

    def persistent_load(self, pid: Any) -> Any:
        raise Refused(f"the external object {pid!r}")


def _load(file: BinaryIO, path: Path) -> Any:
    """The pickle in a file, or the one that NumPy writes into an npy file of objects."""
    if path.suffix != ".npy":
        return _ArrayUnpickler(file, encoding="latin1").load()
    version = np.lib.format.read_magic(file)
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    _, _, dtype = header(file)
    if not dtype.hasobject:
        raise ValueError("a plain array where a table was expected")
    objects = _ArrayUnpickler(file, encoding="latin1").load()
    return objects.item() if objects.shape == () else objects


def read_pickle(path: Path) -> Any:
    """The arrays and plain containers in a pickle file; sparse and chumpy arrays come with a `toarray()`.

    An npy file of objects, as `numpy.save` writes tables, is a pickle too; a single object in it is given as itself.

    Raises:
        UsageError: there is no such file.
        AvatarError: the pickle is broken, or names anything that is not an array; nothing in it was run.
    """
    require_file(path)
    try:
        with path.open("rb") as file:
            return _load(file, path)
    except Refused as refused:
        raise AvatarError(
            f"{path} was refused: it asks to run {refused}, and a pickle may only hold arrays here. "
            "Do not open this file with other programs if you do not trust its source."
        ) from refused
    except Exception as error:  # a broken pickle can fail in any opcode with any kind of error
        raise AvatarError(f"{path} is not a readable pickle of arrays: {short_message(error)}.") from error
