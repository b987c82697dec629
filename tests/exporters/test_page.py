"""The HTML page in a real browser, opened from a file with the network off."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page

from avatar.body.hand_angles import relaxed_fingers
from avatar.exporters.html import PageOptions, write_page
from avatar.geometry import quat_from_rotation
from avatar.model.avatar import Avatar
from avatar.model.environment import ChosenLight, builtin_lights, from_window
from avatar.motion import load_motion
from avatar.motion.formats.bvh import write_bvh
from avatar.motion.formats.player_json import write_player_motion
from avatar.motion.text.pose_file import pose_from_words
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.types import BodyTrack
from tests.browser import needs_browser
from tests.exporters.pages import HEIGHT, WIDTH, camera_option, canvas_image, drop, open_page, psnr, until

LIGHTS = {"filmed": None, "0": builtin_lights()["even"], "window": from_window()}

pytestmark = [needs_browser, pytest.mark.timeout(120)]


@pytest.mark.parametrize(
    ("clip", "frame", "azimuth", "light"),
    [("wave", 5, 30.0, "filmed"), ("turn", 15, -100.0, "0"), ("wave", 8, 10.0, "window")],
)
def test_page_shows_what_our_renderer_shows(
    person: Avatar,
    moves: dict[str, BodyTrack],
    page_file: Path,
    tab: Page,
    clip: str,
    frame: int,
    azimuth: float,
    light: str,
) -> None:
    with torch.no_grad():
        gaussians = person.relight(LIGHTS[light]).pose(moves[clip].poses[frame])
        person.relight(None)
        camera = front(gaussians.means.amin(0), gaussians.means.amax(0), 1, WIDTH, HEIGHT, azimuth=azimuth)
        ours = render(gaussians, camera, "reference").on_white()[0].numpy()
    look = f"?clip={clip}&frame={frame}&light={light}&camera={camera_option(camera)}&ui=0&shadow=0&bg=ffffff"
    open_page(tab, page_file, look)
    theirs = canvas_image(tab)
    person_pixels = (ours < 0.99).any(-1)
    assert person_pixels.mean() > 0.05
    assert psnr(ours, theirs) > 40
    assert psnr(ours[person_pixels], theirs[person_pixels]) > 35
    # The measure itself must distinguish two images.
    assert psnr(ours[:, ::-1], theirs) < 25


def test_a_page_starts_in_its_light_and_offers_the_others(
    person: Avatar, moves: dict[str, BodyTrack], tab: Page, tmp_path: Path
) -> None:
    lamp = ChosenLight("lamp", from_window(120.0, 1.0))
    path = tmp_path / "lamp.html"
    write_page(person, {"wave": moves["wave"]}, path, PageOptions("lamp", light=lamp))
    with torch.no_grad():
        gaussians = person.relight(lamp.coefficients).pose(moves["wave"].poses[3])
        person.relight(None)
    camera = front(gaussians.means.amin(0), gaussians.means.amax(0), 1, WIDTH, HEIGHT)
    ours = render(gaussians, camera, "reference").on_white()[0].detach().numpy()
    open_page(tab, path, f"?frame=3&camera={camera_option(camera)}&ui=0&shadow=0&bg=ffffff")
    assert psnr(ours, canvas_image(tab)) > 40
    names = []
    for _ in range(5):
        tab.keyboard.press("t")
        names.append(tab.evaluate("player.state.light"))
    assert names == ["filmed", "even", "above", "window", "lamp"]
    assert "as filmed" in tab.evaluate(
        "player.set({light: 'filmed'}), player.drawFrame(), controls.update(), controls.element('light').title"
    )
    assert tab.evaluate("document.querySelector('avatar-player').light = 'above', player.state.light") == "above"
    tab.evaluate("document.querySelector('avatar-player').light = 'moon'")
    assert "no light called moon, only filmed, even" in tab.evaluate("controls.element('message').textContent")


def test_a_page_with_fingers_closes_them(
    person: Avatar, moves: dict[str, BodyTrack], tab: Page, page_file: Path, tmp_path: Path
) -> None:
    track = moves["wave"]
    fist = pose_from_words("both fists").fingers
    assert fist is not None
    fingers = torch.stack([relaxed_fingers(), fist])[(torch.arange(len(track)) > 4).long()]
    clip = replace(track, poses=replace(track.poses, fingers=fingers))
    path = tmp_path / "fist.html"
    write_page(person, {"fist": clip}, path, PageOptions("fist"))
    assert path.stat().st_size < page_file.stat().st_size + 400_000
    frame = 7
    with torch.no_grad():
        gaussians = person.pose(clip.poses[frame])
        camera = front(gaussians.means.amin(0), gaussians.means.amax(0), 1, WIDTH, HEIGHT)
        ours, open_hands = (
            render(person.pose(pose), camera, "reference").on_white()[0].numpy()
            for pose in (clip.poses[frame], replace(clip.poses[frame], fingers=relaxed_fingers()))
        )
    open_page(tab, path, f"?frame={frame}&camera={camera_option(camera)}&ui=0&shadow=0&bg=ffffff")
    theirs = canvas_image(tab)
    hands = np.abs(ours - open_hands).max(-1) > 0.05
    assert hands.sum() > 20
    assert psnr(ours, theirs) > 38 and psnr(ours[hands], theirs[hands]) > psnr(open_hands[hands], theirs[hands]) + 6


def test_light_can_be_switched_to_neutral(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0&ui=0")
    lit = canvas_image(tab)
    tab.keyboard.press("t")
    until(tab, "player.frames > 1")
    assert np.abs(canvas_image(tab) - lit).max() > 0.05


def test_plays_pauses_scrubs_and_changes_clips(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file)
    assert tab.title() == "A </script> & <b>person</b>"
    until(tab, "player.state.playing && player.state.time > 0.15")
    tab.click("#play")
    assert tab.evaluate("player.state.playing") is False
    tab.evaluate("player.set({time: 0})")
    start = shown(tab)
    tab.locator("#scrub").fill("0.5")
    until(tab, "Math.abs(player.state.time - 0.5 * clipDuration(player.clip)) < 0.02")
    half_way = shown(tab)
    assert np.abs(half_way - start).max() > 0.2
    tab.click("#clips >> text=turn")
    assert tab.evaluate("player.clip.name") == "turn"
    tab.evaluate("player.set({playing: false, time: 0.4})")
    assert np.abs(shown(tab) - half_way).max() > 0.2
    tab.click("#speed")
    tab.click("#loop")
    assert tab.evaluate("[player.state.speed, player.state.loop]") == [2, False]
    # Without looping it stops at the end.
    tab.evaluate("player.set({time: 0.9, playing: true})")
    until(tab, "!player.state.playing")
    assert tab.evaluate("player.state.time === clipDuration(player.clip)")


def test_a_drag_turns_and_the_wheel_zooms(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0")
    before = tab.evaluate("[player.camera.yaw, player.camera.zoom]")
    still = canvas_image(tab)
    tab.mouse.move(160, 200)
    tab.mouse.down()
    tab.mouse.move(220, 200, steps=2)
    tab.mouse.up()
    tab.mouse.wheel(0, -300)
    until(tab, f"player.camera.zoom > {before[1]}")
    assert tab.evaluate("player.camera.yaw") == pytest.approx(before[0] - 60 * 0.008)
    assert np.abs(shown(tab) - still).max() > 0.2


@pytest.mark.parametrize("writer", ["bvh", "json"])
def test_a_motion_file_dropped_on_the_page_plays(
    person: Avatar, moves: dict[str, BodyTrack], page_file: Path, tab: Page, tmp_path: Path, writer: str
) -> None:
    path = tmp_path / f"mine.{writer}"
    track = moves["wave"]
    if writer == "bvh":
        write_bvh(path, track.poses, track.fps, person.rest.smpl_joints)
    else:
        write_player_motion(path, track.poses, track.fps)
    open_page(tab, page_file, "?t=0&clip=turn")
    drop(tab, path)
    until(tab, "player.clips.length === 3 && player.clip.name === 'mine'")
    tab.evaluate("player.set({playing: false})")
    frame = 7
    given = tab.evaluate(f"Array.from(samplePose(player.clip, {frame} / player.clip.fps, player.skeleton.size).quats)")
    turns = torch.tensor(given).reshape(-1, 4)
    expected = quat_from_rotation(person.body.complete(track.poses[frame]).rotations)
    shared = list(person.body.smpl_index)[:22]
    degrees = 2 * torch.rad2deg(torch.acos((turns * expected).sum(-1).abs().clamp(max=1)))
    assert degrees[shared].max() < 0.5


@pytest.mark.parametrize("name", ["mixamo.bvh", "z_up_a_pose.bvh"])
def test_the_page_reads_a_foreign_skeleton_as_our_importer_does(page_file: Path, tab: Page, name: str) -> None:
    path = Path(__file__).parents[1] / "motion" / "data" / name
    ours = load_motion(path).track.poses
    open_page(tab, page_file, "?t=0")
    drop(tab, path)
    until(tab, "player.clips.length === 3")
    theirs = torch.tensor(tab.evaluate("Array.from(player.clip.quats)")).reshape(len(ours), -1, 4)[:, :22]
    expected = quat_from_rotation(ours.rotations)[:, :22]
    degrees = 2 * torch.rad2deg(torch.acos((theirs * expected).sum(-1).abs().clamp(max=1)))
    assert degrees.max() < 2


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("walk.bvh", "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Xrotation Yrotation Zrotation\n}\n"
         "MOTION\nFrames: 2\nFrame Time: 0.03\n0 0 0\n",
         "walk.bvh breaks off: its header announces 2 frames of 3 numbers."),
        ("walk.json", "{}", "walk.json is not a motion file of this program."),
        ("walk.fbx", "", "walk.fbx is no motion that this page reads: BVH, GLB, VRMA, npz or motion JSON."),
    ],
)  # fmt: skip
def test_a_broken_motion_gives_one_sentence(
    page_file: Path, tab: Page, tmp_path: Path, name: str, content: str, sentence: str
) -> None:
    (tmp_path / name).write_text(content)
    open_page(tab, page_file, "?t=0")
    drop(tab, tmp_path / name)
    tab.wait_for_selector("#message.shown")
    assert tab.inner_text("#message") == sentence
    assert tab.evaluate("player.clips.length") == 2


def test_a_lost_context_comes_back(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0.3&ui=0")
    before = canvas_image(tab)
    tab.evaluate("window.loser = player.splats.gl.getExtension('WEBGL_lose_context'); loser.loseContext()")
    until(tab, "player.splats === null")
    tab.evaluate("loser.restoreContext()")
    until(tab, "player.splats !== null && !player.changed")
    assert np.abs(canvas_image(tab) - before).max() < 0.02


def test_a_device_without_webgl_gets_a_sentence(browser: Browser, page_file: Path) -> None:
    tab = browser.new_page()
    tab.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    tab.goto(page_file.as_uri())
    tab.wait_for_selector("html[data-state=failed]")
    assert "WebGL 2" in tab.inner_text("#message")
    tab.close()


def shown(tab: Page) -> np.ndarray:
    """The canvas after all pending draws."""
    until(tab, "!player.changed")
    return canvas_image(tab)
