"""glTF in the legal forms that other programs write: the same motion comes out of all of them."""

import logging
from pathlib import Path

import numpy as np
import pygltflib as g
import pytest
import torch

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError, UsageError
from avatar.geometry import geodesic_angle
from avatar.motion import Motion, load_motion
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.motion import MEAN_LEG, ReadOptions

from .glb_files import FRAMES, ROTATIONS, TRANS, GlbForm, write_glb

VRM_BONES = {
    "hips": "pelvis", "spine": "spine1", "chest": "spine2", "upperChest": "spine3", "neck": "neck", "head": "head",
    **{f"{side}{bone}": f"{side}_{joint}" for side in ("left", "right") for bone, joint in (
        ("Shoulder", "collar"), ("UpperArm", "shoulder"), ("LowerArm", "elbow"), ("Hand", "wrist"),
        ("UpperLeg", "hip"), ("LowerLeg", "knee"), ("Foot", "ankle"), ("Toes", "foot"))},
}  # fmt: skip


def stretched(scale: tuple[float, float, float], turn: float = 0.0) -> np.ndarray:
    """Axes scaled, after a turn about x."""
    M = np.eye(4)
    c, s = np.cos(turn), np.sin(turn)
    M[:3, :3] = np.diag(scale) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    M[:3, 3] = (0.1, 2.0, -0.3)
    return M


def assert_truth(motion: Motion) -> None:
    """The pose within half a degree, the path within half a percent of the legs."""
    assert len(motion.track) == FRAMES
    assert float(geodesic_angle(motion.track.poses.rotations, ROTATIONS)[:, :22].rad2deg().max()) < 0.5
    path = motion.track.poses.root_position - motion.track.poses.root_position[0]
    expected = torch.from_numpy(TRANS - TRANS[0]) * MEAN_LEG / leg_length(model_rest())
    torch.testing.assert_close(path, expected.float(), atol=4e-3, rtol=0)


