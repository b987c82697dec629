"""C3D of motion capture laboratories (c3d.org), through the package c3d: joints, or the markers of Plug-in Gait."""

from __future__ import annotations

import io
import warnings

import numpy as np

from avatar.errors import AvatarError, short_message
from avatar.motion.formats.container import Content
from avatar.motion.formats.named_points import NamedPoints, motion_from_named_points
from avatar.motion.motion import Motion, ReadOptions, check_fps


class C3dFormat:
    """Reads the points of a C3D file."""

    name = "c3d"
    description = "C3D points of a motion capture laboratory"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "c3d"

    def read(self, content: Content, options: ReadOptions) -> Motion:
        import c3d

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader = c3d.Reader(io.BytesIO(content.data))
                fps = check_fps(content.path, float(reader.point_rate))
                labels = tuple(str(label).strip() for label in reader.point_labels)
                frames = [points[:, :4] for _, points, _ in reader.read_frames(copy=True)]
        except AvatarError:
            raise
        except Exception as error:  # the package raises many kinds on broken files, AssertionError among them
            raise AvatarError(f"{content.path} is not a readable C3D file: {short_message(error)}.") from error
        if not frames:
            raise AvatarError(f"{content.path} holds no frames of points.")
        rows = np.stack(frames).astype(np.float64)
        # A negative residual marks a point that was not seen.
        points = np.where(rows[..., 3:4] < 0, np.nan, rows[..., :3])[:, : len(labels)]
        return motion_from_named_points(content, options, NamedPoints(labels, points, fps), self.name)
