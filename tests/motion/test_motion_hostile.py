"""Broken, truncated and hostile motion files end in one clear sentence; nothing in them is run."""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from avatar.errors import AvatarError, UsageError
from avatar.motion import load_motion
from tests.motion.glb_files import write_glb

DATA = Path(__file__).parent / "data"
STEPS = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def error_of(path: Path, **options: Any) -> str:
    with pytest.raises(AvatarError) as caught:
        load_motion(path, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 2000, sentence
    return sentence


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.target), "w"))


@pytest.mark.parametrize("kind", ["pkl", "npy", "npz", "pt"])
def test_a_pickle_that_would_run_code_is_refused(tmp_path: Path, kind: str) -> None:
    trap = tmp_path / "ran"
    path = tmp_path / f"evil.{kind}"
    if kind == "pkl":
        path.write_bytes(pickle.dumps({"poses": _Bomb(trap)}))
    elif kind == "npy":
        np.save(path, np.array({"poses": _Bomb(trap)}, dtype=object), allow_pickle=True)
    elif kind == "npz":
        np.savez(path, poses=np.array([_Bomb(trap)], dtype=object))
    else:
        torch.save({"smpl_params_global": _Bomb(trap)}, path)
    error_of(path)
    assert not trap.exists()


@STEPS
@given(share=st.floats(0.0, 0.95), name=st.sampled_from(sorted(p.name for p in DATA.iterdir() if p.suffix != ".npz")))
def test_truncated_files(tmp_path: Path, share: float, name: str) -> None:
    # Without its very last bytes, a checksum, a compressed pickle still gives all its values.
    data = (DATA / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(data[: int(share * len(data))])
    error_of(path)


@STEPS
@given(data=st.data(), name=st.sampled_from(["mixamo.bvh", "wham_compressed.pkl", "motion.smpl"]))
def test_damaged_bytes_never_end_in_a_traceback(tmp_path: Path, data: st.DataObject, name: str) -> None:
    content = bytearray((DATA / name).read_bytes())
    for _ in range(4):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / name
    path.write_bytes(bytes(content))
    try:
        motion = load_motion(path)
    except AvatarError as error:
        assert "\n" not in str(error)
    else:
        assert bool(motion.track.poses.rotations.isfinite().all())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"poses": np.zeros((0, 72))}, "frames"),
        ({"poses": np.zeros((5, 71))}, "poses"),
        ({"poses": np.zeros((5, 72)), "trans": np.zeros((4, 3))}, r"trans has the shape \(4, 3\)"),
        ({"poses": np.full((5, 72), np.nan), "trans": np.zeros((5, 3))}, "not finite in 5 of 5 frames, first"),
        ({"poses": 90 * np.ones((5, 72)), "trans": np.zeros((5, 3))}, "degrees"),
        ({"poses": np.zeros((5, 72)), "trans": 100 * np.eye(5, 3)}, "not in metres"),
        ({"poses": np.zeros((5, 72)), "fps": -3.0}, "source-fps"),
        ({"nothing": np.zeros(3)}, "nothing"),
    ],
)  # fmt: skip
def test_wrong_numbers_are_reported(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "a.npz", **dict[str, Any](arrays))
    assert re.search(message, error_of(tmp_path / "a.npz"))


