"""Made-up clips of people who face the camera all the time, and how well the tracking does on them.

    python scripts/front_clips.py clips            # 6 motions, 5 pitches of the camera: 30 clips in about 10 minutes
    python scripts/front_clips.py clips --pitches 0 20 --motions dance
    python scripts/front_clips.py clips --motions turn-dance    # the same after a slow full turn on the spot
    python scripts/front_clips.py clips --again    # track the same observations again, after a change of the fit

The open body with painted clothes stands in a made-up room, or before a backdrop without any line, and everything about
it is known: the pose, the camera and where down is. Videos of one side do not tell these, so priors must, and this
measures how well they do. Errors are in degrees and millimetres; `table.json` in the folder has one row for each clip.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import Body, load_body
from avatar.body.parts import PARTS
from avatar.body.skeleton import SMPL_JOINTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import invert_rigid, procrustes, quat_from_rotation, rigid, rotation_from_rotvec
from avatar.io.files import write_json
from avatar.io.observations_file import load_observations
from avatar.io.videos import VideoWriter
from avatar.model.gaussians import FLATNESS, triangle_frames
from avatar.motion.procedural import builtin_motion
from avatar.motion.retarget import Retargeting, retarget
from avatar.observation.video import observe
from avatar.rendering.renderer import render
from avatar.tracking.fit import track
from avatar.types import BodyPose, BodyTrack, Cameras, Gaussians

Scene = Literal["room", "plain", "green"]
GREEN = (0.16, 0.62, 0.22)  # colour of the green wall
WIDTH, HEIGHT, FPS = 360, 640, 12.0
PITCHES = (-15.0, 0.0, 10.0, 20.0, 30.0)
MOTIONS = ("wave", "dance", "squat", "arm-circles", "jumping-jack", "bounce")
TURN, TURN_SECONDS = "turn-", 3.0  # "turn-dance": a dance after a full turn
LIMBS = [SMPL_JOINTS.index(f"{side}_{name}") for side in ("left", "right")
         for name in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]  # fmt: skip
WALL_Z, SIDE_X, CEILING_Y = -1.6, 1.9, 2.7  # of the room, metres
BOUNCE_M = 0.3  # amplitude of the bounce, once per second: accelerations of 12 m/s^2


@dataclass(frozen=True)
class Clip:
    """A made-up clip with its truth: the world's floor is at y = 0, and the person faces the camera along +z."""

    name: str
    body: Body
    betas: Float[Tensor, " s"]
    poses: BodyPose
    camera: Cameras
    pitch: float
    scene: Scene


@dataclass(frozen=True)
class Errors:
    """Of one clip: medians over its frames.

    Attributes:
        pitch, roll: of the camera, degrees, estimated minus true.
        trunk: angle between the estimated and the true direction from the pelvis to the neck, degrees.
        whole: the same from the middle of the ankles to the neck.
        knees: bend of the knees, degrees, estimated minus true.
        pa: mean error of the limbs' joints after Procrustes, mm.
        reprojection: pixels.
    """

    clip: str
    pitch: float
    roll: float
    trunk: float
    whole: float
    knees: float
    pa: float
    reprojection: float


def make_clip(motion: str, pitch: float, scene: Scene, seconds: float) -> Clip:
    """The clip of one motion and one pitch of the camera in degrees; person, lens and aim vary with the name."""
    name = f"{motion}_{pitch:+.0f}_{scene}"
    random = np.random.default_rng(zlib.crc32(name.encode()))
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    betas[:4] = torch.from_numpy(random.normal(0, 0.7, 4)).float()
    poses = _poses(body, betas, motion, seconds)
    focal = HEIGHT * random.uniform(0.8, 1.05)
    # The whole person, with an arm above the head, in two thirds of the image; a hand does not aim exactly.
    distance = 1.9 * focal / (0.68 * HEIGHT) * random.uniform(1.0, 1.15)
    aim = 0.95 + random.uniform(-0.08, 0.08)
    camera = _camera(focal, distance, aim, math.radians(pitch), math.radians(random.normal(0, 0.7)))
    return Clip(name, body, betas, poses, camera, pitch, scene)


