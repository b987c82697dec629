"""Rotations, rigid transforms and projection. Conventions: see `avatar.types`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


def rotation_from_6d(x: Float[Tensor, "*b 6"]) -> Float[Tensor, "*b 3 3"]:
    """Gram-Schmidt of two 3-vectors, which become the first two columns (Zhou et al. 2019, eq. 15)."""
    a = F.normalize(x[..., :3], dim=-1)
    b = F.normalize(x[..., 3:] - (a * x[..., 3:]).sum(-1, keepdim=True) * a, dim=-1)
    return torch.stack([a, b, torch.linalg.cross(a, b)], dim=-1)


def rotation_to_6d(R: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 6"]:
    """The first two columns; the inverse of `rotation_from_6d` on rotations."""
    return torch.cat([R[..., 0], R[..., 1]], dim=-1)


def skew(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """The matrix of the cross product: `skew(v) @ x == cross(v, x)`."""
    x, y, z = v.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.unflatten(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1), -1, (3, 3))


def rotation_from_rotvec(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rodrigues' formula, by series near zero so that values and gradients stay finite there."""
    square = (v * v).sum(-1)
    small = square < 1e-6
    angle = torch.where(small, torch.ones_like(square), square).sqrt()
    sine = torch.where(small, 1 - square / 6, angle.sin() / angle)
    # 2 sin^2(a/2) instead of 1 - cos a, which loses half the digits at small angles.
    versine = torch.where(small, 0.5 - square / 24, 2 * (angle / 2).sin() ** 2 / angle**2)
    K = skew(v)
    eye = torch.eye(3, dtype=v.dtype, device=v.device)
    return eye + sine[..., None, None] * K + versine[..., None, None] * (K @ K)


