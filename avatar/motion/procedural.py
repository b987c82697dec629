"""Motions written as formulas, free of any licence. All of them repeat without a seam.

Each is a function of the phase (frames,) in [0, 1) and gives joint rotations, and either the root path or the way
the feet carry the root. Gait curves follow the shape of normative data (Winter 1991), read off as a few key values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body.hand_angles import finger_rotations
from avatar.body.skeleton import SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.errors import UsageError
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.foot_contact import bend_legs, lock_feet, root_path_from_feet, soles_of
from avatar.motion.motion import Motion, uniform_track
from avatar.motion.smoothing import smooth_path
from avatar.motion.text.anatomy import JointRotations, about, arm, assemble, back, gaze, hand, leg
from avatar.motion.text.hands_face import hand_angles
from avatar.types import BodyPose

FPS = 60.0
TAU = 2 * math.pi
FINGER_SWAY = math.radians(4)
Phase = Tensor
Number = float | int
Keys = Sequence[tuple[Number, Number]]


@dataclass(frozen=True)
class Builtin:
    """A motion by name: what it shows, the length of one cycle in seconds, and the function of its phase.

    Attributes:
        hands: shapes of the left and the right hand, see `avatar.motion.text.hands_face`.
    """

    about: str
    seconds: float
    make: Callable[[Phase], BodyPose]
    hands: tuple[str, str] = ("hand relaxed", "hand relaxed")


def builtin_motion(name: str) -> Motion:
    """A built-in motion.

    Raises:
        UsageError: no built-in motion has that name.
    """
    if name not in BUILTIN:
        raise UsageError(f"There is no built-in motion {name!r}: choose one of {', '.join(BUILTIN)}, or give a file.")
    chosen = BUILTIN[name]
    frames = max(1, round(chosen.seconds * FPS))
    phase = torch.arange(frames, dtype=torch.float32) / frames
    pose, fingers = chosen.make(phase), living_fingers(phase, chosen.hands)
    track = uniform_track(pose.rotations, pose.root_position, FPS, body="open", fingers=fingers)
    return Motion("builtin", track, leg_length(model_rest()))


def living_fingers(phase: Phase, hands: tuple[str, str]) -> Float[Tensor, "t 30 3 3"]:
    """Hands of the given shapes whose fingers bend a little more and less, one after the other, once in a cycle."""
    shapes = torch.stack([hand_angles(shape) for shape in hands])
    # The little finger begins, and the right hand follows the left.
    late = torch.tensor([[0.3, 0.2, 0.0, 0.1, 0.4], [0.7, 0.6, 0.4, 0.5, 0.8]])
    more = FINGER_SWAY * torch.cos(TAU * (phase[:, None, None] - late))
    angles = shapes + more[..., None] * torch.tensor([0.0, 0.7, 1.0, 0.6])
    return finger_rotations(angles)


def _wave(phase: Phase, amplitude: Number, peak: Number = 0.0, mean: Number = 0.0, times: int = 1) -> Tensor:
    """A cosine with its top at `peak`."""
    return mean + amplitude * torch.cos(TAU * times * (phase - peak))


def _curve(phase: Phase, keys: Keys) -> Tensor:
    """A smooth periodic curve through (phase, value) pairs."""
    from scipy.interpolate import CubicSpline

    places, values = zip(*keys, strict=True)
    spline = CubicSpline([*places, places[0] + 1], [*values, values[0]], bc_type="periodic")
    return torch.from_numpy(spline(((phase - places[0]) % 1 + places[0]).double().numpy())).float()


def _flat(phase: Phase, value: Number) -> Tensor:
    return torch.full_like(phase, float(value))


def _root_at_rest(frames: int) -> Float[Tensor, "t 3"]:
    rest = model_rest().float()
    height = float(rest[0, 1]) - _floor()
    return torch.tensor([0.0, height, 0.0]).repeat(frames, 1)


def _floor() -> float:
    return float(model_rest()[[7, 8, 10, 11], 1].min()) - 0.03


def _on_feet(
    rotations: Float[Tensor, "t 24 3 3"],
    root_shift: Float[Tensor, "t 3"],
    feet: Float[Tensor, "t 2 3"] | None = None,
    width: float = 0.11,
    turned_out: float = 8.0,
) -> BodyPose:
    """Bend the legs so that the feet stand at given positions while the root moves freely.

    Args:
        root_shift: of the root from where it is in the T-pose.
        feet: positions of the ankles (left, right), relative to standing `width` to each side of the middle.
        turned_out: of the legs, degrees: knees and toes point the same way.
    """
    rest = model_rest().float()
    outwards = {
        hip: about("y", torch.full((len(rotations),), sign * turned_out)) for hip, sign in ((1, 1.0), (2, -1.0))
    }
    rotations = rotations.clone()
    for hip, turn in outwards.items():
        rotations[:, hip] = turn
    pose = BodyPose(_root_at_rest(len(rotations)) + root_shift, rotations)
    Ts = joint_transforms(rest, SMPL_PARENTS, pose)
    ankles = Ts[:, [7, 8], :3, 3]
    height = float(rest[7, 1]) - _floor()
    stand = torch.tensor([[width, height, float(rest[7, 2])], [-width, height, float(rest[8, 2])]])
    target = stand + (0 if feet is None else feet)
    pose = bend_legs(rest, pose, target - ankles)
    # The soles stay level whatever the legs do.
    Ts = joint_transforms(rest, SMPL_PARENTS, pose)
    turned = pose.rotations.clone()
    for side, (knee, ankle) in enumerate(((4, 7), (5, 8))):
        turned[:, ankle] = Ts[:, knee, :3, :3].mT @ outwards[side + 1]
    return BodyPose(pose.root_position, turned)


def _gait(
    phase: Phase, hip: Keys, knee: Keys, ankle: Keys, swing: Number, elbow: Number, lean: Number, hips: Number
) -> Float[Tensor, "t 24 3 3"]:
    """A walk or run: legs half a cycle apart, shoulders turning against the pelvis, arms against the legs."""
    parts: list[JointRotations] = []
    for side, shift in (("left", 0.0), ("right", 0.5)):
        p = (phase + shift) % 1
        parts.append(leg(side, _curve(p, hip), _flat(p, -1.5), _curve(p, knee), -_curve(p, ankle), _flat(p, 5)))
        # The arm is back when its own leg is in front, a little late as a pendulum is.
        reach = _wave(p, swing, peak=0.53, mean=2)
        parts.append(_swung_arm(side, reach, elbow + 0.35 * (reach + swing)))
    turn = _wave(phase, -hips, peak=0.0)
    parts.append(back(_flat(phase, lean), _wave(phase, 2.0, peak=0.2), -2.1 * turn))
    parts.append(gaze(_flat(phase, -0.4 * lean), 1.1 * turn, _flat(phase, 0)))
    root = about("y", turn) @ about("z", _wave(phase, 0.7 * hips, peak=0.17)) @ about("x", _flat(phase, 0.3 * lean))
    return assemble(*parts, root=root)


def _swung_arm(side: str, reach: Tensor, bend: Tensor) -> JointRotations:
    """An arm hanging down and swung forwards by `reach` degrees."""
    sign = 1.0 if side == "left" else -1.0
    hanging = about("x", -reach) @ about("z", _flat(reach, -sign * 80))
    return {f"{side}_shoulder": hanging, f"{side}_elbow": about("y", -sign * bend)}


def _thrice(phase: Phase, make: Callable[[Phase], BodyPose]) -> BodyPose:
    """The middle one of three rounds, so that temporal filters see no boundary."""
    whole = make(phase.repeat(3))
    middle = whole[slice(len(phase), 2 * len(phase))]
    start = middle.root_position[0] * torch.tensor([1.0, 0.0, 1.0])
    return BodyPose(middle.root_position - start, middle.rotations)


def _carried_by_feet(rotations: Tensor, sway: Tensor, smoothing: Number) -> BodyPose:
    rest = model_rest().float()
    pose = BodyPose(torch.zeros(len(rotations), 3), rotations)
    path = smooth_path(root_path_from_feet(rest, pose), smoothing)
    # A steady forward pace; the feet's own irregularities are taken up by the foot lock.
    steps = torch.linspace(0, 1, len(path))
    path = torch.stack([sway, path[:, 1], path[0, 2] + steps * (path[-1, 2] - path[0, 2])], -1)
    return lock_feet(rest, BodyPose(path, rotations), FPS, soles_of(rest))


def _walk(phase: Phase) -> BodyPose:
    hip = ((0.0, 27), (0.12, 22), (0.3, 4), (0.5, -13), (0.6, -4), (0.75, 22), (0.87, 30))
    knee = ((0.0, 4), (0.13, 17), (0.28, 9), (0.4, 5), (0.5, 12), (0.62, 42), (0.73, 60), (0.85, 32), (0.95, 4))
    ankle = ((0.0, 2), (0.07, -4), (0.25, 5), (0.44, 11), (0.56, -4), (0.63, -18), (0.75, -3), (0.88, 3))
    return _thrice(
        phase, lambda p: _carried_by_feet(_gait(p, hip, knee, ankle, 19, 14, 4, 5), _wave(p, 0.018, 0.27), 3.0)
    )


def _run(phase: Phase) -> BodyPose:
    hip = ((0.0, 38), (0.1, 30), (0.25, 0), (0.36, -18), (0.5, 5), (0.7, 48), (0.85, 50))
    knee = ((0.0, 18), (0.12, 40), (0.26, 24), (0.36, 18), (0.48, 62), (0.62, 104), (0.76, 82), (0.92, 22))
    ankle = ((0.0, 5), (0.13, 20), (0.26, 2), (0.36, -22), (0.5, -12), (0.75, 2))

    def whole(p: Phase) -> BodyPose:
        rotations = _gait(p, hip, knee, ankle, 34, 62, 12, 8)
        rest = model_rest().float()
        pose = BodyPose(torch.zeros(len(p), 3), rotations)
        rounds = torch.arange(len(p)) / len(phase)
        soles = soles_of(rest).positions(joint_transforms(rest, SMPL_PARENTS, pose))
        # The pace is that of a foot in mid-stance, and the body is lowest there and highest in flight.
        stance = (p > 0.08) & (p < 0.24)
        speed = -torch.gradient(soles[:, 1, 2], spacing=1.0 / len(phase))[0][stance].median()
        bob = _wave(p, -0.045, peak=0.14, times=2)
        low = soles[stance, :2, 1].amin(-1)
        base = -(low + bob[stance]).median()
        path = torch.stack([_wave(p, 0.008, 0.15), base + bob, rounds * speed], -1)
        return lock_feet(rest, BodyPose(path, rotations), FPS, soles_of(rest))

    return _thrice(phase, whole)


def _wave_hello(phase: Phase) -> BodyPose:
    swing = _wave(phase, 24, times=4)
    right = arm("right", _flat(phase, 8), _flat(phase, 18), 82 + 0.6 * swing, _flat(phase, 82))
    parts = (
        arm("left", _flat(phase, -74), _flat(phase, 5), _wave(phase, 3, mean=15)), right,
        hand("right", 0.5 * swing, _flat(phase, 0)),
        back(_flat(phase, 0), _wave(phase, 1.5, mean=3), _flat(phase, -3)),
        gaze(_flat(phase, 1), _wave(phase, 3, mean=-3), _wave(phase, 2.5, mean=4)),
    )  # fmt: skip
    shift = torch.stack([_wave(phase, 0.008, mean=0.018), _flat(phase, -0.008), _flat(phase, 0)], -1)
    return _on_feet(assemble(*parts), shift)


def _squat(phase: Phase) -> BodyPose:
    deep = _curve(phase, ((0.0, 0.0), (0.08, 0.04), (0.38, 0.97), (0.5, 1.0), (0.62, 0.93), (0.9, 0.03)))
    parts = (
        arm("left", -74 + 76 * deep, 5 + 78 * deep, 14 - 8 * deep),
        arm("right", -74 + 76 * deep, 5 + 78 * deep, 14 - 8 * deep),
        back(10 * deep, 0 * deep, 0 * deep), gaze(-20 * deep, 0 * deep, 0 * deep),
    )  # fmt: skip
    shift = torch.stack([0 * deep, -0.01 - 0.40 * deep, -0.17 * deep], -1)
    return _on_feet(assemble(*parts, root=about("x", 27 * deep)), shift, width=0.17, turned_out=24.0)


def _jumping_jack(phase: Phase) -> BodyPose:
    wide = 0.5 - 0.5 * torch.cos(TAU * phase)
    hop = torch.sin(TAU * 2 * phase - 0.9).clamp(min=0)
    parts = (
        arm("left", -76 + 152 * wide, 4 + 6 * wide, 12 + 8 * wide),
        arm("right", -76 + 152 * wide, 4 + 6 * wide, 12 + 8 * wide),
        back(3 - 4 * wide, 0 * wide, 0 * wide), gaze(-4 * wide, 0 * wide, 0 * wide),
    )  # fmt: skip
    bounce = torch.sin(TAU * 2 * phase - 0.9)
    shift = torch.stack([0 * wide, -0.045 - 0.035 * wide + 0.045 * bounce, 0 * wide], -1)
    side = 0.27 * wide
    feet = torch.stack([torch.stack([s * side, 0.07 * hop, 0 * wide], -1) for s in (1, -1)], 1)
    return _on_feet(assemble(*parts), shift, feet, width=0.09, turned_out=18.0)


def _dance(phase: Phase) -> BodyPose:
    """Four beats: a step to each side with the hips following, arms swinging across and up."""
    beat = _wave(phase, 1.0, times=4)
    side = _curve(
        phase, ((0.0, -1), (0.06, -0.98), (0.25, 0), (0.44, 0.98), (0.5, 1), (0.56, 0.98), (0.75, 0), (0.94, -0.98))
    )
    up = (side + 1) / 2
    parts = (
        arm("left", -50 + 92 * up, 35 + 15 * beat, 88 - 42 * up + 8 * beat, 40 * up),
        arm("right", 42 - 92 * up, 35 + 15 * beat, 46 + 42 * up + 8 * beat, 40 - 40 * up),
        back(6 + 2 * beat, -9 * side, 14 * side), gaze(2 + 5 * beat, 10 * side, 7 * side),
    )  # fmt: skip
    root = about("y", -9 * side) @ about("z", 7 * side) @ about("x", 3 + 0 * side)
    shift = torch.stack([0.13 * side, -0.075 + 0.028 * beat, 0.02 * beat], -1)
    # Each foot taps beside the other while the weight is on the far side; it moves only while it is lifted.
    taps = [torch.sin(TAU * (phase - start)).clamp(min=0) ** 2 for start in (0.75, 0.25)]
    feet = torch.stack(
        [torch.stack([across * tap, 0.06 * (1 - (1 - tap) ** 4), 0.05 * tap], -1)
         for across, tap in zip((-0.13, 0.13), taps, strict=True)], 1,
    )  # fmt: skip
    return _on_feet(assemble(*parts, root=root), shift, feet, width=0.16, turned_out=14.0)


def _a_pose(phase: Phase) -> BodyPose:
    parts = [arm(s, _flat(phase, -45), _flat(phase, 3), _flat(phase, 8)) for s in ("left", "right")]
    return _on_feet(assemble(*parts), torch.zeros(len(phase), 3), width=0.14)


def _t_pose(phase: Phase) -> BodyPose:
    return BodyPose(_root_at_rest(len(phase)), torch.eye(3).repeat(len(phase), 24, 1, 1))


def _turntable(phase: Phase) -> BodyPose:
    pose = _a_pose(phase)
    rotations = pose.rotations.clone()
    R = about("y", 360 * phase)
    rotations[:, 0] = R @ rotations[:, 0]
    return BodyPose((R @ pose.root_position[..., None]).squeeze(-1), rotations)


def _arm_circles(phase: Phase) -> BodyPose:
    up, ahead = _wave(phase, 40, times=2), _wave(phase, 38, peak=0.125, mean=8, times=2)
    parts = [arm(s, up, ahead, _flat(phase, 4)) for s in ("left", "right")]
    return _on_feet(
        assemble(*parts, back(_wave(phase, 1.5, times=2), 0 * up, 0 * up)), torch.zeros(len(phase), 3), width=0.14
    )


BUILTIN: dict[str, Builtin] = {
    "walk": Builtin("walks forwards", 1.1, _walk),
    "run": Builtin("runs forwards", 0.72, _run, ("half closed", "half closed")),
    "wave": Builtin("waves with the right hand", 2.4, _wave_hello, ("hand relaxed", "hand open")),
    "squat": Builtin("squats and stands up", 2.8, _squat),
    "jumping-jack": Builtin("jumps with arms and legs apart", 1.1, _jumping_jack, ("hand open", "hand open")),
    "dance": Builtin("steps from side to side", 2.2, _dance),
    "turntable": Builtin("turns once in an A-pose", 6.0, _turntable),
    "arm-circles": Builtin("circles with both arms", 3.0, _arm_circles),
    "t-pose": Builtin("stands with level arms", 1.0, _t_pose),
    "a-pose": Builtin("stands with lowered arms", 1.0, _a_pose),
}
