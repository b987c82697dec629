"""Foot contacts: when a foot is in contact, and root and leg corrections that keep it from sliding."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import rotation_from_rotvec, shortest_rotation
from avatar.motion.ik import HINGES
from avatar.motion.smoothing import smooth_path
from avatar.types import BodyPose

STANDING_HEIGHT = 0.05  # metres above the floor below which a sole may be in contact
LIFTED = 0.03  # metres above the other foot from which on a foot does not stand
STANDING_SPEED = 0.45  # m/s below which it is
LONGEST_REACH = 0.998  # of the straight leg; a knee that snaps straight is conspicuous
HINGE_SHARE = 0.1  # weight of the thigh's own axis against the normal of the bent leg, as the knee's axis
ROLL_DAMPING = 0.02  # metres: distance of the knee from the line of the leg below which the leg hardly turns about it
MOST_ROLL = math.radians(8.0)
LONGEST_SLIDE = 0.06  # metres by which a leg holds back a sliding foot
BLEND_SECONDS = 0.08  # over which a foot lock fades in and out

SMALL_DIP = 0.005  # metres by which the root rises at once, so that no foot is under the floor
BEARING_HEIGHT = 0.005  # metres above the lowest sole point at which another bears a third of its weight

SIDES = ("left", "right")


@dataclass(frozen=True)
class Soles:
    """Heel and ball of each foot as points riding on the ankle and toe joints.

    Attributes:
        joints: the joint under which each of the four points lies: left heel, left ball, right heel, right ball.
        offsets: where each lies from its joint in the T-pose, metres.
    """

    joints: tuple[int, ...]
    offsets: Float[Tensor, "4 3"]

    def positions(self, Ts_world_joint: Float[Tensor, "t j 4 4"]) -> Float[Tensor, "t 4 3"]:
        """World positions of the four points, metres."""
        Ts = Ts_world_joint[:, list(self.joints)]
        return (Ts[..., :3, :3] @ self.offsets.to(Ts)[..., None]).squeeze(-1) + Ts[..., :3, 3]


def soles_of(rest_joints: Float[Tensor, "j 3"], floor: float | None = None) -> Soles:
    """The soles of a body at rest, whose lowest point is at height `floor` (without it, 3 cm below its toe joints)."""
    names = ("left_ankle", "left_foot", "right_ankle", "right_foot")
    joints = tuple(SMPL_JOINTS.index(name) for name in names)
    if floor is None:
        floor = float(rest_joints[list(joints), 1].min()) - 0.03
    points = rest_joints[list(joints)].clone()
    points[:, 1] = floor
    points[[0, 2], 2] -= 0.04  # the heel stands behind the ankle
    return Soles(joints, points - rest_joints[list(joints)])


def contact_weights(positions: Float[Tensor, "t 4 3"], fps: float) -> Float[Tensor, "t 4"]:
    """Contact weight of each sole point, in [0, 1]: near the floor and slow for more than a moment."""
    height = positions[..., 1]
    # A foot that is held still a little above the other one does not stand.
    feet = height.unflatten(-1, (2, 2)).amin(-1)
    lifted = (feet - feet.amin(-1, keepdim=True) > LIFTED).repeat_interleave(2, -1)
    low: Tensor = (height < STANDING_HEIGHT) & ~lifted
    if len(positions) < 3:
        return low.to(positions)
    speed = torch.gradient(positions, spacing=1 / fps, dim=0)[0].norm(dim=-1)
    stands = (low & (speed < STANDING_SPEED)).to(positions)
    # A majority over a tenth of a second removes single frames, and the average after it makes soft edges.
    steady = (smooth_path(stands, 0.05 * fps) > 0.5).to(positions)
    # A foot that leaves fast is not dragged while its contact fades out.
    slow: Tensor = (2 - speed / STANDING_SPEED).clamp(0, 1)
    return smooth_path(steady, BLEND_SECONDS * fps / 2) * slow


def lock_feet(rest_joints: Float[Tensor, "24 3"], pose: BodyPose, fps: float, soles: Soles) -> BodyPose:
    """Put the feet on the floor (y = 0) and lock those in contact.

    First the root moves smoothly, so that feet in contact keep their position on average; then inverse kinematics of
    each leg removes the remaining error. Poses in the air stay in the air.
    """
    pose = replace(pose, root_position=pose.root_position + _down_to_floor(rest_joints, pose, soles))
    positions = soles.positions(joint_transforms(rest_joints, SMPL_PARENTS, pose))
    contact = contact_weights(positions, fps)
    pose = replace(pose, root_position=pose.root_position + _root_correction(positions, contact, fps))
    Ts = joint_transforms(rest_joints, SMPL_PARENTS, pose)
    positions = soles.positions(Ts)
    moves = []
    for side in range(2):
        points = slice(2 * side, 2 * side + 2)
        moves.append(_foot_correction(positions[:, points], contact[:, points], fps))
    return bend_legs(rest_joints, pose, torch.stack(moves, 1))


def root_path_from_feet(rest_joints: Float[Tensor, "24 3"], pose: BodyPose) -> Float[Tensor, "t 3"]:
    """A root path for a motion recorded relative to the hips: the lowest foot stays fixed at y = 0."""
    soles = soles_of(rest_joints)
    still = BodyPose(torch.zeros_like(pose.root_position), pose.rotations)
    positions = soles.positions(joint_transforms(rest_joints, SMPL_PARENTS, still))
    low = positions[..., 1].amin(-1)
    share = torch.softmax(-(positions[..., 1] - low[:, None]) / 0.02, dim=-1)
    step = (share[1:, :, None] * (positions[1:] - positions[:-1])).sum(1)
    path = torch.cat([step.new_zeros(1, 3), -step.cumsum(0)])
    path[:, 1] = -smooth_path(low, 1.0)
    return path


def _down_to_floor(rest_joints: Float[Tensor, "24 3"], pose: BodyPose, soles: Soles) -> Float[Tensor, " 3"]:
    """The vertical shift that brings the usual level of the feet to y = 0."""
    positions = soles.positions(joint_transforms(rest_joints, SMPL_PARENTS, pose))
    level = positions[..., 1].amin(-1).quantile(0.1)
    return torch.stack([torch.zeros_like(level), -level, torch.zeros_like(level)])


def _root_correction(
    positions: Float[Tensor, "t 4 3"], contact: Float[Tensor, "t 4"], fps: float
) -> Float[Tensor, "t 3"]:
    """Root translation that keeps soles in contact from sliding or leaving the floor, on average."""
    if len(positions) < 3:
        return torch.zeros_like(positions[:, 0])
    share = contact / contact.sum(-1, keepdim=True).clamp_min(1.0)
    step = positions[1:] - positions[:-1]
    slide = -(share[1:, :, None] * step).sum(1)
    path = torch.cat([torch.zeros_like(slide[:1]), slide.cumsum(0)])
    # The lower points bear the weight: a raised heel does not press the ball of the foot through the floor.
    bearing = contact * torch.exp(-positions[..., 1] / BEARING_HEIGHT)
    bearing = bearing / bearing.sum(-1, keepdim=True).clamp_min(1e-6) * share.sum(-1, keepdim=True)
    height = smooth_path((bearing * positions[..., 1]).sum(-1), 0.15 * fps)
    # The lowest point may dip a little while weight is taken up, but not through the floor. Millimetres go to the root:
    # a straight leg would have to bend its knee by centimetres for them.
    under = (height - positions[..., 1].amin(-1)).clamp(0.0, SMALL_DIP)
    path[:, 1] = under - height
    return path


def _foot_correction(
    positions: Float[Tensor, "t 2 3"], contact: Float[Tensor, "t 2"], fps: float
) -> Float[Tensor, "t 3"]:
    """Translation of one foot that fixes its contact points on the floor and keeps all points above it."""
    target = torch.zeros_like(positions[:, 0])
    weight = torch.zeros_like(contact[:, 0])
    for point in range(2):
        lock = torch.zeros_like(target)
        for first, last in _runs(contact[:, point] > 0.02):
            share = contact[first:last, point, None]
            anchor = (share * positions[first:last, point]).sum(0) / share.sum()
            back = anchor - positions[first:last, point]
            # What slides far means to slide, or turns on the spot: holding it would twist the legs.
            held = 1 / (1 + (back.norm(dim=-1, keepdim=True) / LONGEST_SLIDE) ** 4)
            lock[first:last] = share * held * back
            lock[first:last, 1] = -contact[first:last, point] * positions[first:last, point, 1]
        target = target + lock
        weight = weight + contact[:, point]
    move = target / weight.clamp_min(1.0)[:, None]
    move = smooth_path(move, 0.02 * fps)
    under = -(positions[..., 1] + move[:, None, 1]).amin(-1)
    return move + under.clamp_min(0.0)[:, None] * torch.tensor([0.0, 1.0, 0.0])


def _runs(on: Tensor) -> list[tuple[int, int]]:
    """First and one-past-last index of every unbroken run of true values."""
    edges = torch.diff(F.pad(on.int(), (1, 1)))
    return list(zip(torch.nonzero(edges == 1)[:, 0].tolist(), torch.nonzero(edges == -1)[:, 0].tolist(), strict=True))


def bend_legs(rest_joints: Float[Tensor, "24 3"], pose: BodyPose, moves: Float[Tensor, "t 2 3"]) -> BodyPose:
    """Move each ankle by `moves` (left, right, in metres) and keep the orientation of the foot.

    The two-bone problem in closed form: in the plane across the knee's own axis the leg bends until the ankle has the
    right distance from the hip; then the leg swings to the target by the shortest rotation, and turns a little about
    the line from hip to ankle, so that the knee stays as far from the other one as it was. Without moves nothing turns;
    straight legs bend forwards. A target out of reach is brought just within it.
    """
    rotations = pose.rotations.double().clone()
    Ts = joint_transforms(rest_joints.double(), SMPL_PARENTS, BodyPose(pose.root_position.double(), rotations))
    knees = Ts[:, [SMPL_JOINTS.index(f"{name}_knee") for name in SIDES], :3, 3]
    across = F.normalize(knees[:, 0] - knees[:, 1], dim=-1)
    for side, name in enumerate(SIDES):
        hip, knee, ankle = (SMPL_JOINTS.index(f"{name}_{part}") for part in ("hip", "knee", "ankle"))
        H, K, A = (Ts[:, joint, :3, 3] for joint in (hip, knee, ankle))
        G_pelvis, G_hip, G_knee, G_ankle = (Ts[:, j, :3, :3] for j in (SMPL_PARENTS[hip], hip, knee, ankle))
        target = A + moves[:, side].double() - H
        axis = _knee_axis(K - H, A - K, G_hip @ torch.tensor(HINGES[f"{name}_knee"], dtype=torch.float64))
        R_knee = rotation_from_rotvec(_knee_turn(K - H, A - K, axis, target.norm(dim=-1))[:, None] * axis)
        bent = K - H + (R_knee @ (A - K)[..., None]).squeeze(-1)
        R_hip = rotation_from_rotvec(_angle_about(axis, bent, A - H)[:, None] * axis)
        bent_now = F.normalize((R_hip @ bent[..., None]).squeeze(-1), dim=-1)
        R_hip = shortest_rotation(bent_now, F.normalize(target, dim=-1)) @ R_hip
        R_hip = _roll(target, K - H, (R_hip @ (K - H)[..., None]).squeeze(-1), across) @ R_hip
        rotations[:, hip] = G_pelvis.mT @ R_hip @ G_hip
        rotations[:, knee] = G_hip.mT @ R_knee @ G_knee
        rotations[:, ankle] = (R_hip @ R_knee @ G_knee).mT @ G_ankle
    return replace(pose, rotations=rotations.to(pose.rotations))


def _knee_axis(
    thigh: Float[Tensor, "t 3"], shin: Float[Tensor, "t 3"], hinge: Float[Tensor, "t 3"]
) -> Float[Tensor, "t 3"]:
    """The axis of the thigh where the leg is straight, the normal of the leg's plane where it is well bent."""
    normal = torch.linalg.cross(F.normalize(thigh, dim=-1), F.normalize(shin, dim=-1))
    return F.normalize(HINGE_SHARE * hinge + (normal * hinge).sum(-1, keepdim=True) * normal, dim=-1)


