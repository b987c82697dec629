"""Where the surface of the avatar in training lies in each real image, measured by optical flow and by its outline.

The gradient of the photometric loss reaches as far as a splat is wide. Optical flow from the rendered image to the
real one reaches farther, and measures to a fraction of a pixel. Where the surface turns away from the camera, the
outlines of the two take its place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from avatar.geometry import project
from avatar.io.images import to_uint8
from avatar.model.avatar import Avatar
from avatar.training.views import TrainingView
from avatar.training.visibility import RenderView, facing_cosine
from avatar.types import BodyPose, Cameras, RenderOutput

BACKDROP = 0.5  # grey behind the person in both images
FACING = 0.3  # minimum cosine between the normal and the direction to the camera
BEHIND = 0.03  # a point this many metres behind the rendered surface is hidden
MIN_OPACITY = 0.3
BACK_AND_FORTH = 0.7  # maximum forward-backward error, pixels
FARTHEST = 0.015  # longest displacement that counts, relative to the long side of the cropped image
WINDOW = 9  # pixels around a point that must have texture
TEXTURE = 2e-5  # eigenvalue of the structure tensor there (Shi and Tomasi 1994) that counts half, grey in [0, 1]
STRIPES = 0.1  # the same relative to the larger eigenvalue: along a stripe the flow is a guess
LEAST_SIDE = 64  # pixels; smaller images get no flow, whose patches are eight pixels wide
# Blur of the coverage whose values tell the distance from the outline, relative to the long side of the cropped image:
# thinner than a finger, since both sides of a thin limb would blur into each other.
OUTLINE_BLUR = 0.0035
LEAST_OUTLINE_BLUR = 0.8  # pixels
OUTLINE_REACH = 1.5  # blurs from the rendered outline
INSIDE = 0.9  # coverage of the person that the mask must have where a point goes


@dataclass(frozen=True)
class SurfaceMatches:
    """Points of the surface in one real image.

    Attributes:
        points: which of the sampled Gaussians were found; pixels: where their centres appear in the image.
        axes: take an error in pixels to its parts across and along the texture, each times its reliability in [0, 1].
        weight: cosine between the normal and the direction to the camera: grazing views tell little.
        outline_points, outline_pixels, outline_normals: the same at the outline, where only the distance along the
            outward unit normal is known.
        camera, instant: of the image.
    """

    points: Int[Tensor, " m"]
    pixels: Float[Tensor, "m 2"]
    axes: Float[Tensor, "m 2 2"]
    weight: Float[Tensor, " m"]
    outline_points: Int[Tensor, " o"]
    outline_pixels: Float[Tensor, "o 2"]
    outline_normals: Float[Tensor, "o 2"]
    camera: Cameras
    instant: int


@torch.no_grad()
def match_surface(
    avatar: Avatar, pose: BodyPose, view: TrainingView, render_view: RenderView, chosen: Int[Tensor, " n"]
) -> SurfaceMatches:
    """Find the Gaussians `chosen` in the image of `view`, where they are visible on texture."""
    posed = avatar.pose(pose)
    out = render_view(posed, view)
    pixels, depth = project(view.camera.K[0], view.camera.T_camera_world[0], posed.means[chosen])
    facing = facing_cosine(avatar, pose, posed, view)[chosen]
    visible = depth < _sampled_depth(out, pixels) + BEHIND
    rendered, real = _grey_pair(out, view)
    at = pixels.cpu().numpy()
    moved, axes, reliable = measured_displacement(rendered, real, at)
    inside = sample(view.trusted_mask.cpu().numpy(), at + moved)[:, 0] > INSIDE
    good = (visible & (facing > FACING)).cpu().numpy() & reliable & inside
    good &= np.linalg.norm(moved, axis=1) < FARTHEST * max(view.camera.height, view.camera.width)
    rows = torch.from_numpy(np.flatnonzero(good))
    places = torch.from_numpy((at + moved)[good]).double()
    rim = np.flatnonzero((visible & (facing.abs() <= FACING)).cpu().numpy())
    outward, normals = outline_displacement(out.alpha[0].cpu().numpy(), view.mask.cpu().numpy(), at[rim])
    near = np.isfinite(outward) & _beside_trusted(view, at[rim])
    on_rim = torch.from_numpy(at[rim] + outward[:, None] * normals)[near].double()
    return SurfaceMatches(
        rows, places, torch.from_numpy(axes[good]).double(), facing.cpu()[rows].double(),
        torch.from_numpy(rim[near]), on_rim, torch.from_numpy(normals[near]).double(),
        view.camera.to("cpu"), view.instant,
    )  # fmt: skip


def measured_displacement(
    rendered: UInt8[np.ndarray, "h w"], real: UInt8[np.ndarray, "h w"], pixels: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2 2"], Bool[np.ndarray, " n"]]:
    """Displacement from the rendered to the real image at some pixels, in which directions texture supports it (see
    `SurfaceMatches.axes`), and where texture and a check by the flow back support it at all."""
    import cv2

    if min(rendered.shape) < LEAST_SIDE:
        return np.zeros((len(pixels), 2)), np.zeros((len(pixels), 2, 2)), np.zeros(len(pixels), bool)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    dis.setFinestScale(1 if min(rendered.shape) > 4 * LEAST_SIDE else 0)
    still = np.zeros((*rendered.shape, 2), np.float32)
    forward, backward = dis.calc(rendered, real, still.copy()), dis.calc(real, rendered, still)
    moved = sample(forward, pixels)
    missed = np.linalg.norm(moved + sample(backward, pixels + moved), axis=1)
    axes, textured = _texture_axes(rendered, pixels)
    return moved, axes, (missed < BACK_AND_FORTH) & textured


def _texture_axes(
    grey: UInt8[np.ndarray, "h w"], pixels: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, "n 2 2"], Bool[np.ndarray, " n"]]:
    """See `SurfaceMatches.axes`, from the structure tensor; and where there is texture at all."""
    import cv2

    tensor = cv2.cornerEigenValsAndVecs(grey.astype(np.float32) / 255, WINDOW, 3)
    x, y = (np.floor(pixels).astype(int).clip(0, np.array(grey.shape[::-1]) - 1)).T
    values, axes = tensor[y, x, :2].astype(float), tensor[y, x, 2:].reshape(-1, 2, 2).astype(float)
    largest = values.max(1, keepdims=True)
    reliability = values / (values + TEXTURE + STRIPES * largest)
    return reliability[..., None] * axes, largest[:, 0] > TEXTURE


def outline_displacement(
    rendered: Float[np.ndarray, "h w"], real: Float[np.ndarray, "h w"], pixels: Float[np.ndarray, "n 2"]
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 2"]]:
    """How far the real outline lies outside the rendered one at some pixels, and its outward unit normals there.

    The coverage is blurred: across a straight edge it is then the normal distribution function of the distance from
    it, with the blur as its deviation. NaN far from either outline.
    """
    import cv2
    from scipy.special import ndtri

    blur = max(OUTLINE_BLUR * max(real.shape), LEAST_OUTLINE_BLUR)
    soft = [cv2.GaussianBlur(coverage, (0, 0), blur) for coverage in (rendered, real)]
    depths = [blur * ndtri(sample(one, pixels)[:, 0].clip(1e-6, 1 - 1e-6)) for one in soft]
    slope = np.stack([sample(cv2.Sobel(soft[1], -1, *axis), pixels)[:, 0] for axis in ((1, 0), (0, 1))], 1)
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    near = (np.abs(depths) < OUTLINE_REACH * blur).all(0) & (length[:, 0] > 1e-3)
    return np.where(near, depths[1] - depths[0], np.nan), -slope / np.maximum(length, 1e-3)


def _beside_trusted(view: TrainingView, pixels: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    """Whether all is trusted as far as an outline is looked for: where somebody else is, the mask's edge is theirs."""
    import cv2

    if view.trust is None:
        return np.ones(len(pixels), bool)
    reach = OUTLINE_REACH * max(OUTLINE_BLUR * max(view.mask.shape), LEAST_OUTLINE_BLUR)
    side = 2 * math.ceil(reach) + 1
    trusted = cv2.erode((view.trust > 0).to(torch.uint8).cpu().numpy(), np.ones((side, side), np.uint8))
    beside: Bool[np.ndarray, " n"] = sample(trusted.astype(np.float32), pixels)[:, 0] > 0.99
    return beside


