"""The avatar: it moves exactly with its body, moves between devices as a whole, and its file is data."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from avatar.body import Body, load_body
from avatar.body.face import FACE_UNITS
from avatar.body.parts import PARTS
from avatar.errors import AvatarError, UsageError
from avatar.geometry import rotation_from_quat, rotation_from_rotvec
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.model.blend_shapes import PoseCorrectives, displacements
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.types import BodyPose


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("open")


@pytest.fixture
def avatar(body: Body) -> Avatar:
    g = torch.Generator().manual_seed(0)
    betas = 0.5 * torch.randn(body.shape_dirs.shape[-1], generator=g)
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    gaussians = sample_on_surface(frames, torch.ones(len(frames.area)), 800, g)
    return Avatar(body, betas, gaussians, deform=True)


def some_pose(seed: int, size: float = 0.3) -> BodyPose:
    g = torch.Generator().manual_seed(seed)
    return BodyPose(torch.randn(3, generator=g), rotation_from_rotvec(size * torch.randn(24, 3, generator=g)))


def test_gaussians_follow_the_posed_body(avatar: Avatar, body: Body) -> None:
    pose = some_pose(1)
    vertices = body.vertices(avatar.rest, pose)
    corners = vertices[body.faces[avatar.gaussians.face]]
    on_body = (avatar.gaussians.bary[..., None] * corners).sum(1)
    # Blending the weights at a point inside a triangle is not quite blending the three posed corners.
    distance = (avatar.pose(pose).means - on_body).norm(dim=1)
    assert distance.median() < 1e-4 and distance.max() < 5e-3


def test_a_rigid_rotation_rotates_everything(avatar: Avatar) -> None:
    still = BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1))
    turn = rotation_from_rotvec(torch.tensor([0.3, 2.0, -0.5]))
    turned = BodyPose(torch.tensor([1.0, 2, 3]), torch.cat([turn[None], still.rotations[1:]]))
    a, b = avatar.pose(still), avatar.pose(turned)
    assert torch.allclose(b.means, a.means @ turn.T + turned.root_position, atol=1e-5)
    assert torch.allclose(rotation_from_quat(b.quats), turn @ rotation_from_quat(a.quats), atol=1e-4)


def test_thin_axes_follow_the_bent_skin(avatar: Avatar) -> None:
    elbow = torch.zeros(24, 3)
    elbow[18, 1] = -1.5
    pose = BodyPose(torch.zeros(3), rotation_from_rotvec(elbow))
    posed = avatar.pose(pose)
    vertices = avatar.body.vertices(avatar.rest, pose)
    normals = triangle_frames(vertices, avatar.body.faces).rotation[avatar.gaussians.face][..., 2]
    thin = rotation_from_quat(posed.quats)[..., 2]
    assert (thin * normals).sum(1).abs().median() > 0.99


def test_fingers_and_face_move_hands_and_face_alone(avatar: Avatar, body: Body) -> None:
    pose = some_pose(1)
    straight = replace(pose, fingers=torch.eye(3).repeat(30, 1, 1), face=torch.zeros(52))
    fist = replace(straight, fingers=rotation_from_rotvec(torch.tensor([0.0, 0.0, -1.0])).repeat(30, 1, 1))
    face = torch.zeros(52)
    face[FACE_UNITS.index("jawOpen")] = 1.0
    means = avatar.pose(straight).means
    parts = part_of_gaussians(avatar)
    for changed, part in ((fist, "hands"), (replace(straight, face=face), "face")):
        far = (avatar.pose(changed).means - means).norm(dim=1) > 2e-3
        assert far.sum() > 5 and (parts[far] == PARTS.index(part)).float().mean() > 0.7
    vertices = body.vertices(avatar.rest, fist)
    on_body = (avatar.gaussians.bary[..., None] * vertices[body.faces[avatar.gaussians.face]]).sum(1)
    assert (avatar.pose(fist).means - on_body).norm(dim=1).median() < 1e-4
    assert avatar.double().pose(_doubled(fist)).means.dtype == torch.float64


def _doubled(pose: BodyPose) -> BodyPose:
    return replace(pose, **{name: part.double() for name, part in vars(pose).items() if part is not None})


def test_avatars_made_with_the_earlier_body_load(avatar: Avatar, tmp_path: Path) -> None:
    avatar.body = replace(avatar.body, digest=avatar.body.earlier_digests[0])
    avatar.save(tmp_path / "a.safetensors")
    again = Avatar.load(tmp_path / "a.safetensors")
    assert again.body.digest != avatar.body.digest
    assert torch.equal(again.pose(some_pose(2)).means, avatar.pose(some_pose(2)).means)


def test_light_is_fixed_in_the_world(avatar: Avatar) -> None:
    with torch.no_grad():
        avatar.light.coefficients[2] = 0.5
    still = BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1))
    back = torch.cat([rotation_from_rotvec(torch.tensor([[0.0, torch.pi, 0.0]])), still.rotations[1:]])
    front_colors, back_colors = avatar.pose(still).colors, avatar.pose(BodyPose(still.root_position, back)).colors
    facing = avatar.surface.normals[:, 2] > 0.7
    assert front_colors[facing].mean() > 1.5 * back_colors[facing].mean()
    assert torch.equal(avatar.pose(still, lit=False).colors, avatar.gaussians.colors)


def test_sparse_correctives_are_the_dense_ones_with_their_gradient() -> None:
    of_vertices = torch.randn(30, 3, 18) * (torch.rand(30, 3, 18) < 0.1)
    # More points than are taken at once.
    corners, bary = torch.randint(30, (600, 3)), torch.rand(600, 3)
    directions = torch.einsum("nc,ncxp->nxp", bary, of_vertices[corners])
    rotations = rotation_from_rotvec(torch.randn(3, 3)).requires_grad_()
    feature = (rotations[1:] - torch.eye(3)).flatten()
    sparse = PoseCorrectives(of_vertices, corners, bary)
    weight = torch.randn(600, 3)
    dense = directions @ feature
    (true_gradient,) = torch.autograd.grad((dense * weight).sum(), rotations, retain_graph=True)
    for moved in (sparse(rotations), displacements.tensors(sparse, feature)):
        assert torch.allclose(moved, dense, atol=1e-5)
        (gradient,) = torch.autograd.grad((moved * weight).sum(), rotations, retain_graph=True)
        assert torch.allclose(gradient, true_gradient, rtol=1e-4, atol=1e-4)


def test_posing_changes_nothing_and_returns_the_learned_offsets(avatar: Avatar) -> None:
    assert avatar.deform is not None
    torch.nn.init.normal_(avatar.deform.out.weight, generator=torch.Generator().manual_seed(0))
    before = dict(vars(avatar))
    posed, offsets = avatar.pose_with_offsets(some_pose(1))
    assert vars(avatar) == before
    assert torch.equal(posed.means, avatar.pose(some_pose(1)).means)
    assert offsets.learned is not None and offsets.displacement is not None
    assert offsets.learned.shape == (len(avatar), 3)
    avatar.deform.enabled = False
    assert avatar.pose_with_offsets(some_pose(1))[1].learned is None


def tensors_in(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, tuple):
        return [tensor for item in value for tensor in tensors_in(item)]
    attributes = vars(value) if hasattr(value, "__dataclass_fields__") else {}
    return [tensor for item in attributes.values() for tensor in tensors_in(item)]


def test_everything_moves_to_another_device_or_type(avatar: Avatar) -> None:
    assert len(avatar.neighbors) == len(avatar)  # cached, and moved with the rest
    held = [name for name in vars(avatar) if not name.startswith("_")]
    for target, device, dtype in (("meta", "meta", torch.float32), (torch.float64, "cpu", torch.float64)):
        moved = copy.deepcopy(avatar).to(target)
        tensors = [t for name in held for t in tensors_in(getattr(moved, name))]
        tensors += [*moved.parameters(), *moved.buffers()]
        assert len(tensors) > 30
        assert {tensor.device.type for tensor in tensors} == {device}
        assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {dtype}


def test_what_cannot_be_moved_is_refused_by_name(avatar: Avatar) -> None:
    vars(avatar)["notes"] = {"a": torch.zeros(1)}
    with pytest.raises(TypeError, match=r"Avatar\.notes is a dict, which cannot be moved"):
        avatar.to("cpu")


def test_save_and_load_give_the_same_avatar(avatar: Avatar, tmp_path: Path) -> None:
    with torch.no_grad():
        avatar.gaussians.offset.normal_(std=0.01)
        avatar.light.coefficients.normal_(std=0.1)
        assert avatar.deform is not None
        avatar.deform.out.weight.normal_(std=0.1)
    avatar.save(tmp_path / "a.safetensors")
    again = Avatar.load(tmp_path / "a.safetensors")
    a, b = avatar.pose(some_pose(2)), again.pose(some_pose(2))
    for name in ("means", "quats", "scales", "opacities", "colors"):
        assert torch.allclose(getattr(a, name), getattr(b, name), atol=1e-6), name


def damaged(avatar: Avatar, tmp_path: Path, change: Callable[[dict[str, Tensor], dict[str, str]], Any]) -> Path:
    path = tmp_path / "a.safetensors"
    avatar.save(path)
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors, metadata)
    save_file(tensors, path, metadata=metadata)
    return path


DAMAGES: dict[str, Callable[[dict[str, Tensor], dict[str, str]], Any]] = {
    "triangles that the body": lambda t, m: t["gaussians.face"].fill_(10**6),
    "not finite": lambda t, m: t["gaussians.offset"].fill_(float("nan")),
    "wrong shape": lambda t, m: t.update({"gaussians.bary": torch.zeros(3, 3)}),
    "no Gaussians": lambda t, m: t.pop("gaussians.face"),
    "another version of the body": lambda t, m: m.update(body_digest="0"),
    "not an avatar": lambda t, m: m.update(format="avatar-0"),
    "broken header": lambda t, m: m.update(extra="1"),
    "do not fit": lambda t, m: t.pop("light.coefficients"),
}


@pytest.mark.parametrize("words", DAMAGES)
def test_a_damaged_file_is_named(avatar: Avatar, tmp_path: Path, words: str) -> None:
    with pytest.raises(AvatarError, match=words):
        Avatar.load(damaged(avatar, tmp_path, DAMAGES[words]))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        Avatar.load(tmp_path / "none.safetensors")
    lying = tmp_path / "lying.safetensors"
    lying.write_bytes((2**40).to_bytes(8, "little") + json.dumps({}).encode())
    with pytest.raises(AvatarError, match="not a readable avatar"):
        Avatar.load(lying)
