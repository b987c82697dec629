"""Putting a body into a pose whose true joints are known, when its own joints are defined a little otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, RestBody
from avatar.body.skeleton import MIRROR, SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.datasets.capture import Clip, Skeleton
from avatar.motion.ik import Landmarks, fit_landmarks
from avatar.types import BodyPose, BodyTrack

LIMBS = tuple(
    SMPL_JOINTS.index(f"{side}_{name}")
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    for side in ("left", "right")
)
# Where skeletons agree to a few centimetres; the rest of the trunk and the head are each rig's own.
SCORED = (*LIMBS, SMPL_JOINTS.index("neck"))
HIPS = LIMBS[:2]
# Each rig puts these where it likes, up to 11 cm apart.
OWN_TO_EACH_RIG = tuple(
    SMPL_JOINTS.index(name) for name in ("pelvis", "spine1", "spine2", "spine3", "left_collar", "right_collar", "head")
)
# In joints that skeletons define a little otherwise, against 1 in the rest.
TRUST = {"hip": 0.2, "knee": 0.5, "elbow": 0.5, "foot": 0.5, "hand": 0.5}
UNTOLD_TRUST = 0.1  # in joints that are each rig's own, where nothing tells how this rig has them
LENGTH_SPREAD = 0.017  # m, how well the length of a bone is known across skeletons
PLACE_SPREAD = 0.012  # m, how far apart skeletons put a joint, along each axis
OWN_SPREAD = 0.05  # m, the same for joints that are each rig's own
HELD_ERROR = 0.01  # m, by which found poses err alike in all frames, so that their spread does not show it


def drive(body: Body, rest: RestBody, truth: Skeleton, places: Float[Tensor, "24 3"] | None = None) -> BodyPose:
    """Poses of a body that follow another skeleton's, as far as skeletons mean the same by a joint.

    Knees and elbows may slide along the limb by a centimetre or two, hips are wider apart in some skeletons than in
    others: they count less. Pelvis, spine, collars and head are compared at the places where the T-pose of the true
    skeleton has them (`own_places`), or count hardly at all; all joints where `places` has them, if given. Where the
    true rotations are told, joints are held to them loosely: places say nothing of the head's turn and of twists,
    and little where joints are defined otherwise.

    Args:
        rest: the body of the person.
        truth: the poses, in the body's size; they need not follow one another.
        places: where the true joints lie from the body's, in the frames of its bones (`calibrated_places`), metres.
    """
    own = smpl_joints(body, rest)
    trust = torch.tensor([TRUST.get(name.split("_")[-1], 1.0) for name in SMPL_JOINTS])
    if truth.rest_joints is None and places is None:
        trust[list(OWN_TO_EACH_RIG)] = UNTOLD_TRUST
    points = Landmarks(torch.arange(len(own)), own_places(own, truth.rest_joints) if places is None else places)
    trusts = trust.expand(len(truth), -1)
    return fit_landmarks(own, SMPL_PARENTS, points, truth.joints, trusts, sequence=False, turns=truth.rotations)


def own_places(own: Float[Tensor, "24 3"], true: Float[Tensor, "24 3"] | None) -> Float[Tensor, "24 3"]:
    """Where the joints that are each rig's own lie from the body's in the T-pose, metres; nowhere else if not told.

    The trunks are laid over each other by their four corners, hips and shoulders; only shifted, since a T-pose
    stands upright in every rig. Of hips, whose height tells the pose as well, only the width is taken.
    """
    if true is None:
        return torch.zeros_like(own)
    corners = [joint for joint in LIMBS if SMPL_JOINTS[joint].endswith(("hip", "shoulder"))]
    apart = (true - true[corners].mean(0)) - (own - own[corners].mean(0))
    offsets = torch.zeros_like(own)
    offsets[list(OWN_TO_EACH_RIG)] = apart[list(OWN_TO_EACH_RIG)]
    offsets[list(HIPS), 0] = apart[list(HIPS), 0]
    return offsets


def calibrated_places(body: Body, rest: RestBody, poses: BodyPose, truth: Skeleton) -> Float[Tensor, "24 3"]:
    """Where the true joints lie from the body's, in the frames of its bones, as far as found poses tell; metres.

    The mean of a normal distribution after it was seen: before, joints lie where `own_places` puts them, give or take
    `PLACE_SPREAD`; what is seen errs by its spread over the frames, by what differs between the sides of the body,
    and by `HELD_ERROR`. Frames err alike, so that many of them tell no more than a few.

    Args:
        poses: found in the frames that `truth` is of, a pose a frame.
    """
    own = smpl_joints(body, rest)
    before = own_places(own, truth.rest_joints)
    before_spread = torch.full((len(own), 1), PLACE_SPREAD)
    if truth.rest_joints is None:
        before_spread[list(OWN_TO_EACH_RIG)] = OWN_SPREAD
    Ts = joint_transforms(rest.joints, body.parents, body.complete(poses))[:, list(body.smpl_index)]
    seen = (Ts[..., :3, :3].mT @ (truth.joints - Ts[..., :3, 3])[..., None]).squeeze(-1)
    middle = seen.median(0).values
    mirrored = middle[list(MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])
    error = seen.var(0, correction=0) + ((middle - mirrored) / 2).square()
    error = (error + error[list(MIRROR)]).mean(-1, keepdim=True) / 2 + HELD_ERROR**2
    share = before_spread**2 / (before_spread**2 + error)
    return before + share * ((middle + mirrored) / 2 - before)


def smpl_joints(body: Body, rest: RestBody) -> Float[Tensor, "24 3"]:
    """SMPL's 24 joints of a body at rest."""
    return rest.joints[list(body.smpl_index)]


