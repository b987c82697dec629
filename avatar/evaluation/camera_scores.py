"""Scores of a run's camera path against the true one."""

from __future__ import annotations

import torch

from avatar.datasets.capture import CaptureClip
from avatar.evaluation.alignment import EstimatedPerson, Placement, moves, place_by_cameras
from avatar.evaluation.ground_truth import HIPS
from avatar.geometry import geodesic_angle, invert_rigid


def camera_scores(person: EstimatedPerson, clip: CaptureClip, placement: Placement) -> dict[str, float]:
    """How the camera and the person travelled in the world; empty where no camera moves, neither estimated nor true.

    The cameras are compared after one similarity: the mean rotation, the mean of the centres, and the scale that fits
    the centres best (that of the limb joints where the true camera keeps its place). `root_travel_mm` is the diagonal
    of the box in which the middle of the hips stays.
    """
    pairs = person.frames_of(clip)
    frames, own = list(pairs), list(pairs.values())
    true, run = clip.cameras[frames], person.cameras[own]
    if not (moves(true) or moves(run)):
        return {}
    true_centres, run_centres = (invert_rigid(cameras.T_camera_world)[:, :3, 3] for cameras in (true, run))
    spread, run_spread = ((c - c.mean(0)).norm(dim=-1).square().mean().sqrt() for c in (true_centres, run_centres))
    by_path = float(spread / run_spread) if min(spread, run_spread) > 1e-3 else placement.scale
    aligned = place_by_cameras(true, run, by_path)
    placed = torch.stack([aligned.camera(true[i]).T_camera_world[0] for i in range(len(true))])
    apart = (invert_rigid(placed)[:, :3, 3] - run_centres).norm(dim=-1) * by_path
    turned = torch.rad2deg(geodesic_angle(placed[:, :3, :3], run.T_camera_world[:, :3, :3]))
    hips = person.joints()[own][:, list(HIPS)].mean(1) * placement.scale
    true_hips = clip.joints[frames][:, list(HIPS)].mean(1)
    return {
        "camera_centre_mm": 1e3 * float(apart.mean()),
        "camera_centre_worst_mm": 1e3 * float(apart.max()),
        "camera_rotation_deg": float(turned.mean()),
        "camera_rotation_worst_deg": float(turned.max()),
        "root_travel_mm": 1e3 * float((hips.amax(0) - hips.amin(0)).norm()),
        "true_root_travel_mm": 1e3 * float((true_hips.amax(0) - true_hips.amin(0)).norm()),
    }
