"""The state of training on disk, so that a stopped run can be resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from avatar.errors import AvatarError
from avatar.io.files import atomic_write


def write_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write tensors and plain values to one file, atomically.

    Raises:
        AvatarError: the disk is full or the folder cannot be written; the previous checkpoint stays.
    """
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            torch.save(dict(state), file)
    except (AvatarError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        advice = "The checkpoint before it stays: make room and go on with --resume." if path.is_file() else ""
        reason = error if isinstance(error, AvatarError) else f"Cannot write {path}: the disk is full."
        raise AvatarError(f"{reason} {advice}".strip()) from error


def read_checkpoint(path: Path, device: torch.device, restore: Callable[[Mapping[str, Any]], None]) -> None:
    """Read what `write_checkpoint` wrote, with its tensors on `device`, and hand it to `restore`.

    Raises:
        AvatarError: the file is damaged, or `restore` cannot use it because it belongs to another run.
    """
    try:
        restore(torch.load(path, map_location=device, weights_only=True))
    except Exception as error:  # torch.load raises many kinds on a damaged file
        raise AvatarError(f"{path} is not a checkpoint of this run: start again with --overwrite.") from error
