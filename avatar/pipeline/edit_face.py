"""The face of a photo on an avatar: warped between the landmarks of both, as colours of the face's splats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8
from torch import Tensor

from avatar.errors import AvatarError, UsageError
from avatar.io.colors import lab_of_rgb, rgb_of_lab
from avatar.io.images import read_image, to_uint8
from avatar.landmark_layouts import LAYOUTS
from avatar.model.garments import FACE
from avatar.model.wardrobe import Labelled
from avatar.motion.text.parse import parse_pose
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import is_photo, on_white, scaled_down
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.runtime.thread_map import map_in_threads
from avatar.training.color_refit import ColorTarget, refit_colors
from avatar.types import BodyPose, Cameras, LandmarkDetector

LANDMARKS = (
    "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
    "mouth_left", "mouth_right",
)  # fmt: skip
SURE = 0.5  # least mean confidence of these
WHOLE, CLOSE = (1080, 1920), 512  # px, of the avatar's image in which its face is found, and of the close-up
LONGEST_SIDE = 1920  # px, of the photo
CLOSE_UP = 4.5  # side of the close-up, in distances between the outer corners of the eyes
SMALLEST_FACE = 24.0  # px between the outer corners of the eyes in the photo
MOST_TURNED = 0.12  # mean distance of the landmarks of both faces, laid over each other, in distances of the eyes
FEATHER = 0.08  # of the close-up's side, over which the new face goes over into the old one
ROUNDS = 8
STANDING = "standing, both arms sideways 35"
FROM_ONE_SIDE = "the face of a photo shows one side, its light stays in it, and the shape of the head is the filmed one"


def transfer_face(
    person: Labelled, photo: Path, backend: str = "auto", detector: LandmarkDetector | None = None
) -> None:
    """Give the face of an avatar the features in a photo, in the avatar's own tone of skin.

    Raises:
        UsageError: there is no such photo.
        AvatarError: it shows no face, a tiny one, or one that is turned away; or none is recognised on the avatar.
    """
    if not photo.exists():
        raise UsageError(f"--face takes a photo, and there is no file {photo}.")
    if not photo.is_file() or not is_photo(photo):
        raise UsageError(f"--face takes a photo, and {photo} is not one.")
    detector = detector or choose_detector(most_people=1)[0]
    pixels, _ = on_white(scaled_down(read_image(photo), LONGEST_SIDE))
    source, mask = _face_points(pixels, detector, str(photo))

    avatar = person.avatar
    pose = BodyPose(avatar.rest.joints[0].cpu(), parse_pose(STANDING))
    with torch.no_grad():
        posed = avatar.own_pose(pose.to(avatar.device), lit=False)
        low, high = posed.means.amin(0).cpu(), posed.means.amax(0).cpu()
        camera = front(low, high, 1, *WHOLE, elevation=0.0).to(avatar.device)
        whole = to_uint8(render(posed, camera, backend).on_white()[0].cpu())
        points, camera = _close_up(_face_points(whole, detector, "the avatar")[0], camera)
        own = render(posed, camera, backend).on_white()[0].cpu()
        membership = (person.labels == FACE).to(posed.colors)[:, None].expand(-1, 3)
        share = render(replace(posed, colors=membership), camera, backend).rgb[0, ..., 0].cpu().numpy()
    _check(source, points, photo)
    warped, inside = _warped(pixels, mask, source, points)
    strength = torch.from_numpy(_feathered((share > 0.9) & inside) * inside)
    target = torch.lerp(own, _in_tone(warped, own, strength > 0.5), strength[..., None])
    view = ColorTarget(target, (strength > 0).float(), camera.to("cpu"))
    refit_colors(avatar, person.labels == FACE, [view] * ROUNDS, pose, backend)


def _face_points(
    image: UInt8[np.ndarray, "h w 3"], detector: LandmarkDetector, name: str
) -> tuple[Float32[np.ndarray, "9 2"], UInt8[np.ndarray, "h w"]]:
    """Pixels of `LANDMARKS` of the person in an image whose face is the most certain, and the person's mask."""
    (people,) = map_in_threads(detector.detect, [image])
    names = LAYOUTS[detector.layout].names
    if not set(LANDMARKS) <= set(names):
        raise AvatarError("A face needs a detector with the landmarks of BlazePose.")
    rows = [names.index(landmark) for landmark in LANDMARKS]
    best = max(people, key=lambda one: float(one.keypoints[rows, 2].mean()), default=None)
    if best is None or best.keypoints[rows, 2].mean() < SURE:
        raise AvatarError(f"No face is recognised in {name}: it must be seen from the front, in light.")
    return best.keypoints[rows, :2], best.mask


