"""Putting a body into a pose whose true joints are known, when its own joints are defined a little otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, RestBody
from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.datasets.capture import Clip
from avatar.motion.ik import fit_joints
from avatar.types import BodyPose, BodyTrack

LIMBS = tuple(
    SMPL_JOINTS.index(f"{side}_{name}")
    for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")
    for side in ("left", "right")
)
# Where skeletons agree to a few centimetres; the rest of the trunk and the head are each rig's own.
SCORED = (*LIMBS, SMPL_JOINTS.index("neck"))
HIPS = LIMBS[:2]
LOOSE_TRUST = 0.2
LENGTH_SPREAD = 0.017  # m, how well the length of a bone is known across skeletons


def drive(body: Body, rest: RestBody, joints: Float[Tensor, "t 24 3"]) -> BodyPose:
    """Poses of a body whose joints come to given places (`fit_joints`), the loosely defined ones less exactly.

    Offsets of the joints, constant in their bones, were tried as well: solved from the driven frames alone they
    bend the back falsely (1 dB less on held-out poses of a capture), so each joint is taken for what it is called.

    Args:
        rest: the body of the person.
        joints: true places of SMPL's 24 joints, in any frames; they need not follow one another.
    """
    trust = torch.full((len(SMPL_JOINTS),), LOOSE_TRUST)
    trust[list(SCORED)] = 1.0
    return fit_joints(smpl_joints(body, rest), SMPL_PARENTS, joints, trust.expand(len(joints), -1), sequence=False)


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
    poses = drive(body, body.rest(betas), clip.joints)
    return BodyTrack(
        body=body.name,
        betas=betas,
        poses=poses[chosen],
        times=clip.times[chosen],
        confidence=torch.ones(len(chosen), len(SMPL_JOINTS)),
        instant=torch.arange(len(chosen)),
        cameras=clip.cameras[chosen],
    )
