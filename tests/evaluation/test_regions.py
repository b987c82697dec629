"""Where face, hands and torso are, and what cannot be judged."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.evaluation.regions import LABELS, NOBODY, body_view, region_scores, regions_in
from avatar.evaluation.surface import surface_errors
from avatar.geometry import project
from avatar.model.avatar import Avatar
from avatar.rendering.camera_paths import orbit
from avatar.types import BodyPose, Cameras

from .conftest import BOX, made_up_avatar, poses


@pytest.fixture(scope="module")
def person() -> tuple[Avatar, BodyPose]:
    avatar = made_up_avatar()
    return avatar, poses(avatar, 2)[0]


def cameras(width: int) -> Cameras:
    """From the front and from behind."""
    return orbit(*BOX, 2, width, width * 4 // 3)


def labels(person: tuple[Avatar, BodyPose], camera: Cameras) -> Tensor:
    return body_view(*person, camera, "auto").labels


def test_joints_lie_in_the_parts_that_they_move(person: tuple[Avatar, BodyPose]) -> None:
    avatar, pose = person
    camera = cameras(480)[0]
    Ts = joint_transforms(avatar.rest.joints, avatar.body.parents, avatar.body.complete(pose))
    joints = Ts[list(avatar.body.smpl_index), :3, 3]
    pixels, _ = project(camera.K[0], camera.T_camera_world[0], joints)
    image = labels(person, camera)
    for joint, label in (
        ("spine2", "torso"), ("left_elbow", "arms"), ("left_hand", "left hand"), ("right_hand", "right hand"),
        ("right_knee", "legs"),
    ):  # fmt: skip
        x, y = pixels[SMPL_JOINTS.index(joint)].long().tolist()
        assert LABELS[image[y, x]] == label
    assert int(image[0, 0]) == NOBODY


def test_a_face_is_seen_from_the_front_alone(person: tuple[Avatar, BodyPose]) -> None:
    front, back = (labels(person, cameras(480)[i]) for i in range(2))
    assert len(list(regions_in(front, ["face"]))) == 1
    assert not list(regions_in(back, ["face"]))


def test_equal_images_score_best_and_small_parts_not_at_all(person: tuple[Avatar, BodyPose]) -> None:
    for width, judged in ((720, {"face", "torso"}), (90, set[str]())):
        image = labels(person, cameras(width)[0])
        generator = torch.Generator().manual_seed(0)
        truth = torch.rand(*image.shape, 3, generator=generator)
        scores = region_scores(truth, truth, torch.ones(image.shape), image, (), False)
        assert judged <= {name.rsplit("_", 1)[-1] for name in scores}
        assert bool(scores) == bool(judged)
        errors = {name: scores.pop(name) for name in list(scores) if name.startswith("psnr_")}
        assert all(value == pytest.approx(1.0) for value in scores.values())
        assert all(value > 90 for value in errors.values())


def test_blur_of_the_face_is_the_face_s_alone(person: tuple[Avatar, BodyPose]) -> None:
    image = labels(person, cameras(720)[0])
    truth = torch.rand(*image.shape, 3, generator=torch.Generator().manual_seed(0))
    soft = torch.where((image == LABELS.index("face"))[..., None], 0.5 * truth + 0.2, truth)
    scores = region_scores(soft, truth, torch.ones(image.shape), image, (), False)
    assert scores["detail_contrast_0.7_face"] < 0.8
    assert scores["detail_contrast_0.7_torso"] == pytest.approx(1.0, abs=1e-3)
    assert scores["psnr_face"] < 30 and min(scores["psnr_hands"], scores["psnr_elsewhere"]) > 90


def test_a_surface_that_lies_too_deep_is_that_far_off(person: tuple[Avatar, BodyPose]) -> None:
    image = labels(person, cameras(480)[0])
    truth = torch.where(image == NOBODY, 0.0, 3.0)
    ones = torch.ones(image.shape)
    depth = truth + torch.where(image == LABELS.index("legs"), 0.02, 0.01)
    errors = surface_errors(depth, ones, truth, ones, image)
    assert errors["surface_torso_mm"] == pytest.approx(10, abs=0.1)
    assert errors["surface_legs_mm"] == pytest.approx(20, abs=0.1)
    assert surface_errors(depth, 0 * ones, truth, ones, image) == {}
