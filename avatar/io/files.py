"""Reading and writing files: no file is left half-written, and no foreign code runs."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import re
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from avatar.errors import AvatarError, UsageError, short_message

# Prefix of the files that a killed process leaves beside its results; see `remove_partial_files`.
TEMPORARY = ".writing-"
# Our largest files have some hundred megabytes; a larger one is an attack.
MOST_BYTES = 2 * 1024**3
MOST_JSON_BYTES = 256 * 1024**2


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; when the block ends well it takes `path`'s place in one step.

    The temporary file keeps the suffix, since many writers choose the format by it.

    Raises:
        AvatarError: the folder cannot be written or the disk is full. The old file is then untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f"{TEMPORARY}{path.stem}-", suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise AvatarError(f"Cannot write {path}: {error.strerror or error}.") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        # mkstemp makes files private; results should follow the user's umask like any other file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        raise AvatarError(f"Cannot write {path}: {error.strerror or error}.") from error
    finally:
        temporary.unlink(missing_ok=True)


def require_writable(path: Path) -> None:
    """Make the folder of a file, or of a folder, that will be written; called before the long work.

    Raises:
        AvatarError: nothing can be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise AvatarError(f"Cannot write {path}: {error.strerror or error}.") from error


def remove_partial_files(folder: Path) -> None:
    """Remove the unfinished files of a killed process in `folder`. No other process may be writing there."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` as indented JSON, replacing `path` in one step."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def decode_text(data: bytes) -> str:
    """The text of a file in whichever encoding its program wrote it: UTF-8, UTF-16, or an older one of Windows.

    Notepad and PowerShell put a byte order mark first, which is no part of the text. Old programs write Shift-JIS in
    Japan and Latin letters elsewhere.

    Raises:
        ValueError: it is no text, since it holds control characters.
    """
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
                           (codecs.BOM_UTF16_BE, "utf-16-be")):  # fmt: skip
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding)
    start = data[:1000]
    if len(start) > 3 and start.count(0) > 0.4 * len(start):  # every other byte of UTF-16 is zero in Latin text
        return data.decode("utf-16-be" if start[0] == 0 else "utf-16-le")
    if any(byte < 9 or 13 < byte < 32 for byte in start):
        raise ValueError("it holds control characters, so it is no text")
    with contextlib.suppress(UnicodeDecodeError):
        return data.decode("utf-8")
    with contextlib.suppress(UnicodeDecodeError):
        text = data.decode("cp932")
        # Accented Latin letters decode to scattered signs, Japanese words to kana or several kanji in a row.
        if re.search("[\u3040-\u30ff]|[\u4e00-\u9fff]{2}", text):
            return text
    return data.decode("cp1252", errors="replace")


def read_text(path: Path) -> str:
    """Read a text file that a user wrote, in whichever encoding (see `decode_text`).

    Raises:
        UsageError: there is no such file. AvatarError: it cannot be read or is no text.
    """
    require_file(path)
    try:
        return decode_text(path.read_bytes())
    except (ValueError, OSError) as error:
        raise AvatarError(f"{path} is not a readable text file: {short_message(error)}.") from error


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UsageError: there is no such file.
        AvatarError: the file is not JSON.
    """
    require_file(path)
    if path.stat().st_size > MOST_JSON_BYTES:
        raise AvatarError(f"{path} is not a readable JSON file: it has {path.stat().st_size / 1e9:.3g} GB.")
    try:
        return json.loads(decode_text(path.read_bytes()))
    except (ValueError, RecursionError, OSError) as error:
        raise AvatarError(f"{path} is not a readable JSON file: {short_message(error)}.") from error


def write_npz(path: Path, **arrays: np.ndarray) -> None:
    """Write plain arrays as a compressed npz, replacing `path` in one step."""
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def read_npz(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file, those of these names or all; pickled objects are refused.

    Raises:
        UsageError: there is no such file.
        AvatarError: the file is broken, or holds objects instead of plain arrays.
    """
    require_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MOST_BYTES:
            raise ValueError(f"it unpacks to {unpacked / 1e9:.3g} GB")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files if names is None or name in names}
    except Exception as error:  # zipfile, zlib, struct and NumPy each raise their own kinds on broken files
        raise AvatarError(f"{path} is not a readable npz file of plain arrays: {short_message(error)}.") from error


def is_folder(path: Path) -> bool:
    """Whether `path` is an existing folder; False for names that the system does not take."""
    try:
        return path.is_dir()
    except (OSError, ValueError):  # a name that is too long, a null byte
        return False


def require_file(path: Path) -> None:
    """Raise UsageError unless `path` is an existing file."""
    try:
        exists = path.is_file()
    except (OSError, ValueError) as error:  # a name that is too long, a folder that may not be entered, a null byte
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{short_message(ValueError(path))} cannot be read: {reason}.") from error
    if not exists:
        raise UsageError(f"There is no file {path}.")
