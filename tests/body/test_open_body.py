"""The open body is shaped like a person: sides, lengths, surface, skin, and what its words say of it."""

import pytest
import torch
from scipy.spatial import KDTree

from avatar.body import load_body
from avatar.body.parts import PARTS
from avatar.body.shape_attributes import load_shape_attributes, parse_shape
from avatar.body.skeleton import MIRROR, SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.geometry import rotation_from_rotvec
from avatar.types import BodyPose

BODY = load_body("open")
MEAN = BODY.rest(torch.zeros(10))
FLIP = torch.tensor([-1.0, 1.0, 1.0])


def joint(name: str) -> torch.Tensor:
    return MEAN.joints[SMPL_JOINTS.index(name)]


def height(betas: torch.Tensor) -> float:
    y = BODY.rest(betas).vertices[:, 1]
    return float(y.max() - y.min())


def mirrored_vertices() -> torch.Tensor:
    """For each vertex the one on the other side."""
    distance, nearest = KDTree(MEAN.vertices.numpy()).query((MEAN.vertices * FLIP).numpy())
    assert distance.max() < 1e-3
    return torch.from_numpy(nearest)


def test_it_stands_on_the_floor_in_a_t_pose_facing_forward() -> None:
    assert MEAN.vertices[:, 1].min().abs() < 2e-3
    assert joint("pelvis")[[0, 2]].norm() < 1e-5
    assert joint("left_wrist")[0] > 0.5 > -0.5 > joint("right_wrist")[0]
    assert (joint("left_wrist") - joint("left_shoulder"))[1].abs() < 0.05
    assert (joint("left_foot") - joint("left_ankle"))[2] > 0.08
    assert 1.6 < height(torch.zeros(10)) < 1.8


def test_it_is_the_same_on_both_sides() -> None:
    other = mirrored_vertices()
    torch.testing.assert_close(MEAN.joints[list(MIRROR)] * FLIP, MEAN.joints, atol=2e-4, rtol=0)
    torch.testing.assert_close(BODY.weights[other][:, list(MIRROR)], BODY.weights, atol=2e-2, rtol=0)
    assert (BODY.parts[other] == BODY.parts).all()


def test_poses_mirror_too() -> None:
    other = mirrored_vertices()
    rotvecs = torch.randn(24, 3, generator=torch.Generator().manual_seed(0)) * 0.3
    pose = BodyPose(torch.zeros(3), rotation_from_rotvec(rotvecs))
    flipped = rotvecs[list(MIRROR)] * torch.tensor([1.0, -1.0, -1.0])
    mirror = BodyPose(torch.zeros(3), rotation_from_rotvec(flipped))
    error = (BODY.vertices(MEAN, mirror)[other] * FLIP - BODY.vertices(MEAN, pose)).norm(dim=-1)
    assert error.mean() < 1e-3 and error.max() < 1e-2


def test_its_surface_is_closed_and_faces_outward() -> None:
    edges = torch.cat([BODY.faces[:, [0, 1]], BODY.faces[:, [1, 2]], BODY.faces[:, [2, 0]]])
    count = edges.sort(dim=1).values.unique(dim=0, return_counts=True)[1]
    assert (count <= 2).all() and (count == 2).float().mean() > 0.99
    a, b, c = MEAN.vertices[BODY.faces].unbind(1)
    volume = (torch.linalg.cross(a, b) * c).sum() / 6
    assert 0.05 < volume < 0.10  # cubic metres: 50 to 100 kg


def test_skinning_weights_are_shares() -> None:
    assert (BODY.weights >= 0).all()
    torch.testing.assert_close(BODY.weights.sum(1), torch.ones(len(BODY.weights)))


def test_bones_keep_their_lengths_in_every_pose() -> None:
    rotvecs = torch.randn(5, 24, 3, generator=torch.Generator().manual_seed(0))
    pose = BodyPose(torch.randn(5, 3), rotation_from_rotvec(rotvecs))
    joints = joint_transforms(MEAN.joints, BODY.parents, pose)[..., :3, 3]
    parents = list(SMPL_PARENTS[1:])
    lengths = (joints[:, 1:] - joints[:, parents]).norm(dim=-1)
    rest_lengths = (MEAN.joints[1:] - MEAN.joints[parents]).norm(dim=-1)
    torch.testing.assert_close(lengths, rest_lengths.expand(5, -1))
    torch.testing.assert_close(joints[:, 0], pose.root_position)


