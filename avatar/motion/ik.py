"""Inverse kinematics: from positions of joints and landmarks to the pose of a body with its own proportions.

All frames are solved at once. A first guess rotates each joint, from the pelvis outwards, so that its bones point
where the targets lie (Kabsch 1976, held to the parent's orientation where the bones leave a twist open); then
Levenberg-Marquardt on all rotations together brings the landmarks onto the targets, with weak terms that keep
joints within their ranges and open twists near rest; in a sequence a last round pulls open twists towards
their neighbours in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body.joint_limits import joint_ranges
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import nearest_rotation, rotation_from_rotvec, rotation_to_rotvec, skew
from avatar.motion.smoothing import smooth_rotations
from avatar.types import BodyPose

# Weights in metres per radian: the landmark error that weighs as much as one radian.
REST_WEIGHT = 0.006
STIFF_WEIGHT = 0.02  # the spine and collars share a bend instead of one joint taking it all
ROTATION_PRIOR_FACTOR = 3.0  # times REST_WEIGHT where another skeleton gives the rotation itself
LIMIT_WEIGHT = 0.15
SMOOTH_WEIGHT = 0.03
FRAMES_AT_ONCE = 512

# Elbows and knees bend about one axis of their T-pose, which determines the twist of the upper arm and thigh. A
# forearm bends forwards and somewhat up: by nothing in SMPL's files, by 35 degrees in CMU's.
HINGES = {
    "left_elbow": (0.0, -0.955, 0.296),
    "right_elbow": (0.0, 0.955, -0.296),
    "left_knee": (1.0, 0.0, 0.0),
    "right_knee": (1.0, 0.0, 0.0),
}


@dataclass(frozen=True)
class Landmarks:
    """Points attached to bones.

    Attributes:
        joints: the joint to whose frame each point is attached.
        offsets: its offset from that joint in the T-pose, metres.
    """

    joints: Int[Tensor, " m"]
    offsets: Float[Tensor, "m 3"]


def fit_landmarks(
    rest_joints: Float[Tensor, "j 3"],
    parents: tuple[int, ...],
    points: Landmarks,
    targets: Float[Tensor, "t m 3"],
    confidence: Float[Tensor, "t m"] | None = None,
    sequence: bool = True,
    iterations: int = 25,
    rotation_prior: Float[Tensor, "t j 3 3"] | None = None,
) -> BodyPose:
    """Pose a body so that points attached to it reach given positions.

    Args:
        rest_joints: the body's joints in the T-pose, metres.
        parents: parent of each joint, -1 for the root.
        points: the points and the joints to which they are attached.
        targets: world positions of the points, metres; NaN where unknown.
        confidence: weight of each target, in [0, 1]; uniform by default.
        sequence: the frames follow one another in time, so open twists may be smoothed over them.
        iterations: maximum number of Levenberg-Marquardt steps.
        rotation_prior: rotation of each joint of another skeleton in the same pose, from its T-pose in the parent's
            frame. It determines what positions leave open (twists, the head) and is weighed against joint positions
            that skeletons define differently. The root's is only the initial value. It replaces the priors of rest
            and of smoothness over time.
    """
    rest = rest_joints.detach().cpu().double()
    points = Landmarks(points.joints, points.offsets.detach().cpu().double())
    weights = _weights(targets.cpu(), confidence)
    problem = _Problem(rest, tuple(parents), points)
    goals = targets.detach().cpu().double().nan_to_num()
    start = problem.guess(goals, weights)
    frames = range(0, len(goals), FRAMES_AT_ONCE)
    chunks = [slice(first, first + FRAMES_AT_ONCE) for first in frames]
    near, pull = torch.eye(3, dtype=torch.float64).expand_as(start.rotations), problem.rest_weights
    if rotation_prior is not None:
        near, pull = rotation_prior.detach().cpu().double(), ROTATION_PRIOR_FACTOR * pull
        start = BodyPose(start.root_position, near)
    pose = BodyPose.cat([problem.solve(start[c], goals[c], weights[c], near[c], pull, iterations)
                    for c in chunks])  # fmt: skip
    if sequence and rotation_prior is None and len(goals) > 2:
        near = smooth_rotations(pose.rotations, sigma=1.5)
        pull = torch.full_like(rest, SMOOTH_WEIGHT)
        pose = BodyPose.cat([problem.solve(pose[c], goals[c], weights[c], near[c], pull, iterations // 2)
                        for c in chunks])  # fmt: skip
    return BodyPose(pose.root_position.to(rest_joints), pose.rotations.to(rest_joints))


def pull_landmarks(
    rest_joints: Float[Tensor, "j 3"],
    parents: tuple[int, ...],
    points: Landmarks,
    targets: Float[Tensor, "m 3"],
    confidence: Float[Tensor, " m"],
    start: BodyPose,
    iterations: int = 12,
) -> BodyPose:
    """Bring points of one posed body to given positions with the smallest change of its pose.

    Args:
        start: the current pose, unbatched; open twists and unaffected joints keep theirs.
        rest_joints, parents, points, targets, confidence: as in `fit_landmarks`, for one frame.
    """
    rest = rest_joints.detach().cpu().double()
    points = Landmarks(points.joints, points.offsets.detach().cpu().double())
    problem = _Problem(rest, tuple(parents), points)
    pose = BodyPose(start.root_position[None].cpu().double(), start.rotations[None].cpu().double())
    weights, goals = confidence[None].double(), targets[None].double()
    moved = problem.solve(pose, goals, weights, pose.rotations, problem.rest_weights, iterations)
    return BodyPose(moved.root_position[0].to(rest_joints), moved.rotations[0].to(rest_joints))


class _Problem:
    """The least-squares problem of one skeleton and one set of points."""

    def __init__(self, rest: Float[Tensor, "j 3"], parents: tuple[int, ...], points: Landmarks) -> None:
        self.rest, self.parents, self.points = rest, parents, points
        self.names = SMPL_JOINTS if len(parents) == len(SMPL_JOINTS) else ("",) * len(parents)
        moves = torch.eye(len(parents), dtype=torch.bool)
        for joint, parent in enumerate(parents):
            if parent >= 0:
                moves[joint] |= moves[parent]
        # moved[m, i]: rotating joint i moves point m.
        self.moved: Bool[Tensor, "m j"] = moves[points.joints]
        stiff = [name.startswith("spine") or name.endswith("collar") for name in self.names]
        self.rest_weights = torch.where(torch.tensor(stiff)[:, None], STIFF_WEIGHT, REST_WEIGHT).double()
        self.rest_weights = self.rest_weights.expand(-1, 3)
        free = torch.full_like(rest, torch.inf)
        ranges = joint_ranges() if any(self.names) else (-free, free)
        self.low, self.high = (r.double() for r in ranges)

    def guess(self, goals: Float[Tensor, "t m 3"], weights: Float[Tensor, "t m"]) -> BodyPose:
        """Rotate each joint, root first, so that the points below it lie towards their targets."""
        joints, offsets = self.points.joints, self.points.offsets
        at_joint = {int(joints[m]): m for m in range(len(joints)) if offsets[m].norm() < 1e-9}
        observed = weights.amax(0) > 0
        Gs: list[Tensor] = []
        positions: list[Tensor] = []
        upright = torch.eye(3, dtype=goals.dtype).expand(len(goals), 3, 3)
        for joint, parent in enumerate(self.parents):
            above = upright if parent < 0 else Gs[parent]
            position = self._position(joint, parent, at_joint, goals, weights, Gs, positions)
            M = 1e-3 * above
            for m in self._guides(joint, at_joint, observed):
                arm = self.rest[joints[m]] + offsets[m] - self.rest[joint]
                reach = F.normalize(goals[:, m] - position, dim=-1) * arm.norm()
                M = M + weights[:, m, None, None] * reach[..., :, None] * arm
            M = M + self._hinge(joint, at_joint, goals, weights)
            Gs.append(nearest_rotation(M))
            positions.append(position)
        local = [G if p < 0 else Gs[p].mT @ G for G, p in zip(Gs, self.parents, strict=True)]
        return BodyPose(positions[0], torch.stack(local, 1))

    def _position(
        self,
        joint: int,
        parent: int,
        at_joint: dict[int, int],
        goals: Float[Tensor, "t m 3"],
        weights: Float[Tensor, "t m"],
        Gs: list[Tensor],
        positions: list[Tensor],
    ) -> Float[Tensor, "t 3"]:
        """Position of a joint: its target if it has one, otherwise as the joints above give it."""
        if parent < 0:
            total = weights.sum(1, keepdim=True).clamp_min(1e-6)
            carried: Tensor = (weights[..., None] * goals).sum(1) / total
        else:
            carried = positions[parent] + (Gs[parent] @ (self.rest[joint] - self.rest[parent]))
        if joint not in at_joint:
            return carried
        m = at_joint[joint]
        return torch.where(weights[:, m, None] > 0, goals[:, m], carried)

    def _guides(self, joint: int, at_joint: dict[int, int], observed: Bool[Tensor, " m"]) -> list[int]:
        """The nearest observed points that rotating `joint` moves."""
        joints, offsets = self.points.joints, self.points.offsets
        guides = [m for m in range(len(joints)) if joints[m] == joint and observed[m] and offsets[m].norm() >= 1e-9]
        for child, parent in enumerate(self.parents):
            if parent == joint:
                m = at_joint.get(child)
                guides += [m] if m is not None and observed[m] else self._guides(child, at_joint, observed)
        return guides

    def _hinge(
        self, joint: int, at_joint: dict[int, int], goals: Float[Tensor, "t m 3"], weights: Float[Tensor, "t m"]
    ) -> Float[Tensor, "t 3 3"]:
        """For the joint above an elbow or knee: aligns the hinge axis with the bent limb's normal."""
        pull = goals.new_zeros(len(goals), 3, 3)
        for hinge, parent in enumerate(self.parents):
            end = self.parents.index(hinge) if hinge in self.parents else -1
            chain = [at_joint.get(k) for k in (joint, hinge, end)]
            a, b, c = chain
            if parent != joint or self.names[hinge] not in HINGES or a is None or b is None or c is None:
                continue
            axis = goals.new_tensor(HINGES[self.names[hinge]])
            upper, lower = (F.normalize(goals[:, y] - goals[:, x], dim=-1) for x, y in ((a, b), (b, c)))
            across = torch.linalg.cross(upper, lower)
            sure = 0.05 * weights[:, a] * weights[:, b] * weights[:, c]
            pull = pull + sure[:, None, None] * across[..., :, None] * axis
        return pull

    def solve(
        self,
        pose: BodyPose,
        goals: Float[Tensor, "t m 3"],
        weights: Float[Tensor, "t m"],
        near: Float[Tensor, "t j 3 3"],
        pull: Float[Tensor, "j 3"],
        iterations: int,
    ) -> BodyPose:
        """Levenberg-Marquardt over the root position and all rotations, each frame with its own damping.

        It shares no loop with `avatar.tracking.solver`: the frames here are independent problems, solved in one batch
        in which each accepts, damps and stops by itself. There the whole clip is one coupled problem.
        """
        damping = goals.new_full((len(goals),), 1e-4)
        cost, H, g = self._system(pose, goals, weights, near, pull)
        for _ in range(iterations):
            # Scaled by the diagonal as in Marquardt 1963, with a floor for unknowns that nothing holds.
            diagonal = H.diagonal(dim1=-2, dim2=-1)
            A = H + torch.diag_embed(damping[:, None] * diagonal + 1e-9)
            step = -torch.linalg.solve(A, g)
            moved = BodyPose(
                pose.root_position + step[:, :3],
                pose.rotations @ rotation_from_rotvec(step[:, 3:].unflatten(-1, (-1, 3))),
            )
            new_cost, new_H, new_g = self._system(moved, goals, weights, near, pull)
            better = new_cost < cost
            done = (better & (cost - new_cost < 1e-7 * cost + 1e-12)) | (~better & (damping > 1e4))
            pose = BodyPose(
                torch.where(better[:, None], moved.root_position, pose.root_position),
                torch.where(better[:, None, None, None], moved.rotations, pose.rotations),
            )
            cost = torch.where(better, new_cost, cost)
            H = torch.where(better[:, None, None], new_H, H)
            g = torch.where(better[:, None], new_g, g)
            damping = torch.where(better, damping * 0.2, damping * 8).clamp(1e-9, 1e6)
            if bool(done.all()):
                break
        return pose

    def _system(
        self, pose: BodyPose, goals: Tensor, weights: Tensor, near: Tensor, pull: Tensor
    ) -> tuple[Float[Tensor, " t"], Float[Tensor, "t n n"], Float[Tensor, "t n"]]:
        """Cost, Gauss-Newton matrix and gradient for a translation of the root and a rotation of each joint."""
        Ts = joint_transforms(self.rest, self.parents, pose)
        G, p = Ts[..., :3, :3], Ts[..., :3, 3]
        on = self.points.joints
        x = p[:, on] + (G[:, on] @ self.points.offsets[..., None]).squeeze(-1)
        w = weights[..., None]
        residual = (w * (x - goals)).flatten(1)
        # A rotation by v in joint i's own frame moves point x by (G_i v) x (x - p_i).
        lever = skew(x[:, :, None] - p[:, None]) @ G[:, None]
        J = -lever * (self.moved[..., None, None] * weights[:, :, None, None, None])
        J = J.transpose(2, 3).flatten(3).flatten(1, 2)
        J_root = (w[..., None] * torch.eye(3, dtype=w.dtype)).flatten(1, 2)
        J = torch.cat([J_root, J], dim=-1)
        H, g = J.mT @ J, (J.mT @ residual[..., None]).squeeze(-1)
        cost = residual.square().sum(-1)
        away = rotation_to_rotvec(near.mT @ pose.rotations)
        turn = rotation_to_rotvec(pose.rotations)
        beyond = turn - turn.clamp(self.low, self.high)
        for v, r, scale in (
            (away, away, pull.expand_as(away)),
            (turn, beyond, LIMIT_WEIGHT * (beyond != 0).to(turn)),
        ):
            D = scale[..., None] * _rotvec_derivative(v)
            s = scale * r
            s[:, 0] = D[:, 0] = 0  # the body may face anywhere
            cost = cost + s.square().sum((-1, -2))
            g[:, 3:] += (D.mT @ s[..., None]).flatten(1)
            blocks: Tensor = H[:, 3:, 3:].unflatten(-1, (-1, 3)).unflatten(1, (-1, 3))
            blocks.diagonal(dim1=1, dim2=3).add_((D.mT @ D).permute(0, 2, 3, 1))
        return cost, H, g


def _rotvec_derivative(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """d log(exp(v) exp(w)) / dw at w = 0: the inverse right Jacobian of SO(3) (Sola et al. 2018, eq. 144)."""
    angle = v.norm(dim=-1)
    small = angle < 1e-3
    a = torch.where(small, torch.ones_like(angle), angle)
    factor = torch.where(small, 1 / 12 + 0 * a, 1 / a**2 - 1 / (2 * a * torch.tan(a / 2)))
    K = skew(v)
    return torch.eye(3, dtype=v.dtype) + K / 2 + factor[..., None, None] * (K @ K)


def _weights(targets: Tensor, confidence: Tensor | None) -> Float[Tensor, "t m"]:
    valid = targets.isfinite().all(-1).double()
    return valid if confidence is None else valid * confidence.detach().cpu().double().nan_to_num()
