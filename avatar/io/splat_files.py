"""Files of splats: PLY with the fields of 3D Gaussian splatting (Kerbl et al. 2023), packed ones by gaussforge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.io.files import MOST_BYTES, require_file
from avatar.types import Gaussians

SH_C0 = 0.28209479177387814  # the constant spherical harmonic: colour = 0.5 + SH_C0 * f_dc
# Formats that the optional package gaussforge converts from and to a PLY.
PACKED_FORMATS = ("splat", "spz", "sog", "ksplat")
_FIELDS = ("x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2",
           "rot_0", "rot_1", "rot_2", "rot_3")  # fmt: skip
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4",
    "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4",
    "float64": "f8",
}  # fmt: skip
_LONGEST_HEADER = 100_000  # bytes
FARTHEST = 1e9  # units; beyond that areas overflow


def is_splat_file(path: Path) -> bool:
    """Whether a file holds splats: by its suffix, and for a PLY by its fields."""
    if path.suffix.lower() != ".ply":
        return path.suffix[1:].lower() in PACKED_FORMATS
    try:
        with path.open("rb") as file:
            head = file.read(_LONGEST_HEADER).split(b"end_header")[0]
    except OSError:
        return False
    return b" f_dc_0" in head or b" packed_position" in head


def read_splats(path: Path) -> Gaussians:
    """The splats of a file; of colours that change with the view only the mean is kept.

    Raises:
        UsageError: there is no such file.
        AvatarError: it is broken or of another format, or needs gaussforge, which is not installed.
    """
    require_file(path)
    kind = path.suffix[1:].lower()
    data = path.read_bytes() if path.stat().st_size <= MOST_BYTES else b""
    if kind == "ply" and b" packed_position" in data[:_LONGEST_HEADER]:
        kind = "compressed.ply"
    if kind != "ply":
        data = converted_splats(data, kind, "ply", f"{path} cannot be read")
    try:
        gaussians = _gaussians(_ply_columns(data))
    except (ValueError, KeyError, IndexError, UnicodeDecodeError) as error:
        raise AvatarError(f"{path} is not a readable file of splats: {short_message(error)}.") from error
    if not len(gaussians):
        raise AvatarError(f"{path} holds no splats.")
    return gaussians


def _ply_columns(data: bytes) -> np.ndarray:
    """The table of vertices of a binary PLY, by the names of its properties."""
    head, mark, _ = data[:_LONGEST_HEADER].partition(b"end_header\n")
    if not mark:
        head, mark, _ = data[:_LONGEST_HEADER].partition(b"end_header\r\n")
    lines = [line.split() for line in head.decode("ascii", errors="replace").splitlines()]
    if not mark or lines[:1] != [["ply"]]:
        raise ValueError("it has no header of a PLY")
    order = {"binary_little_endian": "<", "binary_big_endian": ">"}.get(
        next((line[1] for line in lines if line[:1] == ["format"]), "")
    )
    elements = [index for index, line in enumerate(lines) if line[:1] == ["element"]]
    if order is None or not elements or lines[elements[0]][1:2] != ["vertex"]:
        raise ValueError("it is no binary PLY that begins with vertices")
    count = int(lines[elements[0]][2])
    last = elements[1] if len(elements) > 1 else len(lines)
    properties = [line for line in lines[elements[0] + 1 : last] if line[:1] == ["property"]]
    row = np.dtype([(name, order + _TYPES[kind]) for _, kind, name in properties])
    start = len(head) + len(mark)
    if count < 0 or len(data) - start < count * row.itemsize:
        raise ValueError("it ends before its last splat")
    return np.frombuffer(data, row, count, start)


def _gaussians(table: np.ndarray) -> Gaussians:
    missing = [name for name in _FIELDS if name not in (table.dtype.names or ())]
    if missing:
        raise ValueError(f"it has no field {missing[0]}")

    def columns(*names: str) -> Tensor:
        return torch.from_numpy(np.stack([table[name].astype(np.float32) for name in names], axis=-1))

    values = columns(*_FIELDS)
    if not bool((values.abs() < FARTHEST).all()):  # nor are they NaN
        raise ValueError("it holds values that are not finite")
    quats = columns("rot_0", "rot_1", "rot_2", "rot_3")
    return Gaussians(
        means=columns("x", "y", "z"),
        quats=torch.nn.functional.normalize(
            torch.where(quats.norm(dim=1, keepdim=True) > 1e-6, quats, _IDENTITY), dim=1
        ),
        scales=columns("scale_0", "scale_1", "scale_2").clamp(-20, 10).exp(),
        opacities=torch.sigmoid(columns("opacity"))[:, 0],
        colors=(0.5 + SH_C0 * columns("f_dc_0", "f_dc_1", "f_dc_2")).clamp(0, 1),
    )


_IDENTITY = torch.tensor([1.0, 0.0, 0.0, 0.0])


def converted_splats(data: bytes, source: str, target: str, failure: str) -> bytes:
    """The same splats in another format.

    Args:
        failure: what the message for the user begins with, such as "me.spz cannot be read".

    Raises:
        AvatarError: gaussforge is not installed, or refuses the data or the format.
    """
    try:
        import gaussforge
    except ImportError as error:
        packed = target if source == "ply" else source
        raise AvatarError(
            f"{failure}: .{packed} needs the package gaussforge: pip install 'splat-avatar[splats]'. "
            "A .ply needs nothing and opens in the same viewers."
        ) from error
    # gaussforge reports errors as {"error": sentence} instead of raising.
    answer = gaussforge.GaussForge().convert(data, source, target)
    if "data" not in answer:
        reason = short_message(ValueError(answer.get("error", "no data")))
        raise AvatarError(f"{failure}: gaussforge {gaussforge.__version__} says {reason!r}.")
    return bytes(answer["data"])
