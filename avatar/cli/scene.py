"""The options of a scene around the person, which several commands take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from avatar.cli.options import Up, option_group
from avatar.errors import UsageError

if TYPE_CHECKING:
    from avatar.types import Gaussians


@option_group
@dataclass(frozen=True)
class SceneOptions:
    """A room or landscape around the person.

    Attributes:
        scene: splats (.ply, .splat, .spz, .sog, .ksplat) or a mesh (.glb, .obj, .ply) of a room or landscape, which
            surrounds the person.
        scene_up: the axis that points up in that file; minus-y in most scenes trained from photos.
        scene_scale: metres per unit of that file.
        scene_floor: height of the floor in that file, in its units, if it is not estimated well.
        scene_at: x and z of the place, in metres, to which the middle of the scene comes.
    """

    scene: Path | None = None
    scene_up: Up = "y"
    scene_scale: float = 1.0
    scene_floor: float | None = None
    scene_at: tuple[float, float] | None = None

    def read(self) -> Gaussians | None:
        """The scene that --scene names, at its place, and a line about it; or None.

        Raises:
            UsageError: there is no such file, or options without --scene.
            AvatarError: the file is broken.
        """
        if self.scene is None:
            if self != SceneOptions():
                raise UsageError("--scene-up, --scene-scale, --scene-floor and --scene-at need --scene FILE.")
            return None
        from avatar.pipeline.scene import ScenePlacement, read_scene

        placement = ScenePlacement(self.scene_up, self.scene_scale, self.scene_floor, self.scene_at)
        gaussians, note = read_scene(self.scene, placement)
        print(f"scene: {note}", flush=True)
        return gaussians


# The parameter of a command that has these options, and its default.
Scene = Annotated[SceneOptions, tyro.conf.arg(name="scene")]
NO_SCENE = SceneOptions()
