"""How an avatar is trained: every number in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LossWeights:
    """What each term counts beside the absolute colour error, which counts 1."""

    ssim: float = 0.2
    mask: float = 0.3
    stiffness: float = 0.005
    oversize: float = 0.1
    thickness: float = 0.02
    roughness: float = 0.05
    light: float = 0.05
    deform: float = 0.02
    pose_acceleration: float = 5.0
    pose_size: float = 0.5
    views: float = 0.005


@dataclass(frozen=True)
class LearningRates:
    """Step sizes of Adam at the start; all decay to a tenth over the run."""

    offset: float = 2e-4
    log_scales: float = 1e-2
    quats: float = 4e-3
    logit_opacities: float = 3e-2
    raw_colors: float = 2e-2
    light: float = 1e-2
    deform: float = 2e-3
    turns: float = 1.5e-3
    shifts: float = 1e-3


@dataclass(frozen=True)
class TrainConfig:
    """How an avatar is trained.

    Attributes:
        steps: pictures shown in all.
        gaussians: Gaussians at the start; max_gaussians: most there may be after densification.
        long_side: longer pictures are scaled down to this, pixels.
        coarse: share of the steps at half resolution.
        hold_out: every so many-th frame is left out of training and measured; 0 trains on all.
        deform: the pose-driven MLP, or none; deform_start: share of the steps after which it learns.
        refine_poses: correct the tracked poses by the pictures; refine_start: share of the steps before that.
        light: learn the room's light apart from the colours.
        reach: offsets from the body's surface that are cheap, metres.
        renew_unseen: sow anew, near the end of training, what no picture showed, and close the holes there.
        largest: splats wider than this are punished, metres.
    """

    steps: int = 3600
    gaussians: int = 12000
    max_gaussians: int = 20000
    long_side: int = 960
    coarse: float = 0.6
    hold_out: int = 8
    deform: Literal["mlp", "none"] = "mlp"
    deform_start: float = 0.5
    refine_poses: bool = True
    refine_start: float = 0.03
    light: bool = True
    reach: float = 0.01
    largest: float = 0.03
    renew_unseen: bool = True
    seed: int = 0
    weights: LossWeights = field(default_factory=LossWeights)
    rates: LearningRates = field(default_factory=LearningRates)
