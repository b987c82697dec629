"""Props: they ride on their joint, fit the body and other bodies, fingers close on them, files keep them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import trimesh
from safetensors.torch import load_file

from avatar.body import Body, load_body
from avatar.body.anchors import anchor_of, hand_vertices
from avatar.body.shape_attributes import load_shape_attributes
from avatar.body.skinning import joint_transforms
from avatar.errors import AvatarError, UsageError
from avatar.geometry import invert_rigid, transform
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.model.grip import penetration
from avatar.model.prop_file import PropFolder, load_prop, save_prop
from avatar.model.prop_fit import PRESETS, Adjustment, fit_prop
from avatar.model.prop_shapes import BUILT_IN
from avatar.model.props import Prop, Shape, head_penetration
from avatar.motion.retarget import Retargeting, retarget
from avatar.pipeline.motions import find_motion


def made_up_person(body: Body) -> Avatar:
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    density = torch.ones(len(frames.area))
    return Avatar(body, betas, sample_on_surface(frames, density, 2000, torch.Generator().manual_seed(0)), deform=False)


@pytest.fixture
def person() -> Iterator[Avatar]:
    yield made_up_person(load_body("open"))


def built_in(person: Avatar, name: str, place: str | None = None) -> Prop:
    return fit_prop(person, Shape.of_mesh(BUILT_IN[name](), 3000), name, name, place, Adjustment())[0]


def load_file_of(person: Avatar, folder: Path) -> dict[str, torch.Tensor]:
    person.save(folder / "person.safetensors")
    return load_file(folder / "person.safetensors")


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_a_prop_does_not_move_against_its_joint(person: Avatar, name: str) -> None:
    prop = built_in(person, name)
    person.with_props([prop])
    walk = retarget(find_motion("walk"), person.rest, Retargeting(fps=8.0))
    joint = person.body.joint_names.index(anchor_of(person.body, person.rest, prop.place).joint)
    local = []
    for frame in range(len(walk)):
        pose = walk.poses[frame]
        means = person.pose(pose).means[len(person) :]
        Ts = joint_transforms(person.rest.joints, person.body.parents, person.body.complete(pose))
        local.append(transform(invert_rigid(Ts[joint]), means))
    moved = (torch.stack(local) - local[0]).norm(dim=-1).max()
    assert len(local) > 5 and float(moved.detach()) < 1e-5  # metres


@pytest.mark.parametrize("shape", [{}, {"age": 8.0}, {"weight": 0.95}, {"height": 1.95, "gender": 1.0}])
def test_a_hat_stays_out_of_heads_of_all_sizes(person: Avatar, shape: dict[str, float]) -> None:
    person.with_props([built_in(person, "hat"), built_in(person, "glasses")])
    person.reshape(load_shape_attributes().reshaped(person.betas, shape))
    hat, glasses = person.placed_props
    assert head_penetration(person.body, person.rest, hat.shape) < 0.005
    assert head_penetration(person.body, person.rest, glasses.shape) < 0.008  # at the root of the ear
    crown = float(person.rest.vertices[:, 1].max())
    rim, top = hat.shape.gaussians.means[:, 1].min(), hat.shape.gaussians.means[:, 1].max()
    assert rim < crown - 0.03 and crown < top < crown + 0.08


@pytest.mark.parametrize("side", ["left", "right"])
def test_fingers_close_on_a_cup_and_stop_at_its_surface(person: Avatar, side: str) -> None:
    person.with_props([built_in(person, "cup", f"{side}_hand")])
    rich = person.body.with_hands_and_face
    assert rich is not None and [grip.side for grip in person.grips] == [side]
    walk = retarget(find_motion("walk"), person.rest, Retargeting(fps=2.0))
    pose = walk.poses[0]
    cup, hand = person.placed_props[0], hand_vertices(person.body, side)
    Ts = joint_transforms(person.rest.joints, person.body.parents, person.body.complete(pose))
    wrist = Ts[person.body.joint_names.index(f"{side}_wrist")]
    origin = person.rest.joints[person.body.joint_names.index(f"{side}_wrist")]
    skin = person.body.vertices(person.rest, person.gripping(pose))[hand]
    points = transform(invert_rigid(wrist), skin) + origin
    assert float(penetration(points, cup.shape).max()) < 0.004
    gaps = torch.cdist(points, cup.shape.gaussians.means).amin(1)
    tips = [rich.joint_names.index(f"{side}_{finger}3") for finger in ("index", "middle", "ring", "pinky")]
    for tip in tips:  # the outer half of each finger comes close
        assert float(gaps[rich.weights[hand][:, tip] > 0.5].min()) < 0.008
    other = "right" if side == "left" else "left"
    still = person.body.vertices(person.rest, person.gripping(pose))[hand_vertices(person.body, other)]
    assert bool(torch.isfinite(still).all())


def test_a_bag_hangs_below_the_hand_of_a_standing_person(person: Avatar) -> None:
    person.with_props([built_in(person, "bag")])
    pose = retarget(find_motion("walk"), person.rest, Retargeting(fps=2.0)).poses[0]
    own, bag = person.own_pose(pose), person.posed_props(pose)[0]
    wrist = own.means[hand_vertices(person.body, "right")[person.body.faces[person.gaussians.face][:, 0]]].mean(0)
    assert float(bag.means[:, 1].mean()) < float(wrist[1]) - 0.1


def test_a_backpack_touches_the_back_from_behind(person: Avatar) -> None:
    person.with_props([built_in(person, "backpack")])
    pack = person.placed_props[0].shape.gaussians.means
    spine = float(person.rest.joints[person.body.joint_names.index("spine3"), 2])
    assert float(pack[:, 2].mean()) < spine - 0.1 and float(pack[:, 2].max()) < spine + 0.25


def test_props_leave_the_avatar_and_its_file_as_they_are(person: Avatar, tmp_path: Path) -> None:
    pose = retarget(find_motion("walk"), person.rest, Retargeting(fps=2.0)).poses[0]
    before = person.pose(pose)
    saved = load_file_of(person, tmp_path)
    person.with_props([built_in(person, "hat")])
    assert load_file_of(person, tmp_path).keys() == saved.keys()
    torch.testing.assert_close(person.pose(pose).means[: len(person)], before.means, rtol=0, atol=0)
    person.with_props([])
    assert len(person.pose(pose)) == len(person)


def test_the_light_of_the_room_falls_on_props(person: Avatar) -> None:
    person.with_props([built_in(person, "hat")])
    pose = retarget(find_motion("walk"), person.rest, Retargeting(fps=2.0)).poses[0]
    with torch.no_grad():
        person.light.coefficients[1] = 0.5  # from above
        lit, plain = (person.posed_props(pose, lit=lit)[0].colors for lit in (True, False))
    assert float((lit / plain).max()) == pytest.approx(1.65, abs=0.1) and float((lit / plain).min()) < 0.7


def test_a_prop_file_keeps_everything_and_damage_is_named(person: Avatar, tmp_path: Path) -> None:
    prop, folder = built_in(person, "backpack"), PropFolder(tmp_path / "props")
    assert folder.load() == ()
    save_prop(prop, folder.path("backpack"))
    back = folder.load()[0]
    assert (back.name, back.place, back.worn) == (prop.name, prop.place, True) and torch.equal(back.size, prop.size)
    assert back.shape.mesh is not None and prop.shape.mesh is not None
    for ours, theirs in ((back.shape.gaussians, prop.shape.gaussians), (back.shape.mesh, prop.shape.mesh)):
        for name in ours.__dataclass_fields__:
            assert torch.equal(getattr(ours, name), getattr(theirs, name))
    content = folder.path("backpack").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(AvatarError, match="not a readable prop file"):
        load_prop(tmp_path / "cut.safetensors")
    person.save(tmp_path / "person.safetensors")
    with pytest.raises(AvatarError, match="is not a prop of this program's format avatar-prop-1"):
        load_prop(tmp_path / "person.safetensors")


@pytest.mark.parametrize("name", list(BUILT_IN))
def test_built_in_things_face_outwards(name: str) -> None:
    mesh = BUILT_IN[name]()
    assert trimesh.Trimesh(mesh.vertices.numpy(), mesh.faces.numpy()).volume > 0
    longest = float((mesh.vertices.amax(0) - mesh.vertices.amin(0)).max())
    assert PRESETS[name].least <= longest <= PRESETS[name].most


def test_sizes_that_make_no_sense_are_refused_or_explained(person: Avatar) -> None:
    large = Shape.of_mesh(BUILT_IN["cup"](), 500).stretched(torch.full((3,), 100.0))
    with pytest.raises(UsageError, match=r"thing would be 10\.8 m long: say how long a unit is"):
        fit_prop(person, large, "thing", None, "head", Adjustment())
    prop, notes = fit_prop(person, large, "mug", "cup", None, Adjustment())
    assert notes == ["mug is 10.8 units long, which are taken for centimetres."]
    assert float(prop.shape.gaussians.means[:, 1].max()) < 0.1
    with pytest.raises(UsageError, match="--to must be right_hand"):
        fit_prop(person, large, "thing", None, "nose", Adjustment(0.01))


def test_stretched_splats_cover_what_the_stretched_surface_covers() -> None:
    mesh = BUILT_IN["cup"]()
    factors = torch.tensor([1.5, 0.7, 2.0])
    shape = Shape.of_mesh(mesh, 400)
    stretched = shape.gaussians.stretched(factors)
    spread = shape.gaussians.rotations * shape.gaussians.scales[:, None]
    expected = factors[:, None] * (spread @ spread.mT) * factors
    ours = stretched.rotations * stretched.scales[:, None]
    torch.testing.assert_close(ours @ ours.mT, expected, atol=1e-9, rtol=1e-3)
