"""Putting a body into a pose whose true joints are known, when its own joints are defined a little otherwise."""

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
# Each rig puts these where it likes, up to 11 cm apart.
RIG_SPECIFIC = tuple(
    SMPL_JOINTS.index(name) for name in ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "head")
)
# In joints that skeletons define a little otherwise, against 1 in the rest.
TRUST = {"hip": 0.2, "knee": 0.5, "elbow": 0.5, "foot": 0.5, "hand": 0.5}
UNKNOWN_RIG_TRUST = 0.1  # in joints that are each rig's own, where nothing tells how this rig has them
JOINT_SPREAD = 0.012  # m, how far apart skeletons put a joint, along each axis
RIG_SPREAD = 0.05  # m, the same for joints that are each rig's own
SYSTEMATIC_ERROR = 0.01  # m, by which found poses err alike in all frames, so that their spread does not show it


def retarget_ground_truth(
    body: Body, rest: RestBody, truth: Skeleton, places: Float[Tensor, "24 3"] | None = None
) -> BodyPose:
    """Poses of a body that follow another skeleton's, as far as skeletons mean the same by a joint.

    Knees and elbows may slide along the limb by a centimetre or two, hips are wider apart in some skeletons than in
    others: they count less. Pelvis, spine, collars and head are compared at the places where the T-pose of the true
    skeleton has them (`rig_offsets`), or count hardly at all; all joints where `places` has them, if given. Where the
    true rotations are told, joints are held to them loosely: places say nothing of the head's turn and of twists,
    and little where joints are defined otherwise.

    Args:
        rest: the body of the person.
        truth: the poses, in the body's size; they need not follow one another.
        places: where the true joints lie from the body's, in the frames of its bones (`calibrated_offsets`), metres.
    """
    own = smpl_joints(body, rest)
    trust = torch.tensor([TRUST.get(name.split("_")[-1], 1.0) for name in SMPL_JOINTS])
    if truth.rest_joints is None and places is None:
        trust[list(RIG_SPECIFIC)] = UNKNOWN_RIG_TRUST
    points = Landmarks(torch.arange(len(own)), rig_offsets(own, truth.rest_joints) if places is None else places)
    trusts = trust.expand(len(truth), -1)
    return fit_landmarks(
        own, SMPL_PARENTS, points, truth.joints, trusts, sequence=False, rotation_prior=truth.rotations
    )


def rig_offsets(own: Float[Tensor, "24 3"], true: Float[Tensor, "24 3"] | None) -> Float[Tensor, "24 3"]:
    """Where the joints that are each rig's own lie from the body's in the T-pose, metres; nowhere else if not told.

    The trunks are laid over each other by their four corners, hips and shoulders; only shifted, since a T-pose
    stands upright in every rig. Of hips, whose height tells the pose as well, only the width is taken.
    """
    if true is None:
        return torch.zeros_like(own)
    corners = [joint for joint in LIMBS if SMPL_JOINTS[joint].endswith(("hip", "shoulder"))]
    apart = (true - true[corners].mean(0)) - (own - own[corners].mean(0))
    offsets = torch.zeros_like(own)
    offsets[list(RIG_SPECIFIC)] = apart[list(RIG_SPECIFIC)]
    offsets[list(HIPS), 0] = apart[list(HIPS), 0]
    return offsets


def calibrated_offsets(body: Body, rest: RestBody, poses: BodyPose, truth: Skeleton) -> Float[Tensor, "24 3"]:
    """Where the true joints lie from the body's, in the frames of its bones, as far as found poses tell; metres.

    The mean of a normal distribution after it was seen: before, joints lie where `rig_offsets` puts them, give or take
    `JOINT_SPREAD`; what is seen errs by its spread over the frames, by what differs between the sides of the body,
    and by `SYSTEMATIC_ERROR`. Frames err alike, so that many of them tell no more than a few.

    Args:
        poses: found in the frames that `truth` is of, a pose a frame.
    """
    own = smpl_joints(body, rest)
    before = rig_offsets(own, truth.rest_joints)
    before_spread = torch.full((len(own), 1), JOINT_SPREAD)
    if truth.rest_joints is None:
        before_spread[list(RIG_SPECIFIC)] = RIG_SPREAD
    Ts = joint_transforms(rest.joints, body.parents, body.complete(poses))[:, list(body.smpl_index)]
    seen = (Ts[..., :3, :3].mT @ (truth.joints - Ts[..., :3, 3])[..., None]).squeeze(-1)
    middle = seen.median(0).values
    mirrored = middle[list(MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])
    error = seen.var(0, correction=0) + ((middle - mirrored) / 2).square()
    error = (error + error[list(MIRROR)]).mean(-1, keepdim=True) / 2 + SYSTEMATIC_ERROR**2
    share = before_spread**2 / (before_spread**2 + error)
    return before + share * ((middle + mirrored) / 2 - before)


def smpl_joints(body: Body, rest: RestBody) -> Float[Tensor, "24 3"]:
    """SMPL's 24 joints of a body at rest."""
    return rest.joints[list(body.smpl_index)]