FORMS = {
    "metres": GlbForm(),
    "nodes in cm, bind in metres": GlbForm(unit=100),
    "nodes in cm, bind in cm": GlbForm(unit=100, bind=stretched((100, 100, 100))),
    "nodes in cm without an armature": GlbForm(unit=100, back=False, bind=stretched((100, 100, 100))),
    "nodes under a scale of 100": GlbForm(unit=0.01, bind=stretched((0.01, 0.01, 0.01))),
    "bind in cm, Z up": GlbForm(bind=stretched((100, 100, 100), np.pi / 2)),
    "quantised": GlbForm(bind=stretched((3000, 3000, 3000))),
    "quantised per axis": GlbForm(bind=stretched((3000, 1500, 9000))),
    "pelvis and feet outside the skin": GlbForm(
        unit=100, bind=stretched((100, 100, 100)), outside=("pelvis", "left_foot", "right_foot", "left_hand")
    ),
    "no skin": GlbForm(skin=False),
    "keys from one second": GlbForm(first_key=1.0),
    "cubic spline": GlbForm(interpolation="CUBICSPLINE"),
    "vrma, other node names": GlbForm(
        skin=False,
        names=tuple(f"bone_{j}" for j in range(24)),
        extensions={
            "VRMC_vrm_animation": {
                "specVersion": "1.0",
                "humanoid": {"humanBones": {b: {"node": SMPL_JOINTS.index(joint)} for b, joint in VRM_BONES.items()}},
            }
        },
    ),
    "vrm 0, other node names": GlbForm(
        names=tuple(f"bone_{j}" for j in range(24)),
        extensions={
            "VRM": {
                "humanoid": {
                    "humanBones": [{"bone": b, "node": SMPL_JOINTS.index(joint)} for b, joint in VRM_BONES.items()]
                }
            }
        },
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_gives_the_same_motion(tmp_path: Path, name: str) -> None:
    write_glb(tmp_path / "a.glb", FORMS[name])
    assert_truth(load_motion(tmp_path / "a.glb"))


def test_a_clip_is_chosen_by_name_and_all_names_are_listed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_glb(tmp_path / "a.glb", GlbForm(clips=("TPose", "Walk")))
    with caplog.at_level(logging.WARNING, logger="avatar"):
        logging.getLogger("avatar").propagate = True
        assert_truth(load_motion(tmp_path / "a.glb"))
    assert "2 clips: TPose, Walk. Walk is used; --clip" in caplog.text
    assert_truth(load_motion(tmp_path / "a.glb", ReadOptions(clip="walk")))
    still = load_motion(tmp_path / "a.glb", ReadOptions(clip="TPose")).track.poses.rotations
    assert float(geodesic_angle(still, still[:1].expand_as(still)).max()) < 1e-3
    with pytest.raises(UsageError, match="no clip 'run': it has TPose, Walk"):
        load_motion(tmp_path / "a.glb", ReadOptions(clip="run"))


def test_an_accessor_without_a_buffer_view_is_zeros_with_its_sparse_part(tmp_path: Path) -> None:
    """The path of the root: zeros, and every frame replaced by the sparse part."""
    model = write_glb(tmp_path / "a.glb")
    path = model.accessors[model.animations[0].samplers[24].output]
    blob = model.binary_blob() + np.arange(FRAMES, dtype=np.uint16).tobytes()
    model.bufferViews.append(g.BufferView(buffer=0, byteOffset=len(blob) - 2 * FRAMES, byteLength=2 * FRAMES))
    path.sparse = g.Sparse(
        count=FRAMES,
        indices=g.AccessorSparseIndices(bufferView=len(model.bufferViews) - 1, componentType=g.UNSIGNED_SHORT),
        values=g.AccessorSparseValues(bufferView=path.bufferView),
    )
    path.bufferView = None
    model.buffers[0].byteLength = len(blob)
    model.set_binary_blob(blob)
    model.save_binary(str(tmp_path / "sparse.glb"))
    assert_truth(load_motion(tmp_path / "sparse.glb"))
    path.sparse = None
    model.save_binary(str(tmp_path / "zeros.glb"))
    root = load_motion(tmp_path / "zeros.glb").track.poses.root_position
    assert float((root - root[0]).norm(dim=-1).max()) < 0.05


def test_a_buffer_beside_the_file_is_read_and_a_missing_one_named(tmp_path: Path) -> None:
    model = write_glb(tmp_path / "a.glb")
    (tmp_path / "the data.bin").write_bytes(model.binary_blob())
    model.buffers[0].uri = "the%20data.bin"
    (tmp_path / "a.gltf").write_text(model.gltf_to_json(), encoding="utf-8")
    assert_truth(load_motion(tmp_path / "a.gltf"))
    (tmp_path / "the data.bin").unlink()
    with pytest.raises(AvatarError, match=r"keeps its data in another file, the%20data\.bin, which is not beside it"):
        load_motion(tmp_path / "a.gltf")


def test_compressed_animations_are_refused_by_name_and_compressed_meshes_do_not_matter(tmp_path: Path) -> None:
    model = write_glb(tmp_path / "a.glb")
    model.extensionsUsed = ["KHR_draco_mesh_compression", "EXT_meshopt_compression"]
    primitive = g.Primitive(extensions={"KHR_draco_mesh_compression": {"bufferView": 0, "attributes": {}}})
    model.meshes = [g.Mesh(primitives=[primitive])]
    model.save_binary(str(tmp_path / "draco.glb"))
    assert_truth(load_motion(tmp_path / "draco.glb"))
    packed = model.bufferViews[1]
    packed.extensions = {"EXT_meshopt_compression": {"buffer": 0, "byteLength": 4, "byteStride": 16, "count": FRAMES}}
    packed.buffer = 1
    model.buffers.append(g.Buffer(byteLength=10**6, extensions={"EXT_meshopt_compression": {"fallback": True}}))
    model.save_binary(str(tmp_path / "packed.glb"))
    with pytest.raises(AvatarError, match="compressed by EXT_meshopt_compression, which is not read: unpack it"):
        load_motion(tmp_path / "packed.glb")
