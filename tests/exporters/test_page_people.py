"""Several people on the page: in one world, where our renderer puts them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page

from avatar.exporters.html import PageOptions, write_page
from avatar.model.avatar import Avatar
from avatar.model.world import World
from avatar.rendering.camera_paths import front
from avatar.rendering.renderer import render
from avatar.types import BodyTrack
from tests.browser import needs_browser
from tests.exporters.pages import HEIGHT, WIDTH, camera_option, canvas_image, open_page, psnr

pytestmark = pytest.mark.timeout(120)


def moved(moves: dict[str, BodyTrack], x: float, z: float) -> dict[str, BodyTrack]:
    """The same motions elsewhere."""
    step = torch.tensor([x, 0.0, z])
    return {
        name: replace(track, poses=replace(track.poses, root_position=track.poses.root_position + step))
        for name, track in moves.items()
    }


@needs_browser
@pytest.mark.parametrize("z", [-0.6, 0.6])
def test_a_companion_is_where_our_renderer_puts_them(
    person: Avatar, moves: dict[str, BodyTrack], tab: Page, tmp_path: Path, z: float
) -> None:  # fmt: skip
    """Partly behind the first person, and partly before."""
    theirs = moved(moves, 0.35, z)
    report = write_page(person, moves, tmp_path / "us.html", PageOptions("us"), companions=[(person, theirs)])
    assert report.splats == 2 * len(person)
    poses = [moves["wave"].poses[5], theirs["wave"].poses[5]]
    with torch.no_grad():
        both = World((person, person)).posed(poses)
        camera = front(both.means.amin(0), both.means.amax(0), 1, WIDTH, HEIGHT)
        ours, alone = (
            render(splats, camera, "reference").on_white()[0].numpy()
            for splats in (both, World((person,)).posed(poses[:1]))
        )
    look = f"?clip=wave&frame=5&light=1&camera={camera_option(camera)}&ui=0&shadow=0&bg=ffffff"
    open_page(tab, tmp_path / "us.html", look)
    shown = canvas_image(tab)
    assert psnr(ours, shown) > 32 and psnr(alone, shown) < 20


@needs_browser
def test_everybody_is_in_view(person: Avatar, moves: dict[str, BodyTrack], tab: Page, tmp_path: Path) -> None:
    write_page(person, moves, tmp_path / "us.html", PageOptions("us"), companions=[(person, moved(moves, 2.0, 0.0))])
    open_page(tab, tmp_path / "us.html", "?clip=wave&frame=5&ui=0&bg=ffffff")
    image = canvas_image(tab)
    columns = (image.min(-1) < 0.9).any(0)
    assert columns.any() and not columns[:3].any() and not columns[-3:].any()
    assert tab.evaluate("player.companions.length") == 1
    middle = tab.evaluate("player.middle(0)")
    assert middle[0] == pytest.approx(1.0, abs=0.1)
