"""The mesh: its surface against a sphere and the body that carry the splats, the rest read back by others' readers."""

import copy
import math
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from pygltflib import GLTF2
from scipy.spatial import cKDTree

from avatar.body.face import FACE_UNITS
from avatar.exporters.glb import write_glb
from avatar.exporters.mesh_texture import texels_of, unwrapped
from avatar.exporters.skin_weights import strongest_joints
from avatar.exporters.surface import MeshQuality, Surface, clothes_span_legs, decimated, parted_pose, surface_of
from avatar.geometry import geodesic_angle
from avatar.model.avatar import Avatar
from avatar.model.prop_fit import Adjustment, fit_prop
from avatar.model.prop_shapes import BUILT_IN
from avatar.model.props import Shape
from avatar.motion import load_motion
from avatar.motion.motion import ReadOptions
from avatar.motion.text.pose_file import pose_from_words
from avatar.types import BodyTrack, Gaussians
from tests.exporters.gltf_reader import attribute, skinned, values
from tests.node_packages import node_modules

CENTER, RADIUS = torch.tensor([0.1, 0.9, -0.2]), 0.3
VALIDATOR = """
const read = require('fs').readFileSync(process.argv[1]);
require('gltf-validator').validateBytes(new Uint8Array(read), { maxIssues: 0 }).then((report) => {
  for (const issue of report.issues.messages) if (issue.severity < 2) console.log(issue.code, issue.pointer);
});
"""


