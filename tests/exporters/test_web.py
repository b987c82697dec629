"""`<avatar-player>` in pages of other people: the folder of `avatar export --web`, served and opened in a browser."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from avatar.exporters.html import PageOptions
from avatar.exporters.web import write_web
from avatar.model.avatar import Avatar
from avatar.motion.formats.player_json import write_player_motion
from avatar.types import BodyTrack
from tests.browser import needs_browser
from tests.exporters.pages import canvas_image, psnr, served, until
from tests.exporters.player_files import header_of

pytestmark = [needs_browser, pytest.mark.timeout(120)]
PLAYER = Path(__file__).parents[2] / "avatar/exporters/player"
EMBEDDED = """<!doctype html><html lang="en"><title>Two</title><style>body {{ margin: 0 }}
avatar-player {{ width: 240px; height: 320px; float: left }}</style>
<script type="module" src="avatar-player/avatar_player.js"></script>
<main><avatar-player id="a" src="me.avatar" {attributes}></avatar-player>
<avatar-player id="b" src="me.avatar" motion="turn" paused></avatar-player></main>
<div style="height: 3000px"></div></html>"""


@pytest.fixture(scope="module")
def site(person: Avatar, moves: dict[str, BodyTrack], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "site"
    options = PageOptions("Me & <myself>", "Filmed by nobody", url="https://example.org/me/")
    write_web(person, moves, folder, "me", options)
    write_player_motion(folder / "own.json", moves["wave"].poses, moves["wave"].fps)
    return folder


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A tab of 600 x 500; the test fails if the page throws."""
    context = browser.new_context(viewport={"width": 600, "height": 500})
    errors: list[str] = []
    tab = context.new_page()
    tab.on("pageerror", lambda error: errors.append(str(error)))
    yield tab
    context.close()
    assert not errors


def embed(tab: Page, site: Path, address: str, attributes: str = "controls camera-controls") -> None:
    """Open a page with two players and wait for both; `a` and `b` are the elements."""
    (site / "two.html").write_text(EMBEDDED.format(attributes=attributes), encoding="utf-8")
    tab.goto(f"{address}/two.html")
    until(tab, "[a, b].every((player) => player.root && player.root.dataset.state === 'ready')")


def still(tab: Page) -> np.ndarray:
    until(tab, "[a, b].every(({player}) => !player.changed && !player.state.playing)")
    return canvas_image(tab)


def test_the_written_page_shows_the_avatar_and_says_what_it_is_to_previews_of_links(
    site: Path, address: str, tab: Page
) -> None:
    tab.goto(f"{address}/index.html?t=0&yaw=90")
    tab.wait_for_selector("html[data-state=ready]", state="attached")
    assert tab.title() == "Me & <myself>" == tab.inner_text("#heading")
    assert tab.evaluate("document.querySelector('avatar-player').player.camera.yaw") == pytest.approx(np.pi / 2)
    image = tab.evaluate("document.querySelector('meta[property=\"og:image\"]').content")
    assert image == "https://example.org/me/share.jpg"
    assert Image.open(site / "share.jpg").size == (1200, 630)
    assert [clip["name"] for clip in header_of((site / "me.avatar").read_bytes())["clips"]] == ["wave", "turn"]


def test_the_page_opened_as_a_file_says_what_to_do(site: Path, browser: Browser) -> None:
    tab = browser.new_page()
    tab.goto((site / "index.html").as_uri())
    assert "python -m http.server" in tab.inner_text("#file")
    tab.close()


def test_the_poster_is_what_the_player_then_shows(site: Path, address: str, tab: Page) -> None:
    embed(tab, site, address, 'poster controls="" paused background="white"')
    tab.evaluate("a.view = 'shadow=0&ui=0&ratio=1'")
    shown = still(tab)[:320, :240]
    poster = Image.open(site / "me.webp").convert("RGBA").resize((240, 320), Image.Resampling.LANCZOS)
    white = np.asarray(Image.alpha_composite(Image.new("RGBA", poster.size, "white"), poster).convert("RGB")) / 255
    assert tab.evaluate("a.element('poster').src.endsWith('me.webp')")
    assert (shown < 0.9).any(-1).mean() > 0.1
    assert psnr(shown, white) > 24 > psnr(shown[:, ::-1], white) + 3


def test_several_players_have_each_their_own_state(site: Path, address: str, tab: Page) -> None:
    embed(tab, site, address)
    assert tab.evaluate("[a.motion, a.paused, b.motion, b.paused]") == ["wave", False, "turn", True]
    assert tab.evaluate("a.motions") == ["wave", "turn"]
    until(tab, "a.currentTime > 0.1")
    assert tab.evaluate("b.currentTime") == 0
    tab.focus("#a canvas")
    tab.keyboard.press(" ")
    assert tab.evaluate("[a.paused, b.paused]") == [True, True]
    tab.evaluate("b.play('wave'); b.playbackRate = 2; b.loop = false")
    until(tab, "b.paused && b.currentTime === b.duration")


