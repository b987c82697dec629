"""FBX, binary and text, gives the motion that was written."""

from pathlib import Path

import pytest

from avatar.errors import AvatarError, UsageError
from avatar.motion import load_motion
from avatar.motion.motion import ReadOptions

from .fbx_files import Node, fbx_of_truth, write_ascii, write_binary
from .test_motion_glb import assert_truth

pytest.importorskip("ufbx")
WRITERS = {"binary": write_binary, "ascii": write_ascii}


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("z_up", "turned", "bind"),
    [(False, False, False), (False, True, False), (True, True, False), (False, True, True), (True, False, True)],
)
def test_fbx(tmp_path: Path, kind: str, z_up: bool, turned: bool, bind: bool) -> None:
    WRITERS[kind](tmp_path / "a.fbx", fbx_of_truth(z_up=z_up, turned=turned, bind=bind))
    motion = load_motion(tmp_path / "a.fbx")
    assert motion.format == "fbx" and motion.track.fps == pytest.approx(30)
    assert_truth(motion)


def test_a_take_is_chosen_by_name(tmp_path: Path) -> None:
    write_binary(tmp_path / "a.fbx", fbx_of_truth(("TPose", "Walk"), turned=True))
    assert_truth(load_motion(tmp_path / "a.fbx"))
    assert_truth(load_motion(tmp_path / "a.fbx", ReadOptions(clip="Walk")))
    with pytest.raises(UsageError, match="no clip 'Run': it has TPose, Walk"):
        load_motion(tmp_path / "a.fbx", ReadOptions(clip="Run"))


def test_files_without_animation_and_broken_ones_are_refused(tmp_path: Path) -> None:
    write_ascii(tmp_path / "empty.fbx", Node("", [], [Node("FBXHeaderExtension", [], [Node("FBXVersion", [7400])])]))
    with pytest.raises(AvatarError, match=r"empty\.fbx holds no animation"):
        load_motion(tmp_path / "empty.fbx")
    write_binary(tmp_path / "cut.fbx", fbx_of_truth())
    data = (tmp_path / "cut.fbx").read_bytes()
    (tmp_path / "cut.fbx").write_bytes(data[: len(data) // 2])
    with pytest.raises(AvatarError, match=r"cut\.fbx is a broken FBX file"):
        load_motion(tmp_path / "cut.fbx")


def test_without_the_reader_the_way_to_convert_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ascii(tmp_path / "a.fbx", fbx_of_truth())
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"is an FBX file: install the reader by .*, or convert the file with Blender"):
        load_motion(tmp_path / "a.fbx")
