"""Densification: split Gaussians with large gradients, remove transparent ones, and keep the optimiser in step."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from avatar.geometry import rotation_from_quat
from avatar.model.avatar import Avatar
from avatar.model.gaussians import PARAMETERS, TriangleFrames, TriangleGaussians

# Two children of half the mass each along the longest axis (Kerbl et al. 2023, section 5.2, divides by 1.6).
CHILD_SCALE = 1 / 1.6
GROWTH = 0.15  # share of the Gaussians that one densification may split
MIN_OPACITY = 0.02  # fainter Gaussians are removed


def densify(avatar: Avatar, optimizer: torch.optim.Adam, gradients: Float[Tensor, " n"], cap: int) -> None:
    """Split the Gaussians with the largest gradients, remove faint ones, and rebind all to their nearest triangles.

    Args:
        gradients: summed gradient norm by each Gaussian's centre; cap: maximum number of Gaussians.
    """
    gaussians = avatar.gaussians
    keep, split = select_for_densification(gaussians.opacities.detach(), gradients, cap, GROWTH, MIN_OPACITY)
    quats = torch.nn.functional.normalize(gaussians.quats.detach(), dim=-1)
    split_gaussians(gaussians, optimizer, keep, split, quats)
    rebind_to_nearest_face(gaussians, avatar.frames)
    avatar.refresh()


def select_for_densification(
    opacities: Float[Tensor, " n"],
    error: Float[Tensor, " n"],
    cap: int,
    growth: float,
    min_opacity: float,
) -> tuple[Int[Tensor, " kept"], Int[Tensor, " split"]]:
    """Indices of the Gaussians to keep as they are, and of those to split.

    Args:
        error: summed gradient norm of each Gaussian.
        cap: maximum number of Gaussians; growth: share that may be split; min_opacity: fainter ones are dropped.
    """
    alive = opacities > min_opacity
    room = max(cap - int(alive.sum()), 0)
    count = min(int(growth * len(error)), room)
    ranked = torch.where(alive, error, torch.full_like(error, -1.0)).argsort(descending=True, stable=True)
    split = ranked[:count]
    split = split[error[split] > 0]
    keep = alive.clone()
    keep[split] = False
    return keep.nonzero().squeeze(1), split


@torch.no_grad()
def split_gaussians(
    gaussians: TriangleGaussians,
    optimizer: torch.optim.Adam,
    keep: Int[Tensor, " kept"],
    split: Int[Tensor, " split"],
    quats_in_triangle: Float[Tensor, "n 4"],
) -> None:
    """Replace each Gaussian of `split` by two along its longest axis and drop the rest."""
    axis = gaussians.log_scales[split].argmax(-1)
    direction = rotation_from_quat(quats_in_triangle[split]).gather(2, axis[:, None, None].expand(-1, 3, 1)).squeeze(2)
    step = direction * gaussians.scales[split].gather(1, axis[:, None]) * 0.8
    rows = torch.cat([keep, split, split])
    old = len(keep)
    _select_rows(gaussians, optimizer, rows, new=slice(old, None))
    gaussians.offset[old:] += torch.cat([step, -step])
    longest = axis.repeat(2)[:, None]
    children = gaussians.log_scales[old:]
    shrunk = children.gather(1, longest) + torch.log(torch.tensor(CHILD_SCALE))
    gaussians.log_scales[old:] = children.scatter(1, longest, shrunk)


@torch.no_grad()
def replace_gaussians(
    gaussians: TriangleGaussians,
    optimizer: torch.optim.Adam,
    keep: Int[Tensor, " kept"],
    fresh: TriangleGaussians,
    rows: Int[Tensor, " rows"],
) -> None:
    """Keep the rows `keep`, and append the rows `rows` of `fresh`."""
    old = len(keep)
    _select_rows(gaussians, optimizer, torch.cat([keep, keep.new_zeros(len(rows))]), new=slice(old, None))
    for name in ("face", "bary", "observed", *PARAMETERS):
        getattr(gaussians, name)[old:] = getattr(fresh, name)[rows]


@torch.no_grad()
def rebind_to_nearest_face(gaussians: TriangleGaussians, frames: TriangleFrames, candidates: int = 8) -> None:
    """Bind each Gaussian to the triangle nearest to it, so that its offset is its distance from the surface again.

    Its position, orientation and shape in the rest frame do not change.
    """
    from scipy.spatial import cKDTree

    means = gaussians.means(frames)
    tree = cKDTree(frames.vertices.mean(1).cpu().numpy())
    nearby = torch.from_numpy(tree.query(means.cpu().numpy(), k=candidates)[1]).to(means.device)
    bary, distance = barycentric_of_nearest(frames.vertices[nearby], means[:, None].expand(-1, candidates, -1))
    best = distance.argmin(1, keepdim=True)
    face = nearby.gather(1, best).squeeze(1)
    bind_to_faces(gaussians, frames, face, bary.gather(1, best[..., None].expand(-1, 1, 3)).squeeze(1))


@torch.no_grad()
def bind_to_faces(
    gaussians: TriangleGaussians, frames: TriangleFrames, face: Int[Tensor, " n"], bary: Float[Tensor, "n 3"]
) -> None:
    """Bind each Gaussian to a point of a triangle; at rest it stays where and as it is."""
    from avatar.geometry import quat_multiply

    means = gaussians.means(frames)
    conjugate = means.new_tensor([1.0, -1, -1, -1])
    old_quats = gaussians.orientations(gaussians.frame_quats(frames))
    gaussians.face, gaussians.bary = face, bary
    anchor = torch.einsum("nc,ncx->nx", bary, frames.vertices[face])
    gaussians.offset.copy_(torch.einsum("nyx,ny->nx", frames.rotation[face], means - anchor))
    gaussians.quats.copy_(quat_multiply(gaussians.frame_quats(frames) * conjugate, old_quats))


def barycentric_of_nearest(
    triangles: Float[Tensor, "*b 3 3"], points: Float[Tensor, "*b 3"]
) -> tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b"]]:
    """Barycentric coordinates of a point of each triangle close to `points`, and its distance in metres.

    Projection onto the plane, with negative coordinates clamped: exact inside the triangle, and accurate enough to
    choose between neighbours outside it.
    """
    a, b, c = triangles.unbind(-2)
    u, v, w = b - a, c - a, points - a
    uu, uv, vv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1)
    wu, wv = (w * u).sum(-1), (w * v).sum(-1)
    determinant = (uu * vv - uv * uv).clamp_min(1e-16)
    s, t = (vv * wu - uv * wv) / determinant, (uu * wv - uv * wu) / determinant
    bary = torch.stack([1 - s - t, s, t], dim=-1).clamp_min(0)
    bary = bary / bary.sum(-1, keepdim=True)
    nearest = (bary[..., None] * triangles).sum(-2)
    return bary, (points - nearest).norm(dim=-1)


def _select_rows(
    gaussians: TriangleGaussians, optimizer: torch.optim.Adam, rows: Int[Tensor, " rows"], new: slice
) -> None:
    """Make row i of every per-Gaussian tensor the old row `rows[i]`; forget the momenta of the rows `new`."""
    for name in ("face", "bary", "observed"):
        setattr(gaussians, name, getattr(gaussians, name)[rows])
    for name in PARAMETERS:
        old: nn.Parameter = getattr(gaussians, name)
        fresh = nn.Parameter(old[rows].clone())
        setattr(gaussians, name, fresh)
        _replace_parameter(optimizer, old, fresh, lambda moment: _forget(moment[rows].clone(), new))


def _forget(moment: Tensor, new: slice) -> Tensor:
    moment[new] = 0
    return moment


def _replace_parameter(
    optimizer: torch.optim.Adam, old: nn.Parameter, fresh: nn.Parameter, select: Callable[[Tensor], Tensor]
) -> None:
    state = optimizer.state.pop(old, {})
    optimizer.state[fresh] = {key: value if value.dim() == 0 else select(value) for key, value in state.items()}
    for group in optimizer.param_groups:
        group["params"] = [fresh if parameter is old else parameter for parameter in group["params"]]
