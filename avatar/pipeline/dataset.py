"""A public dataset as training data: its images as observations and its own poses as the track."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from avatar.body import Body
from avatar.datasets.posed import DatasetFrame, PosedDataset
from avatar.datasets.protocols import protocol_named
from avatar.errors import AvatarError
from avatar.landmark_layouts import LAYOUTS
from avatar.pipeline.training_data import TrainingData
from avatar.types import BodyTrack, Cameras, ImageList, Observations

LAYOUT = "blazepose33"
FPS = 30.0  # of all these videos, to a few percent; only the smoothing of pose corrections depends on it


def dataset_training_data(folder: Path, protocol: str, body: Body) -> TrainingData:
    """The training part of the dataset in `folder` by the protocol of this name.

    Raises:
        UsageError: the folder does not exist, or the body is not SMPL.
        AvatarError: files of the dataset are missing (each is named) or broken.
    """
    dataset = protocol_named(protocol).read(folder)
    track = training_track(dataset, body)
    return TrainingData(_observations(dataset.train, track, str(folder)), track)


def training_track(dataset: PosedDataset, body: Body) -> BodyTrack:
    """The dataset's own poses and cameras of its training images, one instant per image.

    Raises:
        AvatarError: the images are of different sizes.
    """
    sizes = sorted({(frame.camera.width, frame.camera.height) for frame in dataset.train})
    if len(sizes) != 1:
        raise AvatarError(f"The dataset's training images are of different sizes: {sizes}.")
    rows = [frame.pose for frame in dataset.train]
    return BodyTrack(
        body=body.name,
        betas=dataset.poses.shape(body),
        poses=dataset.poses.poses(body)[rows],
        times=torch.tensor([frame.frame / FPS for frame in dataset.train]),
        confidence=torch.ones(len(rows), len(body.parents)),
        instant=torch.arange(len(rows)),
        cameras=Cameras.cat([frame.camera for frame in dataset.train]),
    )


def _observations(frames: Sequence[DatasetFrame], track: BodyTrack, source: str) -> Observations:
    assert track.cameras is not None
    no_landmarks = torch.zeros(len(frames), len(LAYOUTS[LAYOUT].names), 3)
    return Observations(
        images=ImageList(len(frames), lambda index: frames[index].read()[0]),
        masks=ImageList(len(frames), lambda index: frames[index].read()[1]),
        keypoints=no_landmarks,
        keypoints_3d=no_landmarks.clone(),
        layout=LAYOUT,
        instant=track.instant,
        times=track.times,
        width=track.cameras.width,
        height=track.cameras.height,
        cameras=track.cameras,
        source=source,
    )
