"""The IUV images of the user's own detector for the frames of a video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from avatar.body import Body
from avatar.body.surface_map import densepose_surface_map
from avatar.errors import UsageError
from avatar.observation.surface_images import iuv_files, read_iuv
from avatar.pipeline.frame_files import rows_of_frames
from avatar.tracking.options import TrackOptions
from avatar.types import Observations


def check_iuv(options: TrackOptions, body: Body) -> None:
    """Refuse wrong `--iuv` and `--iuv-charts` before any work.

    Raises:
        UsageError: there is no such folder or file, no image in it, or the body does not fit the charts.
        AvatarError: the charts are not DensePose's.
    """
    if options.iuv_charts is not None:
        if options.iuv is None:
            raise UsageError("--iuv-charts are those of IUV images: give their folder by --iuv.")
        densepose_surface_map(Path(options.iuv_charts), body)
    if options.iuv is not None:
        iuv_files(Path(options.iuv))


def with_iuv(observations: Observations, options: TrackOptions) -> Observations:
    """The observations with the IUV images of their frames, where the user gave some.

    The folder has one image for each frame that is used, or for each frame of the whole video, in the order of names.

    Raises:
        UsageError: the folder is missing or has another number of images. AvatarError: see `read_iuv`.
    """
    if options.iuv is None:
        return observations
    files = iuv_files(Path(options.iuv))
    rows = rows_of_frames(len(files), observations, f"{options.iuv} has {len(files)} images", "--iuv")
    files = [files[row] for row in rows]
    return replace(observations, iuv=read_iuv(files, observations.width, observations.height))
