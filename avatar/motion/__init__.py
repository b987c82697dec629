"""Motions from files, formulas and words, and how they fit an avatar.

`load_motion` reads a file of any registered format, `builtin_motion` makes one by formula, `retarget` fits either to a
body. `register_format` adds a format of your own.
"""

from avatar.motion.formats.container import Content
from avatar.motion.formats.registry import MotionFormat, load_motion, motion_formats, register_format
from avatar.motion.motion import Motion, ReadOptions
from avatar.motion.procedural import builtin_motion
from avatar.motion.retarget import Retargeting, retarget

__all__ = [
    "Content",
    "Motion",
    "MotionFormat",
    "ReadOptions",
    "Retargeting",
    "builtin_motion",
    "load_motion",
    "motion_formats",
    "register_format",
    "retarget",
]
