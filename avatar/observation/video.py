"""A video in, `Observations` out."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int

from avatar.errors import AvatarError, UsageError
from avatar.io.depth_recording import DepthVideo
from avatar.io.images import read_mask, write_image
from avatar.io.observations_file import (
    frame_path,
    image_path,
    save_arrays,
    stored_depth,
    stored_frames,
    stored_images,
    stored_masks,
)
from avatar.io.recordings import is_depth_recording, open_depth_recording
from avatar.io.videos import Video, open_video
from avatar.landmark_layouts import LAYOUTS, Layout
from avatar.observation.background_plate import background_plate
from avatar.observation.company import notes_on_company
from avatar.observation.confidence import check_in_view, frame_weights, reweight_confidence
from avatar.observation.depth import store_depth
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.hand_masks import refine_hands
from avatar.observation.hands_face import HandsAndFace, observe_hands_face
from avatar.observation.held_things import held_things, note_on_held_things, without_things
from avatar.observation.keyframes import evenly_in_time, select_keyframes
from avatar.observation.left_right import fix_left_right_swaps
from avatar.observation.limbs import limb_core
from avatar.observation.matting import refine_mask
from avatar.observation.person_tracks import PersonTrack
from avatar.observation.survey import Thinning, survey_video
from avatar.runtime.progress import Progress
from avatar.runtime.thread_map import map_in_threads
from avatar.types import Images, LandmarkDetector, Masks, Observations

SMALLEST_SIDE = 128
LONGEST_SIDE = 1920


def observe(
    video: str | Path,
    out: str | Path | None = None,
    *,
    person: int | None = None,
    start: float | None = None,
    end: float | None = None,
    max_frames: int = 300,
    thinning: Thinning = "telling",
    detector: LandmarkDetector | None = None,
    warn: Callable[[str], None] | None = None,
) -> Observations:
    """Find one person in every frame of a video: landmarks, their 3D guess, sharp masks and confidences.

    Args:
        video: the file, or a recording with depth (see `avatar.io.recordings`); frames larger than 1920 pixels are
            scaled down to that.
        out: folder for the frames, masks and `observations.npz`; None keeps them in a temporary folder that is
            removed with the last reference to the images.
        person: which person, 1 being the largest and most persistent, or None for that one.
        start, end: only this part of the video, in seconds; None: from its first, or to its last frame.
        max_frames: a longer video is thinned to this many frames.
        thinning: which frames of a longer video: "telling" takes sharp ones that differ in pose and view, as a
            training needs them, "even" takes them evenly in time, as a motion needs them.
        detector: finds the landmarks; None: what `choose_detector` takes by default.
        warn: called with each of the observations' notes.

    Raises:
        UsageError: the file, the part or the person does not exist.
        AvatarError: the file is not a readable video, too small, or shows nobody for long enough or only an upper
            body.
    """
    if max_frames < 1:
        raise UsageError(f"max_frames is {max_frames}: at least one frame must be kept.")
    if detector is None:
        detector, _ = choose_detector()
    folder = Path(tempfile.mkdtemp(prefix="avatar-observations-")) if out is None else Path(out)
    work, unpacked = folder / "unfinished", folder / "unpacked"
    try:
        recording = None
        if is_depth_recording(Path(video)):
            recording = open_depth_recording(Path(video), unpacked, LONGEST_SIDE)
        source = open_video(Path(video), longest=LONGEST_SIDE) if recording is None else recording.video
        if start is not None or end is not None:
            source = source.part(start or 0.0, end)
        if min(source.width, source.height) < SMALLEST_SIDE:
            raise AvatarError(
                f"{video} is {source.width}x{source.height}: frames need at least {SMALLEST_SIDE} pixels per side."
            )
        (folder / "observations.npz").unlink(missing_ok=True)
        observations = _observe(source, recording, detector, work, folder, person, max_frames, thinning)
    except BaseException:
        if out is None:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        for rest in (work, unpacked):
            shutil.rmtree(rest, ignore_errors=True)
    if warn is not None:
        for note in observations.notes:
            warn(note)
    if out is None:
        weakref.finalize(observations.images, shutil.rmtree, folder, ignore_errors=True)
    return observations


def _observe(
    source: Video,
    recording: DepthVideo | None,
    detector: LandmarkDetector,
    work: Path,
    folder: Path,
    requested: int | None,
    max_frames: int,
    thinning: Thinning,
) -> Observations:
    survey = survey_video(source, detector, work, max_frames, thinning)
    source = survey.source
    who, note = survey.people.choose(requested, str(source.path), survey.frames, survey.shot)
    person, layout = survey.people.tracks[who], LAYOUTS[detector.layout]
    keypoints, keypoints_3d, swapped = fix_left_right_swaps(
        np.stack(person.keypoints), np.stack(person.keypoints_3d), layout
    )
    person_times = np.array([survey.times[index] for index in person.frames])
    keypoints = reweight_confidence(keypoints, swapped, person_times)
    notes = [*survey.notes, *([note] if note else [])]
    notes += notes_on_company(person, survey.people.tracks, survey.times)
    notes += check_in_view(keypoints, layout, source.width, source.height, str(source.path))
    if flips := int(swapped.any(1).sum()):
        notes.append(f"Left and right were put right in {flips} frames.")
    weights = frame_weights(np.array(person.sharpness))
    if thinning == "even":
        keyframes = evenly_in_time(person_times, max_frames)
    else:
        keyframes = select_keyframes(_views(keypoints, keypoints_3d), weights * keypoints[..., 2].mean(1), max_frames)
    images, coarse = _move_images(person, keyframes, work, work / "people" / str(who), folder)
    parts = observe_hands_face(images, keypoints[keyframes], detector.layout)
    cut = _write_masks(images, coarse, keypoints[keyframes], layout, parts, folder)
    notes += note_on_held_things(cut, len(keyframes))
    cameras = None
    if recording is not None:
        cameras, notes_on_depth = store_depth(recording, source, person_times[keyframes], folder)
        notes += notes_on_depth
    observations = Observations(
        images=images,
        masks=stored_masks(folder, len(keyframes)),
        keypoints=torch.from_numpy(keypoints[keyframes]),
        keypoints_3d=torch.from_numpy(keypoints_3d[keyframes]),
        layout=detector.layout,
        instant=torch.arange(len(keyframes)),
        times=torch.from_numpy(person_times[keyframes].astype(np.float32)),
        width=source.width,
        height=source.height,
        frame_weight=torch.from_numpy(weights[keyframes]),
        cameras=cameras,
        depth=None if recording is None else stored_depth(folder, len(keyframes)),
        source=str(source.path if recording is None else recording.recording.path),
        notes=tuple(notes),
        start=source.start,
        **parts._asdict(),
    )
    save_arrays(observations, folder)
    return observations


def _views(keypoints: np.ndarray, keypoints_3d: np.ndarray) -> np.ndarray:
    """Feature vector of a frame: the 3D guess in the camera's axes, or else the 2D landmarks.

    Time is a small extra entry, so that a person who holds still is sampled evenly.
    """
    flat = keypoints[..., :2] - keypoints[..., :2].mean(1, keepdims=True)
    points = flat / np.abs(flat).max() if np.isnan(keypoints_3d).any() else keypoints_3d
    return np.column_stack([points.reshape(len(points), -1), np.linspace(0, 0.5, len(points))])


def _move_images(
    person: PersonTrack, keyframes: Int[np.ndarray, " keyframes"], work: Path, coarse: Path, folder: Path
) -> tuple[Images, Masks]:
    """Move the images of the keyframes to their final names; they and their coarse masks, which are not final."""
    for name in ("frames", "masks"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    (work / "coarse").mkdir()
    for position, index in enumerate(keyframes):
        frame_path(work, person.frames[index]).rename(frame_path(folder, position))
        image_path(coarse, person.frames[index]).rename(image_path(work / "coarse", position))
    return stored_frames(folder, len(keyframes)), stored_images(work / "coarse", len(keyframes), read_mask)


def _write_masks(
    images: Images,
    coarse: Masks,
    keypoints: Float32[np.ndarray, "keyframes joints 3"],
    layout: Layout,
    parts: HandsAndFace,
    folder: Path,
) -> int:
    """Refine the masks of the keyframes.

    Returns:
        From how many masks something in a hand or at a foot was cut.
    """
    plate = background_plate(images, coarse)
    hands = np.zeros((len(images), 2, 21, 3), np.float32) if parts.hands is None else parts.hands.numpy()

    def refine(position: int) -> bool:
        image, own, coarse_mask = images[position], keypoints[position], coarse[position]
        mask = refine_mask(image, coarse_mask, plate, limb_core(coarse_mask.shape, own, layout))
        mask = refine_hands(image, mask, plate, own, layout, hands[position])
        things = held_things(mask, own, layout)
        write_image(image_path(folder / "masks", position), without_things(mask, things))
        return bool(things.any())

    cut = 0
    with Progress("sharpening the masks", len(images)) as bar:
        for held in map_in_threads(refine, range(len(images))):
            cut += held
            bar.step()
    return cut
