"""Safetensors files of this program: tensors and a header that says what they are; no code in them is executed."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from avatar.errors import AvatarError, short_message
from avatar.io.files import require_file


def read_tensors(path: Path, noun: str, version: str) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors of a file.

    Args:
        noun: what it should be, for messages, such as "avatar"; version: the format that its header must name.

    Raises:
        UsageError: the file does not exist.
        AvatarError: it is damaged or of another format.
    """
    from safetensors import SafetensorError, safe_open

    require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise AvatarError(f"{path} is not a readable {noun} file: {short_message(error)}.") from error
    if header.get("format") != version:
        raise AvatarError(
            f"{path} is not {'an' if noun[0] in 'aeiou' else 'a'} {noun} of this program's format {version} "
            f"(it says {header.get('format')!r}, written by {header.get('written_by', 'something else')})."
        )
    return header, tensors
