"""How loose clothes and hair swing: spring bones as damped pendulums, at a fixed time step.

Each node is a pendulum at the node above it. It is pulled half by gravity and half by the shape that the body gives to
the cloth; both together swing as a rod of the whole length would, at 1.5 g / length. Neighbours in a ring stay together
as cloth does, and nothing enters the legs, neither a node nor the cloth half-way between two of them: position
constraints after each step (Müller et al., "Position based dynamics", 2007). At rest gravity is held up, so that what
the images show does not sag.

`avatar/exporters/player/springs.js` does the same; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import rotation_from_quat
from avatar.model.avatar import Avatar
from avatar.model.joint_transforms import joint_transforms_and_quats
from avatar.model.rig import Rig
from avatar.model.spring_vectors import (
    Quats,
    Vectors,
    alike,
    between,
    dot,
    inverse,
    moved,
    product,
    rotated,
    unit,
)
from avatar.types import BodyPose, BodyTrack

Nodes = Int[np.ndarray, " _"]
DOWN = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class Physics:
    """The numbers of the simulation, which players get too.

    Attributes:
        step: seconds of one step; instant: seconds that are none, since times are rounded.
        gravity: m/s².
        shape: pull towards where the body would carry the cloth, by that of gravity.
        damping: of the swing relative to the body, as a share of the critical one.
        widest, narrowest: distance of neighbours in a ring by the one that the body gives them.
        bend: cosine of the largest angle between a bone and where it belongs.
        rounds: of the constraints in one step.
        settling: seconds for which a pose is held, critically damped, before a motion begins.
        jump: m/s of the pelvis at which nobody moves: the motion goes on elsewhere, and takes the clothes along.
    """

    step: float = 1 / 60
    instant: float = 1e-5
    gravity: float = 9.81
    shape: float = 1.0
    damping: float = 0.4
    widest: float = 1.25
    narrowest: float = 0.7
    bend: float = 0.8
    rounds: int = 2
    settling: float = 1.0
    jump: float = 6.0


PHYSICS = Physics()


@dataclass(frozen=True)
class Carried:
    """Where the body carries everything at one moment.

    Attributes:
        places, turns: of the nodes, world, metres and quaternions.
        ends: of the capsules, the first ones and the others.
        root: place of the pelvis, and root_turn its quaternion.
    """

    places: Vectors
    turns: Quats
    ends: tuple[Vectors, Vectors]
    root: Float[np.ndarray, " 3"]
    root_turn: Float[np.ndarray, " 4"]

    def until(self, later: Carried, share: float) -> Carried:
        """A moment between this one and a later one, straight on the way."""
        turns = self.turns + share * (alike(later.turns, self.turns) - self.turns)
        return replace(
            later,
            places=self.places + share * (later.places - self.places),
            turns=turns / np.linalg.norm(turns, axis=1, keepdims=True),
            ends=tuple(a + share * (b - a) for a, b in zip(self.ends, later.ends, strict=True)),
        )


@dataclass(frozen=True)
class _Neighbors:
    """Pairs of nodes in a ring, none of them in two pairs.

    Attributes:
        one, other: the nodes of each pair.
        clearance: the least distance of the point half-way between them from the line of each capsule, metres.
    """

    one: Nodes
    other: Nodes
    clearance: Float[np.ndarray, "pairs capsules"]


@dataclass(frozen=True)
class _State:
    """The nodes: places and speeds, where they belong, and the rotations of the bones above them away from there."""

    places: Vectors
    speeds: Vectors
    goals: Vectors
    swing: Quats


class SpringMotion:
    """The spring bones of an avatar in motion."""

    def __init__(self, rig: Rig, names: tuple[str, ...], physics: Physics = PHYSICS) -> None:
        """Bones at rest in no pose yet; `settle` or the first `advance` gives them one.

        Args:
            rig: with spring bones; names: of its joints.
        """
        assert rig.springs is not None
        self.rig, self.springs, self.physics = rig, rig.springs, physics
        bones = rig.springs.bones
        self.rings = [np.array(ring) for ring in bones.rings]
        self.above = np.array(bones.above)
        self.clearance = bones.clearance.double().cpu().numpy()
        self.capsules = np.array([[names.index(name) for name in pair] for pair in bones.capsules]).T
        self.joints, self.rest = rig.joints.double().cpu().numpy(), bones.places.double().cpu().numpy()
        self.pairs = [
            [_Neighbors(one, other, self._clearance_between(one, other)) for one, other in groups]
            for groups in _separate_pairs(bones.beside, bones.rings)
        ]
        self.stiffness = (1.5 * physics.gravity / bones.length.double().cpu().numpy())[:, None]
        bone = unit(self.rest - self.rest[np.maximum(self.above, 0)])
        self.support = dot(bone, DOWN) * bone - DOWN
        self.before: Carried | None = None
        self.late = 0.0

    def carried(self, joints: Float[Tensor, "joints 16"]) -> Carried:
        """What a pose makes of everything.

        Args:
            joints: see `avatar.model.joint_transforms`.
        """
        rows, own = (rows.double().cpu().numpy() for rows in (self.springs.carried(joints), joints))
        first, last = (moved(own[ends], self.joints[ends]) for ends in self.capsules)
        root = moved(own[:1], self.joints[:1])[0]
        return Carried(moved(rows, self.rest), rows[:, 12:], (first, last), root, own[0, 12:])

    def _clearance_between(self, one: Nodes, other: Nodes) -> Float[np.ndarray, "pairs capsules"]:
        """The least distance of points half-way between nodes: the mean of theirs, or that at rest if it is less."""
        middle = (self.rest[one] + self.rest[other]) / 2
        ends = zip(*self.joints[self.capsules], strict=True)
        distance = np.stack([np.linalg.norm(_from_line(middle, *pair), axis=1) for pair in ends], axis=1)
        least: np.ndarray = np.minimum((self.clearance[one] + self.clearance[other]) / 2, distance)
        return least

    def settle(self, at: Carried) -> Quats:
        """Hold a pose until nothing swings any more; returns the swing, see `advance`."""
        still = np.zeros_like(at.places)
        turns = np.tile([1.0, 0, 0, 0], (len(at.places), 1))
        state = _State(at.places, still, at.places, turns)
        for _ in range(round(self.physics.settling / self.physics.step)):
            state = self._stepped(state, at, self.physics.step, damping=1.0)
        self.state, self.before, self.late = replace(state, speeds=still), at, 0.0
        return self.state.swing

    def advance(self, at: Carried, seconds: float) -> Quats:
        """Move on to a pose that comes some seconds after the last one.

        The steps are at multiples of `Physics.step`, whatever the rate of the poses; one shorter step leads from the
        last of them to the pose itself, and is not kept.

        Returns:
            Of each node the rotation of the bone above it, in the world, away from where the body carries it.
        """
        if self.before is None:
            return self.settle(at)
        if np.linalg.norm(at.root - self.before.root) > self.physics.jump * seconds:
            self._jump(at)
        before, step = self.before, self.physics.step
        self.late += seconds
        while self.late >= step - self.physics.instant:
            self.late -= step
            moment = before.until(at, 1 - self.late / seconds)
            self.state = self._stepped(self.state, moment, step, self.physics.damping)
        self.before = at
        if self.late < self.physics.instant:
            return self.state.swing
        return self._stepped(self.state, at, self.late, self.physics.damping).swing

    def _jump(self, to: Carried) -> None:
        """Take everything along with the pelvis to where the motion begins again."""
        assert self.before is not None
        turn = product(to.root_turn[None], inverse(self.before.root_turn[None]))
        state, start = self.state, self.before.root

        def along(points: Vectors) -> Vectors:
            placed: np.ndarray = to.root + rotated(turn, points - start)
            return placed

        self.state = _State(
            along(state.places), rotated(turn, state.speeds), along(state.goals),
            product(product(turn, state.swing), inverse(turn)),
        )  # fmt: skip
        self.before = to

    def _stepped(self, state: _State, at: Carried, seconds: float, damping: float) -> _State:
        """The state some seconds later, when the body has come to `at`."""
        places, goals, swing = at.places.copy(), at.places.copy(), np.tile([1.0, 0, 0, 0], (len(at.places), 1))
        shape = self.physics.shape
        decay = np.exp(-2 * damping * np.sqrt((1 + shape) * self.stiffness) * seconds)
        support = rotated(at.turns, self.support)
        for ring, pairs in zip(self.rings[1:], self.pairs[1:], strict=True):
            above = self.above[ring]
            pivots, bones = places[above], rotated(swing[above], at.places[ring] - at.places[above])
            goals[ring] = pivots + bones
            lengths, directions = np.linalg.norm(bones, axis=1, keepdims=True), unit(bones)
            moving = (goals[ring] - state.goals[ring]) / seconds
            weight = lengths * (DOWN + support[ring])
            force = self.stiffness[ring] * (weight + shape * (goals[ring] - state.places[ring]))
            speeds = moving + decay[ring] * (state.speeds[ring] - moving) + force * seconds
            places[ring] = state.places[ring] + speeds * seconds
            for _ in range(self.physics.rounds):
                self._keep_together(places, at.places, pairs)
                _keep_out(places, at.ends, pairs)
                places[ring] = _outside(places[ring], at.ends, self.clearance[ring])
                places[ring] = pivots + lengths * self._bent(places[ring] - pivots, directions)
            swing[ring] = product(between(bones, places[ring] - pivots), swing[above])
        return _State(places, (places - state.places) / seconds, goals, swing)

    def _keep_together(self, places: Vectors, carried: Vectors, pairs: list[_Neighbors]) -> None:
        """Move neighbours in a ring to where cloth lets them be; changes `places`."""
        for one, other in ((pair.one, pair.other) for pair in pairs):
            apart = places[other] - places[one]
            distance = np.linalg.norm(apart, axis=1, keepdims=True)
            usual = np.linalg.norm(carried[other] - carried[one], axis=1, keepdims=True)
            right = np.clip(distance, self.physics.narrowest * usual, self.physics.widest * usual)
            shift = 0.5 * (1 - right / np.maximum(distance, 1e-9)) * apart
            places[one] += shift
            places[other] -= shift

    def _bent(self, bones: Vectors, straight: Vectors) -> Vectors:
        """Directions of bones, turned back to the largest angle from where they belong."""
        ways = unit(bones)
        along, least = dot(ways, straight), self.physics.bend
        turned = least * straight + np.sqrt(1 - least**2) * unit(ways - along * straight)
        return np.where(along < least, turned, ways)


@torch.no_grad()
def with_swing(track: BodyTrack, avatar: Avatar) -> BodyTrack:
    """The motion with loose clothes and hair that swing, from rest in its first pose; the same for an avatar without.

    Args:
        track: evenly spaced or not; the poses may be of the common 24 joints.
        avatar: with its spring bones on (`Avatar.with_springs`).
    """
    if avatar.springs is None:
        return track
    swing = torch.stack(list(swings(track.poses, track.times.double().tolist(), avatar)))
    return replace(track, poses=replace(track.poses, swing=swing))


@torch.no_grad()
def swings(poses: BodyPose, times: Sequence[float], avatar: Avatar) -> Iterator[Float[Tensor, "nodes 3 3"]]:
    """The swing in one pose after the other, computed as it is asked for; see `with_swing`.

    Args:
        poses: a batch; times: of each pose, seconds; avatar: with its spring bones on.
    """
    held = avatar.gripping(poses)
    body, rig = avatar.rig_for([held])
    full = body.complete(held.to(avatar.device))
    motion = SpringMotion(rig, body.joint_names)
    for frame, time in enumerate(times):
        joints = joint_transforms_and_quats(rig.joints, rig.parents, full[frame])
        quats = motion.advance(motion.carried(joints), time - times[max(frame - 1, 0)])
        yield rotation_from_quat(torch.from_numpy(quats)).to(poses.rotations)


def physics_table() -> dict[str, float]:
    """The numbers of the simulation for players."""
    return asdict(PHYSICS)


def _separate_pairs(beside: tuple[tuple[int, int], ...], rings: tuple[tuple[int, ...], ...]) -> list[list[np.ndarray]]:
    """Of each ring the pairs of neighbours in groups in which no node occurs twice, so that they move at once."""
    groups = []
    for ring in rings:
        own: list[list[tuple[int, int]]] = []
        for pair in (pair for pair in beside if pair[0] in ring):
            if not own or {node for other in own[-1] for node in other} & set(pair):
                own.append([])
            own[-1].append(pair)
        groups.append([np.array(group).T for group in own])
    return groups


def _keep_out(places: Vectors, ends: tuple[Vectors, Vectors], pairs: list[_Neighbors]) -> None:
    """Move neighbours so that the cloth half-way between them is outside of the capsules; changes `places`.

    A leg that is kicked would else pass between two nodes.
    """
    for pair in pairs:
        middle = (places[pair.one] + places[pair.other]) / 2
        shift = _outside(middle, ends, pair.clearance) - middle
        places[pair.one] += shift
        places[pair.other] += shift


def _outside(points: Vectors, ends: tuple[Vectors, Vectors], clearance: Float[np.ndarray, "k c"]) -> Vectors:
    """Points moved out of one capsule after the other."""
    for first, last, least in zip(*ends, clearance.T, strict=True):
        away = _from_line(points, first, last)
        distance = np.maximum(np.sqrt((away * away).sum(1)), 1e-9)
        points = points + (np.maximum(least - distance, 0) / distance)[:, None] * away
    return points


def _from_line(points: Vectors, first: Float[np.ndarray, " 3"], last: Float[np.ndarray, " 3"]) -> Vectors:
    """Vectors to points from the nearest points of the line between two others."""
    along = last - first
    share = np.clip((points - first) @ along / max(float(along @ along), 1e-12), 0, 1)
    away: np.ndarray = points - first - share[:, None] * along
    return away