def _knee_turn(
    thigh: Float[Tensor, "t 3"], shin: Float[Tensor, "t 3"], axis: Float[Tensor, "t 3"], reach: Float[Tensor, " t"]
) -> Float[Tensor, " t"]:
    """The angle about `axis` by which the shin turns to bring the ankle to the distance `reach` from the hip.

    |thigh + shin|^2 = constant + 2 r cos(flexion), where the flexion is the angle between both bones about the axis.
    """
    upper, lower = _off_line(thigh, axis), _off_line(shin, axis)
    flexion = _angle_about(axis, thigh, shin)
    r = upper.norm(dim=-1) * lower.norm(dim=-1)
    before = (thigh + shin).norm(dim=-1)
    constant = before.square() - 2 * r * flexion.cos()
    # Legs that are straighter than the limit already may stay so.
    reach = torch.minimum(reach, torch.maximum(LONGEST_REACH * (constant + 2 * r).sqrt(), before))
    forward = ((reach.square() - constant) / (2 * r).clamp_min(1e-12)).clamp(-1, 1).acos()
    # A knee bent backwards by some angle reaches as far as one bent forwards by it. While it bends, it goes over.
    back = (-flexion).clamp_min(0)
    over = 2 * back * torch.exp((back - forward).clamp_max(0) / (4 * back + 1e-9))
    turn = torch.where(forward < back, -forward, forward - over) - flexion
    return torch.where((reach - before).abs() < 1e-9, 0.0, turn)


