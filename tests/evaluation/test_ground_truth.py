"""Driving a body by joints that are defined otherwise than its own."""

import torch

from avatar.body import load_body
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import Skeleton
from avatar.evaluation.ground_truth import HIPS, RIG_SPECIFIC, SCORED, calibrated_offsets, retarget_ground_truth
from avatar.geometry import rotation_from_rotvec, rotation_to_rotvec
from avatar.types import BodyPose


def _some_poses(count: int) -> BodyPose:
    generator = torch.Generator().manual_seed(2)
    rotvecs = 0.25 * torch.randn(count, 24, 3, generator=generator)
    return BodyPose(torch.randn(count, 3, generator=generator), rotation_from_rotvec(rotvecs))


def _posed(rest_joints: torch.Tensor, parents: tuple[int, ...]) -> torch.Tensor:
    return joint_transforms(rest_joints, parents, _some_poses(12))[..., :3, 3]


def test_a_body_reaches_its_own_joints() -> None:
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    truth = _posed(rest.joints, body.parents)
    for true_rest, least in ((rest.joints, 0.004), (None, 0.005)):
        estimate = joint_transforms(
            rest.joints, body.parents, retarget_ground_truth(body, rest, Skeleton(truth, true_rest))
        )[..., :3, 3]
        assert (estimate - truth)[:, list(SCORED)].norm(dim=-1).mean() < least


def test_a_t_pose_explains_a_rig_with_another_spine() -> None:
    """The spine's joints lie elsewhere. With the rig's T-pose the limbs come out right."""
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    moves = torch.zeros_like(rest.joints)
    moves[list(RIG_SPECIFIC)] = torch.tensor([0.0, -0.05, -0.04])
    # The points are fixed to the body's own joints.
    Ts = joint_transforms(rest.joints, body.parents, _some_poses(12))
    truth = Ts[..., :3, 3]
    given = truth + (Ts[..., :3, :3] @ moves[..., None]).squeeze(-1)

    def missed(true_rest: torch.Tensor | None) -> float:
        estimate = joint_transforms(
            rest.joints, body.parents, retarget_ground_truth(body, rest, Skeleton(given, true_rest))
        )[..., :3, 3]
        return float((estimate - truth)[:, list(SCORED)].norm(dim=-1).mean())

    with_t_pose = missed(rest.joints + moves)
    assert with_t_pose < 0.004
    assert with_t_pose < missed(None) < 0.02
    assert missed(rest.joints) > 2 * missed(None), "a wrong T-pose is worse than none"


def test_a_t_pose_explains_narrower_hips() -> None:
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    truth = _posed(rest.joints, body.parents)
    narrow = rest.joints.clone()
    narrow[list(HIPS), 0] *= 0.8
    given = truth.clone()
    pelvis = joint_transforms(rest.joints, body.parents, _some_poses(12))[:, 0, :3, :3]
    given[:, list(HIPS)] += torch.einsum("tab,hb->tha", pelvis, (narrow - rest.joints)[list(HIPS)])
    estimate = joint_transforms(rest.joints, body.parents, retarget_ground_truth(body, rest, Skeleton(given, narrow)))[
        ..., :3, 3
    ]
    limbs = [joint for joint in SCORED if joint not in HIPS]
    assert (estimate - truth)[:, limbs].norm(dim=-1).mean() < 0.003


def test_the_head_s_rotation_is_taken_from_given_rotations() -> None:
    """Joint positions determine neither it nor the rotation of a hand about the forearm."""
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    poses, truth = _some_poses(12), _posed(rest.joints, body.parents)

    def missed(rotations: torch.Tensor | None) -> float:
        estimate = retarget_ground_truth(body, rest, Skeleton(truth, rest.joints, rotations)).rotations
        apart = rotation_to_rotvec(estimate.mT @ poses.rotations).norm(dim=-1)
        return float(apart[:, [SMPL_JOINTS.index(name) for name in ("head", "left_wrist", "left_hand")]].mean())

    assert missed(poses.rotations) < 0.04
    assert missed(None) > 0.15


def test_rotations_and_places_that_disagree_are_weighed() -> None:
    """A rig whose T-pose has the forearms 10 degrees bent: wrists stay where they truly are, within a centimetre."""
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    rotations = _some_poses(12).rotations.clone()
    truth = _posed(rest.joints, body.parents)
    elbows = [SMPL_JOINTS.index(f"{side}_elbow") for side in ("left", "right")]
    rotations[:, elbows] @= rotation_from_rotvec(torch.tensor([0.0, 0.17, 0.0]))
    posed = retarget_ground_truth(body, rest, Skeleton(truth, rest.joints, rotations))
    estimate = joint_transforms(rest.joints, body.parents, posed)[..., :3, 3]
    wrists = [SMPL_JOINTS.index(f"{side}_wrist") for side in ("left", "right")]
    assert (estimate - truth)[:, wrists].norm(dim=-1).mean() < 0.01


def test_places_are_calibrated_as_far_as_found_poses_can_be_trusted() -> None:
    """Knees 2 cm further out: learned from exact poses, hardly from poses that miss by 10 degrees."""
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    poses, moves = _some_poses(12), torch.zeros_like(rest.joints)
    knees = [SMPL_JOINTS.index(f"{side}_knee") for side in ("left", "right")]
    moves[knees, 0] = torch.tensor([0.02, -0.02])
    Ts = joint_transforms(rest.joints, body.parents, poses)
    given = Ts[..., :3, 3] + (Ts[..., :3, :3] @ moves[..., None]).squeeze(-1)
    noise = rotation_from_rotvec(0.17 * torch.randn(12, 24, 3, generator=torch.Generator().manual_seed(5)))
    missed = BodyPose(poses.root_position, poses.rotations @ noise)
    skeleton = Skeleton(given, rest.joints)
    sure, unsure = (calibrated_offsets(body, rest, estimate, skeleton) for estimate in (poses, missed))
    assert 0.01 < sure[knees[0], 0] < 0.02 and 0.01 < -sure[knees[1], 0] < 0.02
    assert unsure[knees].norm(dim=-1).max() < 0.006
    others = [joint for joint in range(24) if joint not in knees]
    assert sure[others].norm(dim=-1).max() < 1e-4


def test_joints_that_are_each_rig_s_own_are_calibrated_without_a_t_pose_too() -> None:
    """The spine lies 5 cm further back: exact poses show it, and the limbs then come out right."""
    body = load_body("open")
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    poses, moves = _some_poses(12), torch.zeros_like(rest.joints)
    moves[list(RIG_SPECIFIC)] = torch.tensor([0.0, 0.0, -0.05])
    Ts = joint_transforms(rest.joints, body.parents, poses)
    given = Skeleton(Ts[..., :3, 3] + (Ts[..., :3, :3] @ moves[..., None]).squeeze(-1))
    places = calibrated_offsets(body, rest, poses, given)
    assert (places - moves).norm(dim=-1).max() < 0.005
    estimate = joint_transforms(rest.joints, body.parents, retarget_ground_truth(body, rest, given, places))[..., :3, 3]
    assert (estimate - Ts[..., :3, 3])[:, list(SCORED)].norm(dim=-1).mean() < 0.006
