"""Motions by name: the one of the training video, built-in ones, files, runs and videos."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from avatar.body import Body, smpl_pose
from avatar.body.skeleton import smpl_joint_indices
from avatar.errors import AvatarError, UsageError
from avatar.io.track_file import load_track
from avatar.io.videos import open_video
from avatar.model.avatar import Avatar
from avatar.motion.bone_lengths import leg_length, model_rest
from avatar.motion.formats.keypoints2d import Keypoints2dFormat, read_keypoints
from avatar.motion.formats.registry import find_format, refuse_malformed
from avatar.motion.motion import Motion, ReadOptions, uniform_track
from avatar.motion.procedural import BUILTIN, builtin_motion
from avatar.motion.retarget import Retargeting, at_times, retarget
from avatar.motion.text.key_poses import is_words_motion, motion_of_words
from avatar.motion.text.pose_file import is_pose_file, pose_from_option
from avatar.pipeline.run_folder import RunFolder
from avatar.runtime.logging import logger
from avatar.types import BodyPose, BodyTrack, KeypointClip

if TYPE_CHECKING:
    from avatar.tracking.single_pose import PoseHypothesis

FILMED = "filmed"
# What a page plays by default: the motion of the video first, then these.
FOR_PAGES = ("wave", "walk", "squat", "dance", "jumping-jack")
FPS = 30.0
SHORTEST = 3.0  # seconds; a single step or jump is repeated up to this length
POSE_SECONDS = 4.0
MOST_FRAMES = 600  # of a video whose motion is taken: 20 s at 30 frames per second


def find_motion(name: str | Path, options: ReadOptions | None = None, format: str | None = None) -> Motion:
    """A motion by the name of a built-in one, or from a motion file, a run folder or a video.

    Raises:
        UsageError: there is no such motion or file.
        AvatarError: the file is broken.
    """
    path = Path(name)
    if path.is_dir() and RunFolder(path).track.is_file():
        path = RunFolder(path).track
    if is_words_motion(str(name)) and not path.exists():
        return motion_of_words(str(name))
    if not path.exists():
        if "/" in str(name) or "." in str(name):
            raise UsageError(f"There is no file {name}.")
        return builtin_motion(str(name))
    if format is None and path.is_file() and _is_video(path):
        return motion_of_video(path)
    options = options or ReadOptions()
    reader, content = find_format(path, format)
    with refuse_malformed(reader, content):
        if isinstance(reader, Keypoints2dFormat):
            return motion_of_keypoints(read_keypoints(content, options), options.person)
        return reader.read(content, options)


def motion_of_video(path: Path) -> Motion:
    """How the person in a video moves; the tracking takes a while."""
    import tempfile

    from avatar.body import load_body
    from avatar.observation.video import observe
    from avatar.pipeline.camera import camera_motion
    from avatar.pipeline.video_fit import fit_video
    from avatar.tracking.options import TrackOptions

    body = load_body("open")
    with tempfile.TemporaryDirectory() as folder:
        observations = observe(path, Path(folder), max_frames=MOST_FRAMES, thinning="even", warn=logger.warning)
        options = TrackOptions()
        motion = camera_motion(observations, options)
        estimated, _ = fit_video(observations, body, options, motion)
    return motion_of_track("video", estimated, body)


def keypoints_of(path: Path, options: ReadOptions, video: Path | None = None) -> KeypointClip:
    """The 2D key points in a file or folder.

    Args:
        options: what the file leaves open.
        video: the video that they were estimated in, which gives the size and the times of its frames.

    Raises:
        UsageError, AvatarError: see `read_keypoints` and `open_video`.
    """
    times = None
    if video is not None:
        decoded = open_video(video)
        options = replace(options, size=options.size or (decoded.width, decoded.height))
        times = [time for time, _image in decoded.frames()]
    reader, content = find_format(path, Keypoints2dFormat.name)
    with refuse_malformed(reader, content):
        return read_keypoints(content, options, times)


def motion_of_keypoints(clip: KeypointClip, person: str | None = None) -> Motion:
    """How a person moves whose 2D key points another program estimated; the fit takes a while.

    Raises:
        UsageError: there is no such person, or there are too few frames. AvatarError: only an upper body is in view.
    """
    from avatar.body import load_body
    from avatar.observation.keypoints import observe_keypoints
    from avatar.tracking.fit import LEAST_FRAMES, track
    from avatar.tracking.options import TrackOptions

    observations = observe_keypoints(clip, person)
    if len(observations) < LEAST_FRAMES:
        raise UsageError(
            f"{clip.source} holds {len(observations)} frames of the person, and a motion needs {LEAST_FRAMES}; "
            "--pose takes the key points of a single pose."
        )
    for note in observations.notes:
        logger.warning(note)
    body = load_body("open")
    estimated, _ = track(observations, body, TrackOptions())
    return motion_of_track("keypoints2d", estimated, body)


def motion_of_track(name: str, estimated: BodyTrack, body: Body) -> Motion:
    """The motion of a fitted track, at its own times from zero: rates vary, and screen recordings have gaps."""
    level = replace(
        estimated,
        times=estimated.times.cpu() - estimated.times[0].cpu(),
        poses=smpl_pose(estimated.poses).detach().to("cpu"),
        confidence=estimated.confidence[:, smpl_joint_indices(estimated.confidence.shape[1])].cpu(),
        cameras=None,
        instant=torch.arange(len(estimated)),
    )
    return Motion(name, level, leg_length(body.rest(estimated.betas).joints))


def pose_of_option(value: str, hypothesis: int = 1, options: ReadOptions | None = None) -> BodyPose:
    """A pose from words, a JSON file of joint angles, or a JSON file of the 2D key points of one person.

    Args:
        hypothesis: which of the poses that fit 2D key points, 1 being the likeliest.

    Raises:
        UsageError: there is no such file or hypothesis, or a word is unknown. AvatarError: the file is broken.
    """
    path = Path(value)
    if path.suffix.lower() != ".json" or is_pose_file(path):
        if hypothesis != 1:
            raise UsageError("--hypothesis chooses between poses that fit 2D key points, and --pose has none.")
        return pose_from_option(value)
    reading = options or ReadOptions()
    _, content = find_format(path, Keypoints2dFormat.name)
    clip = read_keypoints(content, reading)
    hypotheses = poses_of_figure(clip, reading.person)
    if not 1 <= hypothesis <= len(hypotheses):
        raise UsageError(f"{value} fits {len(hypotheses)} poses: there is no --hypothesis {hypothesis}.")
    return hypotheses[hypothesis - 1].pose


def poses_of_figure(clip: KeypointClip, person: str | None = None, count: int = 4) -> list[PoseHypothesis]:
    """The likeliest poses of a person whose 2D key points are given, the likeliest first.

    Raises:
        UsageError: there are several frames, or there is no such person. AvatarError: only an upper body is given.
    """
    from avatar.body import load_body
    from avatar.observation.keypoints import observe_keypoints
    from avatar.tracking.single_pose import pose_hypotheses

    if len(clip.people) > 1:
        raise UsageError(f"{clip.source} holds {len(clip.people)} frames: pass it as --motion, not as --pose.")
    return pose_hypotheses(observe_keypoints(clip, person), load_body("open"), count)


def motion_of_pose(pose: BodyPose, seconds: float = POSE_SECONDS, fps: float = 30.0) -> Motion:
    """One pose, held; its root stands where that of the T-pose is."""
    rest = model_rest().float()
    frames = [0] * max(1, round(seconds * fps))
    fingers, face = (None if part is None else part[None] for part in (pose.fingers, pose.face))
    held = BodyPose(rest[:1], pose.rotations[None], fingers, face)[frames]
    track = uniform_track(held.rotations, held.root_position, fps, fingers=held.fingers, face=held.face)
    return Motion("pose", track, leg_length(rest))


def motion_track(run: RunFolder, avatar: Avatar, name: str) -> BodyTrack:
    """A motion for this avatar: "filmed" (that of the training video), or whatever `find_motion` takes.

    Raises:
        UsageError: there is no such motion or file, or the run holds no track.
        AvatarError: the file is broken.
    """
    if name == FILMED:
        track = evenly_timed(load_track(run.track))
        # A body that was reshaped to longer legs stands higher and takes longer steps.
        legs = leg_length(avatar.rest.joints) / leg_length(avatar.body.rest(track.betas.to(avatar.device)).joints)
        return replace(track, cameras=None, poses=replace(track.poses, root_position=track.poses.root_position * legs))
    if name in BUILTIN:
        return builtin_track(avatar, name)
    return retarget(find_motion(name), avatar.rest, Retargeting(fps=FPS))


def evenly_timed(track: BodyTrack) -> BodyTrack:
    """The track itself if its instants are evenly spaced, otherwise one of `FPS`, for players that know only a rate.

    The frames that a training keeps of a video are not evenly spaced.
    """
    if track.is_even:
        return track
    start, end = float(track.times[0]), float(track.times[-1])
    times = start + torch.arange(int((end - start) * FPS + 1e-4) + 1, dtype=torch.float64) / FPS
    poses, confidence = at_times(track, times)
    instant = torch.arange(len(times))
    return replace(
        track, poses=poses, times=(times - start).float(), confidence=confidence, instant=instant, cameras=None
    )


def builtin_track(avatar: Avatar, name: str) -> BodyTrack:
    """A built-in motion for this avatar, repeated until it lasts some seconds."""
    motion = builtin_motion(name)
    rounds = math.ceil(SHORTEST / max(float(motion.track.times[-1]), 1 / FPS))
    return retarget(motion, avatar.rest, Retargeting(fps=FPS, loop=rounds))


def motions_for_page(run: RunFolder, avatar: Avatar, names: tuple[str, ...]) -> dict[str, BodyTrack]:
    """The named motions, or that of the video and some built-in ones, by their titles on the page."""
    if not names:
        names = ((FILMED,) if run.track.is_file() else ()) + FOR_PAGES
    return {motion_title(name): motion_track(run, avatar, name) for name in names}


def motion_title(name: str) -> str:
    """What a page calls a motion."""
    if name == FILMED:
        return "as filmed"
    return name.replace("-", " ") if name in BUILTIN else Path(name).stem


def pose_by_name(run: RunFolder, avatar: Avatar, name: str) -> BodyPose:
    """One pose: "rest" (the T-pose at the body's rest position), or MOTION:FRAME, such as "walk:12".

    Raises:
        UsageError: there is no such motion or frame.
    """
    if name == "rest":
        return BodyPose(avatar.rest.joints[0].cpu(), torch.eye(3).expand(24, 3, 3))
    motion, _, frame = name.rpartition(":") if ":" in name else (name, "", "0")
    track = motion_track(run, avatar, motion)
    if not frame.isdigit() or int(frame) >= len(track):
        raise UsageError(f"--pose {name}: {motion} has the frames 0 to {len(track) - 1}, not {frame!r}.")
    return track.poses[int(frame)]


def _is_video(path: Path) -> bool:
    """Whether the first bytes are those of a video container: MP4 and MOV, Matroska and WebM, AVI."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError as error:
        raise AvatarError(f"{path} cannot be read: {error.strerror}.") from error
    return (
        start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free")
        or start[:4] == b"\x1aE\xdf\xa3"
        or start[8:12] == b"AVI "
    )
