"""Files that users bring: as SMPL's authors wrote them, broken in every way, or meant to do harm."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from avatar.body import files, load_body
from avatar.body.parts import PARTS
from avatar.errors import AvatarError, UsageError
from avatar.geometry import rotation_from_rotvec
from avatar.io.files import write_npz
from avatar.io.pickles import read_pickle
from avatar.types import BodyPose

from .made_up_bodies import as_original_smpl, made_up, with_state, write_pickle


def test_the_original_pickles_with_chumpy_and_scipy_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = made_up("smpl")
    path = write_pickle(tmp_path / "basicModel_f_lbs_10_207_0_v1.0.0.pkl", as_original_smpl(arrays, monkeypatch))
    monkeypatch.undo()  # chumpy is not there when the file is read
    body = load_body(path)
    assert body.gender == "female"
    for name, tensor in (("v_template", body.template), ("shapedirs", body.shape_dirs)):
        torch.testing.assert_close(tensor, torch.from_numpy(arrays[name]).float())
    torch.testing.assert_close(body.joint_regressor, torch.from_numpy(arrays["J_regressor"]).float())


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    arrays = made_up("smpl")
    body = load_body(write_pickle(tmp_path / "body.pkl", arrays, protocol))
    torch.testing.assert_close(body.template, torch.from_numpy(arrays["v_template"]).float())


class Touch:
    """Makes the file it names when it is unpickled by a careless reader."""

    def __init__(self, path: Path, call: Callable[..., object] = os.system) -> None:
        self.path, self.call = path, call

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return self.call, (f"touch {self.path}" if self.call is os.system else str(self.path),)


@pytest.mark.parametrize("call", [os.system, os.mkdir, eval, getattr])
def test_a_pickle_that_would_run_something_is_refused_by_name(tmp_path: Path, call: Callable[..., object]) -> None:
    sign = tmp_path / "was_run"
    path = write_pickle(tmp_path / "body.pkl", made_up("smpl") | {"v_template": Touch(sign, call)})
    with pytest.raises(AvatarError, match=rf"refused.*\.{call.__name__}\b"):
        load_body(path)
    assert not sign.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"\x80\x04\x8c\x0dnumpy.testing\x8c\x0a_private.x\x93.",
        b"c__builtin__\ngetattr\n(c__builtin__\nobject\nS'__subclasses__'\ntR.",
        b"ccopy_reg\n_reconstructor\n(c__builtin__\nint\nc__builtin__\nobject\nNtR.",
        b"c__builtin__\nbytearray\n(I1000000000000\ntR.",
        b"Pexternal\n.",
        b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
        b"cchumpy.ch\nCh\n(N(dS'toarray'\nc__builtin__\nlist\nstb.",
    ],
)
def test_hand_written_pickle_programs_are_refused(tmp_path: Path, program: bytes) -> None:
    (tmp_path / "body.pkl").write_bytes(program)
    with pytest.raises(AvatarError, match="refused"):
        read_pickle(tmp_path / "body.pkl")


def broken(name: str, value: Callable[[np.ndarray], object]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda arrays: arrays | {name: value(arrays[name])}


def with_nan(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flat[3] = np.nan
    return array


BROKEN = {
    "no f": lambda arrays: {k: v for k, v in arrays.items() if k != "f"},
    "NaN": broken("shapedirs", with_nan),
    "infinite": broken("v_template", lambda a: np.where(a == a[0, 0], np.inf, a)),
    "real numbers": broken("v_template", lambda a: a.astype(str)),
    "shape 24 x 149": broken("J_regressor", lambda a: a[:, :-1]),
    "weights has shape": broken("weights", lambda a: a[:, 1:]),
    "sum to one": broken("weights", lambda a: a * 2),
    "do not exist": broken("f", lambda a: a + 1000),
    "triangles": broken("f", lambda a: a[:, :2]),
    "16 joints, as a MANO hand": broken("kintree_table", lambda a: a[:, :16]),
    "not a tree": broken("kintree_table", lambda a: np.stack([a[0][::-1], a[1]])),
    "posedirs has shape": broken("posedirs", lambda a: a[..., :9]),
    "v_template has shape": broken("v_template", lambda a: a[:0]),
}


@pytest.mark.parametrize("says", BROKEN)
@pytest.mark.parametrize("ending", ["npz", "pkl"])
def test_a_broken_body_gets_a_sentence_that_says_what_is_wrong(tmp_path: Path, says: str, ending: str) -> None:
    arrays = BROKEN[says](made_up("smpl"))
    path = tmp_path / f"body.{ending}"
    if ending == "npz":
        write_npz(path, **arrays)
    else:
        write_pickle(path, arrays)
    with pytest.raises(AvatarError, match=says) as caught:
        load_body(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 cut short", b"\x80\x04", b"\x80\x04]\x94."])
@pytest.mark.parametrize("ending", ["npz", "pkl"])
def test_files_that_are_something_else(tmp_path: Path, content: bytes, ending: str) -> None:
    path = tmp_path / f"body.{ending}"
    path.write_bytes(content)
    with pytest.raises(AvatarError, match="body"):
        load_body(path)


def test_objects_inside_an_npz_are_not_unpickled(tmp_path: Path) -> None:
    sign = tmp_path / "was_run"
    write_npz(tmp_path / "body.npz", **(made_up("smpl") | {"v_template": np.array([Touch(sign)], dtype=object)}))
    with pytest.raises(AvatarError, match="plain arrays"):
        load_body(tmp_path / "body.npz")
    assert not sign.exists()


def test_an_npz_that_unpacks_without_end_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_LARGEST", 10_000)
    write_npz(tmp_path / "body.npz", **(made_up("smpl") | {"extra": np.zeros(10**6)}))
    with pytest.raises(AvatarError, match=r"unpacks to .* GB"):
        load_body(tmp_path / "body.npz")


def test_sparse_and_chumpy_arrays_that_lie_about_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = as_original_smpl(made_up("smpl"), monkeypatch)
    endless = with_state(type(arrays["shapedirs"]), idxs=np.arange(3))
    vars(endless)["a"] = endless
    huge = sparse.csc_matrix((10**6, 10**6))
    hollow = sparse.csc_matrix(np.eye(3))
    hollow.indices = hollow.indices + 10**6
    lies = [{"shapedirs": endless}, {"J_regressor": huge}, {"J_regressor": hollow}]
    for i, lie in enumerate(lies):
        path = write_pickle(tmp_path / f"{i}.pkl", arrays | lie)
        with pytest.raises(AvatarError, match=f"its {next(iter(lie))} cannot be read"):
            load_body(path)


def test_missing_and_unknown_files(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        load_body(tmp_path / "nothing.npz")
    (tmp_path / "body.obj").write_text("v 0 0 0")
    with pytest.raises(AvatarError, match=r"\.npz or \.pkl"):
        load_body(tmp_path / "body.obj")


def test_any_body_can_be_driven_by_smpls_24_joints(tmp_path: Path) -> None:
    pose = BodyPose(torch.zeros(2, 3), rotation_from_rotvec(torch.randn(2, 24, 3)))
    for kind in ("smpl", "smplh", "smplx"):
        path = tmp_path / f"{kind}.npz"
        write_npz(path, **made_up(kind))
        body = load_body(path)
        full = body.complete(pose)
        assert full.rotations.shape == (2, len(body.parents), 3, 3)
        torch.testing.assert_close(full.rotations[:, body.smpl_index[:22]], pose.rotations[:, :22])
        assert body.complete(full).rotations is full.rotations
        assert [body.joint_names[i] for i in body.smpl_index[20:22]] == ["left_wrist", "right_wrist"]
        assert {PARTS[i] for i in body.parts.tolist()} >= {"arms", "legs", "torso"}
        if kind != "smpl":
            finger = body.smpl_index[22]
            assert body.joint_names[finger] == "left_middle1"
            expected = pose.rotations[:, 22] @ body.rest_rotations[finger]
            torch.testing.assert_close(full.rotations[:, finger], expected)