@pytest.fixture(scope="module")
def file(person: Avatar, moves: dict[str, BodyTrack], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The person with both motions; in the second the mouth opens and the left hand is a fist."""
    fist = pose_from_words("left fist").fingers
    assert fist is not None
    turn = moves["turn"]
    face = torch.zeros(len(turn), 52)
    face[:, FACE_UNITS.index("jawOpen")] = torch.linspace(0, 1, len(turn))
    rich = replace(turn, poses=replace(turn.poses, fingers=fist.expand(len(turn), 30, 3, 3), face=face))
    path = tmp_path_factory.mktemp("glb") / "me.glb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avatar.exporters.glb.QUALITY", MeshQuality(0.008, 24, 512, 12000, 512))
        write_glb(person, path, motions={"wave": moves["wave"], "turn": rich})
    return path


@pytest.fixture(scope="module")
def read(file: Path) -> GLTF2:
    return GLTF2().load(file)


def on_sphere(count: int, radius: float = RADIUS) -> Gaussians:
    step = torch.arange(count) + 0.5
    z, turn = 1 - 2 * step / count, step * math.pi * (3 - math.sqrt(5))
    normals = torch.stack([(1 - z * z).sqrt() * turn.cos(), (1 - z * z).sqrt() * turn.sin(), z], dim=-1)
    size = radius * math.sqrt(4 * math.pi / count) * 0.5
    quats = torch.tensor([1.0, 0, 0, 0]).expand(count, 4)
    return Gaussians(
        CENTER + radius * normals, quats, torch.full((count, 3), size), torch.full((count,), 0.9), normals / 2 + 0.5
    )


def test_splats_on_a_sphere_make_a_closed_sphere() -> None:
    # A crumb beside it is left out.
    crumb = on_sphere(400, 0.02)
    crumb = replace(crumb, means=crumb.means + torch.tensor([0.5, 0, 0]))
    splats = Gaussians(*(torch.cat([getattr(on_sphere(3000), n), getattr(crumb, n)]) for n in crumb.__dict__))
    surface = surface_of(splats, MeshQuality(0.01, 16, 256, 2000, 256))
    mesh = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert mesh.is_watertight and mesh.euler_number == 2 and len(mesh.faces) <= 2000
    radii = (surface.vertices - CENTER).norm(dim=1)
    assert float(radii.mean()) == pytest.approx(RADIUS, abs=0.008) and float(radii.std()) < 0.004
    assert mesh.volume > 0, "triangles are counter-clockwise seen from outside"


def test_texels_lie_on_the_surface() -> None:
    mesh = trimesh.creation.icosphere(3, RADIUS)
    surface = Surface(torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces))
    chart = unwrapped(surface, torch.zeros(len(surface.vertices)), 256)
    texels = texels_of(surface, chart, 256)
    assert len(texels.pixel) > 0.4 * 256**2
    assert (texels.position.norm(dim=1) - RADIUS).abs().max() < 0.01
    torch.testing.assert_close(texels.normal, texels.position / RADIUS, atol=0.05, rtol=0)
    # Each vertex of a chart lies at its own pixel.
    pixels = (chart.uv * 256).long().clamp(max=255)
    place = torch.full((256 * 256, 3), math.nan)
    place[texels.pixel] = texels.position
    there = place[pixels[:, 1] * 256 + pixels[:, 0]] - surface.vertices[chart.source]
    assert float(there.norm(dim=1).nanmedian()) < 0.01


def test_decimation_makes_no_broken_triangles() -> None:
    mesh = trimesh.creation.icosphere(4, RADIUS)
    few = decimated(Surface(torch.tensor(mesh.vertices, dtype=torch.float32), torch.tensor(mesh.faces)), 300)
    assert len(few.faces) <= 300 and trimesh.Trimesh(few.vertices, few.faces, process=False).is_watertight


def test_the_mesh_is_the_surface_of_the_splats(person: Avatar, file: Path) -> None:
    (mesh,) = trimesh.load_scene(file).geometry.values()
    body = trimesh.Trimesh(person.rest.vertices, person.body.faces, process=False)
    there = body.sample(20000)
    apart = cKDTree(there).query(mesh.vertices)[0]
    assert apart.mean() < 0.01 and np.quantile(apart, 0.99) < 0.04
    assert cKDTree(mesh.sample(20000)).query(there)[0].mean() < 0.012
    assert mesh.vertices[:, 1].max() == pytest.approx(float(person.rest.vertices[:, 1].max()), abs=0.02)


def test_the_texture_has_the_colours_of_the_splats(person: Avatar, file: Path) -> None:
    (mesh,) = trimesh.load_scene(file).geometry.values()
    texture = np.asarray(mesh.visual.material.baseColorTexture.convert("RGB")) / 255
    assert texture.shape == (512, 512, 3)
    # trimesh counts v from below.
    columns, rows = (mesh.visual.uv * [512, -512] + [0, 512]).astype(int).clip(0, 511).T
    nearest = cKDTree(person.rest_means().detach()).query(mesh.vertices, k=8)[1]
    expected = person.gaussians.colors.detach().numpy()[nearest].mean(1)
    assert np.abs(texture[rows, columns] - expected).mean() < 0.08


def test_an_animation_poses_the_mesh_as_the_body(person: Avatar, moves: dict[str, BodyTrack], read: GLTF2) -> None:
    assert [animation.name for animation in read.animations] == ["wave", "turn"]
    times = values(read, read.animations[0].samplers[0].input)
    np.testing.assert_allclose(times[:, 0], moves["wave"].times, atol=1e-6)
    plain = replace(person.body, pose_dirs=None)
    for clip, name, frame in ((0, "wave", 6), (1, "turn", 9)):
        expected = plain.vertices(person.rest, moves[name].poses[frame])
        body = trimesh.Trimesh(expected, plain.faces, process=False).sample(20000)
        apart = cKDTree(body).query(skinned(read, clip, frame))[0]
        assert apart.mean() < 0.012 and np.quantile(apart, 0.98) < 0.05


def test_weights_are_those_of_the_body(person: Avatar, read: GLTF2) -> None:
    joints, weights = attribute(read, "JOINTS_0"), attribute(read, "WEIGHTS_0")
    np.testing.assert_allclose(weights.sum(1), 1)
    assert not joints[weights == 0].any(), "glTF's validator warns of them"
    names = [node.name for node in read.nodes]
    strongest = np.array(names)[joints[np.arange(len(joints)), weights.argmax(1)]]
    points = attribute(read, "POSITION")
    # The left hand, at +X, hangs on the left arm's bones; a leg on none of the other.
    assert all(name.startswith("left_") for name in strongest[points[:, 0] > 0.45])
    low = points[:, 1] < 0.5
    for side, sign in (("left", 1), ("right", -1)):
        assert all(name.startswith(side) for name in strongest[low & (sign * points[:, 0] > 0.02)])


def test_strongest_joints_name_no_joint_without_weight() -> None:
    joints, weights = strongest_joints(torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0], [0.1, 0.2, 0.3, 0.2, 0.2]]), 4)
    assert joints[0].tolist() == [2, 0, 0, 0] and weights[0].tolist() == [255, 0, 0, 0]
    assert weights[1].sum() == 255 and 0 not in joints[1].tolist()


def test_fingers_and_jaw_have_joints(read: GLTF2, file: Path) -> None:
    names = [node.name for node in read.nodes]
    assert len(read.skins[0].joints) == 55 and {"left_index1", "right_thumb3", "jaw"} <= set(names)
    turned = {names[channel.target.node]: channel.sampler for channel in read.animations[1].channels
              if channel.target.path == "rotation"}  # fmt: skip
    bent, straight = (values(read, read.animations[1].samplers[turned[f"{side}_middle2"]].output)[0]
                      for side in ("left", "right"))  # fmt: skip
    assert 2 * np.degrees(np.arccos(abs(bent[3]))) > 2 * np.degrees(np.arccos(abs(straight[3]))) + 40
    fist = pose_from_words("left fist").fingers
    again = load_motion(file, ReadOptions(clip="turn")).track.poses.fingers
    assert again is not None and fist is not None  # our own reader takes the fingers back
    assert geodesic_angle(again[0, :12], fist[:12]).rad2deg().mean() < 12


def test_face_units_are_morph_targets(person: Avatar, read: GLTF2, file: Path) -> None:
    primitive, points = read.meshes[0].primitives[0], attribute(read, "POSITION")
    assert tuple(read.meshes[0].extras["targetNames"]) == FACE_UNITS and len(primitive.targets) == 52
    moved = {name: values(read, target["POSITION"]) for name, target in zip(FACE_UNITS, primitive.targets, strict=True)}
    neck = float(person.rest.joints[12, 1])
    assert all(not shift[points[:, 1] < neck - 0.1].any() for shift in moved.values())
    jaw, smile = moved["jawOpen"], moved["mouthSmileLeft"]
    assert jaw[:, 1].min() < -0.01, "the chin sinks by a centimetre"
    left = points[np.linalg.norm(smile, axis=1) > 0.002, 0]
    assert len(left) and left.min() > -0.025 and np.median(left) > 0.015, "only the left corner of the mouth"
    face = load_motion(file, ReadOptions(clip="turn")).track.poses.face
    assert face is not None
    # The reader samples evenly, so that its last frame may lie up to one frame before that of the file.
    assert float(face[-1, FACE_UNITS.index("jawOpen")]) == pytest.approx(1, abs=1.5 / 23)


def test_bounds_and_normals_are_what_readers_check(read: GLTF2) -> None:
    for index, accessor in enumerate(read.accessors):
        if accessor.min:
            rows = values(read, index)
            np.testing.assert_array_equal([rows.min(0), rows.max(0)], [accessor.min, accessor.max])
    np.testing.assert_allclose(np.linalg.norm(attribute(read, "NORMAL"), axis=1), 1, atol=1e-3)
    uv = attribute(read, "TEXCOORD_0")
    assert uv.min() >= 0 and uv.max() <= 1


@pytest.mark.usefixtures("coarse_meshes")
def test_it_stands_in_the_pose_asked_for(person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    pose = moves["wave"].poses[6]
    write_glb(person, tmp_path / "me.glb", pose=pose)
    root = GLTF2().load(tmp_path / "me.glb").nodes[0]
    assert root.translation == pytest.approx(pose.root_position.tolist())


@pytest.mark.usefixtures("coarse_meshes")
def test_glb_holds_props_below_their_joints(person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    """A hat that came as a mesh and a cup that came as splats, where trimesh reads them in a posed file."""
    subject, pose = copy.deepcopy(person), moves["wave"].poses[5]
    hat = Shape.of_mesh(BUILT_IN["hat"](), 1000)
    cup = Shape.of_splats(Shape.of_mesh(BUILT_IN["cup"](), 1000).gaussians)
    kinds = {"hat": hat, "cup": cup}
    subject.with_props([fit_prop(subject, shape, kind, kind, None, Adjustment())[0] for kind, shape in kinds.items()])
    write_glb(subject, tmp_path / "me.glb", pose, moves)
    scene = trimesh.load_scene(tmp_path / "me.glb", process=False)
    posed = subject.posed_props(pose, lit=False)
    for kind, splats in zip(kinds, posed, strict=True):
        T, name = scene.graph[kind]
        points = trimesh.transform_points(scene.geometry[name].sample(8000, seed=0), T)
        distances = torch.cdist(torch.tensor(points, dtype=torch.float32), splats.means).amin(0)
        assert float(distances.max()) < 0.012  # every splat lies at the mesh
        middle = torch.tensor(points.mean(0), dtype=torch.float32) - splats.means.mean(0)
        assert float(middle.norm()) < 0.03
    assert len(scene.geometry) == 3


def test_legs_are_parted_for_the_mesh_unless_a_skirt_spans_them(person: Avatar) -> None:
    skirt = copy.deepcopy(person)
    count = len(person.weights) // 40
    left, right = (person.body.joint_names.index(f"{side}_hip") for side in ("left", "right"))
    skirt.weights, skirt.hanging = person.weights.clone(), person.hanging.clone()
    skirt.weights[:count] = 0
    skirt.weights[:count, [left, right]] = 0.5
    assert not clothes_span_legs(skirt), "as those between the thighs"
    skirt.hanging[:count] = torch.tensor([0.0, 0.0, 0.06])
    assert clothes_span_legs(skirt) and not clothes_span_legs(person)
    turned = [(parted_pose(who).rotations[[left, right]] - torch.eye(3)).abs().max() for who in (person, skirt)]
    assert turned[0] > 0.1 and turned[1] == 0


def test_the_validator_of_khronos_has_nothing_to_say(file: Path, tmp_path: Path) -> None:
    environment = os.environ | {"NODE_PATH": str(node_modules(tmp_path, "gltf-validator@2.0.0-dev.3.10"))}
    command = ["node", "-e", VALIDATOR, str(file)]
    report = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    assert report.stdout == ""
