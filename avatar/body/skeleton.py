"""The common skeleton: SMPL's 24 joints in SMPL's order (Loper et al. 2015)."""

from __future__ import annotations

from avatar.landmark_layouts import SMPL_JOINTS as SMPL_JOINTS

# fmt: off
SMPL_PARENTS: tuple[int, ...] = (
    -1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21,
)

_FINGERS = ("index", "middle", "pinky", "ring", "thumb")
# SMPL-H (Romero et al. 2017) replaces SMPL's two hand joints by three joints per finger.
FINGER_JOINTS: tuple[str, ...] = tuple(
    f"{side}_{finger}{knuckle}" for side in ("left", "right") for finger in _FINGERS for knuckle in (1, 2, 3)
)
# fmt: on
SMPLH_JOINTS: tuple[str, ...] = SMPL_JOINTS[:22] + FINGER_JOINTS
# SMPL-X (Pavlakos et al. 2019) puts the jaw and the eyes between the body and the fingers.
SMPLX_JOINTS: tuple[str, ...] = SMPL_JOINTS[:22] + ("jaw", "left_eye", "right_eye") + FINGER_JOINTS

HAND_FACE_JOINTS: tuple[str, ...] = SMPLH_JOINTS + ("jaw", "left_eye", "right_eye")
"""The open body's joints where a pose moves fingers or face: SMPL-H's, then jaw and eyes."""

FINGER_PARENTS: tuple[int, ...] = tuple(-1 if name.endswith("1") else i - 1 for i, name in enumerate(FINGER_JOINTS))
"""For each of the 30 finger joints the one before it on its finger; -1 for those on the wrist."""

# The skeletons of the family differ in their number of joints.
_SKELETONS = {len(names): names for names in (SMPL_JOINTS, SMPLH_JOINTS, SMPLX_JOINTS)}


def smpl_joint_indices(joints: tuple[str, ...] | int) -> list[int]:
    """For each of SMPL's 24 joints the index of the joint that stands for it.

    Skeletons with fingers have no hand joints; the base of the middle finger stands for the hand. The first 24 joints
    of SMPL-X are not SMPL's: they end with the jaw and an eye.

    Args:
        joints: the skeleton's joint names, or how many joints a skeleton of the SMPL family has.

    Raises:
        ValueError: a joint is missing, or no skeleton of the family has this many joints.
    """
    if isinstance(joints, int):
        if joints not in _SKELETONS:
            raise ValueError(f"No skeleton of the SMPL family has {joints} joints; SMPL has 24, SMPL-H 52, SMPL-X 55.")
        joints = _SKELETONS[joints]
    return [joints.index(n if n in joints else n.replace("_hand", "_middle1")) for n in SMPL_JOINTS]


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
