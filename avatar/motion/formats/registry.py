"""Any motion file -> Motion: asks each format in turn whether the content is its own."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from avatar.errors import AvatarError, UsageError, short_message
from avatar.io.files import read_json
from avatar.motion.formats import (
    aist,
    amass,
    bvh,
    glb,
    gvhmr,
    phalp,
    prompthmr,
    sam3d,
    smpl,
    smplcodec,
    tram,
    wham,
)
from avatar.motion.formats import (
    joint_positions as joints,
)
from avatar.motion.formats import (
    track as ownfile,
)
from avatar.motion.formats.container import open_content
from avatar.motion.motion import Motion, ReadOptions
from avatar.motion.text.pose_file import is_pose

# The particular ones come before the general ones, which would take their files too.
FORMATS: dict[str, ModuleType] = {
    "own": ownfile, "amass": amass, "aist": aist, "smplcodec": smplcodec, "gvhmr": gvhmr, "wham": wham,
    "phalp": phalp, "tram": tram, "prompthmr": prompthmr, "sam3d": sam3d, "bvh": bvh, "glb": glb, "smpl": smpl,
    "joints": joints,
}  # fmt: skip


def load_motion(path: Path, options: ReadOptions | None = None, format: str | None = None) -> Motion:
    """Read a motion file of any known format. Nothing in it is run.

    Args:
        path: the file.
        options: what the file leaves open.
        format: a key of `FORMATS`, to skip the recognition.

    Raises:
        UsageError: there is no such file, the format is unknown, or the file leaves open what must be said.
        AvatarError: the file is broken.
    """
    if format is not None and format not in FORMATS:
        raise UsageError(f"There is no motion format {format!r}: choose one of {', '.join(FORMATS)}.")
    content = open_content(path)
    reader = FORMATS[format] if format else next((m for m in FORMATS.values() if m.recognises(content)), None)
    if reader is None:
        inside = ", ".join(list(content.fields)[:20]) or f"{content.kind} content"
        raise UsageError(
            f"{path} is no motion that is recognised (it holds {inside}): choose a reader by --format, one of "
            f"{', '.join(FORMATS)}."
        )
    try:
        return reader.read(content, options or ReadOptions())
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        # Anything may stand under any name in a file of others; readers check what is likely to be wrong there.
        raise AvatarError(
            f"{path} looks like {reader.DESCRIPTION}, but what it holds is of other kinds: {short_message(error)}."
        ) from error


def is_pose_file(path: Path) -> bool:
    """Whether this is a JSON of joint angles rather than a motion."""
    return path.suffix.lower() == ".json" and path.is_file() and is_pose(read_json(path))
