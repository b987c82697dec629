"""How an avatar is trained: every number in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss term beside the absolute colour error, which has weight 1.

    Attributes:
        ssim: structural dissimilarity of the image.
        mask: difference between the coverage and the person's mask.
        stiffness: length of the offsets from the body's surface.
        oversize: size of splats above `largest`.
        thickness: size of splats along the surface normal.
        roughness: difference between the offsets of neighbours.
        light: prior of the room's light.
        deform: size of the pose-driven deformation.
        pose_acceleration: acceleration of the pose corrections.
        pose_size: size of the pose corrections.
        views: change of generated views' cameras and exposure.
    """

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
    """Learning rates of Adam at the start; all decay to a tenth over the run.

    Attributes:
        offset: offsets from the body's surface.
        log_scales: sizes of the Gaussians.
        quats: orientations of the Gaussians.
        logit_opacities: opacities of the Gaussians.
        raw_colors: colours of the Gaussians.
        light: the room's light.
        deform: the pose-driven MLP.
        turns: rotations of the pose corrections.
        shifts: translations of the pose corrections.
    """

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
        steps: number of training steps; each shows one image.
        gaussians: number of Gaussians at the start.
        max_gaussians: maximum number of Gaussians after densification.
        long_side: long side of the training images in pixels; larger images are scaled down.
        coarse: share of the steps at half resolution.
        hold_out: every n-th frame is held out of training for evaluation; 0 trains on all frames.
        deform: mlp learns pose-dependent offsets with an MLP; none does not.
        deform_start: share of the steps after which the MLP learns.
        refine_poses: correct the tracked poses during training.
        refine_start: share of the steps after which poses are corrected.
        light: learn the room's light apart from the colours.
        reach: offsets from the body's surface that cost little, in metres.
        largest: splats wider than this are penalized, in metres.
        renew_unseen: near the end of training, resample regions that no image shows, and close the holes there.
        seed: seed of everything random.
        weights: weight of each loss term.
        rates: learning rates.
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
