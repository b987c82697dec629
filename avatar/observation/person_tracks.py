"""Several people in view: each is followed over time, and one is chosen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32

from avatar.errors import AvatarError, UsageError
from avatar.observation.appearance import Appearance, difference, mean_appearance
from avatar.observation.contact import Expected, certainty, landmark_distance
from avatar.observation.detectors.flip_test import SAME_PERSON, person_size
from avatar.types import Detection

LEAST_FRAMES = 10
SAME_TRACK = 0.35  # mean landmark distance between neighbouring frames, as a share of the person's size
WALKING_SPEED = 0.4  # by how much that distance grows for each second beyond the first between the frames
FARTHEST = 1.5
# A person who was out of view for longer, in seconds and in frames that were looked at, counts as new. Of a long clip
# the frames that are looked at can lie seconds apart.
LONGEST_GAP = 1.0
MISSED_FRAMES = 2
SAME_TIME = 1e-3  # seconds; times of frames are rounded
LOOKS = 0.3  # weight of the difference of appearances beside the distance
VELOCITY_SECONDS = 0.5  # over which a person's velocity is measured
FORESIGHT = 0.7  # seconds for which somebody is expected to keep their velocity


@dataclass(eq=False)
class PersonTrack:
    """One person's detections over time: `frames[k]` is the index of the frame that shows `keypoints[k]`.

    Attributes:
        shot: index of the shot between cuts that shows them.
        times: of the frames, seconds; numbers: of the detections, counted over everybody; looks: colours of clothes,
            where images are at hand.
    """

    shot: int = 0
    frames: list[int] = field(default_factory=list)
    keypoints: list[Float32[np.ndarray, "joints 3"]] = field(default_factory=list)
    keypoints_3d: list[Float32[np.ndarray, "joints 3"]] = field(default_factory=list)
    sharpness: list[float] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    looks: list[Appearance] = field(default_factory=list)

    @property
    def presence(self) -> float:
        """Sum over the frames of the person's size in pixels: large and persistent wins.

        Who is seen less surely, such as a reflection or a poster, counts less.
        """
        return float(sum(person_size(keypoints) * certainty(keypoints) for keypoints in self.keypoints))

    def expected(self, time: float) -> Float32[np.ndarray, "joints 3"]:
        """The landmarks at a later time, moved on at the velocity of the whole person."""
        last, now = self.keypoints[-1], self.times[-1]
        before = next((index for index, then in enumerate(self.times) if now - then <= VELOCITY_SECONDS), -1)
        elapsed = now - self.times[before]
        if elapsed <= 0:
            return last
        steps = (last - self.keypoints[before])[:, :2]
        if not np.isfinite(steps).any():
            return last
        moved = last.copy()
        moved[:, :2] += np.nanmedian(steps, axis=0) / elapsed * min(time - now, FORESIGHT)
        return moved

    @property
    def usual_looks(self) -> Appearance | None:
        """The mean appearance; None without images."""
        return mean_appearance(self.looks) if self.looks else None

    @property
    def certainty(self) -> float:
        """The usual mean confidence of the landmarks."""
        return float(np.median([certainty(keypoints) for keypoints in self.keypoints]))

    def part(self, indices: Sequence[int]) -> PersonTrack:
        """The track with some of its frames."""
        lists = (self.frames, self.keypoints, self.keypoints_3d, self.sharpness, self.times, self.numbers, self.looks)
        return PersonTrack(self.shot, *([values[index] for index in indices if values] for values in lists))  # type: ignore[arg-type]


class PersonTracker:
    """Joins the detections of successive frames into persons, nearest pairs first.

    Args:
        cuts: seconds at which another scene begins, where everyone is new.
    """

    def __init__(self, cuts: Sequence[float] = ()) -> None:
        self.tracks: list[PersonTrack] = []
        self.cuts = cuts
        self.count = 0

    @property
    def best_shot(self) -> int:
        """Index of the shot that shows most of one person."""
        return max(self.tracks, key=lambda track: track.presence).shot if self.tracks else 0

    def shot_at(self, time: float) -> int:
        """Index of the shot at a time in seconds."""
        return bisect_right(self.cuts, time + SAME_TIME)

    def expected(self, frame: int, time: float) -> list[Expected]:
        """Where everybody who was there a moment ago should be in a frame, and how they look."""
        return [
            Expected(self.tracks[who].expected(time), self.tracks[who].usual_looks, self.tracks[who].certainty)
            for who in self._present(frame, time)
        ]

    def add(
        self,
        frame: int,
        time: float,
        detections: list[Detection],
        sharpness: list[float],
        looks: Sequence[Appearance] = (),
    ) -> list[int]:
        """Take one frame's detections, each with its sharpness, and say for each which person it is.

        Nobody new begins where somebody else already is: a detector may report one person twice in a frame, and a
        second track of them would take over later.

        Args:
            looks: of the detections; empty without images.
        """
        chosen: dict[int, int] = {}
        shot = self.shot_at(time)
        for _, apart, who, index in sorted(self._distances(frame, time, detections, looks)):
            if apart < self._reach(who, time) and index not in chosen and who not in chosen.values():
                chosen[index] = who
        for index in [*chosen, *(index for index in range(len(detections)) if index not in chosen)]:
            detection = detections[index]
            if index not in chosen:
                twin = _coinciding(detection, [(detections[other], who) for other, who in chosen.items()])
                if twin is not None:
                    chosen[index] = twin
                    continue
                self.tracks.append(PersonTrack(shot))
                chosen[index] = len(self.tracks) - 1
            person = self.tracks[chosen[index]]
            person.frames.append(frame)
            person.keypoints.append(detection.keypoints)
            person.keypoints_3d.append(detection.keypoints_3d)
            person.sharpness.append(sharpness[index])
            person.times.append(time)
            person.numbers.append(self.count + index)
            person.looks += looks[index : index + 1]
        self.count += len(detections)
        return [chosen[index] for index in range(len(detections))]

    def _reach(self, who: int, time: float) -> float:
        """How far a person can have moved since they were last in view, as a share of their size."""
        moved = WALKING_SPEED * max(0.0, time - self.tracks[who].times[-1] - LONGEST_GAP)
        return min(SAME_TRACK + moved, FARTHEST)

    def _present(self, frame: int, time: float) -> list[int]:
        """Who was there a moment ago, in the same shot."""
        shot = self.shot_at(time)
        return [
            who
            for who, person in enumerate(self.tracks)
            if person.shot == shot
            and (time - person.times[-1] <= LONGEST_GAP or frame - person.frames[-1] <= MISSED_FRAMES + 1)
        ]

    def _distances(
        self, frame: int, time: float, detections: list[Detection], looks: Sequence[Appearance]
    ) -> Iterator[tuple[float, float, int, int]]:
        """Of each person and detection: their distance with and without that of their looks."""
        for who in self._present(frame, time):
            person = self.tracks[who]
            places, usual = (person.keypoints[-1], person.expected(time)), person.usual_looks
            for index, detection in enumerate(detections):
                apart = min(landmark_distance(detection.keypoints, place) for place in places)
                unlike = difference(looks[index], usual) if looks and usual is not None else float("nan")
                if np.isfinite(apart):
                    yield apart + LOOKS * (0.0 if np.isnan(unlike) else unlike), apart, who, index

    def lasting(self, shot: int = 0) -> list[int]:
        """Indices of the people who are in view for long enough, the largest and most persistent first.

        Args:
            shot: only persons in this one count.
        """
        order = sorted(range(len(self.tracks)), key=lambda who: -self.tracks[who].presence)
        return [who for who in order if self.tracks[who].shot == shot and len(self.tracks[who].frames) >= LEAST_FRAMES]

    def choose(self, requested: int | None, video: str, frames: int, shot: int = 0) -> tuple[int, str]:
        """Index of the requested person (1 is the largest and most persistent) and a sentence for the report.

        Args:
            frames: how many were looked at; shot: only persons in this one count.

        Raises:
            UsageError: there is no person of that number.
            AvatarError: nobody was detected, or the person is in view in fewer than ten frames.
        """
        if not self.tracks:
            raise AvatarError(f"{video}: no person was found. Film one person who is wholly in view.")
        lasting = self.lasting(shot)
        number = 1 if requested is None else requested
        if requested is not None and not 1 <= requested <= max(1, len(lasting)):
            people = "one person" if len(lasting) == 1 else f"{len(lasting)} persons"
            raise UsageError(f"{video} shows {people} long enough: there is no person {requested}.")
        if not lasting:
            present = [track for track in self.tracks if track.shot == shot]
            most = len(max(present, key=lambda track: track.presence).frames)
            raise AvatarError(
                f"{video}: a person is in view in only {most} of {frames} frames; at least {LEAST_FRAMES} are needed."
            )
        chosen = lasting[number - 1]
        note = ""
        if len(lasting) > 1:
            person = self.tracks[chosen]
            note = (
                f"{len(lasting)} persons are in view: person {number} was taken, seen in {len(person.frames)} of "
                f"{frames} frames around pixel {_middle(person)}; --person chooses another."
            )
        return chosen, note


def _coinciding(detection: Detection, others: Sequence[tuple[Detection, int]]) -> int | None:
    """The person of the first of some other detections that is in the same place; None where nobody is."""
    for other, who in others:
        if landmark_distance(detection.keypoints, other.keypoints) < SAME_PERSON:
            return who
    return None


def _middle(person: PersonTrack) -> str:
    x, y = np.median(np.concatenate(person.keypoints)[:, :2], axis=0)
    return f"({x:.0f}, {y:.0f})"
