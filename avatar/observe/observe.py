"""A video in, `Observations` out."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from avatar.assets import asset_path
from avatar.errors import AvatarError
from avatar.images import open_video, write_image
from avatar.observe.file import picture_path, save_arrays, stored_frames, stored_masks
from avatar.observe.mediapipe import MediaPipeDetector
from avatar.progress import progress
from avatar.types import Observations


def observe(video: Path, out: Path) -> Observations:
    source = open_video(video)
    detector = MediaPipeDetector(asset_path("models", "pose_landmarker_heavy.task"))
    from concurrent.futures import ThreadPoolExecutor

    rows, times = [], []

    def work(item):
        time, image = item
        return time, image, detector.detect(image)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for time, image, found in progress(pool.map(work, source.frames()), "detect", source.expected_frames):
            if not found:
                continue
            write_image(picture_path(out / "frames", len(rows)), image)
            write_image(picture_path(out / "masks", len(rows)), found[0].mask)
            rows.append(found[0])
            times.append(time)
    n = len(rows)
    if n < 10:
        raise AvatarError(f"{video}: a person is in view in only {n} frames.")
    observations = Observations(
        images=stored_frames(out, n),
        masks=stored_masks(out, n),
        keypoints=torch.from_numpy(np.stack([row.keypoints for row in rows])),
        keypoints_3d=torch.from_numpy(np.stack([row.keypoints_3d for row in rows])),
        layout=detector.layout,
        instant=torch.arange(n),
        times=torch.tensor(times, dtype=torch.float32),
        width=source.width,
        height=source.height,
        source=str(video),
    )
    save_arrays(observations, out)
    return observations
