"""People and a scene in one world: the same splats as each alone, and cameras that see everybody."""

from dataclasses import replace

import pytest
import torch

from avatar.body import load_body
from avatar.geometry import project, rigid, rotation_from_rotvec
from avatar.model.avatar import Avatar
from avatar.model.gaussians import sample_on_surface, triangle_frames
from avatar.model.world import World
from avatar.motion.retarget import Retargeting, retarget
from avatar.pipeline.animation import VideoOptions, cameras_of, frames_of
from avatar.pipeline.motions import find_motion
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.types import BodyTrack, Cameras, Gaussians


@pytest.fixture(scope="module")
def person() -> Avatar:
    body = load_body("open")
    betas = torch.zeros(body.shape_dirs.shape[-1])
    frames = triangle_frames(body.rest(betas).vertices, body.faces)
    density = torch.ones(len(frames.area))
    return Avatar(body, betas, sample_on_surface(frames, density, 400, torch.Generator().manual_seed(0)), deform=False)


def beside(track: BodyTrack, x: float) -> BodyTrack:
    poses = track.poses
    return replace(track, poses=replace(poses, root_position=poses.root_position + torch.tensor([x, 0.0, 0.0])))


def wall(z: float) -> Gaussians:
    x, y = torch.meshgrid(torch.linspace(-2, 2, 30), torch.linspace(0, 2, 15), indexing="xy")
    means = torch.stack([x.flatten(), y.flatten(), torch.full_like(x.flatten(), z)], -1)
    count = len(means)
    quats = torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1)
    scales = torch.tensor([[0.1, 0.1, 0.01]]).repeat(count, 1)
    return Gaussians(means, quats, scales, torch.full((count,), 0.95), torch.tensor([[0.9, 0.1, 0.1]]).repeat(count, 1))


def test_a_world_shows_each_person_and_the_scene(person: Avatar) -> None:
    walk = retarget(find_motion("walk"), person.rest, Retargeting(fps=5.0))
    poses = [walk.poses[0], beside(walk, 1.0).poses[1]]
    with torch.no_grad():
        together = World((person, person), wall(-1.0)).posed(poses, lit=False)
        alone = [person.pose(pose, lit=False) for pose in poses]
    assert len(together) == 2 * len(person) + 450
    torch.testing.assert_close(together.means[: len(person)], alone[0].means)
    torch.testing.assert_close(together.means[len(person) : -450], alone[1].means)


def test_a_scene_lies_behind_the_person_and_is_cut_open_before_them(person: Avatar) -> None:
    track = retarget(find_motion("a-pose"), person.rest, Retargeting(fps=2.0))
    options = VideoOptions("front", 60, 80, "#0000ff")
    bare, behind, before = (
        next(frames_of(World((person,), scene), [track], options, "reference"))
        for scene in (None, wall(-1.0), wall(1.0))
    )
    assert bare[40, 2].tolist() == [0, 0, 255]
    assert behind[40, 2, 0] > 180 and behind[40, 2, 2] < 80  # red instead of blue
    middle = slice(25, 35), slice(27, 33)
    assert abs(int(behind[middle].mean()) - int(bare[middle].mean())) < 25
    assert abs(int(before[middle].mean()) - int(bare[middle].mean())) < 25
    # A camera between the person and the wall sees all of the wall.
    world, pose = World((person,), wall(1.0)), track.poses[0]
    assert len(world.posed([pose], seen_from=looking_from(3.0))) < len(world.posed([pose]))
    room = World((person,), Gaussians.cat([wall(-2.0), wall(2.0)]))
    assert len(room.posed([pose], seen_from=looking_from(1.5))) == len(room.posed([pose]))


def looking_from(z: float) -> Cameras:
    T = torch.tensor([[1.0, 0, 0, 0], [0, -1, 0, 1.0], [0, 0, -1, z], [0, 0, 0, 1]])
    return Cameras(torch.tensor([[[60.0, 0, 30], [0, 60, 40], [0, 0, 1]]]), T[None], 60, 80)


def test_cameras_see_everybody_and_who_stops_first_stands_still(person: Avatar) -> None:
    long = beside(retarget(find_motion("walk"), person.rest, Retargeting(fps=5.0, loop=2)), -0.8)
    short = beside(retarget(find_motion("walk"), person.rest, Retargeting(fps=5.0)), 0.8)
    cameras = cameras_of(VideoOptions("follow", 160, 120), World((person, person)), [long, short])
    assert len(cameras) == len(long) > len(short)
    for frame in range(len(cameras)):
        for track in (long, short):
            means = person.pose(track.poses[min(frame, len(track) - 1)]).means
            pixels, depth = project(cameras.K[frame], cameras.T_camera_world[frame], means)
            assert bool((depth > 0.1).all() & (pixels > 0).all() & (pixels < torch.tensor([160, 120])).all())


def test_moved_gaussians_look_as_from_a_camera_moved_the_other_way() -> None:
    generator = torch.Generator().manual_seed(1)
    quats = torch.nn.functional.normalize(torch.randn(20, 4, generator=generator), dim=-1)
    scales = 0.05 + 0.1 * torch.rand(20, 3, generator=generator)
    splats = Gaussians(
        torch.randn(20, 3, generator=generator) * 0.4, quats, scales, torch.full((20,), 0.8),
        torch.rand(20, 3, generator=generator),
    )  # fmt: skip
    T = rigid(rotation_from_rotvec(torch.tensor([0.3, -0.5, 0.2])), torch.tensor([0.1, 0.2, -0.1]))
    camera = front(torch.full((3,), -1.0), torch.full((3,), 1.0), 1, 48, 48)
    carried = replace(camera, T_camera_world=camera.T_camera_world @ T)
    torch.testing.assert_close(
        render(splats.moved(T), camera, "reference").rgb, render(splats, carried, "reference").rgb, atol=2e-5, rtol=0
    )
