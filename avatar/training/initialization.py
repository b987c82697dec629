"""The avatar and the optimiser at the start of training."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.body.parts import part_of_joint
from avatar.model.avatar import Avatar
from avatar.model.gaussians import PARAMETERS, TriangleFrames, TriangleGaussians, sample_on_surface, triangle_frames
from avatar.training.config import TrainConfig
from avatar.training.pose_refinement import PoseRefinement
from avatar.types import BodyTrack

# Well below the gradients of observed Gaussians: a smaller one would blow the rounding noise of unobserved Gaussians
# up to full steps, and grow fur there.
ADAM_EPSILON = 1e-7


def splat_density(body: Body) -> Float[Tensor, " faces"]:
    """Relative density of Gaussians on each triangle: face and hands carry the finest detail."""
    head = [i for i, name in enumerate(body.joint_names) if part_of_joint(name) in ("head", "face")]
    fingers = [i for i, name in enumerate(body.joint_names) if part_of_joint(name) == "hands" and "wrist" not in name]
    weight = 1 + 2 * body.weights[:, head].sum(1) + 0.5 * body.weights[:, fingers].sum(1)
    return weight[body.faces].mean(1)


def sample_gaussians(body: Body, frames: TriangleFrames, count: int, rng: torch.Generator) -> TriangleGaussians:
    """New Gaussians all over the body, with `splat_density`."""
    return sample_on_surface(frames, splat_density(body), count, rng)


def initial_avatar(
    body: Body, track: BodyTrack, config: TrainConfig, device: torch.device, rng: torch.Generator
) -> Avatar:
    """A grey avatar of the tracked shape, in the usual light."""
    frames = triangle_frames(body.rest(track.betas).vertices, body.faces)
    gaussians = sample_gaussians(body, frames, config.gaussians, rng)
    avatar = Avatar(body, track.betas, gaussians, config.deform == "mlp", config.skinning == "diffused").to(device)
    if config.light:
        avatar.light.initialize_prior()
    if avatar.deform is not None:
        avatar.deform.remember_poses(body.complete(track.poses).rotations.to(device))
    return avatar


def new_optimizer(avatar: Avatar, poses: PoseRefinement, config: TrainConfig) -> torch.optim.Adam:
    """Adam over everything that `config` says is learned; each group holds its name and initial rate."""
    groups = [(name, [getattr(avatar.gaussians, name)]) for name in PARAMETERS]
    if config.light:
        groups.append(("light", [avatar.light.coefficients]))
    if avatar.deform is not None:
        groups.append(("deform", list(avatar.deform.parameters())))
    if config.refine_poses:
        groups += [("delta_rotvec", [poses.delta_rotvec]), ("delta_translation", [poses.delta_translation])]
        if poses.delta_hands is not None:
            groups.append(("delta_hands", [poses.delta_hands]))
    rates = {name: getattr(config.rates, name) for name, _ in groups}
    return torch.optim.Adam(
        [{"params": params, "name": name, "lr": rates[name], "initial": rates[name]} for name, params in groups],
        eps=ADAM_EPSILON,
        fused=True,
    )
