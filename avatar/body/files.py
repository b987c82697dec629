"""Reading bodies in the file formats of the SMPL family: npz, and pkl without running anything in it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.face import FACE_UNITS, FaceUnits, with_lids_that_meet
from avatar.body.model import Body, Kind
from avatar.body.open_file import HAND_FACE_ARRAYS, hand_face_arrays, smpl_arrays
from avatar.body.parts import parts_by_joint
from avatar.body.skeleton import HAND_FACE_JOINTS, SMPL_JOINTS, SMPLH_JOINTS, SMPLX_JOINTS
from avatar.body.smplx_body import NEEDED, build_smplx_arrays, find_smplx_file
from avatar.errors import AvatarError, short_message
from avatar.geometry import rotation_from_rotvec
from avatar.io.assets import asset_path
from avatar.io.files import is_folder, require_file
from avatar.io.pickles import read_pickle

SHAPES, EXPRESSIONS = 10, 10
# In SMPL-X files the expression directions follow 300 shape directions, or 10 in the small edition.
_SMPLX_SHAPES_FULL, _SMPLX_SHAPES_SMALL = 300, 10
_JOINTS: dict[int, tuple[Kind, tuple[str, ...]]] = {
    24: ("smpl", SMPL_JOINTS),
    52: ("smplh", SMPLH_JOINTS),
    55: ("smplx", SMPLX_JOINTS),
}
_OTHER_MODELS = {16: "a MANO hand", 5: "a FLAME head"}
_REQUIRED = ("v_template", "f", "J_regressor", "weights", "shapedirs", "kintree_table")
_OPTIONAL = ("posedirs", "hands_meanl", "hands_meanr", "gender", "parts", *HAND_FACE_ARRAYS)
_HANDS = ("hands_meanl", "hands_meanr", "hands_componentsl", "hands_componentsr")
# The largest real file, SMPL-X with all its directions, unpacks to 0.3 GB.
_LARGEST = 2 * 1024**3


def load_body(name: str | Path) -> Body:
    """A body by its name or file.

    Args:
        name: "open", the body that ships with the project; a file of SMPL, SMPL-H or SMPL-X; or a folder of SMPL-X
            models, which the package smplx builds (see `avatar.body.smplx_body`).

    Raises:
        UsageError: the file does not exist, or smplx is needed and not installed.
        AvatarError: the file is broken or is not such a body. Nothing in it is executed.
    """
    path = asset_path("body", "open.npz") if str(name) == "open" else Path(name)
    folder = is_folder(path)
    if folder:
        path = find_smplx_file(path)
    require_file(path)
    arrays = _read_npz(path, (*_REQUIRED, *_OPTIONAL, *NEEDED)) if folder else _read_arrays(path)
    try:
        if HAND_FACE_ARRAYS[0] in arrays:
            return _open_body(str(name), path, arrays)
        return _body(str(name), path, build_smplx_arrays(arrays) if folder else arrays)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise AvatarError(f"{path} is not a body of the SMPL family: {error}.") from error


def load_hand_components(path: Path) -> tuple[Float[Tensor, "2 45"], Float[Tensor, "2 45 45"]]:
    """The mean hand and the principal components (rows) of a file of SMPL-H or SMPL-X, left hand first.

    Raises:
        UsageError: the file does not exist. AvatarError: it is broken or holds none.
    """
    path = find_smplx_file(path) if is_folder(path) else path
    require_file(path)
    arrays = _read_arrays(path, _HANDS)
    missing = [name for name in _HANDS if name not in arrays]
    if missing:
        raise AvatarError(f"{path} has no {' and no '.join(missing)}: principal components need SMPL-H or SMPL-X.")
    try:
        mean = [_floats(arrays, name, (45,)) for name in _HANDS[:2]]
        components = [_floats(arrays, name, (45, 45)) for name in _HANDS[2:]]
    except (ValueError, TypeError) as error:
        raise AvatarError(f"{path}: {error}.") from error
    return torch.stack(mean), torch.stack(components)


def _read_arrays(path: Path, names: tuple[str, ...] = _REQUIRED + _OPTIONAL) -> Mapping[str, Any]:
    if path.suffix == ".npz":
        return _read_npz(path, names)
    if path.suffix == ".pkl":
        content = read_pickle(path)
        if not isinstance(content, dict):
            raise AvatarError(f"{path} is not a body of the SMPL family: it holds no table of arrays.")
        return {name: content[name] for name in names if name in content}
    raise AvatarError(f"{path} is not a body of the SMPL family: its name must end in .npz or .pkl.")


def _read_npz(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Only the arrays that are needed: SMPL-X's own npz also holds pickled tables, which are not read."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > _LARGEST:
            raise AvatarError(f"{path} is not a body of the SMPL family: it unpacks to {unpacked / 1e9:.3g} GB.")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names if name in file.files}
    except AvatarError:
        raise
    except Exception as error:  # zipfile, zlib, struct and NumPy each raise their own kinds on broken files
        raise AvatarError(f"{path} is not a readable npz file of plain arrays: {short_message(error)}.") from error


def _open_body(name: str, path: Path, arrays: Mapping[str, Any]) -> Body:
    """SMPL's 24 joints, and beside them the same body with fingers, jaw and eyes; they share what is equal."""
    plain = _body(name, path, smpl_arrays(arrays))
    rich = _body(name, path, hand_face_arrays(arrays), HAND_FACE_JOINTS)
    assert plain.pose_dirs is not None
    v = len(plain.template)
    rich = replace(
        rich,
        template=plain.template,
        faces=plain.faces,
        shape_dirs=plain.shape_dirs,
        parts=plain.parts,
        # Fingers, jaw and eyes have no correctives.
        pose_dirs=plain.pose_dirs[..., : 9 * 21],
        face_units=FaceUnits(with_lids_that_meet(_floats(arrays, "face_directions", (v, 3, len(FACE_UNITS))))),
    )
    earlier = tuple(str(digest) for digest in np.ravel(arrays["earlier_digests"]))
    return replace(plain, with_hands_and_face=rich, earlier_digests=earlier)