def test_parts_lie_where_they_belong() -> None:
    y, x = MEAN.vertices[:, 1], MEAN.vertices[:, 0].abs()
    of = {name: BODY.parts == i for i, name in enumerate(PARTS)}
    assert all(mask.sum() > 300 for mask in of.values())
    assert y[of["head"] | of["face"]].min() > joint("neck")[1] - 0.02
    assert MEAN.vertices[of["face"], 2].mean() > MEAN.vertices[of["head"], 2].mean() + 0.03
    assert y[of["feet"]].max() < 0.25 and x[of["hands"]].min() > 0.55
    assert joint("left_hip")[1] + 0.1 > y[of["legs"]].max()


def test_shapes_are_people() -> None:
    betas = torch.randn(200, 10, generator=torch.Generator().manual_seed(0))
    heights = torch.tensor([height(b) for b in betas])
    assert 1.6 < heights.mean() < 1.8 and 0.06 < heights.std() < 0.15
    assert heights.min() > 1.3 and heights.max() < 2.1


AVERAGE = torch.zeros(10)


def test_words_give_the_shape_they_name() -> None:
    words = load_shape_attributes()
    assert height(words.reshaped(AVERAGE, {"height": 1.82, "weight": 0.6})) == pytest.approx(1.82, abs=0.005)
    thin, stout = (volume(words.reshaped(AVERAGE, {"weight": weight})) for weight in (0.1, 0.9))
    assert stout > 1.3 * thin
    assert torch.equal(words.reshaped(AVERAGE, {}), AVERAGE)


def volume(betas: torch.Tensor) -> float:
    """Of the body at rest, by the tetrahedra between its triangles and the origin."""
    body = load_body("open")
    a, b, c = body.rest(betas).vertices[body.faces].unbind(1)
    return float((torch.linalg.cross(a, b) * c).sum() / 6)


def test_a_word_changes_what_it_names_and_leaves_the_others() -> None:
    words = load_shape_attributes()
    person = torch.tensor([0.5, -0.3, 0.2, 0.4, -0.6, 0.1, 0.3, -0.2, 0.1, 0.4])
    before, after = words.describe(person), words.describe(words.reshaped(person, {"height": 1.9, "weight": 0.8}))
    assert after["height"][0] == pytest.approx(1.9, abs=1e-4) and after["weight"][0] == pytest.approx(0.8, abs=1e-4)
    for name in ("age", "gender", "muscle", "proportions"):
        assert after[name][0] == pytest.approx(before[name][0], rel=1e-3)
    back = words.reshaped(words.reshaped(person, {"weight": 0.8}), {"weight": before["weight"][0]})
    assert torch.allclose(back, person, atol=1e-3)


def test_words_are_as_sure_as_the_shape_tells() -> None:
    words = load_shape_attributes()
    sure = words.describe(AVERAGE)
    assert sure["height"][1] < 0.005
    assert sure["age"][1] > 5  # the years hardly show in a body without wrinkles
    assumed = words.describe(AVERAGE, height_known=False)
    assert assumed["height"][1] == pytest.approx(0.107, abs=0.001)
    assert assumed["gender"][1] > 2 * sure["gender"][1]  # who may be taller may be a man
    strange = words.describe(torch.full((10,), 3.0))
    assert strange["weight"][1] == pytest.approx(3 * sure["weight"][1], rel=1e-3)


@pytest.mark.parametrize(
    "bad",
    [
        "height=182",
        "width=1",
        "weight=nan",
        "weight=heavy",
        "weight",
        "",
        "weight=0.5,weight=0.6",
        "height=1.8 weight=1",
    ],
)
def test_impossible_words_are_refused_with_those_there_are(bad: str) -> None:
    with pytest.raises(
        UsageError, match=r"^--shape .* the words are height 1.3 to 2.2 metres, .*proportions 0 to 1\.$"
    ):
        parse_shape(bad)


def test_a_body_without_words_says_so() -> None:
    with pytest.raises(UsageError, match="body smpl has no words"):
        load_shape_attributes("smpl")
