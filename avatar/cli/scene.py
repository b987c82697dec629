"""The options of a scene around the person, which several commands take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from avatar.cli.options import Up
from avatar.errors import UsageError

if TYPE_CHECKING:
    from avatar.types import Gaussians


def scene_of_options(
    scene: Path | None, up: Up, scale: float, floor: float | None, at: tuple[float, float] | None
) -> Gaussians | None:
    """The scene that --scene names, placed by the options that begin with --scene, and a line about it; or None.

    Raises:
        UsageError: there is no such file, or options without --scene. AvatarError: the file is broken.
    """
    if scene is None:
        if up != "y" or scale != 1.0 or floor is not None or at is not None:
            raise UsageError("--scene-up, --scene-scale, --scene-floor and --scene-at need --scene FILE.")
        return None
    from avatar.pipeline.scene import ScenePlacement, read_scene

    gaussians, note = read_scene(scene, ScenePlacement(up, scale, floor, at))
    print(f"scene: {note}", flush=True)
    return gaussians
