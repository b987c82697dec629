"""One export of one avatar: a method per kind of file, all with the same options."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from avatar.body import smpl_pose
from avatar.exporters.control_videos import write_control_videos
from avatar.exporters.glb import write_glb
from avatar.exporters.glb_splats import write_glb_splats, write_rigged_splats
from avatar.exporters.html import PageOptions, write_page
from avatar.exporters.splats import OURS, Orientation, write_packed, write_ply, write_ply_sequence
from avatar.exporters.synthetic_dataset import write_dataset
from avatar.exporters.web import write_web
from avatar.model.avatar import Avatar
from avatar.model.environment import EVEN, ChosenLight, builtin_lights
from avatar.model.world import World
from avatar.motion.formats.bvh import write_bvh
from avatar.motion.formats.player_json import write_player_motion
from avatar.pipeline.animation import VideoOptions, background_color, cameras_of
from avatar.pipeline.finished_run import FinishedRun
from avatar.pipeline.motions import FILMED, motion_track, motions_for_page, pose_by_name
from avatar.pipeline.previews import write_turntable
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyPose, BodyTrack, Gaussians


@dataclass(frozen=True)
class ExportOptions:
    """The options of an export. Each method writes one kind of file and returns a message for the user.

    Attributes:
        page: what pages say and show. Its light is that of the other files too; None: what is usual for the kind of
            file. Its scene also surrounds a turntable.
        live: whether the page has the mirror.
    """

    run: RunFolder
    avatar: Avatar
    motions: tuple[str, ...]
    pose: str | None
    page: PageOptions
    live: bool
    size: tuple[int, int]
    count: int
    seed: int
    backend: str
    orientation: Orientation = OURS
    backgrounds: tuple[Path, ...] = ()
    camera: str = "follow"

    def html(self, path: Path) -> str:
        """Write the interactive web page. Like every method here, returns a short description of the result."""
        clips = motions_for_page(self.run, self.avatar, self.motions)
        report = write_page(self._filmed, clips, path, self.page, self.live)
        return f"{report.bytes / 1e6:.2f} MB, {report.splats} splats, {len(clips)} motions"

    def web(self, folder: Path) -> str:
        """Write a folder for a web server: page, avatar and component."""
        clips = motions_for_page(self.run, self.avatar, self.motions)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", self.run.folder.resolve().name).strip("-.") or "avatar"
        report = write_web(self._filmed, clips, folder, name, self.page)
        sizes = f"{name}.avatar {report.avatar / 1e6:.2f} MB, component {report.component / 1e6:.2f} MB"
        return f"{sizes}, {report.splats} splats, {len(clips)} motions; to see it: python -m http.server -d {folder}"

    def ply(self, path: Path) -> str:
        """Write the Gaussians of one pose as a PLY file."""
        gaussians = self._gaussians(self._chosen_pose())
        write_ply(gaussians, path, [f"pose {self.pose or 'rest'}"], self.orientation)
        return f"{len(gaussians)} splats"

    def ply_sequence(self, folder: Path) -> str:
        """Write one PLY file per frame of the first motion."""
        track = self._first_motion()
        frames = (self._gaussians(track.poses[frame]) for frame in range(len(track)))
        count = write_ply_sequence(frames, folder, folder.name, self.orientation)
        return f"{count} frames at {track.fps:g} per second"

    def splat(self, path: Path) -> str:
        """Write the Gaussians of one pose in a packed format, by the suffix."""
        gaussians = self._gaussians(self._chosen_pose())
        write_packed(gaussians, path, self.orientation)
        return f"{len(gaussians)} splats, {path.stat().st_size / 1e6:.2f} MB"

    # The packed formats differ only in the suffix.
    compressed_ply = spz = sog = ksplat = splat

    def glb(self, path: Path) -> str:
        """Write the surface as a textured mesh with its skeleton and the motions as animations."""
        motions = self._animations()
        pose = None if self.pose is None else self._chosen_pose()
        triangles = write_glb(self._even, path, pose, motions, lit=True)
        return f"{triangles} triangles, {len(motions)} animations, {path.stat().st_size / 1e6:.1f} MB"

    def glb_splats(self, path: Path) -> str:
        """Write the Gaussians of one pose as glTF with KHR_gaussian_splatting."""
        gaussians = self._gaussians(self._chosen_pose())
        write_glb_splats(gaussians, path)
        return f"{len(gaussians)} splats, {path.stat().st_size / 1e6:.1f} MB"

    def glb_rigged_splats(self, path: Path) -> str:
        """Write the same at rest, with skeleton, weights and the motions as animations."""
        motions = self._animations()
        write_rigged_splats(self._even, path, motions, lit=True)
        return f"{len(self.avatar)} splats, {len(motions)} animations, {path.stat().st_size / 1e6:.1f} MB"

    def _animations(self) -> dict[str, BodyTrack]:
        names = self.motions or ((FILMED,) if self.run.track.is_file() else ())
        return {Path(name).stem: motion_track(self.run, self.avatar, name) for name in names}

    def motion_file(self, path: Path) -> str:
        """Write the first motion as BVH or as the player's JSON, by the suffix."""
        track = self._first_motion()
        if path.suffix.lower() == ".bvh":
            joints = self.avatar.rest.joints[list(self.avatar.body.smpl_index)]
            write_bvh(path, smpl_pose(track.poses), track.fps, joints)
        else:
            write_player_motion(path, track.poses, track.fps)
        return f"{len(track)} frames at {track.fps:g} per second"

    def turntable(self, path: Path) -> str:
        """Write a video or animated image of the avatar turning once."""
        if self.pose is None and self.run.track.is_file():
            track = motion_track(self.run, self.avatar, FILMED)
            pose = track.poses[len(track) // 2]
        else:
            pose = self._chosen_pose()
        if self.page.scene is not None:  # whose floor is at y = 0
            lowest = self.avatar.body.vertices(self.avatar.rest, pose)[:, 1].min()
            pose = replace(pose, root_position=pose.root_position - torch.stack([0 * lowest, lowest, 0 * lowest]).cpu())
        write_turntable(self._filmed, pose, path, *self.size, self.backend, self.page.scene)
        return f"{self.size[0]}x{self.size[1]}"

    def dataset(self, folder: Path) -> str:
        """Write rendered images with labels for training other models."""
        motions = motions_for_page(self.run, self.avatar, self.motions)
        garments = FinishedRun(self.run, self.avatar).garments
        write_dataset(
            self._filmed, motions, folder, self.count, *self.size, self.seed, self.backend, self.backgrounds, garments
        )
        return f"{self.count} images"

    def control(self, folder: Path) -> str:
        """Write control videos of the first motion."""
        track = self._first_motion()
        options = VideoOptions(self.camera, *self.size)
        cameras = cameras_of(options, World((self.avatar,)), [track])
        background = torch.tensor(background_color(options.background))
        write_control_videos(self._filmed, track, cameras, folder, background, self.backend)
        return f"{len(track)} frames at {track.fps:g} per second"

    def _first_motion(self) -> BodyTrack:
        return motion_track(self.run, self.avatar, self.motions[0] if self.motions else FILMED)

    def _chosen_pose(self) -> BodyPose:
        return pose_by_name(self.run, self.avatar, self.pose or "rest")

    @torch.no_grad()
    def _gaussians(self, pose: BodyPose) -> Gaussians:
        return self._even.pose(pose)

    @property
    def _even(self) -> Avatar:
        """The avatar in the chosen light, and in even light where none is chosen."""
        return self._lit(ChosenLight(EVEN, builtin_lights()[EVEN]))

    @property
    def _filmed(self) -> Avatar:
        """The avatar in the chosen light, and as filmed where none is chosen."""
        return self._lit(ChosenLight("filmed", None))

    def _lit(self, usual: ChosenLight) -> Avatar:
        return self.avatar.relight((self.page.light or usual).coefficients)
