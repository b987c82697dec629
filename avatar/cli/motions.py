"""`avatar motions`: the motions that come with the program, and the kinds of files it reads."""

from __future__ import annotations


def list_motions() -> None:
    """List the built-in motions and the kinds of motion files that `avatar animate` reads."""
    from avatar.motion import motion_formats
    from avatar.motion.procedural import BUILTIN
    from avatar.motion.text.key_poses import ACTIONS

    print("Built-in motions:")
    for name, motion in BUILTIN.items():
        print(f"  {name:14} {motion.about} ({motion.seconds:g} s per cycle)")
    for name, keys in ACTIONS.items():
        print(f"  {name:14} key poses in words, {len(keys)} of them")
    print('\nMotions in words: "standing, then kneeling, then both arms raised"')
    print("\nMotion files (--format, if a file is not recognised):")
    for name, motion_format in motion_formats().items():
        print(f"  {name:14} {motion_format.description}")
