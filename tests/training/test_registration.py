"""Registration brings poses and surface to where the images show them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.body import load_body
from avatar.body.hand_angles import angle_ranges, finger_rotations
from avatar.body.skinning import skin, skinning_transforms
from avatar.geometry import project, rotation_from_rotvec
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.training.pose_refinement import PoseRefinement
from avatar.training.registration import Correction, RegistrationLinearization, register, registration_problem
from avatar.training.surface_field import SurfaceField, farthest_points
from avatar.training.surface_flow import measured_displacement, outline_displacement
from avatar.training.views import TrainingView
from avatar.types import BodyPose, BodyTrack, Gaussians, RenderOutput
from tests.training.people import turning

FRAMES, WIDTH, HEIGHT = 8, 200, 320
JOINTS = 24


def draw(gaussians: Gaussians, view: TrainingView) -> RenderOutput:
    return render(gaussians, view.camera, "cpu")


@dataclass(frozen=True)
class Scene:
    """A speckled person who turns once, as the images show them and as a wrong track has them."""

    avatar: Avatar
    views: list[TrainingView]
    truth: BodyPose
    wrong: BodyTrack

    def view(self, frame: int) -> TrainingView:
        return self.views[frame]

    def poses(self) -> PoseRefinement:
        return PoseRefinement(self.wrong, torch.ones(FRAMES, dtype=torch.bool))

    def error(self, poses: PoseRefinement) -> float:
        """Mean distance between where Gaussians appear and where they should, pixels."""
        distances = []
        for frame, view in enumerate(self.views):
            K, T = view.camera.K[0], view.camera.T_camera_world[0]
            own, true = (project(K, T, self.avatar.pose(p).means)[0] for p in (poses.pose(frame), self.truth[frame]))
            distances.append((own - true).norm(dim=-1).mean())
        return torch.stack(distances).mean().item()


@pytest.fixture(scope="module")
def scene() -> Scene:
    body = load_body("open")
    rng = torch.Generator().manual_seed(5)
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    avatar = Avatar(body, betas, sample_on_surface(frames, torch.ones(len(frames.area)), 12000, rng), deform=False)
    with torch.no_grad():
        avatar.gaussians.raw_colors.copy_(1.5 * torch.randn(len(avatar), 1, generator=rng).expand(-1, 3))
        truth = turning(FRAMES)
        means = avatar.pose(truth[0]).means
        cameras = front(means.amin(0) - 0.05, means.amax(0) + 0.05, FRAMES, WIDTH, HEIGHT)
        views = []
        for frame in range(FRAMES):
            out = render(avatar.pose(truth[frame]), cameras[frame], "cpu")
            straight = out.rgb[0] / out.alpha[0, ..., None].clamp_min(1e-3)
            views.append(TrainingView(straight.clamp(0, 1), out.alpha[0], cameras[frame], frame, frame, 1.0))
    noise = torch.zeros(FRAMES, JOINTS, 3)
    noise[:, [1, 2, 3, 4, 5, 16, 17, 18, 19]] = 0.05 * torch.randn(1, 9, 3, generator=rng)
    moved = truth.root_position + torch.tensor([0.012, -0.008, 0.0])
    wrong = BodyTrack(
        body="open",
        betas=betas,
        poses=BodyPose(moved, truth.rotations @ rotation_from_rotvec(noise)),
        times=torch.arange(FRAMES) / 10.0,
        confidence=torch.ones(FRAMES, JOINTS),
        instant=torch.arange(FRAMES),
        cameras=cameras,
    )
    return Scene(avatar, views, truth, wrong)


def test_wrong_poses_are_registered_to_the_images(scene: Scene) -> None:
    poses = scene.poses()
    before = scene.error(poses)
    offsets = scene.avatar.gaussians.offset.detach().clone()
    for seed in range(3):
        register(scene.avatar, poses, range(FRAMES), scene.view, draw, seed)
    moved = scene.avatar.gaussians.offset.detach() - offsets
    scene.avatar.gaussians.offset.data.copy_(offsets)
    assert before > 2  # pixels
    assert scene.error(poses) < before / 4
    # The surface was right, and only a few millimetres may be mistaken for a part of the wrong poses.
    assert moved.norm(dim=-1).mean() < 0.003


def test_a_surface_too_far_inside_is_pushed_out(scene: Scene) -> None:
    poses = PoseRefinement(replace(scene.wrong, poses=scene.truth), torch.ones(FRAMES, dtype=torch.bool))
    offset = scene.avatar.gaussians.offset
    before = offset.detach().clone()
    offset.data[:, 2] -= 0.01
    for seed in range(3):
        register(scene.avatar, poses, range(FRAMES), scene.view, draw, seed)
    remaining = (offset.detach() - before)[:, 2]
    offset.data.copy_(before)
    assert remaining.median().abs() < 0.005


def test_derivatives_agree_with_differences(scene: Scene) -> None:
    problem, start = registration_problem(scene.avatar, scene.poses(), range(FRAMES), scene.view, draw, 0)
    frame, points = 3, problem.matches[3].points[:20]

    def pixels(state: Correction) -> Float[Tensor, "m 2"]:
        return RegistrationLinearization(problem, state)._projected(frame, points, False)[0]

    _, by_pose, by_height = RegistrationLinearization(problem, start)._projected(frame, points, True)
    step = 1e-5
    for column in (0, 2, 4, 3 + 3 * 16, 5 + 3 * 4):
        local = torch.zeros(len(start.poses), start.poses.frame_size, dtype=torch.float64)
        local[frame, column] = step
        none = torch.zeros(start.poses.shared_size, dtype=torch.float64)
        moved = replace(start, poses=start.poses.moved(local, none))
        torch.testing.assert_close((pixels(moved) - pixels(start)) / step, by_pose[..., column], atol=2e-2, rtol=1e-3)
    column = int(by_height.abs().sum((0, 1)).argmax())
    heights = start.heights.clone()
    heights[column] += step
    raised = replace(start, heights=heights)
    torch.testing.assert_close((pixels(raised) - pixels(start)) / step, by_height[..., column], atol=2e-2, rtol=1e-3)


def test_the_body_carries_posed_fingers_to_where_they_are(scene: Scene) -> None:
    """What is registered stands at rest where the wrists take it to the posed fingertips."""
    angles = angle_ranges()[2].expand(2, 5, 4) * torch.linspace(0, 0.8, FRAMES)[:, None, None, None]
    fingers = replace(scene.wrong, poses=replace(scene.wrong.poses, fingers=finger_rotations(angles)))
    poses = PoseRefinement(fingers, torch.ones(FRAMES, dtype=torch.bool))
    problem, start = registration_problem(scene.avatar, poses, range(FRAMES), scene.view, draw, 0)
    Ts = skinning_transforms(scene.avatar.rest.joints, scene.avatar.body.parents, fingers.poses).double()
    chosen = problem.sampled
    for row in (0, FRAMES - 1):
        carried = skin(problem.rest[row], problem.weights, Ts[row])
        posed = scene.avatar.pose(fingers.poses[row]).means[chosen].detach().double()
        torch.testing.assert_close(carried, posed, atol=1e-4, rtol=0)
    hands = [scene.avatar.body.joint_names.index(f"{side}_hand") for side in ("left", "right")]
    assert problem.weights[:, hands].abs().max() == 0 and len(start.poses) == FRAMES
    register(scene.avatar, poses, range(FRAMES), scene.view, draw, 0)
    assert poses.refined().poses.fingers is not None


def disc(x: float, radius: float) -> Float[np.ndarray, "h w"]:
    """Coverage of a disc, one pixel soft."""
    rows, columns = np.mgrid[:480, :480] + 0.5
    coverage: Float[np.ndarray, "h w"] = np.clip(radius - np.hypot(columns - x, rows - 240) + 0.5, 0, 1)
    return coverage.astype(np.float32)


@pytest.mark.parametrize("shift", [-2.0, 0.0, 1.3])
def test_the_outline_tells_by_how_much_it_moved(shift: float) -> None:
    right = np.array([[359.5, 240.0], [359.5, 242.0]])
    outward, normals = outline_displacement(disc(240, 120), disc(240 + shift, 120), right)
    assert outward == pytest.approx(shift, abs=0.15)
    assert normals[:, 0] == pytest.approx(1, abs=0.01)
    far, _ = outline_displacement(disc(240, 120), disc(240 + shift, 120), np.array([[240.0, 240.0]]))
    assert np.isnan(far).all()


def shifted_texture(shift: float) -> UInt8[np.ndarray, "h w"]:
    import cv2

    rng = np.random.default_rng(0)
    texture = cv2.GaussianBlur(rng.uniform(0, 255, (120, 120)).astype(np.float32), (0, 0), 1.5) * 3 - 255
    matrix = np.array([[1, 0, shift], [0, 1, 0]], np.float32)
    moved = cv2.warpAffine(texture, matrix, (120, 120), borderMode=cv2.BORDER_REFLECT)
    grey: UInt8[np.ndarray, "h w"] = np.clip(moved, 0, 255).astype(np.uint8)
    return grey


def test_the_flow_finds_a_shift_on_texture_alone() -> None:
    still, moved = shifted_texture(0), shifted_texture(1.6)
    pixels = np.random.default_rng(1).uniform(30, 90, (50, 2))
    flow, axes, reliable = measured_displacement(still, moved, pixels)
    assert reliable.mean() > 0.8
    assert np.median(flow[reliable], axis=0) == pytest.approx([1.6, 0], abs=0.2)
    assert np.abs(np.linalg.det(axes)).mean() > 0.5  # reliable in both directions
    _, _, plain = measured_displacement(np.full_like(still, 90), np.full_like(still, 90), pixels)
    assert not plain.any()


def test_along_a_stripe_the_flow_counts_little() -> None:
    rows = np.mgrid[:120, :120][0]
    stripes = (127 + 100 * np.sin(rows / 4)).astype(np.uint8)
    pixels = np.random.default_rng(1).uniform(30, 90, (50, 2))
    _, axes, _ = measured_displacement(stripes, stripes, pixels)
    along, across = (np.linalg.norm(axes @ direction, axis=1) for direction in ([1.0, 0.0], [0.0, 1.0]))
    assert across.min() > 0.8 and along.max() < 0.1


def test_equal_heights_move_the_whole_surface_equally(scene: Scene) -> None:
    field = SurfaceField.of(scene.avatar.rest_means(), scene.avatar.surface.normals)
    heights = torch.full((field.controls,), 0.004, dtype=torch.float64)
    torch.testing.assert_close(field.displacement(heights), heights.new_full((len(scene.avatar),), 0.004))
    torch.testing.assert_close(field.dense() @ heights, field.displacement(heights))
    # A constant is as smooth as can be: only its size costs.
    residual, slope = field.prior(heights)
    assert residual[: field.controls].abs().max() < 1e-9
    torch.testing.assert_close(slope @ heights, residual)


def test_farthest_points_cover_a_line() -> None:
    line = np.stack([np.linspace(0, 1, 101), np.zeros(101), np.zeros(101)], 1)
    assert sorted(line[farthest_points(line, 5), 0]) == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.02)