def fit_shape(body: Body, joints: Float[Tensor, "t 24 3"], rounds: int = 10) -> Float[Tensor, " s"]:
    """Shape coefficients from the lengths of bones that skeletons agree on, by Gauss-Newton with a unit prior."""
    pairs = _measured_pairs()
    truth = _lengths(joints, pairs).median(0).values

    def lengths(betas: Tensor) -> Tensor:
        return _lengths(smpl_joints(body, body.rest(betas))[None], pairs)[0]

    betas = torch.zeros(body.shape_dirs.shape[-1])
    for _ in range(rounds):
        J = torch.func.jacrev(lengths)(betas) / LENGTH_SPREAD
        missed = (truth - lengths(betas)) / LENGTH_SPREAD
        betas = torch.linalg.solve(J.T @ J + torch.eye(len(betas)), J.T @ (missed + J @ betas))
    return betas


def _measured_pairs() -> list[tuple[int, int]]:
    at = SMPL_JOINTS.index
    pairs = [(at("left_hip"), at("right_hip")), (at("left_shoulder"), at("right_shoulder"))]
    for side in ("left", "right"):
        chain = [at(f"{side}_{name}") for name in ("hip", "knee", "ankle")]
        arm = [at(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist")]
        pairs += [*pairwise(chain), *pairwise(arm), (chain[0], arm[0])]
    return pairs


def _lengths(joints: Float[Tensor, "t 24 3"], pairs: list[tuple[int, int]]) -> Float[Tensor, "t p"]:
    a, b = (list(ends) for ends in zip(*pairs, strict=True))
    return (joints[:, a] - joints[:, b]).norm(dim=-1)


def oracle_track(clip: Clip, body: Body, frames: Sequence[int] | None = None) -> BodyTrack:
    """The body fitted to the true joints of a clip, with its true cameras: what perfect tracking would give.

    Args:
        frames: the frames of the clip that the track shall have, one instant each; all if not given.
    """
    chosen = list(range(len(clip)) if frames is None else frames)
    betas = fit_shape(body, clip.joints)
    poses = drive(body, body.rest(betas), clip.skeleton)
    return BodyTrack(
        body=body.name,
        betas=betas,
        poses=poses[chosen],
        times=clip.times[chosen],
        confidence=torch.ones(len(chosen), len(SMPL_JOINTS)),
        instant=torch.arange(len(chosen)),
        cameras=clip.cameras[chosen],
    )