def _body(name: str, path: Path, arrays: Mapping[str, Any], joints: tuple[str, ...] | None = None) -> Body:
    """A body of one skeleton; `joints`: their names, None for those of the family's skeleton of as many."""
    missing = [key for key in _REQUIRED if key not in arrays]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    template = _floats(arrays, "v_template", (None, 3))
    v = len(template)
    kintree = _numbers(arrays["kintree_table"], "kintree_table")
    if kintree.ndim != 2 or kintree.shape[0] != 2 or kintree.shape[1] not in _JOINTS:
        count = kintree.shape[-1] if kintree.ndim else 0
        what = f", as {_OTHER_MODELS[count]} has" if count in _OTHER_MODELS else ""
        raise ValueError(f"it has {count} joints{what}; SMPL has 24, SMPL-H 52 and SMPL-X 55")
    kind, joint_names = _JOINTS[kintree.shape[1]] if joints is None else ("smplh", joints)
    j = len(joint_names)
    parents = (-1, *(int(parent) for parent in kintree[0, 1:]))
    if any(not 0 <= parent < joint for joint, parent in enumerate(parents[1:], start=1)):
        raise ValueError("its kintree_table is not a tree with parents before their children")
    weights = _floats(arrays, "weights", (v, j))
    if (weights.sum(1) - 1).abs().max() > 1e-2 or weights.min() < -1e-3:
        raise ValueError("its skinning weights are not shares that sum to one at each vertex")
    shape_dirs, expression_dirs = _shape_and_expression(_floats(arrays, "shapedirs", (v, 3, None)), kind)
    return Body(
        name=name,
        kind=kind,
        gender=_gender(arrays, path),
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        template=template,
        faces=_faces(arrays["f"], v),
        joint_regressor=_floats(arrays, "J_regressor", (j, v)),
        weights=weights / weights.sum(1, keepdim=True),
        shape_dirs=shape_dirs,
        expression_dirs=expression_dirs,
        pose_dirs=_floats(arrays, "posedirs", (v, 3, 9 * (j - 1))) if "posedirs" in arrays else None,
        parents=parents,
        joint_names=joint_names,
        rest_rotations=_rest_rotations(arrays, j),
        parts=_parts(arrays, weights, joint_names),
    )


