"""A pose said back in the words of `avatar.motion.text.parse`."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from avatar.motion.text.pose_angles import Figure, measured


def words_of_pose(rotations: Float[Tensor, "24 3 3"], tolerance: float = 8.0) -> str:
    """A pose in the words that `pose_from_words` understands; angles are rounded to 5 degrees.

    Args:
        tolerance: angles that differ less than this from standing at ease are not mentioned, degrees.
    """
    figure, ease = measured(rotations), Figure()
    said: list[str] = []

    def say(value: float, usual: float, text: str) -> None:
        if abs(value - usual) > tolerance:
            said.append(text.format(abs(5 * round(value / 5))))

    for side in ("left", "right"):
        limb, usual = figure.arms[side], ease.arms[side]
        say(limb.raised, usual.raised, f"{side} arm raised {{:.0f}}")
        # Which way an arm points means little while it hangs or stands upright.
        if 25 < limb.raised < 160 and abs(limb.ahead) > tolerance:
            said.append(f"{side} arm towards {5 * round(limb.ahead / 5)}")
        say(limb.bend, usual.bend, f"{side} elbow bent {{:.0f}}")
        if limb.bend > 25 and abs(limb.twist) > 2 * tolerance:
            said.append(f"{side} arm twisted {5 * round(limb.twist / 5)}")
    for side in ("left", "right"):
        thigh = figure.legs[side]
        say(thigh.raised, 0.0, f"{side} leg {'forward' if thigh.raised > 0 else 'back'} {{:.0f}}")
        if abs(thigh.spread - 3) > tolerance:
            said.append(f"{side} leg sideways {5 * round(thigh.spread / 5)}")
        say(thigh.bend, 0.0, f"{side} knee bent {{:.0f}}")
        say(thigh.point, 0.0, f"{side} foot {'pointed' if thigh.point > 0 else 'flexed'} {{:.0f}}")
    way = ("right", "left")
    say(figure.lean, 0.0, f"leaning {'forward' if figure.lean > 0 else 'back'} {{:.0f}}")
    say(figure.side_lean, 0.0, f"leaning {way[figure.side_lean > 0]} {{:.0f}}")
    say(figure.twist, 0.0, f"back turned {way[figure.twist > 0]} {{:.0f}}")
    say(figure.look, 0.0, f"looking {way[figure.look > 0]} {{:.0f}}")
    say(figure.down, 0.0, f"looking {'down' if figure.down > 0 else 'up'} {{:.0f}}")
    say(figure.tilt, 0.0, f"head tilted {way[figure.tilt > 0]} {{:.0f}}")
    if abs(figure.facing) > 2 * tolerance:
        said.append(f"facing {5 * round(figure.facing / 5)}")
    return ", ".join(said) or "standing"