def test_a_person_of_180_metres(tmp_path: Path) -> None:
    """A BVH whose body is in metres and whose root moves in centimetres."""
    text = (DATA / "mixamo.bvh").read_text()
    head, _, rows = text.partition("Frame Time: 0.0333333\n")
    moved = []
    for row in rows.strip().split("\n"):
        values = row.split()
        moved.append(" ".join([str(100 * float(x)) for x in values[:3]] + values[3:]))
    (tmp_path / "a.bvh").write_text(head + "Frame Time: 0.0333333\n" + "\n".join(moved))
    assert "not in metres" in error_of(tmp_path / "a.bvh")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Frames: 12", "Frames: 1200"), "cut off"),
        (("Frame Time: 0.0333333", "Frame Time: 0"), "how long they last"),
        (("MOTION", "EMOTION!"), "Frames|frames"),
        (("OFFSET 27.000000", "OFFSET banana"), "HIERARCHY"),
        (("Xposition", "Wposition"), "wposition"),
        (("mixamorig:LeftLeg\n    {\n      OFFSET 0.000000 -42", "tentacle\n    {\n      OFFSET 0 -420"), "unknown"),
    ],
)  # fmt: skip
def test_broken_bvh(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    text = (DATA / "mixamo.bvh").read_text()
    assert change[0] in text
    (tmp_path / "a.bvh").write_text(text.replace(*change))
    assert re.search(message, error_of(tmp_path / "a.bvh"))


def test_nan_frames_in_a_bvh_are_counted(tmp_path: Path) -> None:
    lines = (DATA / "mixamo.bvh").read_text().strip().split("\n")
    lines[-3] = " ".join(["nan"] * len(lines[-3].split()))
    (tmp_path / "a.bvh").write_text("\n".join(lines))
    assert "1 of 12 frames are not finite, first frame 9" in error_of(tmp_path / "a.bvh")


def test_deep_json_and_other_junk(tmp_path: Path) -> None:
    for name, content in (
        ("deep.json", b"[" * 100_000), ("empty.npz", b""), ("text.bvh", b"hello"), ("zip.npz", b"PK\x03\x04junk"),
        ("a.npy", b"\x93NUMPY\x01\x00\xff\xff"),
        ("a.glb", b"glTF" + b"\xff" * 40), ("a.fbx", b"Kaydara FBX Binary  \x00"),
        ("a.json", json.dumps({"format": "avatar-motion", "version": 1}).encode()),
        ("b.json", b"{}"), ("c.json", b"[[1]]"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(content)
        assert name in error_of(tmp_path / name)


@STEPS
@given(
    st.recursive(
        st.none() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["poses", "joints", "asset", "nodes", "format", "people", "smpl", "tid"]),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
@example({"poses": [None, []]})
@example({"poses": {"smpl": None, "tid": None}})
def test_any_json_is_refused_in_one_sentence(tmp_path: Path, content: Any) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    error_of(tmp_path / "a.json")


def test_an_unknown_format_and_a_missing_file(tmp_path: Path) -> None:
    assert "bvh" in error_of(DATA / "mixamo.bvh", format="fbx")
    assert "no file" in error_of(tmp_path / "missing.bvh")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.dae", b'<?xml version="1.0"?>\n<COLLADA version="1.4.1"/>', "is COLLADA, which is not read: Blender"),
        ("a.usda", b"#usda 1.0\n", "is USD"),
        ("a.usdz", b"PK\x03\x04" + bytes(40), "is USD"),
        ("a.abc", b"Ogawa\xff", "is Alembic"),
        ("a.blend", b"BLENDER-v401" + bytes(30), "is a Blender project"),
        ("a.vmd", b"Vocaloid Motion Data 0002" + bytes(60), "MikuMikuDance"),
        ("a.amc", b"#!OML:ASF F:\\H.ASF\n:FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\n", "AMC.*BVH"),
        ("a.asf", b"# AST/ASF file\n:version 1.10\n", "Acclaim's skeleton"),
        ("a.mot", b"Coordinates\nversion=1\nnRows=1\nnColumns=2\ninDegrees=yes\nendheader\ntime\thip\n0\t1\n", "TRC"),
        ("a.anim", b"%YAML 1.1\n%TAG !u! tag:unity3d.com,2011:\n", "Unity"),
    ],
)
def test_files_of_known_programs_are_refused_by_name(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=reason) as refused:
        load_motion(tmp_path / name)
    assert name in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("size", [4, 12, 40])
def test_a_glb_that_ends_in_its_json_is_cut_off(tmp_path: Path, size: int) -> None:
    write_glb(tmp_path / "a.glb")
    (tmp_path / "cut.glb").write_bytes((tmp_path / "a.glb").read_bytes()[:size])
    with pytest.raises(AvatarError, match="is cut off"):
        load_motion(tmp_path / "cut.glb")
