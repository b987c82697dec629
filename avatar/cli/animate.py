"""`avatar animate`: drive an avatar with a motion or a pose, and write a video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from avatar.cli.motion_file import AS_RECOGNISED, MotionFile, MotionFileOptions
from avatar.cli.options import Backend, Device, Switch, option_group
from avatar.cli.scene import NO_SCENE, Scene
from avatar.errors import UsageError

if TYPE_CHECKING:
    from avatar.model.avatar import Avatar
    from avatar.motion.motion import Motion
    from avatar.motion.retarget import Retargeting
    from avatar.pipeline.animation import VideoOptions
    from avatar.types import BodyTrack


@option_group
@dataclass(frozen=True)
class PlayingOptions:
    """How the motion is played.

    Attributes:
        start: start of the part that is played, in seconds of the motion.
        end: end of the part that is played, in seconds of the motion.
        speed: playback speed; 2 is twice as fast.
        loop: number of times that the motion is played.
        facing: front turns the motion to start facing the camera, keep leaves its direction and place.
        feet: plant holds standing feet on the floor, keep leaves them as they are.
        face: CSV of Live Link Face, or a glTF file with ARKit's morph targets, whose face is played as well.
        alive: let the eyes blink, and the chest breathe while the person stands.
        springs: auto lets skirts, coats and long hair swing, off leaves them to the limbs.
    """

    start: float = 0.0
    end: float | None = None
    speed: float = 1.0
    loop: int = 1
    facing: Literal["front", "keep"] = "front"
    feet: Literal["plant", "keep"] = "plant"
    face: Path | None = None
    alive: Switch = False
    springs: Literal["auto", "off"] = "auto"

    def retargeting(self, fps: float) -> Retargeting:
        """The same for the retargeting, at a number of frames per second."""
        from avatar.motion.retarget import Retargeting

        return Retargeting(fps, self.start, self.end, self.speed, self.loop, self.facing, self.feet)

    def finished(self, track: BodyTrack, avatar: Avatar) -> BodyTrack:
        """The track with the face and the breath that are asked for, and with what swings on this avatar.

        Raises:
            UsageError: there is no such file. AvatarError: it is broken.
        """
        from avatar.model.spring_motion import with_swing
        from avatar.motion.alive import with_blinks_and_breath, with_face_of
        from avatar.pipeline.motions import find_motion

        if self.face is not None:
            track = with_face_of(track, find_motion(str(self.face)), str(self.face))
        return with_swing(with_blinks_and_breath(track) if self.alive else track, avatar)


@option_group
@dataclass(frozen=True)
class ImageOptions:
    """What the video shows.

    Attributes:
        camera: follow moves with the person, front stands still, orbit circles the person; or a camera file. The
            default is orbit for a pose and follow for a motion.
        out: video to write (.mp4, .webm, .gif), one image (.png), or a folder for the frames.
        size: WIDTHxHEIGHT in pixels.
        fps: frames per second of the video.
        background: white, black, gray, green, #rrggbb, or alpha (for .webm and images).
        light: the light that the avatar stands in: filmed, even, above, window, window:left (right, front, behind, or
            degrees to the right), window:left:WARMTH (-1 to 1), or an equirectangular image (.hdr, .exr, .png, .jpg),
            with :DEGREES to turn it.
        shape: another shape for the body, in words, such as height=1.82,weight=0.6. The words are height (metres), age
            (years), weight, gender (0 male to 1 female), muscle and proportions (0 to 1); the others stay as they are.
            Not available for SMPL files.
    """

    camera: str | None = None
    out: Path | None = None
    size: str = "540x960"
    fps: float = 30.0
    background: str = "white"
    light: str = "filmed"
    shape: str | None = None

    def rendering(self, usual_camera: str) -> VideoOptions:
        """The same for the renderer of videos.

        Raises:
            UsageError: the size makes no sense.
        """
        from avatar.pipeline.animation import VideoOptions, parse_size

        return VideoOptions(self.camera or usual_camera, *parse_size(self.size), self.background)

    def file(self, run: Path, motion: str | None) -> Path:
        """The file to write; without --out it lies in the run folder and has the motion's name."""
        if self.out is not None:
            return self.out
        name = "pose" if motion is None else "+".join(Path(file).stem for file in motion.split(","))
        return run / "animations" / f"{name}{'.webm' if self.background == 'alpha' else '.mp4'}"


