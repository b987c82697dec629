"""The residuals of the fit: pure functions of a few numbers, and the functions that lift them over a clip.

A point residual has the signature `(points (k, 3), view (4,), data (c,)) -> (m,)`: points in the camera's frame in
metres, the view as in `State.camera`, and the observed data. Every residual is in units of its own standard
deviation, so that costs of different kinds can be compared.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import jacfwd, vmap

from avatar.geometry import mean_rotation, rotation_to_rotvec, skew
from avatar.tracking.kinematics import PointsWithJacobian, State, in_cameras
from avatar.tracking.solver import LinearizedResidual

PointResidual = Callable[[Tensor, Tensor, Tensor], Tensor]


def pixel_of(point: Float[Tensor, "3"], camera: Float[Tensor, "4"]) -> Float[Tensor, "2"]:
    """Projection of a point, in pixels from the principal point."""
    return camera[0].exp() * point[:2] / point[2].clamp_min(0.1)


def reprojection(
    points: Float[Tensor, "1 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "3"]
) -> Float[Tensor, "2"]:
    """Projection of a point minus its observed position. Data: pixel from the principal point, and its deviation."""
    return (pixel_of(points[0], camera) - data[:2]) / data[2]


def reprojection_with_pitch_bias(
    points: Float[Tensor, "3 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "4"]
) -> Float[Tensor, "2"]:
    """`reprojection` of the first point for a detector that ignores a part of the camera's pitch.

    Its landmarks are those of a person rotated about the midpoint of the other two points, as in a level camera.
    Data: as for `reprojection`, and the share of the pitch that the detector ignores.
    """
    centre = (points[1] + points[2]) / 2
    x, y, z = points[0] - centre
    bias = data[3] * camera[1]
    cosine, sine = bias.cos(), bias.sin()
    turned = torch.stack([x, cosine * y + sine * z, cosine * z - sine * y])
    return reprojection((centre + turned)[None], camera, data[:3])


def point_to_contour(
    points: Float[Tensor, "1 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "5"]
) -> Float[Tensor, "1"]:
    """Distance of a projected point from the line of a contour. Data: pixel on it, its normal, the deviation."""
    return (((pixel_of(points[0], camera) - data[:2]) * data[2:4]).sum() / data[4])[None]


def depth_error(
    points: Float[Tensor, "1 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "2"]
) -> Float[Tensor, "1"]:
    """Depth of a point minus the measured one. Data: that depth and its deviation, metres."""
    return ((points[0, 2] - data[0]) / data[1])[None]


def bone_direction(
    points: Float[Tensor, "2 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "4"]
) -> Float[Tensor, "3"]:
    """Direction from the first point to the second, minus the detector's; radians for small errors.

    Data: the detector's unit vector, and the share of the camera's pitch that the detector ignores in it.
    """
    bone = points[1] - points[0]
    angle = data[3] * camera[1]
    cosine, sine = angle.cos(), angle.sin()
    x, y, z = bone / bone.norm()
    expected = torch.stack([x, cosine * y + sine * z, cosine * z - sine * y])
    error: Tensor = expected - data[:3]
    return error


def height_above_floor(points: Float[Tensor, "1 3"], camera: Float[Tensor, "4"]) -> Float[Tensor, ""]:
    """Metres above the floor that the view describes."""
    return points[0] @ up_of(camera) + camera[3]


def up_of(camera: Float[Tensor, "4"]) -> Float[Tensor, "3"]:
    """The world's upward direction in the camera's frame: pitched about x first, then rolled about z."""
    pitch, roll = camera[1], camera[2]
    zero = torch.zeros_like(pitch)
    up = torch.stack([zero, -pitch.cos(), -pitch.sin()])
    return torch.stack([roll.cos() * up[0] - roll.sin() * up[1], roll.sin() * up[0] + roll.cos() * up[1], up[2]])


def floor_distance(
    points: Float[Tensor, "1 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "1"]:
    """Height above the floor. Data: the deviation in metres."""
    return (height_above_floor(points, camera) / data[0])[None]


def away_from_camera(camera: Float[Tensor, "4"]) -> Float[Tensor, "3"]:
    """The horizontal direction in which the camera looks, in its own frame."""
    up = up_of(camera)
    side = torch.stack([up[1], -up[0], torch.zeros_like(up[0])])
    away: Tensor = torch.linalg.cross(side / side.norm(), up)
    return away


def trunk_upright(
    points: Float[Tensor, "2 3"], camera: Float[Tensor, "4"], data: Float[Tensor, "1"]
) -> Float[Tensor, "2"]:
    """How far the line from the first point to the second leans. Data: the deviation in radians."""
    line = points[1] - points[0]
    up = up_of(camera)
    lean = line / line.norm() - up
    # The two components orthogonal to the upward direction; the third is of second order.
    side = torch.stack([up[1], -up[0], torch.zeros_like(up[0])])
    side = side / side.norm()
    return torch.stack([lean @ side, lean @ torch.linalg.cross(up, side)]) / data[0]


def view_of_instant(camera: Float[Tensor, "4"], R: Float[Tensor, "3 3"]) -> Float[Tensor, "4"]:
    """The view as in `State.camera` of a camera that is turned by R away from the reference camera."""
    up = R @ up_of(camera)
    return torch.stack([camera[0], -torch.asin(up[2].clamp(-1, 1)), torch.atan2(up[0], -up[1]), camera[3]])


def image_residual(
    function: PointResidual, points: PointsWithJacobian, groups: Tensor, state: State, data: Float[Tensor, "n g c"]
) -> LinearizedResidual:
    """`lift_point_residual` before the camera of each instant, for what is measured in its image."""
    if state.path is None:
        return lift_point_residual(function, points, groups, state, data)
    return _lift(function, in_cameras(points, state), groups, state, data, state.path.rotations)


def lift_point_residual(
    function: PointResidual, points: PointsWithJacobian, groups: Tensor, state: State, data: Float[Tensor, "n g c"]
) -> LinearizedResidual:
    """Lift a point residual over all instants and groups; `groups` (g, k) indexes the points."""
    return _lift(function, points, groups, state, data, None)


def _lift(
    function: PointResidual,
    points: PointsWithJacobian,
    groups: Tensor,
    state: State,
    data: Float[Tensor, "n g c"],
    rotations: Float[Tensor, "n 3 3"] | None,
) -> LinearizedResidual:
    """A residual over instants and groups, by the view of the reference camera or of cameras turned away from it."""
    x = points.x[:, groups]

    def at_instant(points: Tensor, camera: Tensor, data: Tensor, R: Tensor | None) -> Tensor:
        return function(points, camera if R is None else view_of_instant(camera, R), data)

    each = (0, None, 0, None if rotations is None else 0)
    within = (0, None, 0, None)
    value = vmap(vmap(at_instant, in_dims=within), in_dims=each)(x, state.camera, data, rotations)
    slope = vmap(vmap(jacfwd(at_instant, (0, 1)), in_dims=within), in_dims=each)
    by_points, by_camera = slope(x, state.camera, data, rotations)
    jac_frame = torch.einsum("ngmka,ngkad->ngmd", by_points, points.jac_frame[:, groups])
    jac_shared = torch.einsum("ngmka,ngkad->ngmd", by_points, points.jac_shared[:, groups])
    jac_shared[..., -len(state.camera) :] += by_camera
    return LinearizedResidual(value, {0: jac_frame}, jac_shared)


def point_positions(moved: PointsWithJacobian, points: Tensor) -> LinearizedResidual:
    """The places of some points, metres; for stencils in time."""
    return LinearizedResidual(moved.x[:, points], {0: moved.jac_frame[:, points]}, moved.jac_shared[:, points])


def joint_rotvecs(state: State, joints: Tensor) -> LinearizedResidual:
    """Rotation vectors of some joints relative to their parents."""
    value = rotation_to_rotvec(state.rotations[:, joints])
    return LinearizedResidual(value, {0: _columns(state, joints, _by_right_turn(value))}, None)


def pose_constancy(state: State, joints: Tensor) -> LinearizedResidual:
    """Rotation vectors of some joints relative to their means over the clip, which are constant within each step."""
    rotations = state.rotations[:, joints]
    mean = mean_rotation(rotations, rotations.new_ones(1, len(state)))
    value = rotation_to_rotvec(mean.mT @ rotations)
    return LinearizedResidual(value, {0: _columns(state, joints, _by_right_turn(value))}, None)


def angular_velocity(state: State, joints: Tensor) -> LinearizedResidual:
    """Rotation vectors from each instant to the next in the joint's own frame, radians."""
    now, then = state.rotations[:-1, joints], state.rotations[1:, joints]
    relative = now.mT @ then
    value = rotation_to_rotvec(relative)
    by_then = _by_right_turn(value)
    by_now = -by_then @ relative.mT
    local = {0: _columns(state, joints, by_now), 1: _columns(state, joints, by_then)}
    return LinearizedResidual(value, local, None)