def _poses(body: Body, betas: Float[Tensor, " s"], motion: str, seconds: float) -> BodyPose:
    if motion.startswith(TURN):
        return _after_a_turn(body, betas, _poses(body, betas, motion.removeprefix(TURN), seconds))
    source = builtin_motion("arm-circles" if motion == "bounce" else motion)
    rest = body.rest(betas)
    loops = max(1, math.ceil(seconds / float(source.track.times[-1])))
    # Slightly slower than 12 frames per second divide evenly, so that the rounds differ.
    poses = body.complete(retarget(source, rest, Retargeting(fps=FPS, speed=0.93, loop=loops)).poses)
    poses = poses[slice(0, round(seconds * FPS))]
    root = poses.root_position.clone()
    lowest = body.vertices(rest, poses)[..., 1].amin(1).median()
    root[:, 1] -= lowest
    if motion == "walk":
        root[:, 2] -= root[:, 2].mean()
    if motion == "bounce":
        root[:, 1] += BOUNCE_M * (1 + torch.sin(2 * math.pi * torch.arange(len(poses)) / FPS))
    return BodyPose(root, poses.rotations)


def _after_a_turn(body: Body, betas: Float[Tensor, " s"], poses: BodyPose) -> BodyPose:
    """The poses after a slow full turn on the spot."""
    still = _poses(body, betas, "a-pose", TURN_SECONDS)
    angle = torch.arange(len(still.root_position)) * (2 * math.pi / len(still.root_position))
    yaw = rotation_from_rotvec(angle[:, None] * torch.tensor([0.0, 1.0, 0.0]))
    root = torch.cat([yaw[:, None] @ still.rotations[:, :1], still.rotations[:, 1:]], 1)
    return BodyPose(torch.cat([still.root_position, poses.root_position]), torch.cat([root, poses.rotations]))


def _camera(focal: float, distance: float, aim: float, pitch: float, roll: float) -> Cameras:
    eye = torch.tensor([0.0, aim + distance * math.sin(pitch), distance * math.cos(pitch)])
    # OpenCV's axes look along -z of the world at pitch 0.
    level = torch.diag(torch.tensor([1.0, -1.0, -1.0]))
    down = rotation_from_rotvec(torch.tensor([-pitch, 0.0, 0.0]))
    tilted = rotation_from_rotvec(torch.tensor([0.0, 0.0, roll]))
    T_camera_world = invert_rigid(rigid(level @ down @ tilted, eye))
    K = torch.tensor([[focal, 0.0, WIDTH / 2], [0.0, focal, HEIGHT / 2], [0.0, 0.0, 1.0]])
    return Cameras(K[None], T_camera_world[None], WIDTH, HEIGHT)


def images(clip: Clip) -> list[UInt8[np.ndarray, "h w 3"]]:
    """The frames, with a little noise of a sensor."""
    random = np.random.default_rng(zlib.crc32(clip.name.encode()) + 1)
    rest = clip.body.rest(clip.betas)
    colors = clothes(clip.body, rest.vertices, random)[clip.body.faces].mean(1)
    background = torch.from_numpy(_background(clip, random)).float()
    vertices = clip.body.vertices(rest, clip.poses)
    result = []
    for mesh in vertices:
        out = render(_splats(clip.body, mesh, colors), clip.camera)
        image = out.rgb[0] + (1 - out.alpha[0, ..., None]) * background
        noisy = 255 * image.numpy() + random.normal(0, 2, (HEIGHT, WIDTH, 3))
        result.append(noisy.clip(0, 255).astype(np.uint8))
    return result


