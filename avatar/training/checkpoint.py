"""The state of training on disk, so that a run that was stopped goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from avatar.errors import AvatarError
from avatar.io.files import atomic_write

if TYPE_CHECKING:
    from avatar.training.trainer import Trainer


def write_checkpoint(path: Path, trainer: Trainer) -> None:
    """Write everything that training has learned so far, in one step; a run that goes on from it ends in the same bits.

    Raises:
        AvatarError: the disk is full or the folder cannot be written; the checkpoint before it stays.
    """
    state = {
        "step": trainer.step,
        "order": trainer.order,
        "history": trainer.history,
        "error": trainer.error,
        "rng": trainer.rng.get_state(),
        "avatar": trainer.avatar.state_dict(),
        # They are found when Gaussians are added, and would be others if found again where those stand now.
        "neighbors": trainer.avatar.neighbors,
        "poses": trainer.poses.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
    }
    try:
        with atomic_write(path) as temporary, temporary.open("wb") as file:
            torch.save(state, file)
    except (AvatarError, RuntimeError) as error:  # torch's writer turns a full disk into a RuntimeError
        kept = "The checkpoint before it stays: make room and go on with --resume." if path.is_file() else ""
        reason = error if isinstance(error, AvatarError) else f"Cannot write {path}: the disk is full."
        raise AvatarError(f"{reason} {kept}".strip()) from error


def read_checkpoint(path: Path, trainer: Trainer) -> None:
    """Put a new `trainer` of the same clip and configuration into the saved state.

    Raises:
        AvatarError: the file is damaged or belongs to another run.
    """
    try:
        state = torch.load(path, map_location=trainer.device, weights_only=True)
        gaussians = trainer.avatar.gaussians
        saved = {key.removeprefix("gaussians."): value for key, value in state["avatar"].items()}
        for name, old in list(gaussians.named_parameters()):
            fresh = nn.Parameter(torch.zeros_like(saved[name]))
            setattr(gaussians, name, fresh)
            for group in trainer.optimizer.param_groups:
                group["params"] = [fresh if parameter is old else parameter for parameter in group["params"]]
        for name in ("face", "bary", "observed"):
            setattr(gaussians, name, saved[name].clone())
        trainer.avatar.load_state_dict(state["avatar"])
        trainer.avatar.refresh()
        trainer.avatar.neighbors = state["neighbors"]
        trainer.poses.load_state_dict(state["poses"])
        trainer.optimizer.load_state_dict(state["optimizer"])
        trainer.rng.set_state(state["rng"].cpu())
        trainer.step, trainer.order, trainer.error = state["step"], state["order"], state["error"]
        trainer.history = [tuple(entry) for entry in state["history"]]
    except Exception as error:  # torch.load raises many kinds on a damaged file
        raise AvatarError(f"{path} is not a checkpoint of this run: start again with --overwrite.") from error
