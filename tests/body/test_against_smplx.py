"""Our posing against the package smplx, on the open body and on made-up bodies of all three kinds."""

from pathlib import Path

import pytest
import smplx
import torch

from avatar.body import Body, load_body
from avatar.body.open_file import smpl_arrays
from avatar.geometry import rotation_from_rotvec
from avatar.io.assets import asset_path
from avatar.io.files import read_npz, write_npz
from avatar.types import BodyPose

from .made_up_bodies import made_up, write_pickle

SMPL_ARRAYS = ("v_template", "f", "J_regressor", "weights", "shapedirs", "posedirs", "kintree_table")
IDS = dict.fromkeys(smplx.vertex_ids.vertex_ids["smplh"], 0)
POSES = 3


@pytest.fixture(autouse=True)
def ids_within_small_meshes(monkeypatch: pytest.MonkeyPatch) -> None:
    """smplx picks extra joints among the vertices of the real meshes, which ours do not have."""
    for kind in ("smplh", "smplx"):
        monkeypatch.setitem(smplx.body_models.VERTEX_IDS, kind, dict.fromkeys(smplx.vertex_ids.vertex_ids[kind], 0))


def assert_same_vertices(body: Body, model: torch.nn.Module) -> None:
    """Same vertices for random shapes, poses and places; `transl` is the pelvis less its rest position."""
    gen = torch.Generator().manual_seed(1)
    for _ in range(2):
        betas = torch.randn(10, generator=gen)
        rotvecs = torch.randn(POSES, len(body.parents), 3, generator=gen) * 0.5
        transl = torch.randn(POSES, 3, generator=gen)
        parts = {"global_orient": rotvecs[:, 0], "body_pose": rotvecs[:, 1:22].flatten(1)}
        rotations = rotation_from_rotvec(rotvecs)
        if body.kind == "smpl":
            parts["body_pose"] = rotvecs[:, 1:].flatten(1)
        else:
            hands = rotvecs[:, -30:].flatten(1)
            parts |= {"left_hand_pose": hands[:, :45], "right_hand_pose": hands[:, 45:]}
            # smplx adds the mean hands to the rotation vectors themselves.
            means = torch.stack([model.get_buffer(f"{side}_hand_mean") for side in ("left", "right")]).view(30, 3)
            rotations[:, -30:] = rotation_from_rotvec(rotvecs[:, -30:] + means)
        face = None
        if body.kind == "smplx":
            parts |= {"jaw_pose": rotvecs[:, 22], "leye_pose": rotvecs[:, 23], "reye_pose": rotvecs[:, 24]}
            face = torch.randn(10, generator=gen)
            parts["expression"] = face.expand(POSES, 10)
        expected = model(betas=betas.expand(POSES, 10), transl=transl, **parts).vertices
        rest = body.rest(betas, face)
        vertices = body.vertices(rest, BodyPose(transl + rest.joints[0], rotations))
        assert (vertices - expected).norm(dim=-1).max() < 1e-5


def test_smplx_loads_the_open_body_and_poses_it_as_we_do() -> None:
    """As SMPL-H, with every finger."""
    path = str(asset_path("body", "open.npz"))
    model = smplx.SMPLH(path, ext="npz", vertex_ids=IDS, use_pca=False, batch_size=POSES)
    body = load_body("open")
    gen = torch.Generator().manual_seed(1)
    betas, transl = torch.randn(10, generator=gen), torch.randn(POSES, 3, generator=gen)
    rotvecs = torch.randn(POSES, 52, 3, generator=gen) * 0.5
    expected = model(
        betas=betas.expand(POSES, 10), transl=transl,
        global_orient=rotvecs[:, 0], body_pose=rotvecs[:, 1:22].flatten(1),
        left_hand_pose=rotvecs[:, 22:37].flatten(1), right_hand_pose=rotvecs[:, 37:].flatten(1),
    ).vertices  # fmt: skip
    rest = body.rest(betas)
    vertices = body.vertices(rest, BodyPose(transl + rest.joints[0], rotation_from_rotvec(rotvecs)))
    assert (vertices - expected).norm(dim=-1).max() < 2e-5


def test_smplx_poses_the_24_joints_of_the_open_body_as_we_do(tmp_path: Path) -> None:
    arrays = smpl_arrays(read_npz(asset_path("body", "open.npz")))
    pickled = write_pickle(tmp_path / "open.pkl", {name: arrays[name] for name in SMPL_ARRAYS})
    assert_same_vertices(load_body("open"), smplx.SMPL(str(pickled), vertex_ids=IDS, batch_size=POSES))


def test_made_up_smpl(tmp_path: Path) -> None:
    path = write_pickle(tmp_path / "SMPL_FEMALE.pkl", made_up("smpl"))
    body = load_body(path)
    assert (body.kind, body.gender, len(body.parents)) == ("smpl", "female", 24)
    assert_same_vertices(body, smplx.create(str(path), "smpl", batch_size=POSES))


@pytest.mark.parametrize("ending", ["npz", "pkl"])
@pytest.mark.parametrize("kind", ["smplh", "smplx"])
def test_made_up_bodies_with_hands(tmp_path: Path, kind: str, ending: str) -> None:
    path = tmp_path / f"{kind.upper()}_MALE.{ending}"
    arrays = made_up(kind)
    if ending == "npz":
        write_npz(path, **arrays)
    else:
        write_pickle(path, {k: v for k, v in arrays.items() if v.dtype != object})
    body = load_body(path)
    assert (body.kind, body.gender) == (kind, "male")
    model = smplx.create(str(path), kind, gender="male", ext=ending, use_pca=False, batch_size=POSES)
    assert_same_vertices(body, model)


@pytest.mark.parametrize("kind", ["smplh", "smplx"])
def test_a_pose_of_24_joints_leaves_hands_as_smplx_has_them_by_default(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind.upper()}_NEUTRAL.npz"
    write_npz(path, **made_up(kind))
    body = load_body(path)
    rotvecs = torch.randn(POSES, 24, 3) * 0.4
    rotvecs[:, 22:] = 0
    model = smplx.create(str(path), kind, ext="npz", use_pca=False, batch_size=POSES)
    parts = {"global_orient": rotvecs[:, 0], "body_pose": rotvecs[:, 1:22].flatten(1)}
    expected = model(**parts, transl=torch.zeros(POSES, 3)).vertices
    rest = body.rest(torch.zeros(10))
    pose = BodyPose(rest.joints[0].expand(POSES, 3), rotation_from_rotvec(rotvecs))
    assert (body.vertices(rest, pose) - expected).norm(dim=-1).max() < 1e-5
