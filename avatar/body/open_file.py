"""The open body's file: an SMPL-H file of 52 joints, with what SMPL's 24 joints and the face need beside it.

`smplx.SMPLH` reads the file as any other. These arrays are ours:

| array | shape | meaning |
|---|---|---|
| `smpl_hand_regressor` | (2, v) | rows of the joint regressor for SMPL's hand joints, left and right |
| `smpl_hand_posedirs` | (v, 3, 18) | pose correctives of these two joints |
| `face_joint_regressor` | (3, v) | rows for jaw, left and right eye |
| `face_weights` | (v, 3) | skinning weights of jaw and eyes, which the file's own weights give to the head |
| `face_units` | (52,) | names, see `avatar.body.face` |
| `face_directions` | (v, 3, 52) | displacement at one of each unit, metres, beyond what turning jaw and eyes does |
| `earlier_digests` | (k,) | of files that this one replaces; avatars made with them give the same images |

The skinning weights of fingers are multiples of the spacing of floats at their sum, so that the sums over a hand are
exactly the weights of SMPL's hand joints: poses of 24 joints are computed with the very numbers of the earlier files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from avatar.body.skeleton import FINGER_JOINTS, HAND_FACE_JOINTS, SMPL_JOINTS, SMPL_PARENTS, SMPLH_JOINTS

HAND_FACE_ARRAYS = (
    "smpl_hand_regressor", "smpl_hand_posedirs", "face_joint_regressor", "face_weights", "face_units",
    "face_directions", "earlier_digests",
)  # fmt: skip


def smpl_joint_of_finger(finger: str) -> str:
    """SMPL's joint that moves this finger joint in a pose without fingers: the thumb stays with the palm."""
    side, kind = finger.split("_")
    return f"{side}_wrist" if kind.startswith("thumb") else f"{side}_hand"


def smpl_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of the body with SMPL's 24 joints.

    Raises:
        ValueError: the file's arrays do not fit together.
    """
    weights = np.asarray(arrays["weights"])
    _check(weights.shape[-1] == len(SMPLH_JOINTS), "its weights are not those of 52 joints")
    merged = np.zeros((len(weights), len(SMPL_JOINTS)), np.float32)
    merged[:, :22] = weights[:, :22]
    for joint, finger in enumerate(FINGER_JOINTS, start=22):
        merged[:, SMPL_JOINTS.index(smpl_joint_of_finger(finger))] += weights[:, joint]
    regressor, posedirs = np.asarray(arrays["J_regressor"]), np.asarray(arrays["posedirs"])
    return dict(arrays) | {
        "weights": merged,
        "J_regressor": np.concatenate([regressor[:22], np.asarray(arrays["smpl_hand_regressor"])]),
        "posedirs": np.concatenate([posedirs[..., : 9 * 21], np.asarray(arrays["smpl_hand_posedirs"])], axis=-1),
        "kintree_table": kintree(SMPL_PARENTS),
    }


def hand_face_arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of the body with fingers, jaw and eyes, without pose correctives.

    Raises:
        ValueError: the file's arrays do not fit together.
    """
    weights, face = np.asarray(arrays["weights"]), np.asarray(arrays["face_weights"])
    _check(face.shape == (len(weights), 3), "its face_weights are not those of jaw and eyes")
    weights = np.concatenate([weights, face], axis=1)
    head = HAND_FACE_JOINTS.index("head")
    weights[:, head] -= face.sum(1)
    parents = tuple(int(parent) for parent in np.asarray(arrays["kintree_table"])[0, 1:])
    _check(len(parents) == len(SMPLH_JOINTS) - 1, "its kintree_table is not that of 52 joints")
    rich = dict(arrays) | {
        "weights": weights,
        "J_regressor": np.concatenate([np.asarray(arrays["J_regressor"]), np.asarray(arrays["face_joint_regressor"])]),
        "kintree_table": kintree((-1, *parents, head, head, head)),
    }
    del rich["posedirs"]
    return rich


def kintree(parents: tuple[int, ...]) -> np.ndarray:
    """SMPL's `kintree_table` (2, joints)."""
    return np.array([[parent % 2**32 for parent in parents], range(len(parents))], dtype=np.int64)


def _check(fits: bool, complaint: str) -> None:
    if not fits:
        raise ValueError(complaint)
