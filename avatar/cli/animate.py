"""`avatar animate`: drive an avatar with a motion or a pose, and write a video."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from avatar.cli.options import Backend, Device, Switch, Up
from avatar.cli.scene import scene_of_options
from avatar.errors import UsageError


def animate_avatar(
    run: Annotated[
        Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help_behavior_hint="(required)")
    ] = None,
    motion: str | None = None,
    pose: str | None = None,
    hypothesis: int = 1,
    pose_schema: Switch = False,
    camera: str | None = None,
    out: Path | None = None,
    size: str = "540x960",
    fps: float = 30.0,
    background: str = "white",
    light: str = "filmed",
    start: float = 0.0,
    end: float | None = None,
    speed: float = 1.0,
    loop: int = 1,
    format: str | None = None,
    up: str | None = None,
    map: Path | None = None,
    layout: str | None = None,
    person: str | None = None,
    clip: str | None = None,
    source_body: Path | None = None,
    source_fps: float | None = None,
    source_size: str | None = None,
    facing: Literal["front", "keep"] = "front",
    feet: Literal["plant", "keep"] = "plant",
    face: Path | None = None,
    alive: Switch = False,
    shape: str | None = None,
    scene: Path | None = None,
    scene_up: Up = "y",
    scene_scale: float = 1.0,
    scene_floor: float | None = None,
    scene_at: tuple[float, float] | None = None,
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
        camera: follow moves with the person, front stands still, orbit circles the person; or a camera file. The
            default is orbit for a pose and follow for a motion.
        out: video to write (.mp4, .webm, .gif), one image (.png), or a folder for the frames.
        size: WIDTHxHEIGHT in pixels.
        fps: frames per second of the video.
        background: white, black, gray, green, #rrggbb, or alpha (for .webm and images).
        start: start of the part that is played, in seconds of the motion.
        end: end of the part that is played, in seconds of the motion.
        speed: playback speed; 2 is twice as fast.
        loop: number of times that the motion is played.
        format: format of the motion file, if it is not recognised; `avatar motions` lists the formats.
        up: up axis of the file, if it is not recognised: y, z, -y or x.
        map: JSON file that maps our joint names to those of an unknown skeleton.
        layout: layout of an array of joints, if its size is ambiguous.
        person: which person, if the file contains several.
        clip: name of the clip to play, if the file contains several.
        source_body: body file in SMPL's format, if the motion is given as vertices of its surface, or its hands as
            principal components.
        source_fps: frames per second of the motion file, if the file does not contain it.
        source_size: WIDTHxHEIGHT in pixels of the images that 2D key points lie in, if the file does not contain it.
        facing: front turns the motion to start facing the camera, keep leaves its direction and place.
        feet: plant holds standing feet on the floor, keep leaves them as they are.
        face: CSV of Live Link Face, or a glTF file with ARKit's morph targets, whose face is played as well.
        alive: let the eyes blink, and the chest breathe while the person stands.
        light: the light that the avatar stands in: filmed, even, above, window, window:left (right, front, behind, or
            degrees to the right), window:left:WARMTH (-1 to 1), or an equirectangular image (.hdr, .exr, .png, .jpg),
            with :DEGREES to turn it.
        shape: another shape for the body, in words, such as height=1.82,weight=0.6. The words are height (metres), age
            (years), weight, gender (0 male to 1 female), muscle and proportions (0 to 1); the others stay as they are.
            Not available for SMPL files.
        scene: splats (.ply, .splat, .spz, .sog, .ksplat) or a mesh (.glb, .obj, .ply) of a room or landscape, which
            surrounds the person.
        scene_up: the axis that points up in that file; minus-y in most scenes trained from photos.
        scene_scale: metres per unit of that file.
        scene_floor: height of the floor in that file, in its units, if it is not estimated well.
        scene_at: x and z of the place, in metres, to which the middle of the scene comes.
        device: where to render; auto takes CUDA where it works.
        backend: renderer; auto takes gsplat on CUDA and cpu elsewhere.
    """
    if pose_schema:
        from avatar.motion.text.schema import pose_prompt

        print(pose_prompt())
        return
    if run is None:
        raise UsageError("Pass the run folder of an avatar, such as runs/me.")
    if (motion is None) == (pose is None):
        raise UsageError("Pass either --motion or --pose.")
    for option, value in (("--fps", fps), ("--speed", speed), ("--loop", loop)):
        if not value > 0:
            raise UsageError(f"{option} must be above 0, not {value:g}.")
    from avatar.body.shape_attributes import parse_shape
    from avatar.model.world import World
    from avatar.motion.alive import with_blinks_and_breath, with_face_of
    from avatar.motion.joint_names import read_name_map
    from avatar.motion.motion import ReadOptions
    from avatar.motion.retarget import Retargeting
    from avatar.motion.text.key_poses import is_words_motion
    from avatar.pipeline.animation import VideoOptions, parse_size
    from avatar.pipeline.animation import animate as render_video
    from avatar.pipeline.lights import read_light
    from avatar.pipeline.motions import FILMED, find_motion, motion_of_pose, pose_of_option
    from avatar.pipeline.people_folder import open_people, require_people
    from avatar.pipeline.together import animated_together, filmed_together
    from avatar.rendering.devices import resolve_device

    words, chosen = parse_shape(shape), read_light(light)
    count = require_people(run)
    if words and count > 1:
        raise UsageError(f"--shape is that of one person: animate {run}/person-1, or leave it out.")
    width, height = parse_size(size)
    video = VideoOptions(camera or ("follow" if pose is None else "orbit"), width, height, background)
    names = None if map is None else read_name_map(map)
    image_size = None if source_size is None else parse_size(source_size, "--source-size")
    body = None if source_body is None else str(source_body)
    reading = ReadOptions(up, source_fps, person, names, layout, size=image_size, clip=clip, body=body)
    if pose is not None and is_words_motion(pose):
        motion, pose = pose, None
    as_filmed = motion == FILMED and count > 1
    if motion is None:
        moved = [motion_of_pose(pose_of_option(pose or "", hypothesis, reading))]
        facing = "keep" if count == 1 else facing
    else:
        files = motion.split(",") if count > 1 else [motion]
        moved = [] if as_filmed else [find_motion(file, reading, format) for file in files]
        for one in moved:
            if one.check is not None:
                print(f"motion: {one.check.summary}")
    around = scene_of_options(scene, scene_up, scene_scale, scene_floor, scene_at)
    people = open_people(run, resolve_device(device, backend))
    for person_of_video in people:
        person_of_video.avatar.reshape_by(words).relight(chosen.coefficients)
    how = Retargeting(fps, start, end, speed, loop, facing, feet)
    tracks = filmed_together(people, fps) if as_filmed else animated_together(people, moved, how)
    if face is not None:
        tracks = [with_face_of(track, find_motion(str(face)), str(face)) for track in tracks]
    if alive:
        tracks = [with_blinks_and_breath(track) for track in tracks]
    if out is None:
        name = "+".join(Path(file).stem for file in motion.split(",")) if motion is not None else "pose"
        out = run / "animations" / f"{name}{'.webm' if background == 'alpha' else '.mp4'}"
    world = World(tuple(one.avatar for one in people), around)
    print(f"video: {render_video(world, tracks, video, out, backend)}")
