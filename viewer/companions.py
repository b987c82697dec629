"""Other people in the world of the one who is posed: they play along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch

from avatar.model.avatar import Avatar
from avatar.model.environment import ChosenLight
from avatar.motion.procedural import BUILTIN
from avatar.pipeline.finished_run import FinishedRun
from avatar.pipeline.motions import builtin_track
from avatar.pipeline.people_folder import open_people
from avatar.pipeline.together import filmed_together, side_by_side
from avatar.types import BodyTrack, Gaussians
from avatar.viewer.clips import TRAINING, Clip, Source, clip_of_track
from avatar.viewer.springs import Swings


@dataclass(frozen=True)
class Playing:
    """A moment of a motion, by its name; seconds from its first frame; whether loose clothes and hair swing."""

    clip: str
    seconds: float
    springs: bool = True


@dataclass
class Companion:
    """Somebody who plays along: the motion of the same name, or the first for one that only others have."""

    avatar: Avatar
    clips: dict[str, Source]
    read: dict[str, Clip] = field(default_factory=dict)

    @cached_property
    def swings(self) -> Swings:
        """What hangs loose on them."""
        return Swings(self.avatar)

    @torch.no_grad()
    def posed(self, moment: Playing, light: ChosenLight) -> Gaussians:
        """Their splats at a moment."""
        name = moment.clip if moment.clip in self.clips else next(iter(self.clips))
        source = self.clips[name]
        clip = self.read.setdefault(name, source if isinstance(source, Clip) else source())
        frame = min(round(moment.seconds * clip.fps), len(clip) - 1)
        pose = clip.poses[frame]
        if moment.springs:
            pose = self.swings.in_frame(clip, frame, pose)
        self.avatar.relight(light.coefficients)
        return self.avatar.pose(pose.to(self.avatar.device)).detach()


def people_clips(people: Sequence[FinishedRun]) -> list[dict[str, Source]]:
    """The motions of each person: as filmed, in one world, and the built-in ones side by side."""
    filmed = [replace(track, cameras=None) for track in filmed_together(people)]
    everybody: list[dict[str, Source]] = []
    for place, track in enumerate(filmed):
        clips: dict[str, Source] = {TRAINING: clip_of_track(TRAINING, track)}
        clips.update({name: _builtin(people, place, name) for name in BUILTIN})
        everybody.append(clips)
    return everybody


def _builtin(people: Sequence[FinishedRun], place: int, name: str) -> Source:
    def read() -> Clip:
        others: list[BodyTrack] = [builtin_track(people[place].avatar, name)] * len(people)
        return clip_of_track(name, side_by_side(others)[place])

    return read


def open_companions(
    folder: Path, device: str, springs: bool
) -> tuple[FinishedRun, dict[str, Source], tuple[Companion, ...]]:
    """The first of several people, their motions, and the others.

    Args:
        springs: let their loose clothes and hair swing.

    Raises:
        UsageError: somebody has no finished avatar. AvatarError: a file is broken.
    """
    people = open_people(folder, device)
    for person in people if springs else ():
        person.with_springs()
    first, *others = people_clips(people)
    companions = (Companion(person.avatar, clips) for person, clips in zip(people[1:], others, strict=True))
    return people[0], first, tuple(companions)
