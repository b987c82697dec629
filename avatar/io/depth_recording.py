"""Recordings with depth: a video with a depth image and a camera in metres for each frame, as phones with LiDAR make.

Apps store what the sensor saw, which lies sideways when the phone was held upright. Gravity tells how it was held.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from avatar.errors import AvatarError
from avatar.io.videos import Video, open_video
from avatar.types import Cameras

# Rotates the image by a quarter turn clockwise: the axes of the turned camera in those of the camera before.
QUARTER_TURN = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
TURNS = ("", "transpose=clock,", "hflip,vflip,", "transpose=cclock,")  # ffmpeg's filters for quarter turns clockwise
MOST_OFF_CENTRE = 0.15  # distance of the optical axis from the middle, as a share of the image's side
MOST_ASPECT = 0.03  # by which the proportions of depth and colour images may differ
MOST_MISCOUNTED = 2, 0.02  # frames, and share of them: the length that a video states is rounded
FARTHEST = 20.0  # metres; no phone measures that far
FLAT = 0.3  # length of the upward direction within the image below which the camera looks straight up or down


@dataclass(frozen=True)
class DepthRecording:
    """A recording as its app stored it.

    Attributes:
        path: what the user named; video: the file with the colours.
        cameras: of each frame, for the stored images: metres, the world's y axis up; None: nothing tells them.
        depth: of the frame with this index: along the optical axis, metres, 0 where nothing was measured surely. It
            covers the image at its own resolution, and raises AvatarError where the frame has none that can be read.
    """

    path: Path
    video: Path
    cameras: Cameras | None
    depth: Callable[[int], Float32[np.ndarray, "h w"]]


@dataclass(frozen=True)
class DepthVideo:
    """A recording turned upright, and cut so that the optical axis is in the middle of the images.

    Without cameras it is used as it is stored.

    Attributes:
        video: the colours; cameras: of each of its frames, for its images; None: nothing tells them.
        turns: quarter turns clockwise from the stored images to the upright ones.
        box: left, top, right and bottom of what is used of the upright images, as shares of their sides.
    """

    recording: DepthRecording
    video: Video
    cameras: Cameras | None
    turns: int
    box: tuple[float, float, float, float]

    def depth(self, index: int) -> Float32[np.ndarray, "h w"]:
        """The depth image of a frame, which covers the video's image at its own resolution; see `DepthRecording`."""
        stored = self.recording.depth(index)
        upright = np.rot90(stored, -self.turns)
        height, width = upright.shape
        full = self.video.width / (self.box[2] - self.box[0]), self.video.height / (self.box[3] - self.box[1])
        if abs(width / height * full[1] / full[0] - 1) > MOST_ASPECT:
            raise AvatarError(
                f"a depth image of {width}x{height} pixels has other proportions than the colour image, "
                f"{full[0]:.0f}x{full[1]:.0f}: it must be registered to it."
            )
        return cut_shares(np.where(upright < FARTHEST, upright, 0.0).astype(np.float32), self.box)


def upright(recording: DepthRecording, longest: int | None = None) -> DepthVideo:
    """Turn a recording upright; frames with a side above `longest` are scaled down.

    Raises:
        AvatarError: the video cannot be read, or does not belong to the cameras.
    """
    if recording.cameras is None:
        return DepthVideo(recording, open_video(recording.video, longest), None, 0, (0.0, 0.0, 1.0, 1.0))
    stored = open_video(recording.video)
    _check_belonging(recording, recording.cameras, stored)
    turns = quarter_turns(recording.cameras)
    cameras = turned(recording.cameras, turns)
    left, top, width, height = centred_box(cameras)
    filters = f"{TURNS[turns]}crop={width}:{height}:{left}:{top}:exact=1,"
    video = open_video(recording.video, longest, filters)
    box = (left / cameras.width, top / cameras.height, (left + width) / cameras.width, (top + height) / cameras.height)
    cut = cameras.cropped(left, top, width, height).resized(video.width, video.height)
    return DepthVideo(recording, video, cut, turns, box)


