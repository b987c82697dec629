"""Retargeting ground-truth skeletons, whose joints are defined slightly differently, to the estimated body."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, RestBody
from avatar.body.skeleton import MIRROR, SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import Skeleton
from avatar.motion.ik import Landmarks, fit_landmarks
from avatar.types import BodyPose

LIMBS = tuple(
    SMPL_JOINTS.index(f"{side}_{name}")
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    for side in ("left", "right")
)
# Where skeletons agree to a few centimetres; the rest of the trunk and the head are each rig's own.
SCORED = (*LIMBS, SMPL_JOINTS.index("neck"))
HIPS = LIMBS[:2]
# Rigs disagree on these by up to 11 cm.
RIG_SPECIFIC = tuple(
    SMPL_JOINTS.index(name) for name in ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "head")
)
# Weight of joints that skeletons define slightly differently, against 1 for the rest.
TRUST = {"hip": 0.2, "knee": 0.5, "elbow": 0.5, "foot": 0.5, "hand": 0.5}
UNKNOWN_RIG_TRUST = 0.1  # of the rig-specific joints, where nothing shows how this rig defines them
JOINT_SPREAD = 0.012  # m, standard deviation of a joint between skeletons, along each axis
RIG_SPREAD = 0.05  # m, the same for rig-specific joints
SYSTEMATIC_ERROR = 0.01  # m, error of estimated poses that all frames share, so that their variance does not show it


def retarget_ground_truth(
    body: Body, rest: RestBody, truth: Skeleton, offsets: Float[Tensor, "24 3"] | None = None
) -> BodyPose:
    """Poses of a body that follow a ground-truth skeleton.

    Knees and elbows may differ by a centimetre or two along the limb, and hips are wider apart in some skeletons, so
    these weigh less. Pelvis, spine, collars and head are compared at their positions in the true skeleton's T-pose
    (`rig_offsets`), or hardly count without one; `offsets`, if given, replaces these offsets for all joints. True
    rotations constrain the joints loosely: positions do not determine the head's rotation or twists.

    Args:
        rest: the body of the person.
        truth: the poses, in the body's size; not necessarily consecutive.
        offsets: offsets of the true joints from the body's, in the frames of its bones (`calibrated_offsets`), metres.
    """
    own = smpl_joints(body, rest)
    trust = torch.tensor([TRUST.get(name.split("_")[-1], 1.0) for name in SMPL_JOINTS])
    if truth.rest_joints is None and offsets is None:
        trust[list(RIG_SPECIFIC)] = UNKNOWN_RIG_TRUST
    points = Landmarks(torch.arange(len(own)), rig_offsets(own, truth.rest_joints) if offsets is None else offsets)
    trusts = trust.expand(len(truth), -1)
    return fit_landmarks(
        own, SMPL_PARENTS, points, truth.joints, trusts, sequence=False, rotation_prior=truth.rotations
    )


def rig_offsets(own: Float[Tensor, "24 3"], true: Float[Tensor, "24 3"] | None) -> Float[Tensor, "24 3"]:
    """Offsets of the rig-specific joints from the body's in the T-pose, metres; zero without a true T-pose.

    The trunks are aligned by their four corners, hips and shoulders, with a translation only, since a T-pose is
    upright in every rig. Of the hips only the width is taken, because their height depends on the pose.
    """
    if true is None:
        return torch.zeros_like(own)
    corners = [joint for joint in LIMBS if SMPL_JOINTS[joint].endswith(("hip", "shoulder"))]
    difference = (true - true[corners].mean(0)) - (own - own[corners].mean(0))
    offsets = torch.zeros_like(own)
    offsets[list(RIG_SPECIFIC)] = difference[list(RIG_SPECIFIC)]
    offsets[list(HIPS), 0] = difference[list(HIPS), 0]
    return offsets


def calibrated_offsets(body: Body, rest: RestBody, poses: BodyPose, truth: Skeleton) -> Float[Tensor, "24 3"]:
    """Offsets of the true joints from the body's, in the frames of its bones, as far as estimated poses show; metres.

    The posterior mean of a normal distribution. The prior has mean `rig_offsets` and standard deviation
    `JOINT_SPREAD`; the error of the measurement is its variance over the frames, plus the difference between the sides
    of the body, plus `SYSTEMATIC_ERROR`. Frames have correlated errors, so a hundred count no more than a few.

    Args:
        poses: estimated in the frames of `truth`, one per frame.
    """
    own = smpl_joints(body, rest)
    prior = rig_offsets(own, truth.rest_joints)
    prior_spread = torch.full((len(own), 1), JOINT_SPREAD)
    if truth.rest_joints is None:
        prior_spread[list(RIG_SPECIFIC)] = RIG_SPREAD
    Ts = joint_transforms(rest.joints, body.parents, body.complete(poses))[:, list(body.smpl_index)]
    measured = (Ts[..., :3, :3].mT @ (truth.joints - Ts[..., :3, 3])[..., None]).squeeze(-1)
    middle = measured.median(0).values
    mirrored = middle[list(MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])
    error = measured.var(0, correction=0) + ((middle - mirrored) / 2).square()
    error = (error + error[list(MIRROR)]).mean(-1, keepdim=True) / 2 + SYSTEMATIC_ERROR**2
    share = prior_spread**2 / (prior_spread**2 + error)
    return prior + share * ((middle + mirrored) / 2 - prior)


def smpl_joints(body: Body, rest: RestBody) -> Float[Tensor, "24 3"]:
    """SMPL's 24 joints of a body at rest."""
    return rest.joints[list(body.smpl_index)]
