"""A viewing session: an avatar, the observations it was made from, and the motions it can play."""

from __future__ import annotations

import re
import tempfile
import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from avatar.errors import AvatarError
from avatar.io.colors import parse_color
from avatar.io.environment_file import read_environment
from avatar.model.avatar import Avatar
from avatar.model.environment import (
    FILMED,
    WINDOW,
    ChosenLight,
    builtin_lights,
    environment_light,
    from_window,
)
from avatar.model.garments import garment_labels, label_colors, labels_of
from avatar.model.props import Prop
from avatar.model.recoloring import garment_color, recolor
from avatar.model.spring_rings import spring_bones
from avatar.model.world import cut_open
from avatar.pipeline.finished_run import load_garments, open_run
from avatar.pipeline.people_folder import PeopleFolder
from avatar.pipeline.report_images import observed_colors
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyPose, BodyTrack, Cameras, Gaussians, Observations
from avatar.viewer.clips import TRAINING, Clip, Source, builtin_clips, clip_of_track, file_clips
from avatar.viewer.companions import Companion, Playing, open_companions
from avatar.viewer.springs import Swings
from avatar.viewer.state import AS_FILMED, Colors, LightChoice, ViewState

# Splats that are not drawn are replaced by larger neighbours, so that no holes open.
MAX_GROWTH = 2.5
# Effective number of splats that cover each other: this exponent gives the whole person the requested opacity.
LAYERS = 3


@dataclass(frozen=True, eq=False)
class PosedState:
    """The avatar in one pose and look, independent of the camera. Two states are equal only if identical (`is`)."""

    pose: BodyPose
    colors: Colors
    detail: float = 1.0
    opacity: float = 1.0
    light: LightChoice = AS_FILMED
    scene: bool = True
    moment: Playing | None = None


@dataclass(frozen=True, eq=False)
class _CachedState:
    """A posed state, and the parts of the view state it was made from."""

    clip: Clip
    edited: BodyPose | None
    values: tuple[Any, ...]
    posed: PosedState


