"""What is looked at: an avatar, how it was filmed, and the motions it can play."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

import torch
from avatar.viewer.clips import TRAINING, Clip, Source, builtin_clips, clip_of_track, file_clips
from avatar.viewer.posing import a_pose
from avatar.viewer.state import Colors, ViewState
from jaxtyping import Float, Int
from torch import Tensor

from avatar.model import Avatar
from avatar.run import Run
from avatar.types import BodyPose, BodyTrack, Gaussians, Observations

# Splats that are left out are replaced by larger neighbours, so that no holes open.
MOST_GROWTH = 2.5


@dataclass
class Subject:
    """An avatar with its motions. Methods may be called from any thread.

    Attributes:
        folder: the run's folder; what is saved in the page goes there. None for a preview.
        track, observations: how the avatar was filmed, where the run still has them.
        clips: motions by name.
    """

    avatar: Avatar
    clips: dict[str, Source]
    folder: Path | None = None
    track: BodyTrack | None = None
    observations: Observations | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def clip(self, name: str) -> Clip:
        """A motion by name, read now if it was not yet.

        Raises:
            AvatarError: its file is broken.
        """
        source = self.clips[name]
        if isinstance(source, Clip):
            return source
        clip = source()
        self.clips = {**self.clips, name: clip}
        return clip

    def pose(self, state: ViewState) -> BodyPose:
        """The pose that a state shows."""
        return self.clip(state.clip).at(state.frame) if state.edited is None else state.edited

    @torch.no_grad()
    def gaussians(self, pose: BodyPose, colors: Colors = "lit", detail: float = 1.0) -> Gaussians:
        """The splats of one pose, coloured as wanted, of which the fraction `detail` is kept."""
        with self.lock:
            gaussians = self.avatar.pose(pose.to(self.avatar.device), lit=colors == "lit").detach()
            if colors == "observed":
                gaussians = _recolored(gaussians, heat(self.avatar.observed))
        return self.thinned(gaussians, detail)

    def drawn(self, detail: float) -> Int[Tensor, " kept"]:
        """Indices of the splats that are kept: those that cover most."""
        if detail >= 1:
            return torch.arange(len(self.avatar), device=self.avatar.device)
        gaussians = self.avatar.gaussians
        with torch.no_grad():
            area = gaussians.scales.sort(dim=-1).values[:, 1:].prod(1) * gaussians.opacities
        count = max(1, round(detail * len(self.avatar)))
        return area.topk(count).indices.sort().values

    def thinned(self, gaussians: Gaussians, detail: float) -> Gaussians:
        """The splats that are kept, larger so that no holes open."""
        if detail >= 1:
            return gaussians
        kept = self.drawn(detail)
        growth = min(detail**-0.5, MOST_GROWTH)
        return Gaussians(
            gaussians.means[kept], gaussians.quats[kept], gaussians.scales[kept] * growth,
            gaussians.opacities[kept], gaussians.colors[kept],
        )  # fmt: skip

    def reshape(self, betas: tuple[float, ...]) -> None:
        """Give the body another shape."""
        with self.lock:
            self.avatar.betas = torch.tensor(betas, device=self.avatar.device)
            self.avatar.on(self.avatar.device)


def open_run(folder: Path, device: str = "cpu") -> Subject:
    """Read a run's avatar, its track and pictures if they are there, and all its motions.

    Raises:
        UsageError: it is no run folder with a finished avatar.
        AvatarError: a file in it is broken.
    """
    from avatar.observe.file import load_observations
    from avatar.track.file import load_track

    run = Run(folder)
    run.require_avatar()
    avatar = Avatar.load(run.avatar).on(device)
    track = load_track(run.track) if run.track.is_file() else None
    pictures = run.observations / "observations.npz"
    observations = load_observations(run.observations) if pictures.is_file() else None
    clips: dict[str, Source] = {}
    if track is not None:
        clips[TRAINING] = clip_of_track(TRAINING, track)
    root = first_root(avatar) if track is None else track.poses.root_position[0]
    clips.update({"A-pose": standing(root)} | file_clips(folder / "motions", avatar) | builtin_clips(avatar))
    return Subject(avatar, clips, folder, track, observations)


def standing(root: Float[Tensor, " 3"]) -> Clip:
    """The A-pose as a motion of one frame."""
    pose = a_pose(root)
    return Clip("A-pose", BodyPose(pose.root_position[None], pose.rotations[None]), 30.0)


def first_root(avatar: Avatar) -> Float[Tensor, " 3"]:
    """Where the pelvis is when the body at rest stands on the floor in the middle."""
    rest = avatar.rest
    pelvis = rest.joints[0].detach().cpu().clone()
    height = pelvis[1] - rest.vertices[:, 1].min().cpu()
    return torch.stack([torch.zeros(()), height, torch.zeros(())])


def heat(values: Float[Tensor, " n"]) -> Float[Tensor, "n 3"]:
    """Colours from dark blue (0: invented) over green to yellow (1: well seen), evenly rising in lightness."""
    stops = values.new_tensor([[0.15, 0.1, 0.35], [0.1, 0.4, 0.55], [0.25, 0.7, 0.45], [0.95, 0.9, 0.3]])
    place = values.clamp(0, 1) * (len(stops) - 1)
    low = place.floor().long().clamp(max=len(stops) - 2)
    return stops[low].lerp(stops[low + 1], (place - low)[:, None])


def _recolored(gaussians: Gaussians, colors: Float[Tensor, "n 3"]) -> Gaussians:
    return Gaussians(gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colors)
