"""The state of a training run: everything that training changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from avatar.model.avatar import Avatar
from avatar.training.pose_refinement import PoseRefinement


@dataclass
class TrainingState:
    """Everything that training changes; a run that resumes from it ends in the same bits.

    Attributes:
        avatar: the avatar in training; poses: the corrections of the tracked poses; optimizer: over both.
        rng: random numbers of the run.
        gradients: summed gradient norm by each Gaussian's centre since the last densification.
        step: steps done.
        queue: frames left in the current epoch, the next one last.
        history: (step, PSNR in dB) of the held-out frames.
        losses: (step, loss of one frame), now and then.
    """

    avatar: Avatar
    poses: PoseRefinement
    optimizer: torch.optim.Adam
    rng: torch.Generator
    gradients: Float[Tensor, " n"]
    step: int = 0
    queue: list[int] = field(default_factory=list)
    history: list[tuple[int, float]] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Tensors and plain values only."""
        return {
            "step": self.step,
            "queue": self.queue,
            "history": self.history,
            "losses": self.losses,
            "gradients": self.gradients,
            "rng": self.rng.get_state(),
            "avatar": self.avatar.state_dict(),
            # Computed when Gaussians are added, and different if computed again from where those are now.
            "neighbors": self.avatar.neighbors,
            "hanging": self.avatar.hanging,
            "poses": self.poses.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def load_dict(self, saved: Mapping[str, Any]) -> None:
        """Take the values of `as_dict` of a run with the same video and configuration.

        Raises:
            KeyError, RuntimeError, ValueError: the values are those of another run.
        """
        self._resize_gaussians(saved["avatar"])
        self.avatar.load_state_dict(saved["avatar"])
        self.avatar.refresh(saved.get("hanging"))
        self.avatar.neighbors = saved["neighbors"]
        self.poses.load_state_dict(saved["poses"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.rng.set_state(saved["rng"].cpu())
        self.step, self.queue, self.gradients = saved["step"], saved["queue"], saved["gradients"]
        self.history = [(step, value) for step, value in saved["history"]]
        self.losses = [(step, value) for step, value in saved.get("losses", [])]

    def _resize_gaussians(self, avatar_tensors: Mapping[str, Tensor]) -> None:
        """Make room for as many Gaussians as were saved, in the avatar and in the optimiser."""
        gaussians = self.avatar.gaussians
        saved = {key.removeprefix("gaussians."): value for key, value in avatar_tensors.items()}
        for name, old in list(gaussians.named_parameters()):
            fresh = nn.Parameter(torch.zeros_like(saved[name]))
            setattr(gaussians, name, fresh)
            for group in self.optimizer.param_groups:
                group["params"] = [fresh if parameter is old else parameter for parameter in group["params"]]
        for name in ("face", "bary", "observed"):
            setattr(gaussians, name, saved[name].clone())
