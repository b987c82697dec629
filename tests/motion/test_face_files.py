"""Faces in files: Live Link Face's CSV, and morph targets of glTF named like ARKit's units."""

from pathlib import Path

import numpy as np
import pygltflib as g
import pytest
import torch

from avatar.body.face import FACE_UNITS
from avatar.errors import AvatarError
from avatar.motion import load_motion
from avatar.motion.formats.arkit_csv import unit_of_name

from .glb_files import FRAMES, write_glb

LIVE_LINK = ("EyeBlinkLeft", "EyeLookDownLeft", "EyeBlinkRight", "JawOpen", "MouthSmileLeft", "TongueOut")


def write_csv(path: Path, values: np.ndarray, first_frame: int = 0, extra: str = "") -> Path:
    lines = ["Timecode,BlendShapeCount," + ",".join(LIVE_LINK) + ",HeadYaw"]
    for index, row in enumerate(values):
        frame = first_frame + index
        code = f"10:20:{30 + frame // 60}:{frame % 60:02d}.123"
        lines.append(f"{code},61," + ",".join(f"{value:.5f}" for value in row) + ",0.1")
    path.write_text("\n".join(lines) + extra, encoding="utf-8")
    return path


def test_live_link_face(tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (40, len(LIVE_LINK)))
    motion = load_motion(write_csv(tmp_path / "a.csv", values, first_frame=40))
    face = motion.track.poses.face
    assert motion.format == "arkit-csv" and motion.track.fps == pytest.approx(60, rel=1e-4) and face is not None
    for column, name in enumerate(LIVE_LINK):
        unit = FACE_UNITS.index(name[0].lower() + name[1:])
        torch.testing.assert_close(face[:, unit], torch.from_numpy(values[:, column]).float(), atol=1e-4, rtol=0)
    assert face[:, FACE_UNITS.index("browInnerUp")].eq(0).all()
    assert motion.track.poses.root_position.std(0).max() == 0  # the body stands


def test_percent_becomes_a_share_and_broken_values_are_named(tmp_path: Path) -> None:
    values = np.full((3, len(LIVE_LINK)), 50.0)
    face = load_motion(write_csv(tmp_path / "a.csv", values)).track.poses.face
    assert face is not None and float(face.max()) == 0.5
    with pytest.raises(AvatarError, match="not an array of numbers"):
        load_motion(write_csv(tmp_path / "b.csv", values, extra="\n1:2:3:4,61,x,x,x,x,x,x,x"))
    with pytest.raises(AvatarError, match="no frames"):
        load_motion(write_csv(tmp_path / "c.csv", values[:0]))


@pytest.mark.parametrize(
    ("name", "unit"),
    [("EyeBlinkLeft", "eyeBlinkLeft"), ("head_eyeBlink_L", "eyeBlinkLeft"), ("blendShape1.jawOpen", "jawOpen"),
     ("mouthSmile_R", "mouthSmileRight"), ("MouthLeft", "mouthLeft"), ("Basis", None), ("HeadYaw", None)],
)  # fmt: skip
def test_names_of_units(name: str, unit: str | None) -> None:
    assert unit_of_name(name) == unit


def test_morph_targets_of_gltf_move_the_face(tmp_path: Path) -> None:
    path = tmp_path / "a.glb"
    write_glb(path)
    assert load_motion(path).track.poses.face is None
    model = g.GLTF2().load(str(path))
    assert model is not None
    times = np.arange(FRAMES, dtype=np.float32) / 30
    weights = np.stack([np.linspace(0, 1, FRAMES), np.linspace(0.5, 0, FRAMES)], axis=1).astype(np.float32)
    blob = model.binary_blob()
    for array in (times, weights):
        data = array.tobytes()
        model.bufferViews.append(g.BufferView(buffer=0, byteOffset=len(blob), byteLength=len(data)))
        model.accessors.append(
            g.Accessor(bufferView=len(model.bufferViews) - 1, componentType=g.FLOAT, count=array.size, type="SCALAR")
        )
        blob += data
    model.buffers[0].byteLength = len(blob)
    model.set_binary_blob(blob)
    primitive = g.Primitive(attributes=g.Attributes(), targets=[{"POSITION": 0}, {"POSITION": 0}])
    model.meshes.append(g.Mesh(primitives=[primitive], extras={"targetNames": ["Face.jawOpen", "Fcl_ALL_Neutral"]}))
    model.nodes.append(g.Node(name="Face", mesh=len(model.meshes) - 1))
    model.scenes[0].nodes.append(len(model.nodes) - 1)
    clip = model.animations[-1]
    clip.samplers.append(g.AnimationSampler(input=len(model.accessors) - 2, output=len(model.accessors) - 1))
    target = g.AnimationChannelTarget(node=len(model.nodes) - 1, path="weights")
    clip.channels.append(g.AnimationChannel(sampler=len(clip.samplers) - 1, target=target))
    model.save(str(path))
    face = load_motion(path).track.poses.face
    assert face is not None and face.nonzero()[:, 1].unique().tolist() == [FACE_UNITS.index("jawOpen")]
    torch.testing.assert_close(face[:, FACE_UNITS.index("jawOpen")], torch.linspace(0, 1, FRAMES), atol=0.02, rtol=0)
