"""The common skeleton: SMPL's 24 joints in SMPL's order (Loper et al. 2015)."""

from __future__ import annotations

# fmt: off
SMPL_JOINTS: tuple[str, ...] = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hand", "right_hand",
)
SMPL_PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
# SMPL-H (Romero et al. 2017) replaces SMPL's two hand joints by three joints a finger.
_FINGER_JOINTS: tuple[str, ...] = tuple(
    f"{side}_{finger}{knuckle}" for side in ("left", "right") for finger in _FINGERS for knuckle in (1, 2, 3)
)
# fmt: on
SMPLH_JOINTS: tuple[str, ...] = SMPL_JOINTS[:22] + _FINGER_JOINTS
# SMPL-X (Pavlakos et al. 2019) puts the jaw and the eyes between the body and the fingers.
SMPLX_JOINTS: tuple[str, ...] = SMPL_JOINTS[:22] + ("jaw", "left_eye", "right_eye") + _FINGER_JOINTS


def _mirrored(joints: tuple[str, ...]) -> tuple[int, ...]:
    swapped = {"left": "right", "right": "left"}
    names = []
    for name in joints:
        side, _, rest = name.partition("_")
        names.append(f"{swapped[side]}_{rest}" if side in swapped else name)
    return tuple(joints.index(name) for name in names)


MIRROR: tuple[int, ...] = _mirrored(SMPL_JOINTS)
"""For each joint the index of the same joint on the other side of the body; midline joints map to themselves."""


def chain_levels(parents: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """The joints grouped by their distance from the root, so that a level can be posed in one batched product.

    Every parent stands before its children, as in all files of the SMPL family.
    """
    depth: list[int] = []
    for parent in parents:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return tuple(tuple(j for j, d in enumerate(depth) if d == level) for level in range(max(depth) + 1))
