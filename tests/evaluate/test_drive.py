"""Driving a body by joints that are defined otherwise than its own."""

import torch

from avatar.body import load_body
from avatar.body.skinning import joint_transforms
from avatar.evaluate.drive import SCORED, drive, fit_shape
from avatar.geometry import rotation_from_rotvec
from avatar.types import BodyPose


def _some_poses(count: int) -> BodyPose:
    generator = torch.Generator().manual_seed(2)
    rotvecs = 0.25 * torch.randn(count, 24, 3, generator=generator)
    return BodyPose(torch.randn(count, 3, generator=generator), rotation_from_rotvec(rotvecs))


def test_a_body_reaches_its_own_joints():
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    truth = joint_transforms(rest.joints, body.parents, _some_poses(12))[..., :3, 3]
    found = joint_transforms(rest.joints, body.parents, drive(body, rest, truth))[..., :3, 3]
    assert (found - truth)[:, list(SCORED)].norm(dim=-1).mean() < 0.003


def test_a_pelvis_that_is_defined_elsewhere_moves_the_limbs_little():
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    truth = joint_transforms(rest.joints, body.parents, _some_poses(12))[..., :3, 3]
    given = truth.clone()
    given[:, 0] += torch.tensor([0.0, 0.05, 0.0])
    found = joint_transforms(rest.joints, body.parents, drive(body, rest, given))[..., :3, 3]
    assert (found - truth)[:, list(SCORED)].norm(dim=-1).mean() < 0.006


def test_shape_from_bones_finds_a_taller_person():
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    rest = body.rest(betas)
    taller = 1.06 * rest.joints[None].expand(3, -1, -1)
    found = body.rest(fit_shape(body, taller))
    assert (found.joints[4] - found.joints[1]).norm() / (rest.joints[4] - rest.joints[1]).norm() > 1.03