def sample(values: Float[np.ndarray, "h w *c"], pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n c"]:
    """Bilinear interpolation at some pixels; the border goes on outside the image."""
    import cv2

    x, y = (pixels.astype(np.float32) - 0.5).T[:, None]
    return cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).reshape(len(pixels), -1)


def _sampled_depth(out: RenderOutput, pixels: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    """Depth of the rendered surface at the nearest pixels, metres; infinite where nothing was rendered."""
    height, width = out.alpha.shape[1:]
    x, y = pixels.floor().long().unbind(-1)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    alpha, depth = (image[0, y.clamp(0, height - 1), x.clamp(0, width - 1)] for image in (out.alpha, out.depth))
    return torch.where(inside & (alpha > 0.5), depth / alpha.clamp_min(0.5), torch.inf)


def _grey_pair(out: RenderOutput, view: TrainingView) -> tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]:
    """The rendered and the real image, both cut out by the mask, in grey."""
    import cv2

    mask = view.mask[..., None]
    rendered = out.rgb[0] / out.alpha[0, ..., None].clamp_min(0.05)
    images = (image * mask + BACKDROP * (1 - mask) for image in (rendered, view.image))
    rendered_grey, real_grey = (cv2.cvtColor(to_uint8(image), cv2.COLOR_RGB2GRAY) for image in images)
    return rendered_grey, real_grey