def _splats(body: Body, mesh: Float[Tensor, "v 3"], colors: Float[Tensor, "f 3"]) -> Gaussians:
    """One opaque flat splat for each triangle, lit from above and the front."""
    frames = triangle_frames(mesh, body.faces)
    normal = frames.rotation[..., 2]
    shade = 0.62 + 0.22 * normal[:, 1] + 0.22 * normal[:, 2] + 0.1 * normal[:, 0]
    size = frames.area.sqrt()[:, None] * torch.tensor([0.6, 0.6, 0.6 * FLATNESS])
    return Gaussians(
        means=frames.vertices.mean(1),
        quats=quat_from_rotation(frames.rotation),
        scales=size.clamp_min(1e-4),
        opacities=torch.full_like(shade, 0.98),
        colors=(shade[:, None] * colors).clamp(0, 1),
    )


def clothes(body: Body, rest: Float[Tensor, "v 3"], random: np.random.Generator) -> Float[Tensor, "v 3"]:
    """A colour for each vertex: skin with eyes, brows and mouth, hair, a striped shirt, trousers and shoes."""
    x, y, z = rest.unbind(-1)
    tall = float(y.max() - y.min())
    up = (y - y.min()) / tall
    part = {name: body.parts == PARTS.index(name) for name in PARTS}
    skin, hair, shirt, trousers = (
        torch.from_numpy(random.uniform(low, high, 3)).float()
        for low, high in (((0.55, 0.38, 0.3), (0.95, 0.75, 0.65)), (0.05, 0.3), (0.1, 0.9), (0.1, 0.6))
    )
    colors = skin.repeat(len(rest), 1)
    stripes = 1 + 0.25 * torch.sin(2 * math.pi * y / 0.09) * (random.uniform() > 0.4)
    sleeved = part["torso"] | (part["arms"] & (x.abs() < random.uniform(0.25, 0.6)))
    colors[sleeved] = (shirt * stripes[:, None])[sleeved]
    colors[part["legs"] | (part["torso"] & (up < 0.54))] = trousers
    colors[part["feet"] & (up < 0.06)] = torch.tensor(random.uniform(0.1, 0.9)).float()
    head = part["head"] | part["face"]
    nose = int(torch.where(head & (x.abs() < 0.01), z, -torch.inf).argmax())
    across, above, behind = (x.abs(), y - y[nose], z[nose] - z)
    colors[head & ((behind > 0.1) & (above > -0.03) | (above > 0.09))] = hair
    for place, size, color in (
        ((0.032, 0.037), (0.012, 0.006), torch.tensor([0.1, 0.08, 0.08])),
        ((0.032, 0.056), (0.018, 0.004), hair),
        ((0.0, -0.042), (0.024, 0.006), torch.tensor([0.6, 0.2, 0.2])),
    ):
        inside = ((across - place[0]) / size[0]).square() + ((above - place[1]) / size[1]).square() < 1
        colors[head & inside & (behind < 0.06)] = color
    return colors.clamp(0, 1)


def _background(clip: Clip, random: np.random.Generator) -> Float[np.ndarray, "h w 3"]:
    """What the camera shows without the person."""
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    if clip.scene == "green":
        return np.broadcast_to(GREEN, (HEIGHT, WIDTH, 3)) * np.linspace(1.05, 0.9, HEIGHT)[:, None, None]
    if clip.scene == "plain":
        waves = sum(np.sin(columns / random.uniform(60, 200) + rows / random.uniform(60, 200) + k) for k in range(3))
        wall: np.ndarray = (random.uniform(0.3, 0.8, 3) + 0.04 * waves[..., None]).clip(0, 1)
        return wall
    K, T = clip.camera.K[0].double().numpy(), invert_rigid(clip.camera.T_camera_world)[0].double().numpy()
    rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones_like(rows)], -1) @ T[:3, :3].T
    eye, color = T[:3, 3], np.zeros((HEIGHT, WIDTH, 3))
    nearest = np.full((HEIGHT, WIDTH), np.inf)
    paint = [random.uniform(0.35, 0.85, 3) for _ in range(4)]
    doors = np.sort(random.uniform(-1.6, 1.6, 4))
    for axis, place in ((1, 0.0), (1, CEILING_Y), (2, WALL_Z), (0, -SIDE_X), (0, SIDE_X)):
        with np.errstate(divide="ignore", invalid="ignore"):
            far = (place - eye[axis]) / rays[..., axis]
        hit = (far > 0.05) & (far < nearest)
        where = eye + np.where(hit, far, 0)[..., None] * rays
        u, v = where[..., 2 if axis == 0 else 0], where[..., 2 if axis == 1 else 1]
        nearest = np.where(hit, far, nearest)
        color = np.where(hit[..., None], _surface(axis, place, u, v, paint, doors), color)
    return color.clip(0, 1)


