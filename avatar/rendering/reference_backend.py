"""The slow and obvious renderer in plain PyTorch, for any floating type: the oracle of the fast ones.

Formulas: Zwicker et al. 2002 (EWA splatting) and Kerbl et al. 2023 (3D Gaussian splatting), with the constants of
gsplat 1.5.3. Culling by projected radius only saves time: beyond the radius every alpha is below the cutoff.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.geometry import rotation_from_quat, transform
from avatar.kernels.constants import BLUR, MAX_ALPHA, MIN_ALPHA, MIN_TRANSMITTANCE, NEAR, VIEW_MARGIN
from avatar.types import Cameras, Gaussians, RenderOutput


class Splats(NamedTuple):
    """Gaussians in front of one camera, front to back.

    Attributes:
        index: row of each in the given Gaussians.
        means: projected centres, pixels; conics: entries (xx, xy, yy) of the inverse projected covariances, 1/px^2.
        reach: rows above and below the centre beyond which the splat is invisible, pixels; depths: metres.
    """

    index: Int[Tensor, " s"]  # type: ignore[assignment]
    means: Float[Tensor, "s 2"]
    conics: Float[Tensor, "s 3"]
    reach: Float[Tensor, " s"]
    depths: Float[Tensor, " s"]


def render_reference(gaussians: Gaussians, cameras: Cameras) -> RenderOutput:
    """See `avatar.rendering.renderer.render`."""
    images = torch.stack([_image(gaussians, cameras, camera) for camera in range(len(cameras))])
    return RenderOutput(rgb=images[..., :3], alpha=images[..., 4], depth=images[..., 3])


def _image(gaussians: Gaussians, cameras: Cameras, camera: int) -> Float[Tensor, "h w 5"]:
    """Red, green, blue, depth and alpha as one camera sees them."""
    splats = project(gaussians, cameras, camera)
    channels = [gaussians.colors[splats.index], splats.depths[:, None], torch.ones_like(splats.depths)[:, None]]
    values = torch.cat(channels, dim=-1)
    opacities = gaussians.opacities[splats.index]
    columns = torch.arange(cameras.width).to(values) + 0.5
    rows = []
    for y in (torch.arange(cameras.height).to(values) + 0.5).unbind():
        near = ((splats.means[:, 1] - y).abs() <= splats.reach).nonzero()[:, 0]
        deltas = torch.stack(torch.broadcast_tensors(columns[:, None], y), -1) - splats.means[near]
        rows.append(_weights(deltas, splats.conics[near], opacities[near]) @ values[near])
    return torch.stack(rows)


def project(gaussians: Gaussians, cameras: Cameras, camera: int) -> Splats:
    """Project the Gaussians in front of the near plane by the local affine approximation (EWA)."""
    T = cameras.T_camera_world[camera].to(gaussians.means)
    K = cameras.K[camera].to(gaussians.means)
    positions = transform(T, gaussians.means)
    index = (positions[:, 2].detach() >= NEAR).nonzero()[:, 0]
    index = index[positions[index, 2].detach().argsort(stable=True)]
    x, y, z = positions[index].unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    # The slope is limited near the view, since the linearisation explodes far outside of it.
    margin_x, margin_y = VIEW_MARGIN * cameras.width / fx, VIEW_MARGIN * cameras.height / fy
    slope_x = (x / z).clamp(-cx / fx - margin_x, (cameras.width - cx) / fx + margin_x)
    slope_y = (y / z).clamp(-cy / fy - margin_y, (cameras.height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    J = torch.stack([fx / z, zero, -fx * slope_x / z, zero, fy / z, -fy * slope_y / z], -1).unflatten(-1, (2, 3))
    R = rotation_from_quat(F.normalize(gaussians.quats[index], dim=-1))
    root = J @ T[:3, :3] @ R * gaussians.scales[index, None]
    covariances = root @ root.mT + BLUR * torch.eye(2).to(root)
    a, b, c = covariances[:, 0, 0], covariances[:, 0, 1], covariances[:, 1, 1]
    determinants = a * c - b * b
    return Splats(
        index,
        means=torch.stack([fx * x / z + cx, fy * y / z + cy], -1),
        conics=torch.stack([c, -b, a], -1) / determinants[:, None],
        reach=3.34 * c.detach().sqrt(),
        depths=z,
    )


def _weights(
    deltas: Float[Tensor, "w s 2"], conics: Float[Tensor, "s 3"], opacities: Float[Tensor, " s"]
) -> Float[Tensor, "w s"]:
    """Blending weights alpha_i * prod_{j<i} (1 - alpha_j) of depth-sorted splats in the pixels of one row."""
    dx, dy = deltas.unbind(-1)
    sigma = 0.5 * (conics[:, 0] * dx * dx + conics[:, 2] * dy * dy) + conics[:, 1] * dx * dy
    alphas = (opacities * torch.exp(-sigma)).clamp(max=MAX_ALPHA)
    alphas = torch.where((alphas >= MIN_ALPHA) & (sigma >= 0), alphas, torch.zeros_like(alphas))
    after = torch.cumprod(1 - alphas, dim=-1)
    before = torch.cat([torch.ones_like(after[:, :1]), after[:, :-1]], dim=-1)
    # The product only falls, so the first splat that would end the pixel and all behind it are masked.
    return torch.where(after > MIN_TRANSMITTANCE, alphas * before, torch.zeros_like(alphas))