def rotation_to_rotvec(R: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """The rotation vector of length at most pi, through the quaternion, which is stable near pi too."""
    q = quat_from_rotation(R)
    q = torch.where(q[..., :1] < 0, -q, q)
    w, xyz = q[..., 0], q[..., 1:]
    square = (xyz * xyz).sum(-1)
    small = square < 1e-10
    sine = torch.where(small, torch.ones_like(square), square).sqrt()
    factor = torch.where(small, 2 / w.clamp_min(0.5), 2 * torch.atan2(sine, w) / sine)
    return xyz * factor[..., None]


def quat_from_rotation(R: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions wxyz, computed from the largest of the four components (Shepperd 1978)."""
    return quat_from_products(quat_products(R))


def quat_products(R: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4 4"]:
    """4 q q^T of the unit quaternions q of rotations; an affine function of their entries."""
    m = R.flatten(-2)
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = m.unbind(-1)
    return torch.stack(
        [
            torch.stack([1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01], -1),
            torch.stack([m21 - m12, 1 + m00 - m11 - m22, m10 + m01, m02 + m20], -1),
            torch.stack([m02 - m20, m10 + m01, 1 - m00 + m11 - m22, m12 + m21], -1),
            torch.stack([m10 - m01, m20 + m02, m21 + m12, 1 - m00 - m11 + m22], -1),
        ],
        dim=-2,
    )


def quat_from_products(rows: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternions of `quat_products`: the row of the largest diagonal entry, which is safe to normalise."""
    largest = rows.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = rows.gather(-2, largest[..., None, None].expand(*largest.shape, 1, 4)).squeeze(-2)
    return F.normalize(row, dim=-1)


def rotation_from_quat(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrices of unit quaternions wxyz."""
    w, x, y, z = q.unbind(-1)
    entries = torch.stack(
        [
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ],
        dim=-1,
    )  # fmt: skip
    return torch.unflatten(entries, -1, (3, 3))


def quat_multiply(a: Float[Tensor, "*b 4"], b: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Hamilton product of wxyz quaternions: first `b`, then `a`."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def slerp(a: Float[Tensor, "*b 4"], b: Float[Tensor, "*b 4"], t: Float[Tensor, "*b"]) -> Float[Tensor, "*b 4"]:
    """Spherical interpolation along the shorter arc, from `a` at t = 0 to `b` at t = 1."""
    cosine = (a * b).sum(-1)
    b = torch.where(cosine[..., None] < 0, -b, b)
    # Not acos, whose gradient is infinite where the two agree.
    angle = 2 * torch.atan2((b - a).norm(dim=-1), (b + a).norm(dim=-1))
    near = angle < 1e-3
    sine = torch.where(near, torch.ones_like(angle), angle.sin())
    wa = torch.where(near, 1 - t, ((1 - t) * angle).sin() / sine)
    wb = torch.where(near, t, (t * angle).sin() / sine)
    return F.normalize(wa[..., None] * a + wb[..., None] * b, dim=-1)


def geodesic_angle(A: Float[Tensor, "*b 3 3"], B: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b"]:
    """Angle of the rotation between `A` and `B`, radians in [0, pi]."""
    angle: Tensor = rotation_to_rotvec(A.mT @ B).norm(dim=-1)
    return angle


def shortest_rotation(a: Float[Tensor, "*b 3"], b: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """The shortest rotation from one unit vector to another, which is not opposite."""
    axis = torch.linalg.cross(a, b)
    sine = axis.norm(dim=-1, keepdim=True)
    angle = torch.atan2(sine, (a * b).sum(-1, keepdim=True))
    return rotation_from_rotvec(axis / sine.clamp_min(1e-12) * angle)


def mean_rotation(R: Float[Tensor, "n *b 3 3"], weights: Float[Tensor, "m n"]) -> Float[Tensor, "m *b 3 3"]:
    """Means over the first axis, one for each row of weights (Markley et al. 2007, eq. 12)."""
    q = quat_from_rotation(R)
    outer = torch.einsum("mn,n...ab->m...ab", weights.to(q), q[..., :, None] * q[..., None, :])
    return rotation_from_quat(torch.linalg.eigh(outer)[1][..., -1])


def rigid(R: Float[Tensor, "*b 3 3"], t: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4 4"]:
    """The 4x4 transform x -> R x + t."""
    top = torch.cat([R, t[..., None]], dim=-1)
    # Made on the device: a copy from the host would make a GPU wait.
    bottom = torch.eye(4, dtype=top.dtype, device=top.device)[3:].expand(*top.shape[:-2], 1, 4)
    return torch.cat([top, bottom], dim=-2)


def invert_rigid(T: Float[Tensor, "*b 4 4"]) -> Float[Tensor, "*b 4 4"]:
    """The inverse of a rotation and translation."""
    R = T[..., :3, :3].mT
    return rigid(R, -(R @ T[..., :3, 3:]).squeeze(-1))


def transform(T: Float[Tensor, "*b 4 4"], points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b n 3"]:
    """Apply one transform to each stack of points."""
    return points @ T[..., :3, :3].mT + T[..., None, :3, 3]


def project(
    K: Float[Tensor, "*b 3 3"], T_camera_world: Float[Tensor, "*b 4 4"], points: Float[Tensor, "*b n 3"]
) -> tuple[Float[Tensor, "*b n 2"], Float[Tensor, "*b n"]]:
    """Pixels and depths (metres) of world points. Points at or behind the camera give meaningless pixels."""
    camera = transform(T_camera_world, points)
    depth = camera[..., 2]
    pixels = camera @ K.mT
    return pixels[..., :2] / depth.clamp_min(1e-4)[..., None], depth


def procrustes(
    source: Float[Tensor, "*b n 3"], target: Float[Tensor, "*b n 3"], scaled: bool = True
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b 3 3"], Float[Tensor, "*b 3"]]:
    """The similarity s, R, t that brings `source` closest to `target` (Umeyama 1991, eq. 40-42)."""
    mean_s, mean_t = source.mean(-2, keepdim=True), target.mean(-2, keepdim=True)
    a, b = source - mean_s, target - mean_t
    U, S, Vh = torch.linalg.svd(b.mT @ a)
    sign = torch.ones_like(S)
    sign[..., 2] = torch.det(U @ Vh).sign()
    R = U @ torch.diag_embed(sign) @ Vh
    scale = (S * sign).sum(-1) / (a * a).sum((-1, -2)) if scaled else torch.ones_like(S[..., 0])
    t = mean_t.squeeze(-2) - scale[..., None] * (R @ mean_s.mT).squeeze(-1)
    return scale, R, t


def nearest_rotation(M: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3 3"]:
    """The rotation R that maximises trace(R^T M): the one nearest to M (Kabsch 1976)."""
    U, _, Vh = torch.linalg.svd(M)
    sign = torch.ones_like(M[..., 0])
    sign[..., 2] = torch.det(U @ Vh)
    R: Tensor = U @ (sign[..., None] * Vh)
    return R


def vertex_normals(vertices: Float[Tensor, "v 3"], faces: Int[Tensor, "f 3"]) -> Float[Tensor, "v 3"]:
    """Unit normals, the mean of the neighbouring triangles' weighted by their area."""
    a, b, c = vertices[faces].unbind(1)
    weighted = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for corner in range(3):
        normals.index_add_(0, faces[:, corner], weighted)
    return F.normalize(normals, dim=-1)