def _surface(
    axis: int, place: float, u: np.ndarray, v: np.ndarray, paint: list[np.ndarray], doors: np.ndarray
) -> Float[np.ndarray, "h w 3"]:
    """Floorboards, a plain ceiling, a wall with doors, side walls with shelves: colours at (u, v)."""
    if axis == 1 and place == 0:
        boards = 0.5 + 0.08 * np.sin(37.0 * np.floor(u / 0.13)) - 0.15 * (np.mod(u, 0.13) < 0.008)
        floor: np.ndarray = boards[..., None] * np.array([1.1, 0.85, 0.6])
        return floor
    if axis == 1:
        return np.broadcast_to(np.array([0.9, 0.9, 0.88]), (*u.shape, 3))
    color = np.broadcast_to(paint[axis], (*u.shape, 3)).copy()
    color[v < 0.1] = 0.9  # skirting
    edges = doors if axis == 2 else np.array([-0.9, -0.5, 0.2, 0.3])
    for left, right in ((edges[0], edges[1]), (edges[2], edges[3])):
        inside = (u > left) & (u < right) & (v < 2.05)
        frame = inside & ((u < left + 0.06) | (u > right - 0.06) | (v > 1.99))
        color[inside], color[frame] = paint[3], 0.95
    return color


def score(clip: Clip, estimate: BodyTrack, frames: Sequence[int], reprojection: float) -> Errors:
    """The errors of a track of some frames of the clip."""
    assert estimate.cameras is not None
    true = _joints(clip.body, clip.betas, clip.poses[list(frames)])
    ours = _joints(clip.body, estimate.betas, estimate.poses)
    scale, R, t = procrustes(ours[:, LIMBS], true[:, LIMBS])
    aligned = scale[:, None, None] * ours[:, LIMBS] @ R.mT + t[:, None]
    view, true_view = (_pitch_and_roll(cameras) for cameras in (estimate.cameras, clip.camera))
    return Errors(
        clip.name,
        pitch=round(view[0] - true_view[0], 1),
        roll=round(view[1] - true_view[1], 1),
        trunk=round(median(_angles(_trunk(ours), _trunk(true))), 1),
        whole=round(median(_angles(_whole(ours), _whole(true))), 1),
        knees=round(median((_knee_bend(ours) - _knee_bend(true)).flatten().tolist()), 1),
        pa=round(1e3 * float((aligned - true[:, LIMBS]).norm(dim=-1).mean()), 1),
        reprojection=round(reprojection, 2),
    )


def _joints(body: Body, betas: Float[Tensor, " s"], poses: BodyPose) -> Float[Tensor, "n 24 3"]:
    Ts = joint_transforms(body.rest(betas).joints, body.parents, body.complete(poses))
    return Ts[:, list(body.smpl_index), :3, 3]


def _at(joints: Float[Tensor, "n 24 3"], name: str) -> Float[Tensor, "n 3"]:
    return joints[:, SMPL_JOINTS.index(name)]