def test_motions_poses_and_events(site: Path, address: str, tab: Page) -> None:
    embed(tab, site, address, "paused")
    tab.evaluate(
        """window.heard = [];
        for (const name of ["play", "pause", "ended", "motion"]) a.addEventListener(name, () => heard.push(name))"""
    )
    rest = still(tab)
    name = tab.evaluate("a.setMotion('own.json', 'mine')")
    assert name == "mine" and tab.evaluate("a.motions") == ["wave", "turn", "mine"]
    tab.evaluate("a.pause(); a.setPose({left_elbow: [0, -90, 0], right_shoulder: [1, 0, 0, 0]})")
    bent = tab.evaluate("(a.player.takePose(), a.player.placed.places[a.player.skeleton.index.left_wrist])")
    straight = tab.evaluate("(a.setPose(), a.player.takePose(), "
                            "a.player.placed.places[a.player.skeleton.index.left_wrist])")  # fmt: skip
    assert straight[0] > bent[0] + 0.15 and bent[2] > straight[2] + 0.15
    assert np.abs(still(tab) - rest).max() > 0.2
    assert tab.evaluate("heard") == ["motion", "play", "pause"]
    for call, sentence in (
        ("a.play('fly')", "There is no motion called fly, only wave, turn, mine."),
        ("a.setPose({tail: [0, 0, 0]})", "The avatar has no joint called tail."),
        ("a.setPose({head: [0, 0]})", "head takes a quaternion"),
        ("a.setMotion('two.html')", "two.html is no motion that this page reads"),
        ("a.setMotion('none.bvh')", "none.bvh cannot be loaded: the server answers 404."),
    ):
        with pytest.raises(Exception, match=sentence):
            tab.evaluate(f"(async () => {call})()")


def test_files_that_are_no_avatars_are_refused_in_a_sentence(site: Path, address: str, tab: Page) -> None:
    embed(tab, site, address)
    (site / "cut.avatar").write_bytes((site / "me.avatar").read_bytes()[:20000])
    (site / "future.avatar").write_bytes(b"AVATAR7\n" + bytes(90))
    for name, sentence in (("cut", "is cut off or broken"), ("future", "another version"), ("none", "answers 404")):
        heard = tab.evaluate(
            f"""new Promise((resolve) => {{
              a.addEventListener("error", (event) => resolve(event.detail), {{once: true}});
              a.src = undefined; a.setAttribute("src", "{name}.avatar");
            }})"""
        )
        assert sentence in heard and heard == tab.inner_text("#a #message")
    tab.evaluate("a.load('me.avatar')")
    until(tab, "a.root.dataset.state === 'ready'")


def test_the_page_around_scrolls_over_a_player(site: Path, address: str, tab: Page) -> None:
    embed(tab, site, address, "camera-controls paused")
    tab.mouse.move(100, 150)
    tab.mouse.wheel(0, 300)
    until(tab, "window.scrollY > 200")
    assert tab.evaluate("a.player.camera.zoom") == 1
    assert "scroll to zoom" in tab.inner_text("#a #message")
    assert tab.evaluate("getComputedStyle(a.player.canvas).touchAction") == "pan-y"
    tab.evaluate("window.scrollTo(0, 0)")
    tab.keyboard.down("Control")
    tab.mouse.wheel(0, -30)
    tab.keyboard.up("Control")
    until(tab, "a.player.camera.zoom > 1.1")
    assert tab.evaluate("window.scrollY") == 0
    # Without camera-controls the pointer belongs to the page.
    assert tab.evaluate("getComputedStyle(b.player.canvas).pointerEvents") == "none"


def test_a_player_leaves_the_page_and_comes_back(site: Path, address: str, tab: Page) -> None:
    embed(tab, site, address)
    tab.evaluate("window.away = b; b.remove(); window.frames = a.player.frames; document.body.append(a)")
    # Below the window nothing is drawn, although the motion would play.
    until(tab, "!a.player.visible && !a.paused && away.player.running === undefined")
    tab.evaluate("document.body.prepend(a); window.before = a.player.frames")
    until(tab, "a.player.visible && a.player.frames > before + 2")


def test_the_package_can_be_packed_without_a_network(tmp_path: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm on this machine")
    command = [npm, "pack", "--offline", "--json", "--pack-destination", str(tmp_path)]
    packed = subprocess.run(command, cwd=PLAYER, capture_output=True, text=True, timeout=100)
    assert packed.returncode == 0, packed.stderr
    listed = json.loads(packed.stdout)
    entry = listed[0] if isinstance(listed, list) else next(iter(listed.values()))
    files = {file["path"] for file in entry["files"]}
    assert {"package.json", "avatar_player.js", "three.js", "avatar_player.d.ts", "README.md", "LICENSE"} <= files
    assert "page.js" not in files and (tmp_path / entry["filename"]).stat().st_size < 100_000
