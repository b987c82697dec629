"""The content of a motion file by kind of container, which the first bytes identify, whatever program wrote it."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avatar.errors import AvatarError, UsageError, short_message
from avatar.io.files import decode_text, read_json, require_file
from avatar.io.pickles import read_npy_header, read_pickle
from avatar.motion.formats.unread import reason_unread

START = 8192  # bytes that tell the kind of a file
PER_IMAGE = (".json", ".npz", ".npy", ".pkl")  # what a folder of one file per image may hold
MOST_BYTES = 1_000_000_000  # the largest motions have some hundred megabytes, unpacked


@dataclass(frozen=True)
class Content:
    """A file, opened as far as its container goes.

    Attributes:
        path: the file.
        kind: "arrays" (a mapping of names), "array" (one array), "object" (anything from a pickle), "text",
            "json", "gltf", "fbx" or "c3d" (its bytes), "folder" (the content of its JSON, npz, npy or pkl files).
        data: what was read, according to `kind`.
    """

    path: Path
    kind: str
    data: Any

    @property
    def fields(self) -> Mapping[str, Any]:
        """The named values; empty if the file is not a mapping of names."""
        data = self.data
        if isinstance(data, Mapping) and all(isinstance(key, str) for key in data):
            return data
        return {}

    def has(self, *names: str) -> bool:
        """Whether all of these fields are present."""
        return all(name in self.fields for name in names)


def open_content(path: Path) -> Content:
    """Read a file without running anything in it.

    Raises:
        UsageError: there is no such file.
        AvatarError: the file is empty, broken, or of a kind that cannot hold motion.
    """
    if path.is_dir():
        return _open_folder(path)
    require_file(path)
    if path.stat().st_size > MOST_BYTES:
        raise AvatarError(f"{path} is too large for a motion file.")
    data = path.read_bytes()
    if not data.strip():
        raise AvatarError(f"{path} is empty.")
    if (reason := reason_unread(path, data[:START])) is not None:
        raise UsageError(reason)
    if data[:4] == b"PK\x03\x04":
        return _open_zip(path, data)
    if data[:6] == b"\x93NUMPY":
        value = _read_npy(data, str(path))
        return Content(path, "array" if isinstance(value, np.ndarray) else "object", value)
    if data[:4] == b"glTF":
        return Content(path, "gltf", data)
    if data[:1] == b"\x80" or path.suffix.lower() in (".pkl", ".pickle", ".joblib"):
        return Content(path, "object", read_pickle(data, str(path)))
    if len(data) > 512 and data[0] < 32 and data[1] == 0x50:
        return Content(path, "c3d", data)
    if data[:18] == b"Kaydara FBX Binary" or b"FBXHeaderExtension" in data[:4096] or data[:5] == b"; FBX":
        return Content(path, "fbx", data)
    return _open_text(path, data)


def _open_folder(path: Path) -> Content:
    """A folder with one file per image, as many pose programs write it."""
    files = next((files for kind in PER_IMAGE if (files := sorted(path.glob(f"*{kind}")))), [])
    if not files:
        raise UsageError(
            f"The folder {path} holds no motion: neither a run nor files of one image each ({', '.join(PER_IMAGE)})."
        )
    if sum(file.stat().st_size for file in files) > MOST_BYTES:
        raise AvatarError(f"{path} is too large for a motion.")
    if files[0].suffix == ".json":
        return Content(path, "folder", {file.name: read_json(file) for file in files})
    return Content(path, "folder", {file.name: open_content(file).data for file in files})


def _open_text(path: Path, data: bytes) -> Content:
    try:
        text = decode_text(data)
    except ValueError:
        raise AvatarError(f"{path} is not a motion file of a known kind: its first bytes are {data[:8]!r}.") from None
    if text.lstrip()[:1] not in ("{", "["):
        return Content(path, "text", text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AvatarError(f"{path} is not readable JSON: {short_message(error)}.") from error
    if isinstance(value, dict) and "asset" in value:
        return Content(path, "gltf", data)
    return Content(path, "json", value)


def _open_zip(path: Path, data: bytes) -> Content:
    """An npz, or what torch.save writes."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
        if any(member.filename.endswith("data.pkl") for member in members):
            return Content(path, "object", _read_torch(data))
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise AvatarError(f"{path} is too large for a motion file once unpacked.")
        arrays = {
            member.filename.removesuffix(".npy"): _read_npy(archive.read(member), f"{member.filename} in {path}")
            for member in members
            if member.filename.endswith(".npy")
        }
    except AvatarError:
        raise
    except Exception as error:  # zipfile, zlib, struct and torch each raise their own kinds on broken files
        raise AvatarError(f"{path} cannot be read: {short_message(error)}") from error
    if not arrays:
        raise AvatarError(f"{path} is an archive without arrays.")
    return Content(path, "arrays", arrays)


def _read_torch(data: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")


def _read_npy(data: bytes, name: str) -> Any:
    """One array; one of Python objects (`np.save` of a dictionary) goes through the restricted reader."""
    try:
        if not read_npy_header(io.BytesIO(data)).hasobject:
            return np.load(io.BytesIO(data), allow_pickle=False)
    except Exception as error:
        raise AvatarError(f"{name} is not a readable array: {short_message(error)}.") from error
    return read_pickle(data, name)
