"""Small made-up bodies in exactly the layouts of SMPL, SMPL-H and SMPL-X files, which cannot be shipped."""

import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from avatar.body.open_file import smpl_arrays
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS, SMPLH_JOINTS, SMPLX_JOINTS
from avatar.io.assets import asset_path

VERTICES = 150
JOINTS = {"smpl": SMPL_JOINTS, "smplh": SMPLH_JOINTS, "smplx": SMPLX_JOINTS}
SHAPES = {"smpl": 10, "smplh": 16, "smplx": 20}


def parents_of(kind: str) -> list[int]:
    """SMPL's tree, with the fingers on the wrists and jaw and eyes on the head."""
    names, parents = JOINTS[kind], []
    for name in names:
        if name in SMPL_JOINTS:
            parent = SMPL_PARENTS[SMPL_JOINTS.index(name)]
        elif name[-1] in "23":
            parent = names.index(name) - 1
        else:
            parent = names.index(f"{name.split('_')[0]}_wrist" if name[-1] == "1" else "head")
        parents.append(parent)
    return parents


def made_up(kind: str, seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of a body file of that kind: random, but each as a real one would be."""
    rng = np.random.default_rng(seed)
    j, v = len(JOINTS[kind]), VERTICES
    regressor = np.where(rng.random((j, v)) < 0.1, rng.random((j, v)), 0)
    regressor[:, 0] += 0.01
    weights = np.where(rng.random((v, j)) < 0.15, rng.random((v, j)), 0)
    weights[:, 0] += 0.01
    arrays = {
        "v_template": rng.normal(size=(v, 3)) * 0.4,
        "f": rng.permuted(np.tile(np.arange(v), (200, 1)), axis=1)[:, :3].astype(np.uint32),
        "J_regressor": regressor / regressor.sum(1, keepdims=True),
        "weights": weights / weights.sum(1, keepdims=True),
        "shapedirs": rng.normal(size=(v, 3, SHAPES[kind])) * 0.02,
        "posedirs": rng.normal(size=(v, 3, 9 * (j - 1))) * 0.002,
        "kintree_table": np.array([[p % 2**32 for p in parents_of(kind)], range(j)], dtype=np.uint32),
    }
    if kind != "smpl":
        for side in "lr":
            arrays[f"hands_mean{side}"] = rng.normal(size=45) * 0.3
            arrays[f"hands_components{side}"] = np.linalg.qr(rng.normal(size=(45, 45)))[0]
    if kind == "smplx":
        arrays["lmk_faces_idx"] = rng.integers(0, 200, 51)
        arrays["lmk_bary_coords"] = np.full((51, 3), 1 / 3)
        arrays["dynamic_lmk_faces_idx"] = rng.integers(0, 200, (79, 17))
        arrays["dynamic_lmk_bary_coords"] = np.full((79, 17, 3), 1 / 3)
        # The real files hold such pickled tables beside their arrays.
        arrays["joint2num"] = np.array({"pelvis": 0}, dtype=object)
    return arrays


def made_up_person(kind: str) -> dict[str, np.ndarray]:
    """The open body in the layout of that kind, which a video can be fitted to.

    Fingers, jaw and eyes sit on vertices of the hand and the head, whose skin they share.
    """
    with np.load(asset_path("body", "open.npz")) as file:
        arrays = smpl_arrays(file)
    body = {name: arrays[name] for name in ("v_template", "f", "J_regressor", "weights", "shapedirs", "posedirs")}
    rng, names = np.random.default_rng(0), JOINTS[kind]
    v, j, shared = len(body["v_template"]), len(names), 24 if kind == "smpl" else 22
    regressor, weights = np.zeros((j, v)), np.zeros((v, j))
    regressor[:shared], weights[:, :shared] = body["J_regressor"][:shared], body["weights"][:, :shared]
    for joint in range(shared, j):
        owner = SMPL_JOINTS.index(f"{names[joint].split('_')[0]}_hand" if joint >= j - 30 else "head")
        regressor[joint, rng.choice(np.flatnonzero(body["weights"][:, owner] > 0.5))] = 1
        share = 1 / 15 if joint >= j - 30 else 0.05
        weights[:, joint] = share * body["weights"][:, owner]
    pose_dirs = np.zeros((v, 3, 9 * (j - 1)))
    pose_dirs[..., : 9 * (shared - 1)] = body["posedirs"][..., : 9 * (shared - 1)]
    shapes = SHAPES[kind] - 10
    return {
        **body,
        "J_regressor": regressor,
        "weights": weights / weights.sum(1, keepdims=True),
        "posedirs": pose_dirs,
        "shapedirs": np.concatenate([body["shapedirs"], rng.normal(size=(v, 3, shapes)) * 1e-4], -1),
        "kintree_table": np.array([[p % 2**32 for p in parents_of(kind)], range(j)], dtype=np.uint32),
    } | {name: array for name, array in made_up(kind).items() if name.startswith("hands_mean")}


def write_pickle(path: Path, content: object, protocol: int = 2) -> Path:
    with path.open("wb") as file:
        pickle.dump(content, file, protocol=protocol)
    return path


def chumpy_class(monkeypatch: pytest.MonkeyPatch, module: str, name: str) -> type:
    """A class that pickles under chumpy's name, as the arrays in SMPL's original files do."""
    for part in {module.split(".")[0], module}:
        monkeypatch.setitem(sys.modules, part, types.ModuleType(part))
    made = type(name, (), {"__module__": module, "__setstate__": lambda self, state: self.__dict__.update(state)})
    setattr(sys.modules[module], name, made)
    return made


def with_state(made: type, **state: object) -> object:
    instance = made()
    vars(instance).update(state)
    return instance


def as_original_smpl(arrays: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The arrays as SMPL 1.0's pickles hold them: chumpy's and SciPy's."""
    Ch = chumpy_class(monkeypatch, "chumpy.ch", "Ch")
    Select = chumpy_class(monkeypatch, "chumpy.reordering", "Select")
    every = with_state(Ch, x=arrays["shapedirs"], _dirty_vars=set())
    picked = with_state(
        Select, a=every, idxs=np.arange(arrays["shapedirs"].size), preferred_shape=arrays["shapedirs"].shape
    )
    return arrays | {
        "v_template": with_state(Ch, x=arrays["v_template"], _itr=None),
        "shapedirs": picked,
        "J_regressor": sparse.csc_matrix(arrays["J_regressor"]),
        "bs_type": "lrotmin",
    }
