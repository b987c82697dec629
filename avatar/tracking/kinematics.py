"""Positions of body points for a state of the whole clip, and their derivatives by every unknown.

The fit works in the frame of one camera that stands still (OpenCV axes, metres), where the floor is a plane: that of
the video, or where it moves, a reference camera. `world_frame.py` turns the result upright at the end. Derivatives are
analytic: a point rotates about each joint above it, so its derivative by that joint's rotation is a lever arm. This is
a hundred times cheaper than automatic differentiation through the chain of transforms.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.geometry import rotation_from_rotvec


@dataclass(frozen=True)
class CameraPath:
    """Where the camera of each instant is, up to one scale: x is at `rotations x + scale * translations` before it.

    Attributes:
        rotations, translations: from the reference camera's frame to that of each instant.
        moves: whether there is any translation, and so a scale; log_scale: its logarithm, if it is known.
    """

    rotations: Float[Tensor, "n 3 3"]
    translations: Float[Tensor, "n 3"]
    moves: bool
    log_scale: float | None = None


@dataclass(frozen=True)
class State:
    """Everything that the fit solves for, for n instants at once. Float64.

    Attributes:
        position: pelvis joint in the reference camera's frame, metres.
        rotations: of each joint relative to its parent; entry 0 in the reference camera's frame.
        betas: shape coefficients.
        offsets: displacement of each landmark from its prior place on the body, in the rest pose, metres.
        camera: logarithm of the focal length in pixels, the camera's pitch (positive: looking down) and roll in
            radians, and its height above the floor in metres. Of a camera that moves, the reference camera's.
        path: the camera of each instant, if it moves; no unknown.
        log_scale: logarithm of the path's scale, if it has one.
    """

    position: Float[Tensor, "n 3"]
    rotations: Float[Tensor, "n j 3 3"]
    betas: Float[Tensor, " s"]
    offsets: Float[Tensor, "l 3"]
    camera: Float[Tensor, "4"]
    path: CameraPath | None = None
    log_scale: Float[Tensor, " p"] = field(default_factory=lambda: torch.zeros(0, dtype=torch.float64))

    def __len__(self) -> int:
        return self.position.shape[0]

    @property
    def frame_size(self) -> int:
        """Unknowns of one instant: the position and a turn of each joint."""
        return 3 + 3 * self.rotations.shape[1]

    @property
    def shared_size(self) -> int:
        """Unknowns of the whole clip: shape, landmark offsets, the path's scale and the view, in this order."""
        return self.betas.numel() + self.offsets.numel() + self.log_scale.numel() + self.camera.numel()

    @property
    def path_translations(self) -> Float[Tensor, "n 3"]:
        """Translations into the camera of each instant, metres; of a camera that moves."""
        assert self.path is not None
        return self.path.translations * self.log_scale.exp() if self.path.moves else self.path.translations

    def moved(self, local: Float[Tensor, "n d"], shared: Float[Tensor, " k"]) -> State:
        """The state after a step: rotations turn by `R exp(step)`, everything else adds."""
        rotations = rotation_from_rotvec(torch.unflatten(local[:, 3:], 1, (-1, 3)))
        betas, offsets, log_scale, camera = torch.split_with_sizes(
            shared, [self.betas.numel(), self.offsets.numel(), self.log_scale.numel(), self.camera.numel()]
        )
        return replace(
            self,
            position=self.position + local[:, :3],
            rotations=self.rotations @ rotations,
            betas=self.betas + betas,
            offsets=self.offsets + offsets.view_as(self.offsets),
            camera=self.camera + camera,
            log_scale=self.log_scale + log_scale,
        )


@dataclass(frozen=True)
class SkinnedPoints:
    """Points fixed to the body: linear in the shape, moved by the weighted transforms of their joints.

    The same points at every instant, or (with a leading axis, n = instants) others at each.

    Attributes:
        rest: places in the rest pose of the mean shape.
        shape_dirs: their derivative by the shape coefficients.
        weights: skinning weights.
        landmark: index into `State.offsets` of the displacement that a point has, or -1.
    """

    rest: Float[Tensor, "*n p 3"]
    shape_dirs: Float[Tensor, "*n p 3 s"]
    weights: Float[Tensor, "*n p j"]
    landmark: Int[Tensor, " p"]

    def __len__(self) -> int:
        return self.landmark.shape[0]


@dataclass(frozen=True)
class PointsWithJacobian:
    """Points in the reference camera's frame, or (`in_cameras`) in that of each instant, with their derivatives.

    Attributes:
        x: places, metres.
        jac_frame: derivative by the instant's own step (position, then three per joint).
        jac_shared: derivative by the shared step (betas, landmark offsets, the path's scale, view).
    """

    x: Float[Tensor, "n p 3"]
    jac_frame: Float[Tensor, "n p 3 d"]
    jac_shared: Float[Tensor, "n p 3 k"]


@dataclass(frozen=True)
class KinematicChain:
    """The posed joints of all instants.

    Attributes:
        rest: joints of the shaped body at rest; `rest_jac_betas` their derivative.
        orientation: of each joint in the camera's frame.
        position: of each joint in the camera's frame, metres.
        position_jac_betas: its derivative by the shape coefficients, the pelvis held fixed.
        is_ancestor: whether the first joint is the second one or lies between it and the root.
    """

    rest: Float[Tensor, "j 3"]
    rest_jac_betas: Float[Tensor, "j 3 s"]
    orientation: Float[Tensor, "n j 3 3"]
    position: Float[Tensor, "n j 3"]
    position_jac_betas: Float[Tensor, "n j 3 s"]
    is_ancestor: Bool[Tensor, "j j"]