def quarter_turns(cameras: Cameras) -> int:
    """Quarter turns clockwise that bring the images of these cameras upright, by the world's y axis."""
    up = cameras.T_camera_world[:, :3, 1].double().mean(0)
    if up[:2].norm() < FLAT:
        return 0
    # A direction to the left of the image is turned clockwise to its top.
    return int(torch.stack([-up[1], -up[0], up[1], up[0]]).argmax())


def turned(cameras: Cameras, turns: int) -> Cameras:
    """The cameras of images that are turned by quarter turns clockwise."""
    for _ in range(turns % 4):
        K, T = cameras.K.clone(), cameras.T_camera_world.clone()
        K[:, 0, 0], K[:, 1, 1] = cameras.K[:, 1, 1], cameras.K[:, 0, 0]
        K[:, 0, 2], K[:, 1, 2] = cameras.height - cameras.K[:, 1, 2], cameras.K[:, 0, 2]
        T[:, :3] = T.new_tensor(QUARTER_TURN) @ T[:, :3]
        cameras = Cameras(K, T, cameras.height, cameras.width)
    return cameras


def centred_box(cameras: Cameras) -> tuple[int, int, int, int]:
    """Left, top, width and height of the largest part of the images around the optical axis; even numbers.

    Raises:
        AvatarError: the axis lies so far from the middle that the cameras cannot be right.
    """
    centre = cameras.K[:, :2, 2].double().median(0).values.tolist()
    starts, lengths = [], []
    for middle, side in zip(centre, (cameras.width, cameras.height), strict=True):
        if abs(middle / side - 0.5) > MOST_OFF_CENTRE:
            raise AvatarError(
                f"the optical axis at {middle:.0f} of {side} pixels is far from the middle: the camera matrix is not "
                "that of these images"
            )
        half = min(middle, side - middle)
        starts.append(2 * round((middle - half) / 2))
        lengths.append(min(2 * round(half), (side - starts[-1]) // 2 * 2))
    return starts[0], starts[1], lengths[0], lengths[1]


def cut_shares(
    image: Float32[np.ndarray, "h w"], box: tuple[float, float, float, float]
) -> Float32[np.ndarray, "h2 w2"]:
    """The part of an image between left, top, right and bottom, given as shares of its sides; nearest pixels."""
    indices = []
    for start, stop, side in ((box[1], box[3], image.shape[0]), (box[0], box[2], image.shape[1])):
        count = max(1, round((stop - start) * side))
        places = (start + (np.arange(count) + 0.5) / count * (stop - start)) * side
        indices.append(places.astype(int).clip(0, side - 1))
    return np.ascontiguousarray(image[np.ix_(*indices)])


def usual_intrinsics(K: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """The median of intrinsics that differ a little from frame to frame, as autofocus makes them."""
    return K.median(0).values.expand(len(K), 3, 3)


def _check_belonging(recording: DepthRecording, cameras: Cameras, video: Video) -> None:
    """Raise AvatarError unless the video has about as many frames as there are cameras, of their size."""
    frames = video.expected_frames
    if (video.width, video.height) != (cameras.width, cameras.height):
        raise AvatarError(
            f"{recording.path}: the cameras are for images of {cameras.width}x{cameras.height} pixels, but "
            f"{recording.video.name} has {video.width}x{video.height}."
        )
    slack = max(MOST_MISCOUNTED[0], MOST_MISCOUNTED[1] * len(cameras))
    if frames is not None and abs(frames - len(cameras)) > slack:
        raise AvatarError(
            f"{recording.path} has {len(cameras)} cameras, but {recording.video.name} has {frames} frames: it was cut "
            "or does not belong to them. Copy the whole recording again."
        )


def for_all_frames(cameras: Cameras, video: Video) -> Cameras:
    """The camera of each frame of a video, where one stands for all of them."""
    return cameras if len(cameras) > 1 else cameras[[0] * (video.expected_frames or 1)]
