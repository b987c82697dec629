"""A pose in the words of `avatar.motion.text.parse`, the inverse of `parse_pose`."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from avatar.motion.text.pose_angles import PoseAngles, measure_pose_angles


def describe_pose(rotations: Float[Tensor, "24 3 3"], tolerance: float = 8.0) -> str:
    """A pose in the words that `parse_pose` understands; angles are rounded to 5 degrees.

    Args:
        tolerance: angles that differ less than this from standing at ease are not mentioned, degrees.
    """
    angles, ease = measure_pose_angles(rotations), PoseAngles()
    phrases: list[str] = []

    def mention(value: float, usual: float, text: str) -> None:
        if abs(value - usual) > tolerance:
            phrases.append(text.format(abs(5 * round(value / 5))))

    for side in ("left", "right"):
        limb, usual = angles.arms[side], ease.arms[side]
        mention(limb.raised, usual.raised, f"{side} arm raised {{:.0f}}")
        # Which way an arm points means little while it hangs or stands upright.
        if 25 < limb.raised < 160 and abs(limb.ahead) > tolerance:
            phrases.append(f"{side} arm towards {5 * round(limb.ahead / 5)}")
        mention(limb.bend, usual.bend, f"{side} elbow bent {{:.0f}}")
        if limb.bend > 25 and abs(limb.twist) > 2 * tolerance:
            phrases.append(f"{side} arm twisted {5 * round(limb.twist / 5)}")
    for side in ("left", "right"):
        thigh = angles.legs[side]
        mention(thigh.raised, 0.0, f"{side} leg {'forward' if thigh.raised > 0 else 'back'} {{:.0f}}")
        if abs(thigh.spread - 3) > tolerance:
            phrases.append(f"{side} leg sideways {5 * round(thigh.spread / 5)}")
        mention(thigh.bend, 0.0, f"{side} knee bent {{:.0f}}")
        mention(thigh.point, 0.0, f"{side} foot {'pointed' if thigh.point > 0 else 'flexed'} {{:.0f}}")
    way = ("right", "left")
    mention(angles.lean, 0.0, f"leaning {'forward' if angles.lean > 0 else 'back'} {{:.0f}}")
    mention(angles.side_lean, 0.0, f"leaning {way[angles.side_lean > 0]} {{:.0f}}")
    mention(angles.twist, 0.0, f"back turned {way[angles.twist > 0]} {{:.0f}}")
    mention(angles.look, 0.0, f"looking {way[angles.look > 0]} {{:.0f}}")
    mention(angles.down, 0.0, f"looking {'down' if angles.down > 0 else 'up'} {{:.0f}}")
    mention(angles.tilt, 0.0, f"head tilted {way[angles.tilt > 0]} {{:.0f}}")
    if abs(angles.facing) > 2 * tolerance:
        phrases.append(f"facing {5 * round(angles.facing / 5)}")
    return ", ".join(phrases) or "standing"
