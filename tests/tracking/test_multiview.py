"""The body and the cameras of several views are found together, from whatever was said of the cameras."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from avatar.body.model import Body
from avatar.body.skinning import joint_transforms
from avatar.geometry import geodesic_angle, project, rotation_from_rotvec, transform
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.tracking.kinematics import State, move_points, pose_chain
from avatar.tracking.landmarks import landmark_points
from avatar.tracking.multiview import LEAST_IOU, fit_views, overlap
from avatar.tracking.silhouette import filled_mesh
from avatar.types import BodyPose, BodyTrack, Cameras, Detection, Observations, PosedImage

WIDTH, HEIGHT, FOCAL = 270, 360, 330.0
CENTRE = torch.tensor([0.0, 0.9, 0.0])


def a_pose(body: Body, arms: float) -> BodyPose:
    """Standing with lowered arms, the left one so far to the front, radians."""
    turns = torch.zeros(24, 3)
    turns[16] = torch.tensor([0.0, -arms, -0.9])
    turns[17] = torch.tensor([0.0, 0.0, 0.9])
    low = float(body.template[:, 1].min())
    pelvis = body.rest(torch.zeros(body.shape_dirs.shape[-1])).joints[0]
    return BodyPose(pelvis - torch.tensor([0.0, low, 0.0]), rotation_from_rotvec(turns))


def camera(azimuth: float, elevation: float) -> Cameras:
    turn, tilt = math.radians(azimuth), math.radians(elevation)
    away = torch.tensor([math.sin(turn) * math.cos(tilt), math.sin(tilt), math.cos(turn) * math.cos(tilt)])
    K = intrinsics(WIDTH, HEIGHT, 2 * math.degrees(math.atan(HEIGHT / 2 / FOCAL)))
    return Cameras(K[None], look_at(CENTRE + 2.6 * away, CENTRE)[None], WIDTH, HEIGHT)


def image(body: Body, pose: BodyPose, cam: Cameras, number: int) -> PosedImage:
    """The silhouette; the image itself only says which one it is."""
    vertices = body.vertices(body.rest(torch.zeros(body.shape_dirs.shape[-1])), body.complete(pose))
    pixels, _depth = project(cam.K[0], cam.T_camera_world[0], vertices)
    mask = filled_mesh(pixels.numpy(), body.faces.numpy().astype(np.int32), (WIDTH, HEIGHT))
    return PosedImage(np.full((HEIGHT, WIDTH, 3), number, np.uint8), mask, cam, name=str(number))


def landmarks(body: Body, pose: BodyPose, cam: Cameras) -> tuple[np.ndarray, np.ndarray]:
    """Where a perfect detector would see the landmarks, with confidence, and in metres along the camera's axes."""
    points, _spread = landmark_points(body, "blazepose33")
    full = body.complete(pose)
    state = State(
        full.root_position[None].double(), full.rotations[None].double(),
        torch.zeros(body.shape_dirs.shape[-1], dtype=torch.float64), torch.zeros_like(points.rest),
        torch.zeros(4, dtype=torch.float64),
    )  # fmt: skip
    x = move_points(pose_chain(body, state), state, points).x[0].float()
    pixels, _depth = project(cam.K[0], cam.T_camera_world[0], x)
    mine = transform(cam.T_camera_world[0], x)
    sure = torch.cat([pixels, torch.full((len(x), 1), 0.9)], -1)
    return sure.numpy(), (mine - mine[[23, 24]].mean(0)).numpy()


