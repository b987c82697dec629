"""Files that hold several clips of animation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from avatar.errors import AvatarError, UsageError
from avatar.runtime.logging import logger


def choose_clip(path: Path, names: list[str], requested: str | None, moves: Callable[[int], bool]) -> int:
    """Index of the requested clip, or of the first in which something moves; with several it is said which.

    Raises:
        UsageError: there is no such clip. AvatarError: there is none at all.
    """
    if not names:
        raise AvatarError(f"{path} holds no animation.")
    if requested is not None:
        for same in (str.__eq__, lambda a, b: a.lower() == b.lower()):
            for index, name in enumerate(names):
                if same(name, requested):
                    return index
        raise UsageError(f"{path} has no clip {requested!r}: it has {', '.join(names)}.")
    chosen = next((index for index in range(len(names)) if moves(index)), 0) if len(names) > 1 else 0
    if len(names) > 1:
        logger.warning(
            f"{path} has {len(names)} clips: {', '.join(names)}. {names[chosen]} is used; --clip chooses another."
        )
    return chosen
