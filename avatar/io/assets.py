"""Paths of the files that ship with the project."""

from __future__ import annotations

import os
from pathlib import Path

from avatar.errors import AvatarError

# A wheel carries the folder `assets` of the repository as `avatar/shipped` (see pyproject.toml).
_PACKAGE = Path(__file__).resolve().parents[1]
ROOT = _PACKAGE / "shipped" if (_PACKAGE / "shipped").is_dir() else _PACKAGE.parent / "assets"


def asset_path(*parts: str) -> Path:
    """The path of a shipped file, e.g. `asset_path("clips", "turn.mp4")`.

    Raises:
        AvatarError: the file is missing from this installation.
    """
    path = ROOT.joinpath(*parts)
    if not path.exists():
        raise AvatarError(f"The file {path} is missing from this installation: install the project again.")
    return path


def model_folder() -> Path:
    """The folder of models that do not ship: the one that AVATAR_MODELS names, or that of the shipped models."""
    return Path(os.environ.get("AVATAR_MODELS") or ROOT / "models")


def model_path(name: str) -> Path | None:
    """The path of an optional model, in the folder of models or in the user's cache; None if it is not installed."""
    places = (model_folder() / name, cache_folder() / name)
    return next((path for path in places if path.is_file()), None)


def cache_folder() -> Path:
    """Where files lie that were made once for this user: the folder that AVATAR_CACHE names, or the system's place."""
    from platformdirs import user_cache_path

    return Path(os.environ.get("AVATAR_CACHE") or user_cache_path("avatar", appauthor=False))