def _roll(
    line: Float[Tensor, "t 3"], before: Float[Tensor, "t 3"], after: Float[Tensor, "t 3"], across: Float[Tensor, "t 3"]
) -> Float[Tensor, "t 3 3"]:
    """The small rotation about `line` that brings the knee back to its place along `across`, all from the hip."""
    line = F.normalize(line, dim=-1)
    away = ((after - before) * across).sum(-1)
    per_radian = (torch.linalg.cross(line, after) * across).sum(-1)
    # A nearly straight leg would have to turn far.
    angle = -away * per_radian / (per_radian.square() + ROLL_DAMPING**2)
    return rotation_from_rotvec(angle.clamp(-MOST_ROLL, MOST_ROLL)[:, None] * line)


def _angle_about(axis: Float[Tensor, "t 3"], a: Float[Tensor, "t 3"], b: Float[Tensor, "t 3"]) -> Float[Tensor, " t"]:
    """The angle from `a` to `b`, seen along the unit vector `axis`."""
    a, b = _off_line(a, axis), _off_line(b, axis)
    return torch.atan2((axis * torch.linalg.cross(a, b)).sum(-1), (a * b).sum(-1))


def _off_line(v: Float[Tensor, "*t 3"], line: Float[Tensor, "*t 3"]) -> Float[Tensor, "*t 3"]:
    """The part of `v` across the unit vector `line`."""
    return v - (v * line).sum(-1, keepdim=True) * line
