"""The page in a real browser with software WebGL: what a person does in it, judged by pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from avatar.viewer.app import Viewer
from avatar.viewer.auth import Auth
from avatar.viewer.session import open_session

from .webpage import Page, new_tab, shirt


def test_the_page_opens_only_with_the_token(run_folder: Path, browser: Any) -> None:
    viewer = Viewer(open_session(run_folder), port=8780, auth=Auth("secret"))
    viewer.start()
    tab, _ = new_tab(browser, viewer.port)
    assert "token" in tab.inner_text("body")
    tab.goto(f"http://127.0.0.1:{viewer.port}/?token=secret")
    tab.get_by_role("tab", name="Look").wait_for(timeout=60_000)
    assert "secret" not in tab.url
    tab.close()
    viewer.stop()


def test_no_notice_about_software_rendering_covers_the_avatar(page: Page) -> None:
    assert page.until(lambda: page.tab.get_by_text("Software WebGL").count() == 0)


def test_plays_and_pauses_by_the_space_bar(page: Page) -> None:
    page.tab.mouse.click(200, 300)
    page.tab.keyboard.press("Space")
    assert page.until(lambda: page.viewer.store.state.playing)
    before = page.viewer.updates
    assert page.until(lambda: page.viewer.updates > before + 10)
    page.tab.keyboard.press("Space")
    assert page.until(lambda: not page.viewer.store.state.playing)


def test_steps_and_scrubs(page: Page) -> None:
    page.viewer.store.set(playing=False, frame=3.0)
    page.tab.keyboard.press(".")
    assert page.until(lambda: page.viewer.store.state.frame == 4.0)
    page.tab.keyboard.press(",")
    page.tab.keyboard.press(",")
    # The page shows each state a little later: until then it shows what an earlier test left.
    assert page.until(lambda: page.viewer.store.state.frame == 2.0 and page.frame() == "2")
    front = page.screenshot()
    page.go_to_frame(12)
    assert page.until(lambda: page.viewer.store.state.frame == 12.0)
    assert page.until(lambda: np.abs(page.screenshot() - front).max(-1).sum() > 200)


def test_a_slider_moves_the_arm(page: Page) -> None:
    page.viewer.store.set(frame=0.0, edited=None, clip="t-pose", ground=False)
    page.open_tab("Pose")
    assert page.until(lambda: level_arms(page) > 150)
    page.choose("Joint", "left shoulder")
    page.type_into("Turn Z", -75)
    assert page.until(lambda: page.viewer.store.state.edited is not None)
    assert page.until(lambda: arm_pixels(page)[1] < 20), "the left arm did not leave its place"
    assert arm_pixels(page)[0] > 60, "the right arm moved too"


def test_a_window_lights_one_side(page: Page) -> None:
    """The light is chosen in a folder of its own; its direction changes which half of the shirt is bright."""
    page.viewer.store.set(frame=0.0, edited=None, clip="t-pose", ground=False)
    page.open_tab("Look")
    page.tab.get_by_text("Light", exact=True).first.click(force=True)
    source, window = page.tab.get_by_label("Source", exact=True).first, page.tab.get_by_role("option", name="Window")

    def listed() -> bool:
        """Open the list: a folder that is still opening loses clicks."""
        if source.is_visible() and not window.is_visible():
            source.click(force=True)
            page.tab.wait_for_timeout(1000)
        return bool(window.is_visible())

    assert page.until(listed)
    window.click(force=True)
    assert page.until(lambda: page.viewer.store.state.light.kind == "window")
    page.type_into("Direction", 90)
    assert page.until(lambda: page.viewer.store.state.light.degrees == 90)
    before = brighter_right(page)
    page.type_into("Direction", -90)
    assert page.until(lambda: page.viewer.store.state.light.degrees == -90)
    assert before > brighter_right(page) + 0.05
    page.choose("Source", "As filmed")
    assert page.until(lambda: page.viewer.store.state.light.kind == "filmed")


def brighter_right(page: Page) -> float:
    """By how much the splats on the camera's right are brighter than those on its left."""
    session = page.viewer.session
    gaussians = session.gaussians(session.posed_state(page.viewer.store.state))
    right = gaussians.means[:, 0] > gaussians.means[:, 0].median()
    return float(gaussians.colors[right].mean() - gaussians.colors[~right].mean())