def joint_points(body: Body) -> SkinnedPoints:
    """The joints themselves, as points fixed to their own joint."""
    rest, dirs = _rest_joints(body)
    count = len(body.parents)
    return SkinnedPoints(rest, dirs, torch.eye(count, dtype=torch.float64), torch.full((count,), -1))


def surface_points(body: Body, vertices: Int[Tensor, "*n p"]) -> SkinnedPoints:
    """Vertices of the body's surface; with a leading axis, others at each instant."""
    return SkinnedPoints(
        body.template[vertices].double(),
        body.shape_dirs[vertices].double(),
        body.weights[vertices].double(),
        torch.full((vertices.shape[-1],), -1),
    )


def pose_chain(body: Body, state: State) -> KinematicChain:
    """Forward kinematics of all instants."""
    rest0, dirs = _rest_joints(body)
    rest = rest0 + dirs @ state.betas
    turn, place, slope = [state.rotations[:, 0]], [state.position], [torch.zeros(len(state), *dirs.shape[1:])]
    slope[0] = slope[0].to(dirs)
    for joint, parent in enumerate(body.parents[1:], start=1):
        bone, bone_slope = rest[joint] - rest[parent], dirs[joint] - dirs[parent]
        turn.append(turn[parent] @ state.rotations[:, joint])
        place.append(place[parent] + turn[parent] @ bone)
        slope.append(slope[parent] + turn[parent] @ bone_slope)
    above = torch.eye(len(body.parents), dtype=torch.bool)
    for joint, parent in enumerate(body.parents[1:], start=1):
        above[:, joint] |= above[:, parent]
    return KinematicChain(rest, dirs, torch.stack(turn, 1), torch.stack(place, 1), torch.stack(slope, 1), above)


def move_points(chain: KinematicChain, state: State, points: SkinnedPoints) -> PointsWithJacobian:
    """Places of `points` in the camera's frame at every instant, with derivatives by every unknown."""
    n, count = len(state), len(points)
    owned = points.landmark >= 0
    dirs, weights = _each_instant(points.shape_dirs, 3), _each_instant(points.weights, 2)
    rest = _each_instant(points.rest, 2) + dirs @ state.betas
    rest = rest + torch.where(owned[:, None], state.offsets[points.landmark.clamp_min(0)], 0.0)
    arm = rest[:, :, None] - chain.rest
    carried = torch.einsum("njab,npjb->npja", chain.orientation, arm.expand(n, -1, -1, -1)) + chain.position[:, None]
    carried = carried * weights[..., None]
    x = carried.sum(2)

    above = chain.is_ancestor.to(rest)
    lever = torch.einsum("npka,jk->npja", carried, above)
    lever = lever - (weights @ above.T)[..., None] * chain.position[:, None]
    axes = chain.orientation.mT[:, None]  # rows are the joint's axes
    jac_turn = torch.linalg.cross(axes, lever[:, :, :, None, :].expand(-1, -1, -1, 3, -1), dim=-1)
    jac_turn = jac_turn.permute(0, 1, 4, 2, 3).flatten(3)
    eye = torch.eye(3, dtype=rest.dtype).expand(n, count, 3, 3)

    blend = torch.einsum("npj,njab->npab", weights.expand(n, -1, -1), chain.orientation)
    joint_part = chain.position_jac_betas - torch.einsum("njab,jbs->njas", chain.orientation, chain.rest_jac_betas)
    jac_betas = blend @ dirs + torch.einsum("npj,njas->npas", weights.expand(n, -1, -1), joint_part)
    jac_offsets = rest.new_zeros(n, count, 3, len(state.offsets), 3)
    which = owned.nonzero()[:, 0]
    jac_offsets[:, which, :, points.landmark[which]] = blend[:, which].transpose(0, 1)
    jac_camera = rest.new_zeros(n, count, 3, len(state.log_scale) + len(state.camera))
    return PointsWithJacobian(
        x, torch.cat([eye, jac_turn], -1), torch.cat([jac_betas, jac_offsets.flatten(3), jac_camera], -1)
    )


def in_cameras(points: PointsWithJacobian, state: State) -> PointsWithJacobian:
    """Points of the reference camera's frame in the frame of each instant's camera: the same ones, if it stands."""
    path = state.path
    if path is None:
        return points
    R, t = path.rotations[:, None], state.path_translations[:, None]
    jac_shared = R @ points.jac_shared
    if path.moves:
        jac_shared[..., -len(state.camera) - 1] += t  # the translation grows by itself with the logarithm of the scale
    x = (R @ points.x[..., None]).squeeze(-1) + t
    return PointsWithJacobian(x, R @ points.jac_frame, jac_shared)


def _each_instant(values: Tensor, axes: int) -> Tensor:
    """With a leading axis of instants, which may be one for all."""
    return values if values.ndim > axes else values[None]


def _rest_joints(body: Body) -> tuple[Float[Tensor, "j 3"], Float[Tensor, "j 3 s"]]:
    regressor = body.joint_regressor.double()
    return regressor @ body.template.double(), torch.einsum("jv,vas->jas", regressor, body.shape_dirs.double())
