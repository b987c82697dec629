"""Which layout an array of points is in: the one in which it looks like a person."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from avatar.body.skeleton import SMPL_JOINTS
from avatar.landmark_layouts import LAYOUTS, POINT_LAYOUTS
from avatar.motion.bone_lengths import model_rest

# Bones that every layout has on both sides, and across.
_PAIRS = (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"), ("shoulder", "hip"))
_ACROSS = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"))
WORST = 0.6  # of a person; points in a wrong layout have 1 and more


def best_layout(points: Float[np.ndarray, "t j c"], layouts: list[str]) -> str | None:
    """The layout in which bones keep their length, both sides are alike and proportions are those of a person.

    Returns:
        None if there is none, or if with several even the best is not a person.
    """
    if len(layouts) < 2:
        return layouts[0] if layouts else None
    scores = {layout: misfit(points, LAYOUTS[layout].names) for layout in layouts}
    best = min(layouts, key=lambda layout: scores[layout])
    return best if scores[best] < WORST else None


def is_person(points: Float[np.ndarray, "t j 3"]) -> bool:
    """Whether the points are a person in one of the layouts of their number."""
    fits = [layout for layout in POINT_LAYOUTS if len(LAYOUTS[layout]) == points.shape[1]]
    return any(misfit(points, LAYOUTS[layout].names) < WORST for layout in fits)


def misfit(points: Float[np.ndarray, "t j c"], names: tuple[str, ...]) -> float:
    """How unlike a person the points are under these names: zero for our own body.

    The sum of three means over bones: spread of the length over time, difference of both sides, and difference from
    our body's proportions, each as a logarithm.
    """
    places = {name: points[:, index, :3] for index, name in enumerate(names) if name}
    bones = [(f"{side}_{a}", f"{side}_{b}") for a, b in _PAIRS for side in ("left", "right")] + list(_ACROSS)
    if any(name not in places for bone in bones for name in bone):
        return float("inf")
    lengths = np.stack([np.linalg.norm(places[a] - places[b], axis=-1) for a, b in bones], axis=1)
    logs = np.log(np.maximum(lengths, 1e-9 + 1e-3 * np.nanmax(lengths)))
    usual = np.nanmedian(logs, axis=0)
    spread = np.nanmean(np.abs(logs - usual))
    sides = np.abs(usual[0 : 2 * len(_PAIRS) : 2] - usual[1 : 2 * len(_PAIRS) : 2]).mean()
    off = usual - _own_logs(bones)
    return float(spread + sides + np.abs(off - np.median(off)).mean())


def _own_logs(bones: list[tuple[str, str]]) -> Float[np.ndarray, " b"]:
    rest = model_rest().numpy()
    at = {name: rest[index] for index, name in enumerate(SMPL_JOINTS)}
    own: np.ndarray = np.log([np.linalg.norm(at[a] - at[b]) for a, b in bones])
    return own
