"""Whether a fit is a result at all, and which depths the images did not determine."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.tracking.kinematics import State, in_cameras, move_points, pose_chain
from avatar.tracking.objective import SCHEDULE, residual_terms
from avatar.tracking.problem import FitProblem
from avatar.tracking.silhouette import filled_mesh, posed_vertices, reduced_size
from avatar.tracking.solver import NormalEquations
from avatar.types import Observations

LEAST_OVERLAP = 0.6  # fits that are right have 0.75 and more, loose clothes included
MOST_ERROR = 0.03  # of the landmarks, relative to the person's height; fits that are right have 0.005 to 0.01
DOUBTFUL_OVERLAP, DOUBTFUL_ERROR = 0.7, 0.015  # from here another start is tried
CHECKED_FRAMES = 16
WORK_HEIGHT = 160  # of the person, pixels
# What ties the joints' depths to the images, and the loose priors that keep the rest within a body's reach.
DEPTH_TERMS = ("landmarks", "depth", "joint limit", "rest pose")


def silhouette_overlap(problem: FitProblem, state: State, observations: Observations) -> float | None:
    """Median intersection over union of the body's silhouette and the person's mask where it is trusted; None without
    masks."""
    import cv2

    if not len(observations.masks):
        return None
    chosen = torch.linspace(0, len(observations) - 1, min(CHECKED_FRAMES, len(observations))).round().long()
    width, height = observations.width, observations.height
    scale, size = reduced_size(width, height, WORK_HEIGHT / float(problem.person_height[0]))
    posed, faces = posed_vertices(problem.body, state), problem.body.faces.numpy().astype(np.int32)
    pixels = float(state.camera[0].exp()) * posed[..., :2] / np.maximum(posed[..., 2:], 0.1)
    values = []
    for index in chosen.tolist():
        ours = filled_mesh((pixels[index] + [width / 2, height / 2]) * scale, faces, size) > 127
        mask = cv2.resize(observations.masks[index], size, interpolation=cv2.INTER_AREA) > 127
        if observations.trust is not None:
            trusted = cv2.resize(observations.trust[index], size, interpolation=cv2.INTER_NEAREST) > 0
            ours, mask = ours & trusted, mask & trusted
        if not mask.any():
            continue
        values.append((ours & mask).sum() / max((ours | mask).sum(), 1))
    return float(np.median(values)) if values else None


def is_doubtful(overlap: float | None, error: float) -> bool:
    """Whether another start may give a better fit. `error` is relative to the person's height."""
    return error > DOUBTFUL_ERROR or (overlap is not None and overlap < DOUBTFUL_OVERLAP)


def failure(overlap: float | None, error: float) -> str | None:
    """The sentence that says that a fit is no result, or None."""
    if error <= MOST_ERROR and (overlap is None or overlap >= LEAST_OVERLAP):
        return None
    covers = "" if overlap is None else f"its outline and the person's overlap by {overlap:.2f}, and "
    return (
        f"the body could not be fitted: {covers}its landmarks are off by {error:.1%} of the person's height. Film one "
        "person, wholly in view and moving slowly, with a camera that stands still"
    )


def depth_spread(problem: FitProblem, state: State) -> Float[Tensor, "n j"]:
    """Standard deviation of each joint's depth relative to the pelvis, at each instant by itself, metres.

    The inverse of the normal matrix of the landmarks and the loose priors of the joints (the Laplace approximation).
    A limb parallel to the image may point towards the camera or away from it, by as much as the priors let it.
    """
    chain = pose_chain(problem.body, state)
    joints = in_cameras(move_points(chain, state, problem.joints), state)
    normal = NormalEquations(len(state), state.frame_size, state.shared_size)
    for term in residual_terms(problem, SCHEDULE[-1], None, None, state):
        if term.name in DEPTH_TERMS:
            normal.add(term, term.robust()[1])
    eye = torch.eye(state.frame_size, dtype=normal.band[0].dtype)
    depth = joints.jac_frame[:, :, 2] - joints.jac_frame[:, :1, 2]
    spread: Tensor = torch.linalg.solve(normal.band[0] + 1e-3 * eye, depth.mT)
    return (depth * spread.mT).sum(-1).clamp_min(0).sqrt()