@dataclass
class Knows:
    """A detector that knows what each image shows, or nothing."""

    marks: dict[int, tuple[np.ndarray, np.ndarray]]
    layout: str = "blazepose33"

    def detect(self, image: np.ndarray) -> list[Detection]:
        estimate = self.marks.get(int(np.median(image[HEIGHT // 2 - 5 : HEIGHT // 2 + 5])))
        return [] if estimate is None else [Detection(*estimate, np.zeros((HEIGHT, WIDTH), np.uint8))]


@pytest.fixture(scope="module")
def scene(
    body: Body,
) -> tuple[
    BodyPose,
    list[Cameras],
    PosedImage,
    list[PosedImage],
    Observations,
    BodyTrack,
    dict[int, tuple[np.ndarray, np.ndarray]],
]:
    """The true cameras, the views with cameras that are said wrongly, the photo, and a body wrong in depth."""
    truth, guessed = a_pose(body, 0.5), a_pose(body, 0.0)
    posed_photo = image(body, truth, camera(0, 5), 1)
    rng = np.random.default_rng(3)
    true = [camera(azimuth, 5) for azimuth in (80, 170, 260)]
    rough_cameras = [camera(azimuth + rng.normal(0, 5), 5 + rng.normal(0, 5)) for azimuth in (80, 170, 260)]
    views = [
        replace(image(body, truth, c, 10 * (i + 1)), camera=s)
        for i, (c, s) in enumerate(zip(true, rough_cameras, strict=True))
    ]
    marks = {10 * (i + 1): landmarks(body, truth, c) for i, c in enumerate(true)}
    pixels, metres = landmarks(body, truth, posed_photo.camera)
    photo = Observations(
        images=[posed_photo.image], masks=[posed_photo.mask], keypoints=torch.from_numpy(pixels)[None],
        keypoints_3d=torch.from_numpy(metres)[None], layout="blazepose33", instant=torch.zeros(1, dtype=torch.int64),
        times=torch.zeros(1), width=WIDTH, height=HEIGHT,
    )  # fmt: skip
    estimate = BodyTrack(
        body="open", betas=torch.zeros(body.shape_dirs.shape[-1]),
        poses=BodyPose(guessed.root_position[None], guessed.rotations[None]), times=torch.zeros(1),
        confidence=torch.ones(1, 24), instant=torch.zeros(1, dtype=torch.int64), cameras=posed_photo.camera,
    )  # fmt: skip
    return truth, true, posed_photo, views, photo, estimate, marks


def joints(body: Body, pose: BodyPose, betas: torch.Tensor) -> torch.Tensor:
    return joint_transforms(body.rest(betas).joints, body.parents, body.complete(pose))[:, :3, 3]


def errors(body: Body, track: BodyTrack, truth: BodyPose) -> torch.Tensor:
    """Metres that each joint is away from the truth."""
    true = joints(body, truth, torch.zeros_like(track.betas))
    lengths: torch.Tensor = (joints(body, track.poses[0], track.betas) - true).norm(dim=-1)
    return lengths


def degrees_off(views: Sequence[PosedImage], true: Sequence[Cameras]) -> list[float]:
    pairs = zip(views, true, strict=True)
    return [
        math.degrees(float(geodesic_angle(v.camera.T_camera_world[0, :3, :3], t.T_camera_world[0, :3, :3])))
        for v, t in pairs
    ]


def test_cameras_and_depth_of_limbs_are_found(
    body: Body,
    scene: tuple[
        BodyPose,
        list[Cameras],
        PosedImage,
        list[PosedImage],
        Observations,
        BodyTrack,
        dict[int, tuple[np.ndarray, np.ndarray]],
    ],
) -> None:
    truth, true, posed_photo, views, photo, estimate, marks = scene
    fitted, placed = fit_views(photo, posed_photo, views, estimate, body, Knows(marks))
    assert max(degrees_off(views, true)) > 10 and max(degrees_off(placed, true)) < 2
    wrist = body.joint_names.index("left_wrist")
    before, after = (errors(body, track, truth)[wrist] for track in (estimate, fitted))
    assert before > 0.15 and after < 0.04


def test_a_fit_that_the_images_contradict_is_rejected(
    body: Body,
    scene: tuple[
        BodyPose,
        list[Cameras],
        PosedImage,
        list[PosedImage],
        Observations,
        BodyTrack,
        dict[int, tuple[np.ndarray, np.ndarray]],
    ],
) -> None:
    """Outlines alone, of a body in another pose, may mislead; then everything stays as it was said."""
    _truth, _true, posed_photo, views, photo, estimate, _marks = scene
    fitted, placed = fit_views(photo, posed_photo, views, estimate, body, Knows({}))
    vertices = body.vertices(body.rest(fitted.betas), body.complete(fitted.poses[0]))
    unchanged = fitted is estimate and all(a is b for a, b in zip(placed, views, strict=True))
    assert unchanged or min(overlap(vertices, body, view) for view in placed) > LEAST_IOU


def test_a_view_of_something_else_is_left_where_it_was(
    body: Body,
    scene: tuple[
        BodyPose,
        list[Cameras],
        PosedImage,
        list[PosedImage],
        Observations,
        BodyTrack,
        dict[int, tuple[np.ndarray, np.ndarray]],
    ],
) -> None:
    truth, true, posed_photo, views, photo, estimate, marks = scene
    block = np.zeros((HEIGHT, WIDTH), np.uint8)
    block[:60, :] = 255
    stranger = PosedImage(np.full((HEIGHT, WIDTH, 3), 99, np.uint8), block, camera(30, 0), name="a roof")
    fitted, placed = fit_views(photo, posed_photo, [stranger, *views], estimate, body, Knows(marks))
    assert torch.equal(placed[0].camera.T_camera_world, stranger.camera.T_camera_world)
    assert max(degrees_off(placed[1:], true)) < 2
    assert errors(body, fitted, truth).max() < 0.05
