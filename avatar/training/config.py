"""The configuration of training: every number in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms, relative to the absolute colour error (weight 1)."""

    ssim: float = 0.6
    """Structural dissimilarity, 1 - SSIM, of the rendered image."""
    mask: float = 2.0
    """Absolute difference between the rendered coverage and the person mask."""
    offset_l2: float = 0.005
    """Squared offset of each Gaussian from the body surface, in units of `offset_sigma`."""
    offset_l2_loose: float = 0.0003
    """The same for people in skirts or coats that the video shows from all sides, so that images hold the Gaussians."""
    scale_limit: float = 0.1
    """Log scale by which a Gaussian exceeds `max_scale`."""
    flatness: float = 0.02
    """Log scale by which a Gaussian is thicker than half its middle axis."""
    offset_smoothness: float = 0.05
    """Squared difference of each offset from the mean of its neighbours', in units of `offset_sigma`."""
    light: float = 0.05
    """Squared deviation of the light from the usual light from above."""
    deform: float = 0.02
    """Squared learned pose-dependent offset, in units of `offset_sigma`."""
    pose_acceleration: float = 5.0
    """Squared second difference over time of the pose corrections."""
    pose_size: float = 0.5
    """Squared rotation of the pose corrections, radians."""
    perceptual: float = 0.0
    """Perceptual distance (LPIPS with VGG's features) of random patches; needs the networks that `avatar doctor`
    names, and is left out without them."""
    views: float = 0.005
    """Squared correction of generated views' cameras and exposures, in their usual deviations."""


@dataclass(frozen=True)
class LearningRates:
    """Initial step sizes of Adam; all decay to a tenth over the run."""

    offset: float = 5e-4
    """Offsets of the Gaussians from the body surface, metres per step."""
    log_scales: float = 2e-2
    """Logarithms of the Gaussians' scales."""
    quats: float = 8e-3
    """Orientations of the Gaussians, as quaternions."""
    logit_opacities: float = 3e-2
    """Logits of the opacities."""
    raw_colors: float = 4e-2
    """Logits of the colours."""
    light: float = 1e-2
    """Coefficients of the light."""
    deform: float = 2e-3
    """Weights of the pose-dependent MLP."""
    delta_rotvec: float = 2e-4
    """Corrections of the joint rotations, radians per step."""
    delta_translation: float = 1e-4
    """Corrections of the root position, metres per step."""
    delta_hands: float = 3e-3
    """Corrections of wrists and fingers that last the whole clip, radians per step."""


@dataclass(frozen=True)
class TrainConfig:
    """How an avatar is trained. Shares are fractions of all steps, in [0, 1]."""

    steps: int = 1350
    """Number of training steps; each renders one image."""
    gaussians: int = 45000
    """Number of Gaussians at the start."""
    max_gaussians: int = 70000
    """Maximum number of Gaussians."""
    long_side: int = 1920
    """Longer side of the training images in pixels; larger images are scaled down."""
    coarse: float = 0.4
    """Share of the steps at half resolution."""
    hold_out: int = 8
    """Every n-th frame is held out of training and measured; 0 trains on all frames."""
    masks: Literal["detected", "learned"] = "detected"
    """Where the person ends: as the masks say, or as the images show over the background that other frames show, with
    the masks as a hint away from their borders. For masks with wrong borders."""
    deform: Literal["mlp", "none"] = "mlp"
    """Learn pose-dependent offsets with an MLP, or not at all."""
    deform_start: float = 0.8
    """Share of the steps after which the pose-dependent MLP is trained."""
    skinning: Literal["diffused", "triangle"] = "diffused"
    """What clothes away from the body follow: the limbs around them by their distance, so that a skirt follows both
    legs, or only the part of the body that is nearest."""
    refine_poses: bool = True
    """Correct the tracked poses during training."""
    refine_start: float = 0.03
    """Share of the steps after which the poses are corrected."""
    rounds: int = 1
    """How many times to train; each time starts from the poses of the one before, which helps with people who move."""
    registrations: int = 10
    """How many times during training poses and surface are registered to the video by optical flow; 0: never."""
    close_ups: float = 0.3
    """Steps on the box of the head after all others, as a share of these, and half as many on each hand; 0: none. A
    fourteenth of the Gaussians is kept back for them."""
    light: bool = True
    """Learn the light of the room apart from the colours."""
    offset_sigma: float = 0.01
    """Distance from the body surface, metres, at which an offset starts to be expensive."""
    max_scale: float = 0.03
    """Standard deviation of a Gaussian, metres, above which its size is penalised."""
    resample_unobserved: bool = True
    """Near the end of training, resample regions that no frame shows and close their holes."""
    seed: int = 0
    """Seed of all random numbers; the same seed gives the same avatar on the same machine."""
    weights: LossWeights = field(default_factory=LossWeights)
    """Weights of the loss terms."""
    rates: LearningRates = field(default_factory=LearningRates)
    """Initial learning rates."""
