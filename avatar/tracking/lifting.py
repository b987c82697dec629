"""A rough 3D guess from 2D landmarks, for detectors without 3D output.

Three cues give depth. The apparent width of shoulders and hips gives the angle of the turn, nose and toes give its
sign, and a foreshortened limb points towards or away from the camera by its missing length (Taylor 2000), with the sign
from the way limbs bend. The guess only has to start the fit in the right basin.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

# Start and end of each limb, and the direction (outward, forward in the body's frame) in which it leaves the image
# plane when nothing else decides. Knees bend forward, shins back, elbows bring the forearms to the front.
_LIMBS = (
    ("hip", "knee", 0.3, 1.0),
    ("knee", "ankle", 0.1, -1.0),
    ("shoulder", "elbow", 1.0, 0.3),
    ("elbow", "wrist", 0.3, 1.0),
)
# Landmarks that follow the end of a limb: their depth relative to it is that of the rest pose.
_CARRIED = {"pinky": "wrist", "index": "wrist", "thumb": "wrist", "heel": "ankle", "foot_index": "ankle"}
_FORWARD = (("ear", "nose"), ("heel", "foot_index"))  # lines that point where the body faces
_LONGEST = 0.8  # this quantile of apparent over true lengths counts as not foreshortened
_SMOOTHING_S = 0.15
_FACING = 2.0  # weight of nose and toes, relative to a turn of one radian between frames


def lift_to_3d(
    pixels: Float[Tensor, "n l 2"],
    rest: Float[Tensor, "l 3"],
    names: tuple[str, ...],
    times: Float[Tensor, " n"],
) -> Float[Tensor, "n l 3"]:
    """Landmarks in metres, hip-centred, axes as the camera's (x right, y down, z forward).

    Args:
        pixels: their places in the image.
        rest: where they lie on the body in the rest pose.
        names: of the landmarks; shoulders, hips, knees, ankles, elbows and wrists must be among them.
        times: seconds.
    """
    at = {name: index for index, name in enumerate(names)}
    hips = rest[[at["left_hip"], at["right_hip"]]].mean(0)
    rest = rest - hips
    flat = _smooth(1 / _scale(pixels, rest, at), times)[:, None, None] * pixels
    flat = flat - flat[:, [at["left_hip"], at["right_hip"]]].mean(1, keepdim=True)
    turn = _turns(flat, rest, at)
    sine, cosine = turn.sin(), turn.cos()
    # At angle `turn` the person's left points away from the camera by its sine, the front towards it by its cosine.
    depth = sine[:, None] * rest[:, 0] - cosine[:, None] * rest[:, 2]
    for side, outward in (("left", 1.0), ("right", -1.0)):
        for start, end, out, ahead in _LIMBS:
            a, b = at[f"{side}_{start}"], at[f"{side}_{end}"]
            full = (rest[b] - rest[a]).norm()
            hidden = (full.square() - (flat[:, b] - flat[:, a]).square().sum(-1)).clamp_min(0).sqrt()
            way = outward * out * sine - ahead * cosine
            depth[:, b] = depth[:, a] + hidden * (2 * way).clamp(-1, 1)
        for name, carrier in _CARRIED.items():
            if f"{side}_{name}" in at:
                a, b = at[f"{side}_{carrier}"], at[f"{side}_{name}"]
                depth[:, b] = depth[:, a] - cosine * (rest[b] - rest[a])[2]
    return torch.cat([flat, depth[..., None]], -1)


def _scale(pixels: Float[Tensor, "n l 2"], rest: Float[Tensor, "l 3"], at: dict[str, int]) -> Float[Tensor, " n"]:
    """Pixels per metre at the person: apparent over true lengths of the least foreshortened bones."""
    pairs = [("shoulder", "hip"), *((a, b) for a, b, _, _ in _LIMBS)]
    ends = torch.tensor([[at[f"{side}_{name}"] for name in pair] for side in ("left", "right") for pair in pairs])
    apparent = (pixels[:, ends[:, 0]] - pixels[:, ends[:, 1]]).norm(dim=-1)
    ratio: Tensor = apparent / (rest[ends[:, 0]] - rest[ends[:, 1]]).norm(dim=-1)
    return ratio.quantile(_LONGEST, dim=1).clamp_min(1e-6)


def _smooth(values: Float[Tensor, " n"], times: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Mean over a Gaussian window."""
    window = torch.exp(-0.5 * ((times[:, None] - times[None]) / _SMOOTHING_S).square())
    return window @ values / window.sum(1)


def _turns(flat: Float[Tensor, "n l 2"], rest: Float[Tensor, "l 3"], at: dict[str, int]) -> Float[Tensor, " n"]:
    """Angle by which the person is turned, 0 facing the camera, positive facing the right of the image.

    The apparent width gives the angle up to its sign. The signs of all frames are chosen together: the path that turns
    least and agrees best with nose and toes (Viterbi 1967).
    """
    left, right = ([at[f"{side}_{part}"] for part in ("shoulder", "hip")] for side in ("left", "right"))
    apparent = (flat[:, left, 0] - flat[:, right, 0]).sum(1)
    angle = torch.acos((apparent / (rest[left, 0] - rest[right, 0]).sum()).clamp(-1, 1))
    candidates = torch.stack([angle, -angle])
    cost = -_FACING * _forward(flat, rest, at) * candidates.sin()
    came_from: list[Int[Tensor, "2"]] = []
    total = cost[:, 0]
    for frame in range(1, len(angle)):
        step = candidates[:, None, frame] - candidates[None, :, frame - 1]
        step = torch.remainder(step + math.pi, 2 * math.pi) - math.pi
        best, before = (total[None] + step.abs()).min(1)
        came_from.append(before)
        total = best + cost[:, frame]
    state = int(total.argmin())
    path = [state]
    for before in reversed(came_from):
        path.append(state := int(before[state]))
    return candidates[torch.tensor(path[::-1]), torch.arange(len(angle))]


def _forward(flat: Float[Tensor, "n l 2"], rest: Float[Tensor, "l 3"], at: dict[str, int]) -> Float[Tensor, " n"]:
    """Approximate sine of the turn, from nose and toes: positive where they point to the right."""
    estimates = []
    for start, end in _FORWARD:
        starts, ends = ([i for name, i in at.items() if name.split("_", 1)[-1] == part] for part in (start, end))
        if starts and ends:
            length = rest[ends, 2].mean() - rest[starts, 2].mean()
            estimates.append((flat[:, ends, 0].mean(1) - flat[:, starts, 0].mean(1)) / length)
    return torch.stack(estimates).mean(0).clamp(-1, 1) if estimates else torch.zeros(len(flat), dtype=flat.dtype)
