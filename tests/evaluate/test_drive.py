"""Driving a body by joints that are defined otherwise than its own."""

import torch

from avatar.body import load_body
from avatar.body.skinning import joint_transforms
from avatar.evaluate.drive import SCORED, drive, fit_shape
from avatar.geometry import geodesic_angle, rotation_from_rotvec
from avatar.types import BodyPose


def _some_poses(count: int) -> BodyPose:
    generator = torch.Generator().manual_seed(2)
    rotvecs = 0.25 * torch.randn(count, 24, 3, generator=generator)
    return BodyPose(torch.randn(count, 3, generator=generator), rotation_from_rotvec(rotvecs))


def test_constant_offsets_of_the_joints_do_not_turn_the_limbs():
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    truth = _some_poses(12)
    Ts = joint_transforms(rest.joints, body.parents, truth)
    offsets = 0.02 * torch.randn(24, 3, generator=torch.Generator().manual_seed(4))
    above = [max(parent, 0) for parent in body.parents]
    moved = Ts[..., :3, 3] + (Ts[:, above, :3, :3] @ offsets[..., None]).squeeze(-1)
    pose = drive(body, rest, moved)
    joints = joint_transforms(rest.joints, body.parents, pose)[..., :3, 3]
    error = (joints - Ts[..., :3, 3])[:, list(SCORED)].norm(dim=-1).mean()
    assert error < 0.6 * offsets[list(SCORED)].norm(dim=-1).mean()
    assert geodesic_angle(pose.rotations[:, 0], truth.rotations[:, 0]).mean() < 0.12


def test_shape_from_bones_finds_a_taller_person():
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    rest = body.rest(betas)
    taller = 1.06 * rest.joints[None].expand(3, -1, -1)
    found = body.rest(fit_shape(body, taller))
    assert (found.joints[4] - found.joints[1]).norm() / (rest.joints[4] - rest.joints[1]).norm() > 1.03
