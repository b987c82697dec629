"""Any motion file -> Motion: the formats that are read, and the one function that reads them.

A new format is one class with the members of `MotionFormat` and one call of `register_format`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from avatar.errors import AvatarError, UsageError, short_message
from avatar.motion.formats.aist import AistFormat
from avatar.motion.formats.amass import AmassFormat
from avatar.motion.formats.arkit_csv import ArkitCsvFormat
from avatar.motion.formats.bvh import BvhFormat
from avatar.motion.formats.c3d import C3dFormat
from avatar.motion.formats.container import Content, open_content
from avatar.motion.formats.fbx import FbxFormat
from avatar.motion.formats.glb import GlbFormat
from avatar.motion.formats.gvhmr import GvhmrFormat
from avatar.motion.formats.joint_positions import JointPositionsFormat
from avatar.motion.formats.keypoints2d import Keypoints2dFormat
from avatar.motion.formats.mdm import MdmFormat
from avatar.motion.formats.mediapipe_world import MediapipeWorldFormat
from avatar.motion.formats.phalp import PhalpFormat
from avatar.motion.formats.point_tables import PointsCsvFormat, TrcFormat
from avatar.motion.formats.prompthmr import PromptHmrFormat
from avatar.motion.formats.sam3d import Sam3dFormat
from avatar.motion.formats.smpl import SmplFormat
from avatar.motion.formats.smpl_estimators import HybrikFormat, RompFormat, VibeFormat
from avatar.motion.formats.smpl_folder import SmplFolderFormat
from avatar.motion.formats.smplcodec import SmplCodecFormat
from avatar.motion.formats.track import TrackFormat
from avatar.motion.formats.tram import TramFormat
from avatar.motion.formats.vertices import VerticesFormat
from avatar.motion.formats.wham import WhamFormat
from avatar.motion.motion import Motion, ReadOptions


@runtime_checkable
class MotionFormat(Protocol):
    """One kind of motion file.

    Attributes:
        name: what `--format` and `load_motion(format=...)` call it.
        description: one line for `avatar motions` and for error messages.
    """

    name: str
    description: str

    def recognizes(self, content: Content) -> bool:
        """Whether the content is of this format. Must not fail, whatever the content holds."""

    def read(self, content: Content, options: ReadOptions) -> Motion:
        """The motion in our conventions (see `Motion`).

        Raises:
            UsageError: the file leaves open what `options` must state. AvatarError: the file is broken.
        """


_FORMATS: list[MotionFormat] = []


def register_format(new: MotionFormat) -> None:
    """Add a format. It is tried before those that were registered earlier.

    Raises:
        ValueError: a format of this name is registered already.
    """
    if new.name in motion_formats():
        raise ValueError(f"the motion format {new.name!r} is registered already")
    _FORMATS.insert(0, new)


def motion_formats() -> dict[str, MotionFormat]:
    """All formats by name, in the order in which they are tried."""
    return {one.name: one for one in _FORMATS}


# Last comes what is tried first: the general formats at the top would take the files of the special ones below.
register_format(JointPositionsFormat())
register_format(Keypoints2dFormat())
register_format(MediapipeWorldFormat())
register_format(PointsCsvFormat())
register_format(ArkitCsvFormat())
register_format(TrcFormat())
register_format(C3dFormat())
register_format(VerticesFormat())
register_format(SmplFormat())
register_format(SmplFolderFormat())
register_format(MdmFormat())
register_format(HybrikFormat())
register_format(RompFormat())
register_format(VibeFormat())
register_format(FbxFormat())
register_format(GlbFormat())
register_format(BvhFormat())
register_format(Sam3dFormat())
register_format(PromptHmrFormat())
register_format(TramFormat())
register_format(PhalpFormat())
register_format(WhamFormat())
register_format(GvhmrFormat())
register_format(SmplCodecFormat())
register_format(AistFormat())
register_format(AmassFormat())
register_format(TrackFormat())


def load_motion(path: str | Path, options: ReadOptions | None = None, format: str | None = None) -> Motion:
    """Read a motion file of any registered format. Nothing in it is run.

    Args:
        path: the file.
        options: what the file leaves open.
        format: the name of its format; None to recognize it from the content.

    Raises:
        UsageError: there is no such file, the format is unknown, or the file leaves open what `options` must state.
        AvatarError: the file is broken.
    """
    reader, content = find_format(Path(path), format)
    with refuse_malformed(reader, content):
        return reader.read(content, options or ReadOptions())


def find_format(path: Path, format: str | None = None) -> tuple[MotionFormat, Content]:
    """The format of a file, by its name or by the content, and the opened file.

    Raises:
        UsageError: there is no such file, or no such format. AvatarError: the file is broken.
    """
    formats = motion_formats()
    if format is not None and format not in formats:
        raise UsageError(f"There is no motion format {format!r}: choose one of {', '.join(formats)}.")
    content = open_content(path)
    reader = formats[format] if format else next((one for one in formats.values() if one.recognizes(content)), None)
    if reader is None:
        shape = f"an array of shape {content.data.shape}" if isinstance(content.data, np.ndarray) else ""
        holdings = ", ".join(list(content.fields)[:20]) or shape or f"{content.kind} content"
        raise UsageError(
            f"{path} is not a motion file of a known format (it holds {holdings}): choose the format with --format, "
            f"one of {', '.join(formats)}."
        )
    return reader, content


@contextlib.contextmanager
def refuse_malformed(reader: MotionFormat, content: Content) -> Iterator[None]:
    """Turn what a reader stumbles over into one sentence.

    A foreign file may hold anything under any name; readers check only what is likely to be wrong.

    Raises:
        AvatarError: the content is malformed.
    """
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise AvatarError(
            f"{content.path} looks like {reader.description}, but its content is malformed: {short_message(error)}."
        ) from error