def _check(source: Float32[np.ndarray, "9 2"], target: Float32[np.ndarray, "9 2"], photo: Path) -> None:
    """Refuse faces that are tiny or turned away: no similarity lays their landmarks over those of a face in front."""
    left, right = (source[LANDMARKS.index(f"{side}_eye_outer")] for side in ("left", "right"))
    apart = float(np.linalg.norm(left - right))
    if apart < SMALLEST_FACE:
        raise AvatarError(f"The face in {photo} is too small: the eyes are {apart:.0f} pixels apart.")
    a, b = (points[:, 0] + 1j * points[:, 1] for points in (source - source.mean(0), target - target.mean(0)))
    residual = np.abs(b * (np.vdot(b, a) / np.vdot(b, b)) - a).mean() / apart
    if residual > MOST_TURNED:
        raise AvatarError(f"The face in {photo} is turned to the side: give a photo from the front.")


def _close_up(points: Float32[np.ndarray, "9 2"], camera: Cameras) -> tuple[Float32[np.ndarray, "9 2"], Cameras]:
    """The landmarks in a square close-up of the face, and its camera."""
    left, right = (points[LANDMARKS.index(f"{side}_eye_outer")] for side in ("left", "right"))
    side = round(CLOSE_UP * float(np.linalg.norm(left - right)))
    corner = np.round(points.mean(0) - side / 2).astype(int)
    zoomed = camera.cropped(int(corner[0]), int(corner[1]), side, side).resized(CLOSE, CLOSE)
    return ((points - corner) * (CLOSE / side)).astype(np.float32), zoomed


def _warped(
    photo: UInt8[np.ndarray, "h w 3"],
    mask: UInt8[np.ndarray, "h w"],
    source: Float32[np.ndarray, "9 2"],
    target: Float32[np.ndarray, "9 2"],
) -> tuple[Float[Tensor, "s s 3"], Bool[np.ndarray, "s s"]]:
    """The photo bent by a thin-plate spline so that its landmarks lie at `target`, and where it shows the person."""
    import cv2
    from scipy.interpolate import RBFInterpolator

    places = np.stack(np.meshgrid(np.arange(CLOSE) + 0.5, np.arange(CLOSE) + 0.5), -1).reshape(-1, 2)
    bend = RBFInterpolator(target, source, kernel="thin_plate_spline", smoothing=1.0)
    grid = (bend(places) - 0.5).reshape(CLOSE, CLOSE, 2).astype(np.float32)
    image = cv2.remap(photo, grid[..., 0], grid[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.remap(mask, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR) > 127
    return torch.from_numpy(image).float() / 255, inside


def _feathered(mask: Bool[np.ndarray, "s s"]) -> Float32[np.ndarray, "s s"]:
    """1 inside the outline of a mask, falling to 0 at its border."""
    import cv2

    outline = np.zeros(mask.shape, np.uint8)
    corners = np.argwhere(mask)[:, ::-1].astype(np.int32)
    if len(corners):  # brows and nostrils may have other labels: the outline has no holes
        cv2.fillConvexPoly(outline, cv2.convexHull(corners), 1)
    distance = cv2.distanceTransform(outline, cv2.DIST_L2, 5)
    faded: Float32[np.ndarray, "s s"] = np.clip(distance / (FEATHER * CLOSE), 0, 1).astype(np.float32)
    return faded


def _in_tone(
    image: Float[Tensor, "s s 3"], own: Float[Tensor, "s s 3"], where: Bool[Tensor, "s s"]
) -> Float[Tensor, "s s 3"]:
    """The image with the median colour of `own` in a region, so that face, ears and neck match."""
    if not where.any():
        raise AvatarError("The avatar shows no face from the front.")
    step = lab_of_rgb(own[where]).median(0).values - lab_of_rgb(image[where]).median(0).values
    return rgb_of_lab(lab_of_rgb(image.reshape(-1, 3)) + step).reshape(image.shape)
