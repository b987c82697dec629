"""A run folder with a finished avatar, opened; the start of evaluation, export, viewer and `avatar.load`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from avatar.body import Body, RestBody, load_body
from avatar.errors import UsageError
from avatar.io.camera_motion_file import load_camera_motion
from avatar.io.files import atomic_write, read_json
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track
from avatar.model.avatar import Avatar
from avatar.model.garments import GARMENTS, garment_labels
from avatar.model.prop_file import PropFolder
from avatar.model.spring_rings import spring_bones
from avatar.pipeline.camera import at_usual_exposure
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyTrack, Cameras, Observations


@dataclass(frozen=True)
class FinishedRun:
    """A finished avatar and what its run folder still holds; everything but the avatar is read when first used."""

    run: RunFolder
    avatar: Avatar

    @cached_property
    def body(self) -> Body:
        """The avatar's body on the CPU, where tracks and captures are."""
        return self.avatar.body.to("cpu")

    @cached_property
    def rest(self) -> RestBody:
        """The body at rest in the avatar's shape, on the CPU."""
        return self.body.rest(self.avatar.betas.detach().cpu())

    @property
    def has_track(self) -> bool:
        """Whether the run has a body track."""
        return self.run.track.is_file()

    @property
    def has_observations(self) -> bool:
        """Whether the run still has its observations."""
        return self.run.observations_file.is_file()

    @cached_property
    def track(self) -> BodyTrack:
        """The body track that belongs to the avatar, its poses corrected by training.

        Raises:
            UsageError: the file is missing. AvatarError: it is broken.
        """
        return load_track(self.run.track)

    @cached_property
    def garments(self) -> Int[Tensor, " n"]:
        """Index into `avatar.model.garments.GARMENTS` of each Gaussian: as the run has them, otherwise estimated."""
        return load_garments(self.run, self.avatar)

    def with_springs(self) -> Avatar:
        """The avatar, with spring bones on from now on if its clothes or hair hang loose."""
        return self.avatar.with_springs(spring_bones(self.avatar, lambda: self.garments))

    @property
    def cameras(self) -> Cameras:
        """The cameras of the training frames.

        Raises:
            UsageError: the track has no cameras.
        """
        if self.track.cameras is None:
            raise UsageError(f"{self.run.track} has no cameras, so nothing can be compared with images.")
        return self.track.cameras

    @property
    def frames_of_first_video(self) -> int:
        """How many training frames the first of several videos has; they come first. Without others: all."""
        if not self.run.videos_file.is_file():
            return len(self.cameras)
        return int(read_json(self.run.videos_file)[0]["frames"])

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration that the avatar was made with."""
        config: dict[str, Any] = read_json(self.run.config)
        return config

    def observations(self) -> Observations:
        """The training frames, their exposure evened out; images stay on disk until used."""
        motion = load_camera_motion(self.run.camera_motion) if self.run.camera_motion.is_file() else None
        return at_usual_exposure(load_observations(self.run.observations), motion)

    def filmed(self) -> Observations:
        """The training frames as they were filmed."""
        return load_observations(self.run.observations)


def load_garments(run: RunFolder, avatar: Avatar) -> Int[Tensor, " n"]:
    """The label of each Gaussian of a run's avatar: as the run has them, otherwise estimated."""
    try:
        labels = np.load(run.garments, allow_pickle=False)
    except (OSError, ValueError):
        return garment_labels(avatar)
    if labels.dtype != np.uint8 or labels.shape != (len(avatar),) or labels.max(initial=0) >= len(GARMENTS):
        return garment_labels(avatar)
    return torch.from_numpy(labels.astype(np.int64))


def save_garments(run: RunFolder, labels: Int[Tensor, " n"]) -> None:
    """Write the label of each Gaussian into a run folder."""
    with atomic_write(run.garments) as temporary:
        np.save(temporary, labels.numpy().astype(np.uint8))


def open_run(folder: Path | str, body: str | None = None, device: str = "cpu", props: bool = True) -> FinishedRun:
    """Open a run folder; the avatar wears and holds its props.

    Args:
        body: path of the body model's file, where it lies elsewhere than when the avatar was made.
        device: where the avatar goes.
        props: False leaves them off, for comparisons with the video.

    Raises:
        UsageError: the folder holds no finished avatar.
        AvatarError: its files are damaged, or made with another body.
    """
    run = RunFolder(Path(folder))
    run.require_avatar()
    avatar = Avatar.load(run.avatar, load_body(body) if body else None)
    if props:
        avatar.with_props(PropFolder(run.props).load())
    return FinishedRun(run, avatar.to(device))
