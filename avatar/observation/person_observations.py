"""One of the people of a surveyed video, as observations."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, UInt8

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
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.background_plate import background_plate
from avatar.observation.company import notes_on_company
from avatar.observation.confidence import check_in_view, frame_weights, reweight_confidence
from avatar.observation.depth import store_depth
from avatar.observation.hand_masks import refine_hands
from avatar.observation.hands_face import HandsAndFace, observe_hands_face
from avatar.observation.held_things import held_things, note_on_held_things, without_things
from avatar.observation.keyframes import evenly_in_time, select_keyframes
from avatar.observation.left_right import fix_left_right_swaps
from avatar.observation.limbs import limb_core
from avatar.observation.matting import refine_mask
from avatar.observation.neighbors import Neighbors
from avatar.observation.person_tracks import PersonTrack
from avatar.observation.survey import Survey, Thinning
from avatar.runtime.progress import Progress
from avatar.runtime.thread_map import map_in_threads
from avatar.types import ImageList, Masks, Observations

Indices = Int[np.ndarray, " chosen"]


@dataclass(frozen=True)
class SurveyedPerson:
    """One of the people of a survey.

    Attributes:
        survey: of the whole video; work: where it stored frames and coarse masks.
        track: the person's; layout_name: the detector's landmark layout.
        recording: the depth that was recorded with the video; None without.
    """

    survey: Survey
    work: Path
    track: PersonTrack
    layout_name: str
    recording: DepthVideo | None = None

    @cached_property
    def times(self) -> Float[np.ndarray, " frames"]:
        """Of the frames that show the person, seconds."""
        return np.array([self.survey.times[index] for index in self.track.frames])

    @cached_property
    def landmarks(
        self,
    ) -> tuple[Float32[np.ndarray, "frames joints 3"], Float32[np.ndarray, "frames joints 3"], int]:
        """The landmarks and their 3D guess with the sides put right, and in how many frames they were wrong."""
        keypoints, keypoints_3d, swapped = fix_left_right_swaps(
            np.stack(self.track.keypoints), np.stack(self.track.keypoints_3d), LAYOUTS[self.layout_name]
        )
        return (
            reweight_confidence(keypoints, swapped, self.times, LAYOUTS[self.layout_name]),
            keypoints_3d,
            int(swapped.any(1).sum()),
        )

    @cached_property
    def weights(self) -> Float32[np.ndarray, " frames"]:
        """How sharp each frame is."""
        return frame_weights(np.array(self.track.sharpness))

    def keyframes(self, most: int, thinning: Thinning) -> Indices:
        """Indices of the frames that are used, at most `most`."""
        if thinning == "even":
            return evenly_in_time(self.times, most)
        keypoints, keypoints_3d, _ = self.landmarks
        return select_keyframes(_views(keypoints, keypoints_3d), self.weights * keypoints[..., 2].mean(1), most)

    def require_legs(self) -> list[str]:
        """Notes on body parts that are rarely in view.

        Raises:
            AvatarError: only the upper body is in view.
        """
        source = self.survey.source
        size = source.width, source.height
        return check_in_view(self.landmarks[0], LAYOUTS[self.layout_name], *size, str(source.path))

    def observations(self, keyframes: Indices, folder: Path, notes: Sequence[str] = ()) -> Observations:
        """Write the observations of some of the person's frames into a folder.

        Raises:
            AvatarError: only the upper body is in view.
        """
        survey, source = self.survey, self.survey.source
        keypoints, keypoints_3d, flips = self.landmarks
        notes = [*survey.notes, *notes, *notes_on_company(self.track, survey.people.tracks, survey.times)]
        notes += self.require_legs()
        if flips:
            notes.append(f"Left and right were put right in {flips} frames.")
        self._copy_frames(keyframes, folder)
        parts = observe_hands_face(stored_frames(folder, len(keyframes)), keypoints[keyframes], self.layout_name)
        masks = _MaskWriter(self, keyframes, parts, folder)
        notes += note_on_held_things(masks.write(), len(keyframes))
        cameras, recording = None, self.recording
        if recording is not None:
            cameras, notes_on_depth = store_depth(recording, source, self.times[keyframes], folder)
            notes += notes_on_depth
        trust = stored_images(folder / "trust", len(keyframes), read_mask) if masks.has_trust else None
        observations = Observations(
            images=stored_frames(folder, len(keyframes)),
            masks=stored_masks(folder, len(keyframes)),
            trust=trust,
            keypoints=torch.from_numpy(keypoints[keyframes]),
            keypoints_3d=torch.from_numpy(keypoints_3d[keyframes]),
            layout=self.layout_name,
            instant=torch.arange(len(keyframes)),
            times=torch.from_numpy(self.times[keyframes].astype(np.float32)),
            width=source.width,
            height=source.height,
            frame_weight=torch.from_numpy(self.weights[keyframes]),
            cameras=cameras,
            depth=None if recording is None else stored_depth(folder, len(keyframes)),
            source=str(source.path if recording is None else recording.recording.path),
            notes=tuple(notes),
            start=source.start,
            **parts._asdict(),
        )
        save_arrays(observations, folder)
        return observations

    def _copy_frames(self, keyframes: Indices, folder: Path) -> None:
        for name in ("frames", "masks", "trust", "depth"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "frames").mkdir(parents=True)
        for position, index in enumerate(keyframes):
            shutil.copyfile(frame_path(self.work, self.track.frames[index]), frame_path(folder, position))


class _MaskWriter:
    """Refines the masks of a person's keyframes, and says which pixels show others."""

    def __init__(self, person: SurveyedPerson, keyframes: Indices, parts: HandsAndFace, folder: Path) -> None:
        self.person, self.keyframes, self.folder = person, keyframes, folder
        self.images = stored_frames(folder, len(keyframes))
        self.layout = LAYOUTS[person.layout_name]
        self.keypoints = person.landmarks[0][keyframes]
        self.hands = np.zeros((len(keyframes), 2, 21, 3), np.float32) if parts.hands is None else parts.hands.numpy()
        everyone, times = person.survey.people.tracks, person.survey.times
        self.neighbors = Neighbors.of(person.track, everyone, times, person.work / "people")
        self.plate = background_plate(self.images, self._everybody())
        self.has_trust = False

    def write(self) -> int:
        """Write the masks, and the trust where somebody else is near.

        Returns:
            From how many masks something in a hand or at a foot was cut.
        """
        cut, near = 0, set()
        with Progress("sharpening the masks", len(self.keyframes)) as bar:
            for position, (held, trusted) in enumerate(map_in_threads(self._refine, range(len(self.keyframes)))):
                cut += held
                if trusted is not None:
                    near.add(position)
                    write_image(image_path(self.folder / "trust", position), trusted)
                bar.step()
        self.has_trust = bool(near)
        if near:
            whole = np.full((self.person.survey.source.height, self.person.survey.source.width), 255, np.uint8)
            for position in set(range(len(self.keyframes))) - near:
                write_image(image_path(self.folder / "trust", position), whole)
        return cut

    def _refine(self, position: int) -> tuple[bool, UInt8[np.ndarray, "h w"] | None]:
        image, own = self.images[position], self.keypoints[position]
        coarse, trusted = self.neighbors.apart(int(self.keyframes[position]))
        mask = refine_mask(image, coarse, self.plate, limb_core(coarse.shape, own, self.layout))
        mask = refine_hands(image, mask, self.plate, own, self.layout, self.hands[position])
        things = held_things(mask, own, self.layout)
        write_image(image_path(self.folder / "masks", position), without_things(mask, things))
        return bool(things.any()), trusted

    def _everybody(self) -> Masks:
        """Coarse masks of all people in each keyframe."""
        return ImageList(len(self.keyframes), lambda position: self.neighbors.everybody(int(self.keyframes[position])))


def _views(keypoints: np.ndarray, keypoints_3d: np.ndarray) -> np.ndarray:
    """Feature vector of a frame: the 3D guess in the camera's axes, or else the 2D landmarks.

    Time is a small extra entry, so that a person who holds still is sampled evenly.
    """
    flat = keypoints[..., :2] - keypoints[..., :2].mean(1, keepdims=True)
    points = flat / np.abs(flat).max() if np.isnan(keypoints_3d).any() else keypoints_3d
    return np.column_stack([points.reshape(len(points), -1), np.linspace(0, 0.5, len(points))])
