"""A public dataset as training material: its pictures as observations and its own poses as the track."""

from __future__ import annotations

from pathlib import Path

import torch

from avatar.body import Body, load_body
from avatar.datasets.posed import PosedDataset, Shot
from avatar.datasets.protocols import protocol_named
from avatar.errors import AvatarError
from avatar.io.observations_file import load_observations, save_observations
from avatar.io.track_file import load_track, save_track
from avatar.landmark_layouts import LAYOUTS
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings
from avatar.types import BodyTrack, Cameras, ImageList, Observations

LAYOUT = "blazepose33"
FPS = 30.0  # of all these films, to a few percent; only the smoothing of pose corrections depends on it


def from_dataset(run: RunFolder, settings: Settings) -> tuple[Observations, BodyTrack, list[str]]:
    """The training part of the dataset `settings.source` by `settings.protocol`, also written into the run folder.

    Raises:
        UsageError: there is no such folder, or the body is not SMPL.
        AvatarError: files of the dataset are missing (each is named) or broken.
    """
    assert settings.protocol is not None
    if not (run.found_track.is_file() and (run.observations / "observations.npz").is_file()):
        dataset = protocol_named(settings.protocol).read(Path(settings.source))
        track = training_track(dataset, load_body(settings.body))
        save_observations(_observations(dataset.train, track, settings.source), run.observations)
        save_track(track, run.found_track)
    return load_observations(run.observations), load_track(run.found_track), []


def training_track(dataset: PosedDataset, body: Body) -> BodyTrack:
    """The dataset's own poses and cameras of its training pictures, one instant each."""
    sizes = sorted({(shot.camera.width, shot.camera.height) for shot in dataset.train})
    if len(sizes) != 1:
        raise AvatarError(f"The dataset's training images are of different sizes: {sizes}.")
    rows = [shot.pose for shot in dataset.train]
    return BodyTrack(
        body=body.name,
        betas=dataset.poses.shape(body),
        poses=dataset.poses.poses(body)[rows],
        times=torch.tensor([shot.frame / FPS for shot in dataset.train]),
        confidence=torch.ones(len(rows), len(body.parents)),
        instant=torch.arange(len(rows)),
        cameras=Cameras.cat([shot.camera for shot in dataset.train]),
    )


def _observations(shots: tuple[Shot, ...], track: BodyTrack, source: str) -> Observations:
    assert track.cameras is not None
    nothing = torch.zeros(len(shots), len(LAYOUTS[LAYOUT].names), 3)
    return Observations(
        images=ImageList(len(shots), lambda index: shots[index].read()[0]),
        masks=ImageList(len(shots), lambda index: shots[index].read()[1]),
        keypoints=nothing,
        keypoints_3d=nothing.clone(),
        layout=LAYOUT,
        instant=track.instant,
        times=track.times,
        width=track.cameras.width,
        height=track.cameras.height,
        cameras=track.cameras,
        source=source,
    )
