"""Binds the splats of a face to the features that they show.

Bodies have few shapes, so a person's mouth may lie centimetres above the body's. Splats show it where it is, whatever
triangle carries them; but lips and lids are those of the body. So where the images show eyes, nose and mouth corners
is measured on the body, and each splat is bound to the triangle at the place of the same feature.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.skinning import skinning_transforms
from avatar.landmark_layouts import LAYOUTS
from avatar.model.avatar import Avatar
from avatar.model.gaussians import TriangleFrames
from avatar.training.densification import barycentric_of_nearest, bind_to_faces
from avatar.types import BodyTrack, Observations

# Places on the left side from an eye or the tip of the nose: x outwards, y up, metres.
PLACES = {
    "nose": ("nose", 0.0, 0.0),
    "eye_inner": ("eye", -0.016, -0.003),
    "eye": ("eye", 0.0, -0.003),
    "eye_outer": ("eye", 0.014, -0.003),
    "mouth": ("nose", 0.028, -0.031),
}
SPREAD, FADE = 0.018, 0.1  # metres around a feature that move with it; weight of what stays
ROBUST_PIXELS = 5.0
PRIOR_MOVE = 0.05  # metres; deviation of a feature from its place on the body, for one image with an error of a pixel
LEAST_FRAMES = 5  # that show a feature
SURE = 0.5  # confidence
OUTSIDE = 0.005  # m behind the foremost surface that still count as outside, within this many m:
NEARBY = 0.0035
DEEPEST, ASIDE = 0.008, 0.004  # m behind the foremost surface, and aside from it, at which a Gaussian shows the face
CANDIDATES = 96  # triangles; those of an eye are larger than those of the lids around it
ROUNDING = 1e-5  # m
STEPS = 6


@torch.no_grad()
def bind_face(avatar: Avatar, track: BodyTrack, observations: Observations) -> None:
    """Bind the face's Gaussians to the features they show; at rest nothing moves.

    Nothing changes where `face_moves` has nothing to say.

    Args:
        track: refined poses and cameras of the frames of `observations`.
    """
    moves = face_moves(avatar, track, observations)
    if moves is not None:
        _bind(avatar, *moves)


@torch.no_grad()
def face_moves(
    avatar: Avatar, track: BodyTrack, observations: Observations
) -> tuple[Float[Tensor, "l 3"], Float[Tensor, "l 3"]] | None:
    """Where the images show the features of the face on the body at rest, and the way to the body's own, metres.

    Ways are alike on both sides, since faces are nearly symmetric and landmarks noisy. None for bodies without face
    units, key points without a mouth, and where too few frames show some feature.
    """
    rich = avatar.body.with_hands_and_face
    if rich is None or rich.face_units is None or track.cameras is None:
        return None
    names = LAYOUTS[observations.layout].names
    if "mouth_left" not in names:
        return None
    places = feature_places(rich, avatar.rest.vertices)
    shown = {name: shown_place(avatar, track, observations, names.index(name), place) for name, place in places.items()}
    moves = {name: places[name] - at for name, at in shown.items() if at is not None}
    if len(moves) < len(places):
        return None
    mirror = avatar.rest.vertices.new_tensor([-1.0, 1.0, 1.0])
    even = [(move + mirror * moves[_other_side(name)]) / 2 for name, move in moves.items()]
    return torch.stack([places[name] - move for name, move in moves.items()]), torch.stack(even)


def _other_side(name: str) -> str:
    return name.replace("left", "*").replace("right", "left").replace("*", "right")


def feature_places(rich: Body, vertices: Float[Tensor, "v 3"]) -> dict[str, Float[Tensor, "3"]]:
    """Where the body has nose, eyes and mouth corners at rest, by the names of the landmarks."""
    joints = rich.joint_regressor @ vertices
    head = rich.weights[:, rich.joint_names.index("head")] > 0.5
    middle = head & ((vertices[:, 0] - joints[rich.joint_names.index("head"), 0]).abs() < 0.01)
    nose = vertices[middle][vertices[middle, 2].argmax()]
    places = {}
    for kind, (start, x, y) in PLACES.items():
        for side, sign in (("left", 1.0), ("right", -1.0)) if kind != "nose" else (("", 0.0),):
            at = nose if start == "nose" else joints[rich.joint_names.index(f"{side}_eye")]
            places[f"{kind}_{side}" if kind == "mouth" else f"{side}_{kind}".strip("_")] = at + at.new_tensor(
                [sign * x, y, 0.0]
            )
    return places


def shown_place(
    avatar: Avatar, track: BodyTrack, observations: Observations, landmark: int, start: Float[Tensor, "3"]
) -> Float[Tensor, "3"] | None:
    """Where on the body at rest the images show a landmark of the head: least squares over all frames.

    None where too few frames show it.
    """
    assert track.cameras is not None
    body, poses = avatar.body.to("cpu"), track.poses.to("cpu")
    Ts = skinning_transforms(avatar.rest.joints.cpu(), body.parents, body.complete(poses))
    T = track.cameras.T_camera_world.cpu() @ Ts[track.instant.cpu(), body.joint_names.index("head")]
    K, points = track.cameras.K.cpu().double(), observations.keypoints[:, landmark].double()
    if int((points[:, 2] > SURE).sum()) < LEAST_FRAMES:
        return None
    R, t, move = T[:, :3, :3].double(), T[:, :3, 3].double(), torch.zeros(3, dtype=torch.float64)
    for _ in range(STEPS):
        x = (K @ (R @ (start.cpu().double() + move) + t)[..., None])[..., 0]
        pixels, depth = x[:, :2] / x[:, 2:], x[:, 2:, None]
        slope = (K[:, :2] - pixels[..., None] * K[:, 2:]) / depth @ R
        error = pixels - points[:, :2]
        weight = points[:, 2] / (1 + error.square().sum(-1) / ROBUST_PIXELS**2) ** 2
        stay = weight.sum() / PRIOR_MOVE**2
        normal = torch.einsum("nij,nik,n->jk", slope, slope, weight) + stay * torch.eye(3, dtype=torch.float64)
        move = move - torch.linalg.solve(normal, torch.einsum("nij,ni,n->j", slope, error, weight) + stay * move)
    return start + move.to(start)


def _bind(avatar: Avatar, features: Float[Tensor, "l 3"], moves: Float[Tensor, "l 3"]) -> None:
    gaussians, frames, rich = avatar.gaussians, avatar.frames, avatar.body.with_hands_and_face
    assert rich is not None
    outside = outer_face(rich, frames.vertices).nonzero()[:, 0]
    # Whatever lies there shows the face, also on the triangles of the mouth's inside or the folds of the lids.
    on_face = moved_by_face(rich)[rich.faces].any(1)[gaussians.face].nonzero()[:, 0]
    means = gaussians.means(frames)[on_face]
    _, _, surface, distance = foremost(frames, outside, means)
    shows = (means[:, 2] > surface - DEEPEST) & (distance < ASIDE)
    chosen, means = on_face[shows], means[shows]
    apart = (means[:, None, :2] - features[:, :2]).square().sum(-1)
    share = torch.exp(-0.5 * apart / SPREAD**2)
    goals = means.clone()
    goals[:, :2] += share @ moves[:, :2] / (share.sum(1, keepdim=True) + FADE)
    face, own = gaussians.face.clone(), gaussians.bary.clone()
    face[chosen], own[chosen], _, _ = foremost(frames, outside, goals)
    bind_to_faces(gaussians, frames, face, own)
    avatar.refresh()


def foremost(
    frames: TriangleFrames, triangles: Int[Tensor, " t"], points: Float[Tensor, "n 3"]
) -> tuple[Int[Tensor, " n"], Float[Tensor, "n 3"], Float[Tensor, " n"], Float[Tensor, " n"]]:
    """The triangle in front at the place of each point as seen from the front: how deep it lies is the body's affair.

    Returns:
        the triangle, the place on it, how far in front (z, metres) that is, and its distance aside, metres.
    """
    from scipy.spatial import cKDTree

    tree = cKDTree(frames.vertices[triangles].mean(1)[:, :2].cpu().numpy())
    count = min(CANDIDATES, len(triangles))
    nearby = triangles[torch.from_numpy(tree.query(points[:, :2].cpu().numpy(), k=count)[1]).to(triangles)]
    corners = frames.vertices[nearby]
    flat, at = corners.clone(), points[:, None].expand(-1, count, -1).clone()
    flat[..., 2], at[..., 2] = 0, 0
    bary, distance = barycentric_of_nearest(flat, at)
    depth = (bary[..., None] * corners).sum(-2)[..., 2]
    inside = distance <= distance.amin(1, keepdim=True) + ROUNDING
    best = torch.where(inside, depth, -math.inf).argmax(1, keepdim=True)
    place = bary.gather(1, best[..., None].expand(-1, 1, 3))[:, 0]
    return nearby.gather(1, best)[:, 0], place, depth.gather(1, best)[:, 0], distance.gather(1, best)[:, 0]


def eye_weights(rich: Body) -> Float[Tensor, " v"]:
    """Share of the eyes in each vertex."""
    return rich.weights[:, [rich.joint_names.index(f"{side}_eye") for side in ("left", "right")]].sum(1)


def moved_by_face(rich: Body) -> Bool[Tensor, " v"]:
    """Which vertices some unit of the face moves, the eyes' included."""
    assert rich.face_units is not None
    return (rich.face_units.directions != 0).flatten(1).any(1) | (eye_weights(rich) > 0.5)


def outer_face(rich: Body, triangles: Float[Tensor, "f 3 3"]) -> Bool[Tensor, " f"]:
    """Which triangles of a body at rest are the front of the face as one sees it, not the inside of the mouth."""
    from scipy.spatial import cKDTree

    middles = triangles.mean(1)
    normal = torch.linalg.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    facing = normal[:, 2] > 0.2 * normal.norm(dim=-1)
    candidates: Int[Tensor, " c"] = (moved_by_face(rich)[rich.faces].any(1) & facing).nonzero()[:, 0]
    places = middles[candidates].cpu().numpy()
    around = cKDTree(places[:, :2]).query_ball_point(places[:, :2], NEARBY)
    front = np.array([places[near, 2].max(initial=-math.inf) for near in around])
    visible = torch.zeros(len(triangles), dtype=torch.bool, device=triangles.device)
    visible[candidates[torch.from_numpy(places[:, 2] > front - OUTSIDE).to(candidates.device)]] = True
    return visible