def arm_pixels(page: Page) -> tuple[int, int]:
    """Shirt pixels left and right of the trunk, at the height of the shoulders in a T-pose."""
    red = shirt(page.screenshot())
    rows = np.flatnonzero(red.any(1))
    if len(rows) < 10:
        return 0, 0
    shoulders = red[rows[0] : rows[0] + (rows[-1] - rows[0]) // 3]
    waist = np.flatnonzero(red[rows[-1] - 3])
    if len(waist) == 0:  # between two poses
        return 0, 0
    middle, reach = round(float(waist.mean())), round(0.75 * float(np.ptp(waist)))
    return int(shoulders[:, : middle - reach].sum()), int(shoulders[:, middle + reach :].sum())


def level_arms(page: Page) -> int:
    return min(arm_pixels(page)) * 2


def test_a_motion_loads(page: Page, tmp_path: Path) -> None:
    from avatar.io.track_file import save_track

    track = page.viewer.session.track
    assert track is not None
    save_track(track, tmp_path / "borrowed.npz")
    with page.tab.expect_file_chooser() as chooser:
        page.tab.get_by_role("button", name="Load a motion").click(force=True)
    chooser.value.set_files(tmp_path / "borrowed.npz")
    assert page.until(lambda: page.viewer.store.state.clip == "borrowed.npz")


def test_a_broken_motion_says_so_and_changes_nothing(page: Page, tmp_path: Path) -> None:
    (tmp_path / "broken.bvh").write_text("HIERARCHY\nROOT")
    before = page.viewer.store.state.clip
    with page.tab.expect_file_chooser() as chooser:
        page.tab.get_by_role("button", name="Load a motion").click(force=True)
    chooser.value.set_files(tmp_path / "broken.bvh")
    assert page.until(lambda: "broken.bvh" in page.viewer.store.state.message)
    assert page.viewer.store.state.clip == before
    assert str(tmp_path.parent) not in page.viewer.store.state.message


def test_a_screenshot_downloads(page: Page) -> None:
    # The motion loaded before still plays, and rendering it takes the time that the screenshot needs.
    page.viewer.store.set(playing=False)
    image = np.asarray(Image.open(page.download("Screenshot")).convert("RGB")).astype(np.float32) / 255
    assert image.shape == (640, 480, 3)
    assert shirt(image).sum() > 500


def test_a_second_tab_shows_the_same_and_may_close(page: Page, browser: Any) -> None:
    page.viewer.store.set(clip="as filmed", frame=7.0, edited=None, playing=False)
    other, errors = new_tab(browser, page.viewer.port)
    second = Page(other, page.viewer, errors)
    other.get_by_role("tab", name="Look").wait_for(timeout=60_000)
    assert second.until(lambda: second.frame() == "7")
    second.go_to_frame(4)
    assert page.until(lambda: page.frame() == "4"), "what one tab does, the other does not show"
    other.close()
    assert page.until(lambda: len(page.viewer.server.get_clients()) == 1)
    page.go_to_frame(9)
    assert page.until(lambda: page.viewer.store.state.frame == 9.0)
    assert errors == []


def test_a_lost_connection_comes_back(page: Page) -> None:
    before = set(page.viewer.server.get_clients())
    page.viewer.server._websock_server.disconnect_all_clients()
    # A tab that comes back is a new client.
    assert page.until(lambda: len(set(page.viewer.server.get_clients()) - before) == 1)
    assert page.until(lambda: shirt(page.screenshot()).sum() > 500)


def test_the_page_met_no_errors(page: Page) -> None:
    assert page.errors == []