@dataclass
class Session:
    """An avatar with its motions. Methods may be called from any thread.

    Attributes:
        folder: the run's folder; what is saved in the page goes there. None for a preview.
        track, observations: what the avatar was made from, where the run still has them.
        clips: motions by name.
        surroundings: loaded ones by name, see `avatar.io.environment_file`.
        scene: what stands still around the person, world, metres, on the avatar's device; None: nothing.
        companions: other people in the same world, who play along.
        loose: whether the person or a companion wears or has what swings; swings: what does so on the person.
    """

    avatar: Avatar
    clips: dict[str, Source]
    folder: Path | None = None
    track: BodyTrack | None = None
    observations: Observations | None = None
    surroundings: dict[str, Float[np.ndarray, "h w 3"]] = field(default_factory=dict)
    scene: Gaussians | None = None
    companions: tuple[Companion, ...] = ()
    lock: threading.RLock = field(default_factory=threading.RLock)
    loose: bool = field(init=False)
    swings: Swings = field(init=False)
    _cached: _CachedState | None = None
    _posed: tuple[PosedState, Gaussians] | None = None

    def __post_init__(self) -> None:
        people = (self.avatar, *(one.avatar for one in self.companions))
        self.loose = any(one.springs is not None for one in people)
        self._own_springs = self.avatar.springs is not None
        self.swings = Swings(self.avatar)

    def clip(self, name: str) -> Clip:
        """A motion by name, read on first use.

        Raises:
            AvatarError: its file is broken.
        """
        source = self.clips[name]
        if isinstance(source, Clip):
            return source
        clip = source()
        self.clips = {**self.clips, name: clip}
        return clip

    def displayed_clip(self, state: ViewState) -> Clip:
        """The motion as a state shows it: on the spot, or along its path."""
        clip = self.clip(state.clip)
        return clip.on_spot if state.on_spot else clip

    def swinging_clip(self, state: ViewState, even: bool = False) -> Clip:
        """The displayed motion with all that swings in it, for videos; `even`: in evenly spaced frames."""
        clip = self.clip(state.clip).even if even else self.clip(state.clip)
        clip = self.swings.throughout(clip) if state.springs else clip
        return clip.on_spot if state.on_spot else clip

    def pose(self, state: ViewState) -> BodyPose:
        """The pose that a state shows, of the body alone."""
        pose = self.posed_state(state).pose
        return pose if pose.swing is None else replace(pose, swing=None)

    def posed_state(self, state: ViewState) -> PosedState:
        """What a state shows; the very same object as before while none of it changes."""
        clip = self.clip(state.clip)
        frame = min(max(round(state.frame), 0), len(clip) - 1)
        look = (state.colors, state.detail, state.opacity, state.light, state.betas, state.scene, state.recolored)
        values = (frame, state.on_spot, state.springs, *look, *map(id, state.props))
        with self.lock:
            last = self._cached
            # Motions and poses by identity: tensors have no equality that fits a condition.
            if last is None or last.clip is not clip or last.edited is not state.edited or last.values != values:
                pose = self._swung(state, clip, frame)
                seconds = frame / clip.fps if clip.times is None else float(clip.times[frame])
                moment = Playing(state.clip, seconds, state.springs)
                posed = PosedState(pose, state.colors, state.detail, state.opacity, state.light, state.scene, moment)
                self._cached = last = _CachedState(clip, state.edited, values, posed)
            return last.posed

    def _swung(self, state: ViewState, clip: Clip, frame: int) -> BodyPose:
        """The pose made by hand, or of a frame, with what swings."""
        pose = state.edited or self.displayed_clip(state).poses[frame]
        if not state.springs:
            return pose
        # Along its path also where it is shown on the spot, as for a camera that goes along.
        return self.swings.in_frame(clip, frame, pose) if state.edited is None else self.swings.in_rest(pose)

    def gaussians(self, posed: PosedState, seen_from: Cameras | None = None) -> Gaussians:
        """The splats of a posed state, on the avatar's device: the person, what they carry, and the scene.

        Args:
            seen_from: a camera, for which walls before the person are cut away (`avatar.model.world.cut_open`).
        """
        person = self.person(posed)
        if self.scene is None or not posed.scene:
            return person
        scene = self.scene if seen_from is None else cut_open(self.scene, person, seen_from[0].to(person.means.device))
        return Gaussians.cat([person, scene])

    @torch.no_grad()
    def person(self, posed: PosedState) -> Gaussians:
        """The same without the scene."""
        with self.lock:
            if self._posed is not None and self._posed[0] is posed:
                return self._posed[1]
            avatar = self.avatar
            avatar.relight(self.chosen_light(posed.light).coefficients)
            pose = posed.pose.to(avatar.device)
            gaussians = avatar.own_pose(pose).detach()
            if posed.colors == "observed":
                gaussians = replace(gaussians, colors=observed_colors(avatar, gaussians.colors))
            elif posed.colors == "garments":
                gaussians = replace(gaussians, colors=label_colors(self.garments, gaussians.colors))
            thinned = self.thinned(gaussians, posed.detail)
            moment, light = posed.moment, self.chosen_light(posed.light)
            others = [] if moment is None else [one.posed(moment, light) for one in self.companions]
            whole = Gaussians.cat([thinned, *(prop.detach() for prop in avatar.posed_props(pose)), *others])
            self._posed = (posed, replace(whole, opacities=whole.opacities * posed.opacity**LAYERS))
            return self._posed[1]

    def box(self, state: ViewState) -> tuple[Float[Tensor, " 3"], Float[Tensor, " 3"]]:
        """Opposite corners of the person as a state shows it, world, metres."""
        means = self.person(self.posed_state(state)).means.cpu()
        return means.amin(0), means.amax(0)

    def _drawn(self, detail: float) -> Int[Tensor, " drawn"]:
        """Indices of a fixed random subset of the splats, so that every part thins out alike.

        The largest ones would leave the face and the hands bare, where splats are small.
        """
        count = len(self.avatar)
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
        return order[: max(1, round(detail * count))].sort().values.to(self.avatar.device)

    def thinned(self, gaussians: Gaussians, detail: float) -> Gaussians:
        """The subset of the splats that is drawn, enlarged so that no holes open."""
        if detail >= 1:
            return gaussians
        subset = self._drawn(detail)
        growth = min(detail**-0.5, MAX_GROWTH)
        return Gaussians(
            gaussians.means[subset], gaussians.quats[subset], gaussians.scales[subset] * growth,
            gaussians.opacities[subset], gaussians.colors[subset],
        )  # fmt: skip

    def chosen_light(self, light: LightChoice) -> ChosenLight:
        """The light of a state."""
        if light.kind in self.surroundings:
            radiance = torch.from_numpy(self.surroundings[light.kind])
            return ChosenLight(light.kind, environment_light(radiance, light.degrees))
        if light.kind == WINDOW:
            return ChosenLight(WINDOW, from_window(light.degrees, light.warmth))
        return ChosenLight(light.kind, None if light.kind == FILMED else builtin_lights()[light.kind])

    def add_surroundings(self, name: str, content: bytes) -> str:
        """Add an equirectangular image that a browser sent; returns the name by which it can be chosen.

        Raises:
            AvatarError: it is no such image.
        """
        stem = re.sub(r"[^A-Za-z0-9._ -]+", "-", Path(name).stem)[:40].strip(".- ") or "surroundings"
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "surroundings"
            path.write_bytes(content)
            try:
                radiance = read_environment(path)
            except AvatarError as error:
                raise AvatarError(str(error).replace(str(path), Path(name).name)) from error
        chosen = f"{stem} (image)"  # never the name of a built-in light
        self.surroundings = {**self.surroundings, chosen: radiance}
        return chosen

    def dress(self, props: tuple[Prop, ...]) -> None:
        """Let the person wear and hold these things and no others."""
        with self.lock:
            self.avatar.with_props([prop.to(self.avatar.device) for prop in props])
            self._forget()

    @cached_property
    def garments(self) -> Int[Tensor, " n"]:
        """The label of each splat: as the run has them, otherwise estimated."""
        return (
            garment_labels(self.avatar) if self.folder is None else load_garments(RunFolder(self.folder), self.avatar)
        )

    @cached_property
    def _own_colors(self) -> Float[Tensor, "n 3"]:
        return self.avatar.gaussians.raw_colors.detach().clone()

    def recolor(self, recolored: tuple[tuple[str, str], ...]) -> None:
        """Give these garments these colours, and all others their own."""
        with self.lock, torch.no_grad():
            labels = self.garments  # estimated from the own colours
            self.avatar.gaussians.raw_colors.copy_(self._own_colors)
            for label, color in recolored:
                recolor(self.avatar, torch.isin(labels, torch.tensor(labels_of(label))), parse_color(color))
            self._posed = None

    def garment_color(self, label: str) -> Float[Tensor, " 3"] | None:
        """The colour that a garment has now, sRGB; None where the person has no such thing."""
        with self.lock:
            chosen = torch.isin(self.garments, torch.tensor(labels_of(label)))
            return garment_color(self.avatar, chosen) if chosen.any() else None

    def reshape(self, betas: tuple[float, ...]) -> None:
        """Give the body another shape."""
        with self.lock:
            self.avatar.reshape(torch.tensor(betas))
            if self._own_springs:
                self.avatar.with_springs(spring_bones(self.avatar, lambda: self.garments))
            self._forget()

    def _forget(self) -> None:
        """Let everything be posed and simulated again."""
        self.swings.clear()
        self._cached = self._posed = None


def open_session(folder: Path, device: str = "cpu", scene: Gaussians | None = None, springs: bool = True) -> Session:
    """Read a run's avatar, its track and images if it still has them, and all its motions.

    Of several people the first is posed, and the others play along.

    Args:
        scene: what stands still around the person, world, metres.
        springs: let loose clothes and hair swing.

    Raises:
        UsageError: the folder holds no finished avatar.
        AvatarError: a file in it is broken.
    """
    around = None if scene is None else scene.to(device)
    if PeopleFolder(RunFolder(folder)).is_complete:
        first, motions, companions = open_companions(folder, device, springs)
        return Session(first.avatar, motions, first.run.folder, scene=around, companions=companions)
    finished = open_run(folder, device=device)
    avatar = finished.with_springs() if springs else finished.avatar
    track = finished.track if finished.has_track else None
    observations = finished.observations() if finished.has_observations else None
    clips: dict[str, Source] = {}
    if track is not None:
        clips[TRAINING] = clip_of_track(TRAINING, track)
    clips.update(file_clips(folder / "motions", avatar) | builtin_clips(avatar))
    return Session(avatar, clips, folder, track, observations, scene=around)
