"""The options of a motion file, which several commands take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from avatar.cli.options import option_group

if TYPE_CHECKING:
    from avatar.motion.motion import ReadOptions


@option_group
@dataclass(frozen=True)
class MotionFileOptions:
    """What a motion file leaves open.

    Attributes:
        format: format of the motion file, if it is not recognised; `avatar motions` lists the formats.
        up: up axis of the file, if it is not recognised: y, z, x, or -y, written --up=-y.
        map: JSON file that maps our joint names to those of an unknown skeleton.
        layout: layout of an array of joints, if its size is ambiguous.
        person: which person, if the file contains several.
        clip: name of the clip, if the file contains several.
        source_body: body file in SMPL's format, if the motion is given as vertices of its surface, or its hands as
            principal components.
        source_fps: frames per second of the motion file, if the file does not contain it.
        source_size: WIDTHxHEIGHT in pixels of the images that 2D key points lie in, if the file does not contain it.
    """

    format: str | None = None
    up: str | None = None
    map: Path | None = None
    layout: str | None = None
    person: str | None = None
    clip: str | None = None
    source_body: Path | None = None
    source_fps: float | None = None
    source_size: str | None = None

    def reading(self) -> ReadOptions:
        """The same for the readers of motions, but for the format.

        Raises:
            UsageError: a value makes no sense. AvatarError: the map of names cannot be read.
        """
        from avatar.motion.joint_names import read_name_map
        from avatar.motion.motion import ReadOptions
        from avatar.pipeline.animation import parse_size

        names = None if self.map is None else read_name_map(self.map)
        size = None if self.source_size is None else parse_size(self.source_size, "--source-size")
        body = None if self.source_body is None else str(self.source_body)
        return ReadOptions(
            self.up, self.source_fps, self.person, names, self.layout, size=size, clip=self.clip, body=body
        )


# The parameter of a command that has these options, and its default.
MotionFile = Annotated[MotionFileOptions, tyro.conf.arg(name="motion file")]
AS_RECOGNISED = MotionFileOptions()
