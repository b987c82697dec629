"""`avatar animate`: drive an avatar with a motion or a pose, and film it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from avatar.errors import UsageError


def animate(
    run: Annotated[Path, tyro.conf.Positional],
    motion: str | None = None,
    pose: str | None = None,
    camera: str | None = None,
    out: Path | None = None,
    size: str = "540x960",
    fps: float = 30.0,
    background: str = "white",
    start: float = 0.0,
    end: float | None = None,
    speed: float = 1.0,
    loop: int = 1,
    format: str | None = None,
    up: str | None = None,
    map: Path | None = None,
    layout: str | None = None,
    person: str | None = None,
    source_fps: float | None = None,
    facing: Literal["front", "keep"] = "front",
    feet: Literal["plant", "keep"] = "plant",
    shape: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    backend: Literal["auto", "gsplat", "cpu", "reference"] = "auto",
) -> None:
    """Drive an avatar with a motion and write a film of it.

    Args:
        run: run folder made by `avatar create`.
        motion: a built-in motion (`avatar motions` lists them), a motion file of any known kind, a video of somebody,
            or another run folder.
        pose: instead of a motion a pose in words, such as "left arm raised, right knee bent 90, looking left", or a
            JSON file of joint angles.
        camera: follow goes along with the person, front stands still, orbit goes round; or a camera file. Poses are
            shown by orbit unless you say otherwise, motions by follow.
        out: film to write (.mp4, .webm, .gif), one picture (.png), or a folder for the frames; by default in the run
            folder.
        size: width x height in pixels.
        fps: frames a second of the film.
        background: white, black, gray, green, #rrggbb, or alpha (for .webm and pictures).
        start: second of the motion to begin at.
        end: second of the motion to end at.
        speed: 2 plays twice as fast, 0.5 half as fast.
        loop: how many times the motion is played.
        format: the kind of the motion file, if it is not recognised; `avatar motions` lists the kinds.
        up: what points up in the file, if it cannot be told: y, z, -y or x.
        map: JSON file of our joint names and those of an unknown skeleton.
        layout: layout of an array of joints, if its size does not tell it.
        person: which person of several in the file.
        source_fps: frames a second of the motion file, if it does not say.
        facing: front turns the motion to start facing the camera, keep leaves its direction and place.
        feet: plant holds standing feet on the floor, keep leaves them as they come.
        shape: another shape for the body, in words: height=1.82,weight=0.6. The words are height (metres), age (years),
            weight, gender (0 male to 1 female), muscle and proportions (0 to 1); those left out stay as they are.
            Bodies of SMPL files have no words.
        device: where to render; auto takes CUDA where it works.
        backend: the renderer; auto takes gsplat on CUDA and cpu elsewhere.
    """
    if (motion is None) == (pose is None):
        raise UsageError("Say either --motion or --pose.")
    from avatar.body.shape_attributes import parse_shape
    from avatar.model.avatar import Avatar
    from avatar.motion.joint_names import read_name_map
    from avatar.motion.motion import ReadOptions
    from avatar.motion.retarget import Retargeting, retarget
    from avatar.motion.text.pose_file import pose_from_option
    from avatar.pipeline.animation import VideoOptions, parse_size
    from avatar.pipeline.animation import animate as render_video
    from avatar.pipeline.motions import find_motion, motion_of_pose
    from avatar.pipeline.run_folder import RunFolder
    from avatar.rendering.devices import resolve_device

    words = parse_shape(shape)
    place = RunFolder(run)
    place.require_avatar()
    width, height = parse_size(size)
    video = VideoOptions(camera or ("follow" if pose is None else "orbit"), width, height, background)
    if motion is not None:
        names = None if map is None else read_name_map(map)
        moved = find_motion(motion, ReadOptions(up, source_fps, person, names, layout), format)
    else:
        moved = motion_of_pose(pose_from_option(pose or ""))
        facing = "keep"
    subject = Avatar.load(place.avatar).to(resolve_device(device)).reshape_by(words)
    track = retarget(moved, subject.rest, Retargeting(fps, start, end, speed, loop, facing, feet))
    if out is None:
        name = Path(motion).stem if motion is not None else "pose"
        out = run / "animations" / f"{name}{'.webm' if background == 'alpha' else '.mp4'}"
    print(f"The film is in {render_video(subject, track, video, out, backend)}.")
