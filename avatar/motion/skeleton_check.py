"""The check after reading a skeleton: our body in the pose that was read, against the joints of the file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.motion import MEAN_LEG, MotionCheck
from avatar.motion.skeleton_axes import LIMBS, Places, middle
from avatar.types import BodyPose

MOST_DEGREES = 10.0  # between a limb and that of the file, beyond which it is said
MOST_PERCENT = 10.0  # by which bones may differ between both sides or over time
MOST_FRAMES = 2000


def check_motion(
    rotations: Float[Tensor, "t 24 3 3"],
    root: Float[Tensor, "t 3"],
    at: Places,
    notes: tuple[str, ...] = (),
    turned: dict[str, Float[Tensor, " t"]] | None = None,
) -> MotionCheck:
    """Pose our body and compare it with the joints of the file.

    Args:
        rotations, root: what was read.
        at: places of the file's joints by SMPL name, in our axes and scaled to legs of `MEAN_LEG`.
        notes: what is to be said about the reading anyway.
        turned: degrees by which each limb was turned from its bone's own rotation to where its joints are.
    """
    step = max(1, len(root) // MOST_FRAMES)
    own = model_rest() * (MEAN_LEG / leg_length(model_rest()))
    Ts = joint_transforms(own, SMPL_PARENTS, BodyPose(root[::step].double(), rotations[::step].double()))
    ours = {name: Ts[:, index, :3, 3] for index, name in enumerate(SMPL_JOINTS)}
    theirs = {name: place[::step] for name, place in at.items()}
    limbs = {a: _degrees_between(ours[b] - ours[a], theirs[b] - theirs[a])
             for a, b in LIMBS.items() if a in at and b in at}  # fmt: skip
    worst = max(limbs, key=lambda name: float(limbs[name].max()))
    bones = _bone_percent(theirs)
    said = list(notes)
    if turned and (off := {a: d for a, d in turned.items() if float(d.median()) > MOST_DEGREES}):
        said.append(f"the rotations of {_list(off)} do not fit the joints below them, whose positions decide")
    if float(limbs[worst].max()) > MOST_DEGREES:
        said.append(f"the {worst.replace('_', ' ')} is off by up to {float(limbs[worst].max()):.0f} degrees")
    if _toes_behind(ours, theirs):
        said.append("its toes point backwards, so left and right are swapped or its axes are mirrored")
    said += bones
    return MotionCheck(
        limb_degrees=float(torch.stack(list(limbs.values())).mean()),
        worst_degrees=float(limbs[worst].max()),
        worst_limb=worst,
        path_percent=_path_percent(ours, theirs),
        notes=tuple(said),
    )


def _bone_percent(at: Places) -> list[str]:
    """What does not fit in the lengths of the bones: sides that differ, bones that change, limbs out of proportion."""
    said = []
    lengths = {a: (at[b] - at[a]).norm(dim=-1) for a, b in LIMBS.items() if a in at and b in at}
    for part in ("shoulder", "elbow", "hip", "knee"):
        pair = [lengths[f"{side}_{part}"] for side in ("left", "right") if f"{side}_{part}" in lengths]
        left, right = (float(length.median()) for length in pair) if len(pair) == 2 else (1.0, 1.0)
        if max(left, right) > (1 + MOST_PERCENT / 100) * min(left, right):
            said.append(f"its bones at the left and right {part} differ by {100 * abs(left / right - 1):.0f} %")
        for length in pair:
            low, high = length.quantile(0.05), length.quantile(0.95)
            if float(high - low) > MOST_PERCENT / 100 * float(length.median()):
                said.append(f"its bone at the {part} changes its length by {100 * float((high - low) / low):.0f} %")
                break
    for upper, lower in (("hip", "knee"), ("shoulder", "elbow")):
        if f"left_{upper}" in lengths and f"left_{lower}" in lengths:
            ratio = float(lengths[f"left_{upper}"].median() / lengths[f"left_{lower}"].median().clamp_min(1e-9))
            if not 0.5 < ratio < 2:
                said.append(f"its bone at the {upper} has {ratio:.2g} times the length of that at the {lower}")
    return said


def _toes_behind(ours: Places, theirs: Places) -> bool:
    """Whether both feet of the file point away from ours in most frames."""
    sides = [side for side in ("left", "right") if f"{side}_foot" in theirs and f"{side}_ankle" in theirs]
    toes = [_degrees_between(*(at[f"{side}_foot"] - at[f"{side}_ankle"] for at in (ours, theirs))) for side in sides]
    return bool(toes) and all(float(angle.median()) > 90 for angle in toes)


def _path_percent(ours: Places, theirs: Places) -> float:
    """By how much the path of the hips, in lengths of the leg, is longer or shorter than in the file."""
    paths = [middle(at, "hip") - middle(at, "hip")[:1] for at in (ours, theirs)]
    mine, other = (float(path.square().sum(-1).mean().sqrt()) for path in paths)
    return 0.0 if other < 0.01 * MEAN_LEG else 100 * (mine / other - 1)


def _degrees_between(a: Float[Tensor, "t 3"], b: Float[Tensor, "t 3"]) -> Float[Tensor, " t"]:
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    # Through both chords, which is exact at small angles as well (Kahan 2006).
    angle = 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))
    return torch.where((b.norm(dim=-1) > 0.5) & (a.norm(dim=-1) > 0.5), angle.rad2deg(), 0.0)


def _list(names: dict[str, Tensor]) -> str:
    return ", ".join(name.replace("_", " ") for name in names)
