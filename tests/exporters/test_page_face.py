"""Faces on the page: what a motion's face moves, the page moves."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from playwright.sync_api import Page

from avatar.body.face import FACE_UNITS
from avatar.exporters.html import PageOptions, write_page
from avatar.exporters.player_file import player_file
from avatar.model.avatar import Avatar
from avatar.rendering.camera_paths import intrinsics, look_at
from avatar.rendering.renderer import render
from avatar.types import BodyTrack, Cameras
from tests.browser import needs_browser
from tests.exporters.pages import HEIGHT, WIDTH, camera_option, canvas_image, open_page, psnr
from tests.exporters.player_files import header_of

pytestmark = [needs_browser, pytest.mark.timeout(120)]
MOVED = ("mouthSmileLeft", "mouthSmileRight", "eyeBlinkLeft", "eyeBlinkRight", "browInnerUp", "jawOpen")


@pytest.fixture(scope="module")
def patterned(person: Avatar) -> Avatar:
    """The person with a face of coloured patches."""
    avatar = copy.deepcopy(person)
    colors = 0.5 + 0.45 * (300 * avatar.rest_means()).sin()
    with torch.no_grad():
        avatar.gaussians.raw_colors.copy_(torch.logit(colors))
    return avatar


@pytest.fixture(scope="module")
def grimace(moves: dict[str, BodyTrack]) -> BodyTrack:
    """The waving person, who pulls a face in the second half."""
    wave = moves["wave"]
    face = torch.zeros(len(wave), len(FACE_UNITS))
    face[len(wave) // 2 :, [FACE_UNITS.index(name) for name in MOVED]] = 1.0
    return replace(wave, poses=replace(wave.poses, face=face))


@torch.no_grad()
def test_the_page_shows_the_face_that_our_renderer_shows(
    patterned: Avatar, grimace: BodyTrack, tab: Page, tmp_path: Path
) -> None:
    path = tmp_path / "face.html"
    write_page(patterned, {"wave": grimace}, path, PageOptions("face"))
    frame = len(grimace) - 1
    pose = grimace.poses[frame]
    head = patterned.pose(pose).means[patterned.weights[:, patterned.body.joint_names.index("head")] > 0.9].mean(0)
    view = look_at(head + torch.tensor([0.0, 0.0, 1.2]), head)
    camera = Cameras(intrinsics(WIDTH, HEIGHT, 16.0)[None], view[None], WIDTH, HEIGHT)
    ours, plain = (
        render(patterned.pose(shown), camera, "reference").on_white()[0].numpy()
        for shown in (pose, replace(pose, face=torch.zeros(len(FACE_UNITS))))
    )
    open_page(tab, path, f"?clip=wave&frame={frame}&camera={camera_option(camera)}&ui=0&shadow=0&bg=ffffff")
    theirs = canvas_image(tab)
    moved = np.abs(ours - plain).max(-1) > 0.1
    assert moved.mean() > 0.005
    assert psnr(ours, theirs) > 32  # close up
    assert psnr(ours[moved], theirs[moved]) > psnr(plain[moved], theirs[moved]) + 8


def test_a_file_without_a_face_holds_no_units(
    patterned: Avatar, grimace: BodyTrack, moves: dict[str, BodyTrack]
) -> None:
    plain, moving = (player_file(patterned, {"wave": track}) for track in (moves["wave"], grimace))
    assert "face" not in header_of(plain.content)
    header = header_of(moving.content)
    assert header["face"]["units"] == list(FACE_UNITS) and header["clips"][0]["face"] == "face0"
    assert len(moving.content) < len(plain.content) + 300_000