def _trunk(joints: Float[Tensor, "n 24 3"]) -> Float[Tensor, "n 3"]:
    return _at(joints, "neck") - _at(joints, "pelvis")


def _whole(joints: Float[Tensor, "n 24 3"]) -> Float[Tensor, "n 3"]:
    return _at(joints, "neck") - (_at(joints, "left_ankle") + _at(joints, "right_ankle")) / 2


def _angles(a: Float[Tensor, "n 3"], b: Float[Tensor, "n 3"]) -> list[float]:
    cosine = F.cosine_similarity(a.double(), b.double(), dim=-1).clamp(-1, 1)
    return [float(angle) for angle in torch.rad2deg(torch.acos(cosine))]


def _knee_bend(joints: Float[Tensor, "n 24 3"]) -> Float[Tensor, "2 n"]:
    bends = []
    for side in ("left", "right"):
        hip, knee, ankle = (_at(joints, f"{side}_{name}") for name in ("hip", "knee", "ankle"))
        bends.append(torch.tensor(_angles(knee - hip, ankle - knee)))
    return torch.stack(bends)


def _pitch_and_roll(cameras: Cameras) -> tuple[float, float]:
    """Degrees, positive where the camera looks down and where its top leans to the right."""
    up = cameras.T_camera_world[0, :3, 1].double()
    return -math.degrees(math.asin(float(up[2]))), math.degrees(math.atan2(float(up[0]), -float(up[1])))


def write_video(clip: Clip, path: Path) -> None:
    """Render the clip into a video file."""
    with VideoWriter(path, FPS) as video:
        for image in images(clip):
            video.add(image)


def evaluate(clip: Clip, folder: Path, again: bool) -> Errors:
    """Render, observe and track a clip, and score the track; with `again` the stored observations are tracked."""
    video, stored = folder / f"{clip.name}.mp4", folder / clip.name
    if not (again and (stored / "observations.npz").is_file()):
        write_video(clip, video)
        observe(video, stored, max_frames=len(clip.poses))
    observations = load_observations(stored)
    estimate, report = track(observations, clip.body)
    frames = (observations.times * FPS).round().long().clamp(0, len(clip.poses) - 1).tolist()
    return score(clip, estimate, frames, report.reprojection)


def summary(rows: Sequence[Errors]) -> dict[str, float]:
    """Medians, and the 95th percentile of the trunk's error."""
    return {
        "clips": len(rows),
        "trunk_median": float(np.median([row.trunk for row in rows])),
        "trunk_95": float(np.quantile([row.trunk for row in rows], 0.95)),
        "whole_median": float(np.median([row.whole for row in rows])),
        "pitch_median": float(np.median([abs(row.pitch) for row in rows])),
        "pitch_worst": float(np.max([abs(row.pitch) for row in rows])),
        "knees_median": float(np.median([abs(row.knees) for row in rows])),
        "pa_median": float(np.median([row.pa for row in rows])),
    }


def main(
    folder: Annotated[Path, tyro.conf.Positional],
    pitches: tuple[float, ...] = PITCHES,
    motions: tuple[str, ...] = MOTIONS,
    seconds: float = 2.5,
    again: bool = False,
) -> None:
    """Make the clips, each in the room or (every other one) before the plain backdrop, and print the errors."""
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for index, motion in enumerate(motions):
        for number, pitch in enumerate(pitches):
            scene: Scene = "room" if (index + number) % 2 == 0 else "plain"
            rows.append(evaluate(make_clip(motion, pitch, scene, seconds), folder, again))
            print("  ".join(f"{name} {value}" for name, value in vars(rows[-1]).items()), flush=True)
    for scene in ("room", "plain"):
        chosen = [row for row in rows if row.clip.endswith(scene)]
        if chosen:
            print(scene, json.dumps({name: round(value, 2) for name, value in summary(chosen).items()}))
    write_json(folder / "table.json", [vars(row) for row in rows])


if __name__ == "__main__":
    tyro.cli(main)