def animate_avatar(
    run: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help_behavior_hint="(required)")
    ] = None,
    motion: str | None = None,
    pose: str | None = None,
    hypothesis: int = 1,
    pose_schema: Switch = False,
    playing: Annotated[PlayingOptions, tyro.conf.arg(name="playing")] = PlayingOptions(),
    image: Annotated[ImageOptions, tyro.conf.arg(name="image")] = ImageOptions(),
    file: MotionFile = AS_RECOGNISED,
    surroundings: Scene = NO_SCENE,
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Drive an avatar with a motion or a pose and write a video of it.

    Args:
        run: run folder made by `avatar create`.
        motion: a built-in motion (`avatar motions` lists them), poses in words joined by "then", a motion file, a video
            of a person, another run folder, or 2D key points of OpenPose, DWPose, MMPose, AlphaPose, COCO or MediaPipe
            (a file, or a folder with one file per image). For several people one for each, separated by commas, or one
            for all, or "filmed".
        pose: a pose instead of a motion: words, such as "left arm raised, right knee bent 90, looking left", or a JSON
            file of joint angles or of the 2D key points of one person.
        hypothesis: which of the poses that fit the 2D key points of --pose; 1 is the likeliest.
        pose_schema: print the JSON schema of a pose and a prompt by which a language model writes poses, and nothing
            else; RUN is not needed.
        device: where to render; auto takes CUDA where it works.
        backend: renderer; auto takes gsplat on CUDA and cpu elsewhere.
    """
    if pose_schema:
        from avatar.motion.text.schema import pose_prompt

        print(pose_prompt())
        return
    if run is None:
        raise UsageError("Pass the run folder of an avatar, such as runs/me.")
    _check(motion, pose, hypothesis, playing, image)
    from avatar.body.shape_attributes import parse_shape
    from avatar.model.world import World
    from avatar.motion.retarget import resample
    from avatar.motion.text.key_poses import is_words_motion
    from avatar.pipeline.animation import animate as render_video
    from avatar.pipeline.animation import check_video
    from avatar.pipeline.lights import read_light
    from avatar.pipeline.motions import FILMED
    from avatar.pipeline.people_folder import open_people, require_people
    from avatar.pipeline.together import animated_together, filmed_together
    from avatar.rendering.devices import resolve_device

    words, light = parse_shape(image.shape), read_light(image.light)
    count = require_people(run)
    if words and count > 1:
        raise UsageError(f"--shape is that of one person: animate {run}/person-1, or leave it out.")
    video = image.rendering("follow" if pose is None else "orbit")
    if pose is not None and is_words_motion(pose):
        motion, pose = pose, None
    out = image.file(run, motion)
    check_video(video, out)
    how = playing.retargeting(image.fps)
    if pose is not None and count == 1:
        how = replace(how, facing="keep")
    as_filmed = motion == FILMED and count > 1
    moved = [] if as_filmed else _motions(motion, pose, hypothesis, file, count)
    scene = surroundings.read()
    people = open_people(run, resolve_device(device, backend))
    for person in people:
        person.avatar.reshape_by(words).relight(light.coefficients)
        if playing.springs == "auto":
            person.with_springs()
    if as_filmed:
        tracks = [resample(track, how) for track in filmed_together(people, image.fps)]
    else:
        tracks = animated_together(people, moved, how)
    world = World(tuple(person.avatar for person in people), scene)
    played = [playing.finished(track, avatar) for track, avatar in zip(tracks, world.people, strict=True)]
    print(f"video: {render_video(world, played, video, out, backend)}")


def _check(motion: str | None, pose: str | None, hypothesis: int, playing: PlayingOptions, image: ImageOptions) -> None:
    """Refuse what makes no sense with any avatar."""
    if (motion is None) == (pose is None):
        raise UsageError("Pass either --motion or --pose.")
    if hypothesis != 1 and pose is None:
        raise UsageError("--hypothesis chooses among the poses that fit the key points of --pose: leave it out.")
    for option, value in (("--fps", image.fps), ("--speed", playing.speed), ("--loop", playing.loop)):
        if not value > 0:
            raise UsageError(f"{option} must be above 0, not {value:g}.")


def _motions(
    motion: str | None, pose: str | None, hypothesis: int, file: MotionFileOptions, people: int
) -> list[Motion]:
    """The motions that --motion names, or the one pose of --pose, and a line about each that was checked."""
    from avatar.pipeline.motions import find_motion, motion_of_pose, pose_of_option

    reading = file.reading()
    if pose is not None:
        return [motion_of_pose(pose_of_option(pose, hypothesis, reading))]
    assert motion is not None
    names = motion.split(",") if people > 1 else [motion]
    motions = [find_motion(name, reading, file.format) for name in names]
    for one in motions:
        if one.check is not None:
            print(f"motion: {one.check.summary}")
    return motions