def _numbers(value: Any, name: str) -> np.ndarray:
    """A plain array of real numbers; sparse matrices are spread out."""
    try:
        array = np.asarray(value.toarray() if hasattr(value, "toarray") else value)
    except Exception as error:  # what stands in for a foreign array may lack or contradict anything
        raise ValueError(f"its {name} cannot be read ({error})") from error
    if array.dtype.kind not in "fiu":
        raise ValueError(f"its {name} is not an array of real numbers")
    if not np.isfinite(array).all():
        raise ValueError(f"its {name} holds NaN or infinite values")
    return array


def _floats(arrays: Mapping[str, Any], name: str, shape: tuple[int | None, ...]) -> Tensor:
    """The array as float32, checked against `shape`, where None stands for any length."""
    array = _numbers(arrays[name], name)
    fits = array.ndim == len(shape) and all(
        n in (want, n if want is None else want) for n, want in zip(array.shape, shape, strict=True)
    )
    if not fits or 0 in array.shape:
        expected = " x ".join("?" if n is None else str(n) for n in shape)
        raise ValueError(f"its {name} has shape {' x '.join(map(str, array.shape))}, not {expected}")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _faces(value: Any, vertices: int) -> Tensor:
    faces = _numbers(value, "f")
    if faces.ndim != 2 or faces.shape[1] != 3 or not len(faces):
        raise ValueError("its f is not a list of triangles")
    if faces.min() < 0 or faces.max() >= vertices:
        raise ValueError("its f names vertices that do not exist")
    return torch.from_numpy(faces.astype(np.int64))


def _shape_and_expression(directions: Tensor, kind: Kind) -> tuple[Tensor, Tensor]:
    """The first shape directions and, for SMPL-X, the first of expression."""
    count = directions.shape[-1]
    if kind != "smplx":
        return directions[..., :SHAPES].contiguous(), directions[..., :0]
    start = _SMPLX_SHAPES_FULL if count > _SMPLX_SHAPES_FULL else _SMPLX_SHAPES_SMALL
    return directions[..., :SHAPES].contiguous(), directions[..., start : start + EXPRESSIONS].contiguous()


def _gender(arrays: Mapping[str, Any], path: Path) -> str:
    """As the file says; official files only say it in their names (SMPL_FEMALE.pkl, basicModel_f_..., model_m)."""
    if "gender" in arrays:
        stated = str(np.asarray(arrays["gender"]).astype(str))
        if stated in ("neutral", "female", "male"):
            return stated
    words = path.stem.lower().replace("-", "_").split("_")
    for gender, signs in (("female", ("female", "f")), ("male", ("male", "m"))):
        if any(sign in words for sign in signs):
            return gender
    return "neutral"


def _rest_rotations(arrays: Mapping[str, Any], joints: int) -> Tensor:
    """Identity, except the fingers, the last 30 joints, which take the file's mean hands."""
    rotvecs = torch.zeros(joints, 3)
    if joints > len(SMPL_JOINTS):
        for start, key in ((joints - 30, "hands_meanl"), (joints - 15, "hands_meanr")):
            if key in arrays:
                rotvecs[start : start + 15] = _floats(arrays, key, (45,)).view(15, 3)
    return rotation_from_rotvec(rotvecs)


def _parts(arrays: Mapping[str, Any], weights: Tensor, joint_names: tuple[str, ...]) -> Tensor:
    """Part of each vertex: from the open body's file, or for other bodies from the skinning weights."""
    if "parts" not in arrays:
        return parts_by_joint(weights, joint_names)
    parts = _numbers(arrays["parts"], "parts")
    if parts.shape != (len(weights),):
        raise ValueError("its parts do not name one part per vertex")
    return torch.from_numpy(parts.astype(np.int64))
