"""A first guess of the whole clip from the detector's own 3D landmarks, joint by joint and frame by frame."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.geometry import mean_rotation, procrustes, shortest_rotation
from avatar.tracking.kinematics import SkinnedPoints, State, move_points, pose_chain

# Limb joint, then the two landmarks whose direction its bone follows; parents come first.
_LIMBS = [
    (f"{side}_{joint}", f"{side}_{start}", f"{side}_{end}")
    for side in ("left", "right")
    for joint, start, end in (
        ("hip", "hip", "knee"),
        ("knee", "knee", "ankle"),
        ("shoulder", "shoulder", "elbow"),
        ("elbow", "elbow", "wrist"),
    )
]
_SMOOTHING_S = 0.1  # the detector's guess of the orientation jitters by 10 degrees and more
CAMERA_HEIGHT_M = 1.2


def initial_state(
    body: Body,
    points: SkinnedPoints,
    pixels: Float[Tensor, "n l 3"],
    guess: Float[Tensor, "n l 3"],
    times: Float[Tensor, " n"],
    focal: float,
    names: tuple[str, ...],
) -> State:
    """The state that follows the detector's 3D guess.

    Args:
        points: the landmarks on the body.
        pixels: pixels from the principal point, and confidence.
        guess: the detector's landmarks in metres, axes as the camera's, no NaN.
        times: seconds.
        focal: focal length in pixels.
        names: of the landmarks.
    """
    at = {name: index for index, name in enumerate(names)}
    count = len(times)
    rotations = body.rest_rotations.double().repeat(count, 1, 1, 1)
    torso = [at[f"{side}_{part}"] for side in ("left", "right") for part in ("shoulder", "hip")]
    rest = points.rest[torso].expand(count, -1, -1)
    rotations[:, 0] = smooth_rotations(procrustes(rest, guess[:, torso])[1], times, _SMOOTHING_S)
    state = mean_shape_state(body, points, rotations, focal)
    for joint_name, start, end in _LIMBS:
        joint = body.joint_names.index(joint_name)
        parent = pose_chain(body, state).orientation[:, body.parents[joint]]
        bone = F.normalize(points.rest[at[end]] - points.rest[at[start]], dim=-1)
        direction = F.normalize(guess[:, at[end]] - guess[:, at[start]], dim=-1)
        rotations[:, joint] = shortest_rotation(bone.expand(count, 3), (parent.mT @ direction[..., None]).squeeze(-1))
    x = move_points(pose_chain(body, state), state, points).x
    return replace(state, position=place(x, pixels, focal))


def state_from_rotations(
    body: Body,
    points: SkinnedPoints,
    pixels: Float[Tensor, "n l 3"],
    guess: Float[Tensor, "n l 3"],
    times: Float[Tensor, " n"],
    focal: float,
    joint_rotations: Float[Tensor, "n j 3 3"],
) -> State:
    """The state with the given joint rotations, placed and oriented like the detected person.

    The root is not used, since the camera of another program's result is seldom available.
    """
    rotations = joint_rotations.clone()
    rotations[:, 0] = torch.eye(3, dtype=joint_rotations.dtype)
    state = mean_shape_state(body, points, rotations, focal)
    posed = move_points(pose_chain(body, state), state, points).x
    rotations[:, 0] = smooth_rotations(procrustes(posed, guess)[1], times, _SMOOTHING_S)
    state = replace(state, rotations=rotations)
    x = move_points(pose_chain(body, state), state, points).x
    return replace(state, position=place(x, pixels, focal))


def mean_shape_state(body: Body, points: SkinnedPoints, rotations: Float[Tensor, "n j 3 3"], focal: float) -> State:
    """A state of mean shape in these poses, at the origin of a level camera at the usual height."""
    return State(
        position=torch.zeros(len(rotations), 3, dtype=torch.float64),
        rotations=rotations,
        betas=torch.zeros(body.shape_dirs.shape[-1], dtype=torch.float64),
        offsets=torch.zeros_like(points.rest),
        camera=torch.tensor([math.log(focal), 0.0, 0.0, CAMERA_HEIGHT_M], dtype=torch.float64),
    )


def rotate_to_rays(guess: Float[Tensor, "n l 3"], centre: Float[Tensor, "n 2"], focal: float) -> Float[Tensor, "n l 3"]:
    """Rotate the detector's guess, which assumes a person on the optical axis, to the ray through the person."""
    ray = F.normalize(torch.cat([centre, torch.full_like(centre[:, :1], focal)], -1), dim=-1)
    axis = torch.tensor([0.0, 0.0, 1.0], dtype=guess.dtype).expand_as(ray)
    return guess @ shortest_rotation(axis, ray).mT


def smooth_rotations(R: Float[Tensor, "n 3 3"], times: Float[Tensor, " n"], spread: float) -> Float[Tensor, "n 3 3"]:
    """Mean rotation over a Gaussian window of `spread` seconds."""
    window = torch.exp(-0.5 * ((times[:, None] - times[None]) / spread).square())
    return mean_rotation(R, window)


def place(x: Float[Tensor, "n l 3"], pixels: Float[Tensor, "n l 3"], focal: float) -> Float[Tensor, "n 3"]:
    """The translation t that projects the body onto its pixels: f (x + t) = u (z + t_z), weighted least squares."""
    u, weight = pixels[..., :2] / focal, pixels[..., 2:].clamp_min(1e-3)
    rows = torch.zeros(*x.shape[:2], 2, 3, dtype=x.dtype)
    rows[..., 0, 0] = rows[..., 1, 1] = 1
    rows[..., 2] = -u
    right = u * x[..., 2:] - x[..., :2]
    A = (rows * weight[..., None]).flatten(1, 2)
    b = (right * weight).flatten(1, 2)
    position: Tensor = torch.linalg.lstsq(A, b[..., None]).solution.squeeze(-1)
    return position
