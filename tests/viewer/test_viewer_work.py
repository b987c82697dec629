"""Longer work in the page: poses pulled and kept, layers, videos and files, each used as a person would."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from plyfile import PlyData
from pygltflib import GLTF2

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.body.skinning import joint_transforms
from avatar.geometry import project
from avatar.io.track_file import load_track
from avatar.io.videos import open_video
from avatar.viewer.gizmos import SIZE
from avatar.viewer.record import Finish, clip_frames
from avatar.viewer.server_images import client_camera
from avatar.viewer.state import View
from tests.exporters.player_files import header_of, page_avatar

from .webpage import Page, shirt

LEFT_WRIST, RIGHT_WRIST = SMPL_JOINTS.index("left_wrist"), SMPL_JOINTS.index("right_wrist")


@pytest.fixture(autouse=True)
def fresh(page: Page) -> Iterator[None]:
    page.viewer.store.set(clip="as filmed", frame=0.0, edited=None, playing=False, handles="off", message="")
    yield
    page.viewer.store.set(edited=None, handles="off", keyframes=())


def wrists(page: Page) -> torch.Tensor:
    """Where the left and the right wrist are, metres."""
    avatar = page.viewer.session.avatar
    joints = avatar.rest.joints[list(avatar.body.smpl_index)]
    Ts = joint_transforms(joints, SMPL_PARENTS, page.viewer.session.pose(page.viewer.store.state))
    return Ts[[LEFT_WRIST, RIGHT_WRIST], :3, 3].detach()


def pixel(page: Page, point: torch.Tensor) -> tuple[float, float]:
    """Where in the tab a point of the world is seen."""
    camera = next(iter(page.viewer.server.get_clients().values())).camera
    tab_camera = client_camera(camera, max(camera.image_width, camera.image_height))
    (at,), _ = project(tab_camera.K[0], tab_camera.T_camera_world[0], point[None])
    return float(at[0]), float(at[1])


def press(page: Page, name: str) -> None:
    page.tab.get_by_role("button", name=name, exact=True).first.click(force=True)


def test_a_hand_is_pulled_by_its_arrow_and_the_arm_follows(page: Page) -> None:
    page.open_tab("Pose")
    assert page.camera_rests()
    before = wrists(page)
    x, y = pixel(page, before[0] + torch.tensor([0.0, 0.75 * SIZE, 0.0]))
    around = (slice(round(y) - 5, round(y) + 6), slice(round(x) - 5, round(x) + 6))
    empty = page.screenshot()[around]
    page.choose("Handles", "Hands & feet")
    # The browser shows the arrows some frames after the command.
    assert page.until(lambda: bool(np.abs(page.screenshot()[around] - empty).max() > 0.2)), "no arrow appears"
    page.tab.mouse.move(x, y)
    page.tab.mouse.down()
    for step in range(1, 5):
        page.tab.mouse.move(x, y - 15 * step)
        page.tab.wait_for_timeout(60)
    page.tab.mouse.up()
    assert page.until(lambda: page.viewer.store.state.held is None and page.viewer.store.state.edited is not None)
    moved = wrists(page) - before
    assert moved[0, 1] > 0.1, "the hand did not follow"
    assert moved[1].norm() < 0.05, "the other hand did not hold on"


def test_one_pose_after_the_other_is_drawn(page: Page) -> None:
    page.open_tab("Pose")
    press(page, "T")
    assert page.until(lambda: page.viewer.store.state.edited is not None)
    level = page.until(lambda: bool(wrists(page)[:, 1].min() > 1.2))
    press(page, "A")
    assert level and page.until(lambda: bool(wrists(page)[:, 1].max() < 1.2))
    assert page.viewer.store.state.message == ""


def has_keyframes(page: Page, number: int) -> bool:
    return len(page.viewer.store.state.keyframes) == number


def test_keyframes_become_a_motion_of_the_run(page: Page) -> None:
    page.open_tab("Pose")
    for count, preset in enumerate(("T", "A", "First")):
        press(page, preset)
        press(page, "Add as keyframe")
        assert page.until(partial(has_keyframes, page, count + 1))
    press(page, "Save keyframed clip")
    folder = page.viewer.session.folder
    assert folder is not None
    assert page.until(lambda: any(name.startswith("keyframes-") for name in page.viewer.session.clips))
    (path,) = (folder / "motions").glob("keyframes-*.npz")
    assert len(load_track(path)) == 61
    page.choose("Motion", path.name)
    assert page.until(lambda: page.viewer.store.state.clip == path.name)


def test_an_unknown_word_gives_a_message_and_the_next_pose_clears_it(page: Page) -> None:
    page.open_tab("Pose")
    page.type_into("In words", "left arm purple")
    assert page.until(lambda: "purple" in page.viewer.store.state.message)
    assert page.viewer.store.state.edited is None
    page.type_into("In words", "left arm raised")
    assert page.until(lambda: page.viewer.store.state.edited is not None)
    assert page.viewer.store.state.message == "" and wrists(page)[0, 1] > 1.5


def test_the_ground_hides(page: Page) -> None:
    page.viewer.store.set(ground=True)
    assert page.until(lambda: lines_of_the_ground(page) > 50)
    page.viewer.store.set(ground=False)
    assert page.until(lambda: lines_of_the_ground(page) < 5)


def lines_of_the_ground(page: Page) -> int:
    """Grey pixels in the lowest part of the scene, aside of the person."""
    corner = page.screenshot()[-45:, :90]
    return int((corner.max(-1) < 0.9).sum())


def test_a_number_out_of_range_is_brought_back(page: Page) -> None:
    page.open_tab("Look")
    page.type_into("Detail", 7)
    page.type_into("Detail", 0.001)
    assert page.until(lambda: page.viewer.store.state.detail == 0.05)
    # The page shows the corrected value a little later; typing before that would be overwritten.
    assert page.until(lambda: float(page.number("Detail")) == 0.05)
    page.type_into("Detail", 1)
    assert page.until(lambda: page.viewer.store.state.detail == 1.0)


def test_images_from_the_server_are_coarse_while_moving_and_full_at_rest(page: Page) -> None:
    page.open_tab("Look")
    page.choose("Drawn as", "Images from the server")

    def full() -> list[bool]:
        return [sent.full for sent in page.viewer.server_images.sent.values()]

    assert page.until(lambda: full() == [True])
    assert page.until(lambda: shirt(page.screenshot()).sum() > 500)
    page.viewer.store.set(playing=True)
    assert page.until(lambda: full() == [False])
    page.viewer.store.set(playing=False)
    assert page.until(lambda: full() == [True])
    page.choose("Drawn as", "Splats in the browser")
    assert page.until(lambda: page.viewer.store.state.drawing == "splats" and full() == [])


def test_a_video_of_the_motion_downloads(page: Page, tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(page.download("Video of this motion").read_bytes())
    frames = [frame.astype(np.float32) / 255 for _, frame in open_video(video).frames()]
    assert len(frames) == 20 and frames[0].shape == (640, 480, 3)
    assert shirt(frames[0]).sum() > 500 and np.abs(frames[0] - frames[-1]).max(-1).mean() > 0.005


def test_a_video_along_a_camera_path_without_background(page: Page, tmp_path: Path) -> None:
    page.open_tab("Export")
    (client,) = page.viewer.server.get_clients().values()
    press(page, "Add this view")
    assert page.until(lambda: len(page.viewer.store.state.views) == 1)
    x, y, z = (float(value) for value in client.camera.position)
    page.viewer.store.set(
        views=(*page.viewer.store.state.views, View((z, y, -x), (0.0, 0.9, 0.0), 0.75)), step_seconds=0.3
    )
    page.tab.get_by_label("Transparent", exact=True).check(force=True)
    video = tmp_path / "path.webm"
    video.write_bytes(page.download("Video along the path").read_bytes())
    page.tab.get_by_label("Transparent", exact=True).uncheck(force=True)
    frames = [frame for _, frame in open_video(video).frames()]
    assert len(frames) == 9 and frames[0].shape[:2] == (640, 480)
    assert np.abs(frames[0].astype(float) - frames[-1]).mean() > 1, "the camera did not move"
    page.viewer.store.set(views=(), step_seconds=1.0)


def test_motion_blur_softens_what_moves_and_only_that(page: Page) -> None:
    session, state = page.viewer.session, page.viewer.store.state
    clip = session.clip("as filmed")
    sharp, soft = (
        next(clip_frames(session, state, clip, (240, 320), None, Finish((255, 255, 255), blur=blur))).astype(float)
        for blur in (False, True)
    )
    torso, hands = (slice(110, 150), slice(105, 135)), (slice(60, 200), slice(0, 95))
    assert np.abs(sharp - soft)[hands].max() > 15 > np.abs(sharp - soft)[torso].mean()
    clear = next(clip_frames(session, state, clip, (240, 320), None, Finish((0, 0, 0), transparent=True)))
    assert clear.shape == (320, 240, 4) and clear[0, 0, 3] == 0 and clear[160, 120, 3] > 200


def test_the_avatar_is_compared_with_the_video_over_the_scene(page: Page) -> None:
    page.open_tab("Compare")
    dialog = page.tab.get_by_role("dialog", name="Comparison")
    assert not dialog.is_visible()
    page.choose("Show", "Wipe")
    dialog.wait_for(timeout=40_000)
    assert page.until(lambda: "PSNR" in dialog.inner_text())
    source, avatar = dialog.get_by_alt_text("frame of the video"), dialog.get_by_alt_text("avatar", exact=True)
    dialog.get_by_label("Where the avatar begins").fill("30")
    assert avatar.evaluate("image => image.style.clipPath") == "inset(0px 0px 0px 30%)"
    page.choose("Show", "Overlay")
    assert page.until(lambda: avatar.evaluate("image => image.style.opacity") == "0.3")
    page.choose("Show", "Side by side")
    assert page.until(
        lambda: avatar.bounding_box()["x"] >= source.bounding_box()["x"] + source.bounding_box()["width"] - 1
    )
    page.choose("Show", "Difference")
    assert page.until(lambda: not source.is_visible() and "difference" in dialog.inner_text())
    page.tab.keyboard.press("Escape")
    assert page.until(lambda: page.viewer.store.state.compare == "off" and not dialog.is_visible())


@pytest.mark.usefixtures("coarse_meshes")
def test_splats_mesh_and_page_download(page: Page) -> None:
    splats = PlyData.read(page.download("Splats of this pose (.ply)").open("rb"))
    assert splats["vertex"].count == len(page.viewer.session.avatar)
    mesh = GLTF2.load_binary(page.download("Mesh with this motion (.glb)"))
    assert len(mesh.skins[0].joints) == 55 and len(mesh.animations) == 1
    one_file = page.download("Page that opens anywhere (.html)")
    assert one_file.read_text().startswith("<!doctype html>")
    assert "as filmed" in [clip["name"] for clip in header_of(page_avatar(one_file))["clips"]]