def shared_unknowns(state: State, value: Float[Tensor, " m"], columns: slice) -> LinearizedResidual:
    """Shared unknowns themselves, as one group of one instant; for priors."""
    slope = torch.zeros(1, len(value), 1, state.shared_size, dtype=value.dtype)
    index = torch.arange(state.shared_size)[columns]
    slope[0, torch.arange(len(value)), 0, index] = 1
    return LinearizedResidual(value[None, :, None], {}, slope)


def _by_right_turn(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Derivative of log(R exp(d)) by d at d = 0, with v = log R: the inverse right Jacobian (Chirikjian 2011)."""
    angle = v.norm(dim=-1).clamp_min(1e-6)[..., None, None]
    K = skew(v)
    half = angle / 2
    factor = torch.where(angle < 1e-3, torch.full_like(angle, 1 / 12), (1 - half / half.tan()) / angle**2)
    return torch.eye(3, dtype=v.dtype) + K / 2 + factor * (K @ K)


def _columns(state: State, joints: Tensor, blocks: Float[Tensor, "t g 3 3"]) -> Float[Tensor, "t g 3 d"]:
    """Place each joint's 3x3 derivative in its own columns of the instant's unknowns."""
    wide = blocks.new_zeros(*blocks.shape[:3], state.frame_size)
    for group, joint in enumerate(joints.tolist()):
        wide[:, group, :, 3 + 3 * joint : 6 + 3 * joint] = blocks[:, group]
    return wide
