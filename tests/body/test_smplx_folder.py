"""A folder of SMPL-X models is a body, built by the package smplx where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.errors import AvatarError, UsageError
from avatar.io.files import write_npz

from .made_up_bodies import made_up


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "smplx").mkdir()
    write_npz(tmp_path / "smplx" / "SMPLX_NEUTRAL.npz", **made_up("smplx"))
    return tmp_path


def test_the_folder_gives_the_body_of_its_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    smplx = pytest.importorskip("smplx")
    few = dict.fromkeys(smplx.vertex_ids.vertex_ids["smplx"], 0)  # the small mesh lacks the real one's vertices
    monkeypatch.setitem(smplx.body_models.VERTEX_IDS, "smplx", few)
    messages: list[str] = []
    monkeypatch.setattr("avatar.body.smplx_body.logger.info", messages.append)
    built, own = load_body(folder), load_body(folder / "smplx" / "SMPLX_NEUTRAL.npz")
    assert built.name == str(folder) and (built.kind, built.gender, built.digest) == ("smplx", "neutral", own.digest)
    for name in ("template", "shape_dirs", "expression_dirs", "pose_dirs", "weights", "joint_regressor"):
        assert torch.allclose(getattr(built, name), getattr(own, name), atol=1e-6), name
    assert torch.allclose(built.rest_rotations, own.rest_rotations, atol=1e-6)
    assert built.parents == own.parents and torch.equal(built.faces, own.faces)
    assert messages == ["The package smplx builds the body; its licence allows non-commercial research only."]
    assert capsys.readouterr().out == ""


def test_without_the_package_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smplx", None)
    with pytest.raises(UsageError, match=r"splat-avatar\[smpl\]"):
        load_body(folder)


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no SMPL-X model"):
        load_body(tmp_path)
    np.savez(tmp_path / "SMPLX_MALE.npz", v_template=np.zeros((3, 3)))
    with pytest.raises(AvatarError, match="has no hands_componentsl"):
        load_body(tmp_path)
