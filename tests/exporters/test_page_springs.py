"""A skirt on the page swings as in our videos: one simulation in two languages, at any frame rate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from avatar.exporters.html import PageOptions, write_page
from avatar.exporters.player_file import player_file
from avatar.geometry import rotation_from_quat, rotation_from_rotvec
from avatar.model.avatar import Avatar
from avatar.model.joint_transforms import joint_transforms_and_quats
from avatar.model.spring_motion import with_swing
from avatar.model.spring_rings import spring_bones
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.types import BodyPose, BodyTrack
from tests.browser import needs_browser
from tests.exporters.pages import HEIGHT, WIDTH, camera_option, canvas_image, open_page, psnr
from tests.model.skirts import person_in, skirt

pytestmark = pytest.mark.timeout(120)
FPS = 30


@pytest.fixture(scope="module")
def dressed() -> Avatar:
    """A person in a striped skirt, with its spring bones on."""
    avatar, labels = person_in(skirt())
    stripes = 0.5 + 0.4 * (avatar.rest_means() * torch.tensor([40.0, 60.0, 40.0])).sin()
    avatar.gaussians.raw_colors.data = torch.logit(stripes)
    return avatar.with_springs(spring_bones(avatar, lambda: labels))


@pytest.fixture(scope="module")
def dance() -> BodyTrack:
    """Turns and strides."""
    frames = 45
    time = torch.arange(frames) / FPS
    rotvecs = torch.zeros(frames, 24, 3)
    rotvecs[:, 0, 1] = 3.0 * (2.5 * time).sin()
    rotvecs[:, 1, 0], rotvecs[:, 2, 0] = -0.5 * (7 * time).sin(), 0.5 * (7 * time).sin()
    roots = torch.tensor([0.0, 0.95, 0.0]) + time[:, None] * torch.tensor([0.0, 0.0, 0.6])
    poses = BodyPose(roots, rotation_from_rotvec(rotvecs))
    return BodyTrack("open", torch.zeros(10), poses, time, torch.ones(frames, 24), torch.arange(frames))


@pytest.fixture(scope="module")
def page(dressed: Avatar, dance: BodyTrack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("springs") / "me.html"
    write_page(dressed, {"dance": dance}, path, PageOptions("me"))
    return path


def node_places(avatar: Avatar, track: BodyTrack) -> np.ndarray:
    """World places of the nodes in the frames, as our poses move them."""
    assert avatar.rig.springs is not None and avatar.springs is not None
    places = []
    for frame in range(len(track)):
        pose = avatar.body.complete(track.poses[frame])
        assert pose.swing is not None
        joints = joint_transforms_and_quats(avatar.rig.joints, avatar.rig.parents, pose)
        rows = avatar.rig.springs.with_nodes(joints, pose.swing)[len(joints) :, :12].unflatten(1, (3, 4))
        places.append((rows[:, :, :3] @ avatar.springs.places[:, :, None]).squeeze(-1) + rows[:, :, 3])
    return torch.stack(places).numpy()


# The rows of the nodes at the frames, when it plays at a rate of the display and from the start.
PLAYED = """([fps, count]) => {
  const { model } = player, [clip] = model.clips, buffers = model.buffers(), rows = [];
  for (let frame = 0; frame < count; frame++) {
    const seconds = frame / fps;
    model.pose(model.poseAt(clip, seconds), buffers, {clip, seconds});
    const first = model.skeleton.size, last = first + buffers.springs.places.length;
    rows.push(Array.from(buffers.jointData.subarray(16 * first, 16 * last)));
  }
  return rows;
}"""


def played(tab: Page, avatar: Avatar, fps: float, count: int) -> np.ndarray:
    """World places of the nodes that the page moves."""
    assert avatar.springs is not None
    rows = np.array(tab.evaluate(PLAYED, [fps, count])).reshape(count, -1, 16)[:, :, :12].reshape(count, -1, 3, 4)
    moved = np.einsum("fnab,nb->fna", rows[..., :3], avatar.springs.places.numpy())
    places: np.ndarray = moved + rows[..., 3]
    return places


@needs_browser
def test_the_page_swings_the_skirt_as_our_simulation_does(
    dressed: Avatar, dance: BodyTrack, page: Path, tab: Page
) -> None:  # fmt: skip
    open_page(tab, page, "?t=0")
    # The file holds half the digits of the rotations.
    quats = torch.tensor(tab.evaluate("Array.from(player.model.clips[0].quats)")).view(len(dance), -1, 4)
    rounded = rotation_from_quat(quats / quats.norm(dim=-1, keepdim=True))
    ours = with_swing(replace(dance, poses=replace(dance.poses, rotations=rounded)), dressed)
    plain = torch.eye(3).expand(len(dance), len(dressed.springs or ()), 3, 3)
    swinging = node_places(dressed, ours)
    theirs = played(tab, dressed, FPS, len(dance))
    assert np.abs(swinging - theirs).max() < 2e-4
    still = node_places(dressed, replace(ours, poses=replace(ours.poses, swing=plain)))
    assert np.abs(swinging - still).max() > 0.05


@needs_browser
def test_the_rate_of_the_display_does_not_matter(dressed: Avatar, dance: BodyTrack, page: Path, tab: Page) -> None:
    """But for the way from pose to pose: an arc in more poses, and chords in fewer."""
    open_page(tab, page, "?t=0")
    usual = played(tab, dressed, FPS, len(dance))
    for fps, each in ((60, 2), (150, 5)):
        assert np.abs(played(tab, dressed, fps, each * (len(dance) - 1) + 1)[::each] - usual).max() < 6e-3, fps


@needs_browser
def test_the_page_shows_the_skirt_that_our_renderer_shows(
    dressed: Avatar, dance: BodyTrack, page: Path, tab: Page
) -> None:  # fmt: skip
    frame = 24  # within the second that is played before a moment that somebody goes to
    swinging = with_swing(dance, dressed).poses[frame]
    with torch.no_grad():
        body = dressed.pose(swinging)
        camera = front(body.means.amin(0), body.means.amax(0), 1, WIDTH, HEIGHT, azimuth=30.0)
        ours, still = (
            render(dressed.pose(pose), camera, "reference").on_white()[0].numpy()
            for pose in (swinging, dance.poses[frame])
        )
    open_page(tab, page, f"?clip=dance&frame={frame}&camera={camera_option(camera)}&ui=0&shadow=0&bg=ffffff")
    shown = canvas_image(tab)
    assert psnr(ours, shown) > 32
    assert psnr(still, shown) < psnr(ours, shown) - 6


@needs_browser
def test_springs_cost_little_script(page: Path, tab: Page) -> None:
    open_page(tab, page, "?t=0")
    milliseconds = tab.evaluate(
        """() => {
          const { model } = player, [clip] = model.clips, buffers = model.buffers();
          let least = Infinity;
          for (let round = 0; round < 8; round++) {
            const began = performance.now();
            for (let i = 0; i < 60; i++) model.pose(model.poseAt(clip, i / 60), buffers, {clip, seconds: i / 60});
            least = Math.min(least, (performance.now() - began) / 60);
          }
          return least;
        }"""
    )
    assert milliseconds < 4.0


def test_only_files_with_springs_say_so(
    dressed: Avatar, person: Avatar, dance: BodyTrack, moves: dict[str, BodyTrack]
) -> None:
    """Players of earlier versions refuse what they would draw wrongly, and read everything else."""
    assert player_file(dressed, {"dance": dance}).content[:8] == b"AVATAR3\n"
    assert player_file(person, moves).content[:8] == b"AVATAR1\n"
