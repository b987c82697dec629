"""What hides the person: a table, a plant, a passer-by.

Where the fitted body lies in the image, the mask is empty, and the detector's landmarks there say that they are hidden,
something stands before the person, unless the image shows what stands behind them: then the fit has missed a fast limb.
Such pixels tell nothing about the person, least of all that nothing is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from avatar.body import Body
from avatar.geometry import project
from avatar.landmark_layouts import DETECTOR_LAYOUTS, LAYOUTS
from avatar.runtime.thread_map import map_in_threads
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.report import HIDDEN_BELOW
from avatar.tracking.scenery import Scenery, disc, widened
from avatar.tracking.silhouette import filled_mesh, reduced_size
from avatar.types import BodyTrack, ImageList, Observations

WORK_HEIGHT = 320  # of the person in the reduced images, pixels
# In heights of the person: an empty strip along the outline that is thinner is an error of the fit, a smaller area too.
THINNEST, LEAST_SIDE = 0.02, 0.04
AROUND = 0.03  # clothes stand off the body by as much, in heights of the person
PERSON = 230  # of a mask: above, it shows the person
LEAST_SURE = 0.25  # share of the landmarks that must be visible in a frame that is judged
# Share of the frames: in fewer the fit has missed a limb, and what is hidden so rarely is not trained away.
LEAST_FRAMES = 0.06
PARTLY_HIDDEN = 0.2  # weight of a frame in which something hides a part of the person


@dataclass(frozen=True)
class HiddenPart:
    """What something hides of the person in one frame.

    Attributes:
        pixels: where, in an image of reduced size; landmarks: which of the detector's landmarks.
    """

    pixels: Bool[np.ndarray, "h w"]
    landmarks: Bool[np.ndarray, " l"]


Hidden = list[HiddenPart | None]


def hidden_pixels(observations: Observations, track: BodyTrack, body: Body) -> Hidden:
    """What something hides of the person in each frame; None where nothing does, or hardly ever.

    Args:
        track: of the same frames, with cameras.
    """
    count = len(observations)
    if not len(observations.masks) or track.cameras is None or observations.layout not in DETECTOR_LAYOUTS:
        return [None] * count
    vertices = body.vertices(body.rest(track.betas), track.poses)
    places, _ = landmark_points(body, observations.layout)
    nearest = torch.cdist(body.template.double(), places.rest).argmin(1).numpy()
    confidence, names = observations.keypoints[..., 2].numpy(), LAYOUTS[observations.layout].names
    faces = body.faces.numpy().astype(np.int32)
    heights = observations.keypoints[..., 1].numpy()
    tall = float(np.nanmedian(np.nanmax(heights, 1) - np.nanmin(heights, 1)))
    scale, size = reduced_size(observations.width, observations.height, WORK_HEIGHT / max(tall, 1.0))
    cameras = track.cameras

    def outline(index: int) -> Float[np.ndarray, "v 2"]:
        posed = vertices[int(observations.instant[index])]
        return project(cameras.K[index], cameras.T_camera_world[index], posed)[0].numpy() * scale

    def empty(index: int) -> list[Bool[np.ndarray, "h w"]]:
        hidden = confidence[index] < HIDDEN_BELOW
        if not hidden.any() or hidden.mean() > 1 - LEAST_SURE:
            return []
        return hidden_parts(outline(index), faces, hidden[nearest], observations.masks[index], size, scale * tall)

    parts = list(map_in_threads(empty, range(count)))
    scenery = Scenery.of(observations, track, scale, size, scale * tall) if any(parts) else None

    def look(index: int) -> HiddenPart | None:
        before = [part for part in parts[index] if scenery is None or not scenery.shows(index, part)]
        if not before:
            return None
        around = widened(np.any(before, axis=0), AROUND * scale * tall)
        x, y = outline(index).astype(int).clip(0, np.array(size) - 1).T
        inside = np.bincount(nearest, around[y, x], len(names)) > 0.5 * np.bincount(nearest, minlength=len(names))
        return HiddenPart(around, (confidence[index] < HIDDEN_BELOW) & inside)

    hidden = list(map_in_threads(look, range(count)))
    return hidden if sum(part is not None for part in hidden) >= LEAST_FRAMES * count else [None] * count


def hidden_parts(
    pixels: Float[np.ndarray, "v 2"],
    faces: Int[np.ndarray, "f 3"],
    hidden: Bool[np.ndarray, " v"],
    mask: UInt8[np.ndarray, "mh mw"],
    size: tuple[int, int],
    tall: float,
) -> list[Bool[np.ndarray, "h w"]]:
    """The connected empty parts of a body's silhouette whose vertices are mostly hidden.

    Args:
        pixels: of the vertices in an image of `size`; hidden: which of them the landmarks say are hidden.
        mask: of any size; tall: height of the person in the image of `size`, pixels.
    """
    import cv2

    person = cv2.resize(mask, size, interpolation=cv2.INTER_AREA)
    silhouette = filled_mesh(pixels, faces, size) > 127
    empty = (silhouette & (person < 128)).astype(np.uint8)
    empty = cv2.morphologyEx(empty, cv2.MORPH_OPEN, disc(THINNEST * tall / 2)).astype(np.uint8)
    if not empty.any():
        return []
    covered = filled_mesh(pixels, faces[hidden[faces].all(1)], size) > 127
    _, labels, stats, _ = cv2.connectedComponentsWithStats(empty)
    shares = np.bincount(labels[covered], minlength=len(stats)) / np.maximum(stats[:, cv2.CC_STAT_AREA], 1)
    large = stats[:, cv2.CC_STAT_AREA] > (LEAST_SIDE * tall) ** 2
    return [labels == part for part in 1 + np.flatnonzero((shares > 0.5)[1:] & large[1:])]


def distrusted_where_hidden(observations: Observations, hidden: Hidden) -> Observations:
    """The observations with no trust in the pixels that show what hides the person; unchanged where nothing does."""
    if not any(part is not None for part in hidden):
        return observations

    def trust(index: int) -> UInt8[np.ndarray, "h w"]:
        import cv2

        mask, part = observations.masks[index], hidden[index]
        before = np.full_like(mask, 255) if observations.trust is None else observations.trust[index]
        if part is None:
            return before
        large = cv2.resize(part.pixels.astype(np.uint8), mask.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        return np.where(large & (mask < PERSON), 0, before).astype(np.uint8)

    return replace(observations, trust=ImageList(len(observations), trust))


def past_what_hides(observations: Observations, track: BodyTrack, body: Body) -> Observations:
    """`distrusted_where_hidden` by the track of the observations."""
    return distrusted_where_hidden(observations, hidden_pixels(observations, track, body))


def without_hidden_landmarks(observations: Observations, hidden: Hidden) -> Observations:
    """The observations without the landmarks that something hides: NaN, with no confidence.

    It moves their neighbours too: above hidden knees the hips come out 17 pixels too high (of 720 of the person). The
    other landmarks of such a frame count less, so that the frames without anything before the person tell the shape and
    the view: else the camera's pitch is off by a degree and its focal length by 1.5 %.
    """
    weight = torch.ones(len(observations)) if observations.frame_weight is None else observations.frame_weight.clone()
    keypoints, layout = observations.keypoints.clone(), LAYOUTS[observations.layout]
    guess = observations.keypoints_3d.clone()
    bones = [layout.indices(*bone) for bone in layout.bones if set(bone) <= set(layout.names)]
    for index, part in enumerate(hidden):
        if part is not None:
            doubted = [end for bone in bones for end in bone if part.landmarks[bone].any()]
            doubted += part.landmarks.nonzero()[0].tolist()
            keypoints[index, doubted] = keypoints.new_tensor([torch.nan, torch.nan, 0.0])
            guess[index, doubted] = torch.nan
            weight[index] *= PARTLY_HIDDEN
    return replace(observations, keypoints=keypoints, keypoints_3d=guess, frame_weight=weight)


def note_on_hidden(hidden: Hidden, observations: Observations) -> list[str]:
    """A sentence for the user on what hides the person, if it does so in some frames."""
    frames = [index for index, part in enumerate(hidden) if part is not None]
    if not frames:
        return []
    first, last = (float(observations.times[index]) for index in (frames[0], frames[-1]))
    return [
        f"something hides a part of the person in {len(frames)} of {len(hidden)} frames, from {first:.1f} s to "
        f"{last:.1f} s: its pose there is a guess, and these pixels were left out"
    ]
