"""The bar along the bottom and the page's other own parts, used as a person would."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from avatar.body.skeleton import SMPL_JOINTS
from avatar.io.track_file import save_track
from avatar.viewer.app import Viewer
from avatar.viewer.camera_path import whole_person
from avatar.viewer.posing import t_pose
from avatar.viewer.session import open_session
from avatar.viewer.state import View

from .test_viewer_work import pixel, wrists
from .webpage import PATIENCE, Page, new_tab, shirt

SLEEVE = SMPL_JOINTS.index("left_shoulder"), SMPL_JOINTS.index("left_elbow")


@pytest.fixture(autouse=True)
def fresh(page: Page) -> Iterator[None]:
    page.viewer.store.set(clip="as filmed", frame=3.0, edited=None, playing=False, handles="off", message="")
    page.viewer.store.set(keyframes=(), views=(), limits=None)
    strip = page.tab.locator(".avatar-strip[aria-valuenow='3'][aria-valuemax='19']")
    strip.wait_for(timeout=1000 * PATIENCE)  # where a frame lies depends on the motion, and the last test had its own
    yield
    page.tab.mouse.up()  # of a test that failed in the midst of a drag
    page.viewer.store.set(edited=None, handles="off", keyframes=(), views=(), limits=None, playing=False, message="")


def strip_place(page: Page, share: float) -> tuple[float, float]:
    """A place on the strip, pixels of the page, a share of its width from its start."""
    box: dict[str, float] = page.tab.locator(".avatar-strip").bounding_box()
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def test_the_strip_is_clicked_and_dragged(page: Page) -> None:
    page.tab.locator(".avatar-strip").hover()  # in its middle, once it lies still and under nothing
    page.tab.mouse.down()
    assert page.until(lambda: page.viewer.store.state.frame in (9.0, 10.0))
    page.tab.mouse.move(*strip_place(page, 0.9))
    assert page.until(lambda: page.viewer.store.state.frame == 17.0)
    page.tab.mouse.up()
    page.tab.locator(".avatar-strip").focus()
    page.tab.keyboard.press("ArrowLeft")
    assert page.until(lambda: page.viewer.store.state.frame == 16.0)


def test_what_appears_in_the_bar_moves_no_button(page: Page) -> None:
    """Else a click lands in the scene when a message comes or goes."""
    place, message = strip_place(page, 0.5), page.tab.locator(".avatar-bar").get_by_role("status")
    page.viewer.store.set(message="broken.bvh: " + "a long sentence about what is wrong with the file; " * 4)
    assert page.until(message.is_visible) and strip_place(page, 0.5) == place
    page.viewer.store.set(message="", keyframes=(t_pose(torch.zeros(3)),))
    assert page.until(lambda: not message.is_visible()) and strip_place(page, 0.5) == place
    page.tab.get_by_label("Show keyframe 1").wait_for()
    assert strip_place(page, 0.5) == place


def test_g_asks_for_a_frame_and_lets_go(page: Page) -> None:
    field = page.tab.get_by_label("Frame", exact=True)

    def focused() -> bool:
        return bool(field.evaluate("field => field === document.activeElement"))

    page.tab.keyboard.press("g")
    assert page.until(focused)
    page.tab.keyboard.type("99")
    page.tab.keyboard.press("Escape")
    assert page.until(lambda: not focused()) and page.viewer.store.state.frame == 3.0
    assert page.until(lambda: page.frame() == "3")
    page.tab.keyboard.press("g")
    page.tab.keyboard.type("12")
    page.tab.keyboard.press("Enter")
    assert page.until(lambda: page.viewer.store.state.frame == 12.0 and not focused())


def test_a_range_plays_over_and_over(page: Page) -> None:
    page.tab.keyboard.press("i")
    assert page.until(lambda: page.viewer.store.state.limits == (3, 19))
    page.go_to_frame(6)
    assert page.until(lambda: page.viewer.store.state.frame == 6.0)
    page.tab.keyboard.press("o")
    assert page.until(lambda: page.viewer.store.state.limits == (3, 6))
    page.press("Play or pause (space)")
    frames = {int(page.viewer.store.state.frame) for _ in range(40) if page.tab.wait_for_timeout(30) is None}
    assert page.viewer.store.state.playing and frames <= {3, 4, 5, 6} and len(frames) > 1
    page.press("Play or pause (space)")
    assert page.until(lambda: not page.viewer.store.state.playing)
    page.tab.get_by_label("End of the range that plays").focus()
    for _ in range(2):  # the second may come before the page knows of the first
        page.tab.keyboard.press("ArrowRight")
    assert page.until(lambda: page.viewer.store.state.limits == (3, 8))


def test_undo_and_redo_walk_through_the_edits(page: Page) -> None:
    page.open_tab("Pose")
    store = page.viewer.store
    page.tab.get_by_role("button", name="T", exact=True).first.click(force=True)
    assert page.until(lambda: store.state.edited is not None)
    level = wrists(page)
    page.tab.get_by_role("button", name="A", exact=True).first.click(force=True)
    assert page.until(lambda: bool((wrists(page) - level).norm() > 0.2))
    page.press("Undo (Ctrl+Z)")
    assert page.until(lambda: torch.equal(wrists(page), level))
    page.tab.keyboard.press("Control+Shift+z")
    assert page.until(lambda: bool((wrists(page) - level).norm() > 0.2))
    page.tab.keyboard.press("Control+z")
    page.tab.keyboard.press("Control+z")
    assert page.until(lambda: store.state.edited is None)


def test_keyframes_are_previewed_and_deleted(page: Page) -> None:
    page.open_tab("Pose")
    root = torch.tensor([0.0, 0.9, 0.0])
    page.viewer.store.set(keyframes=(t_pose(root), t_pose(root + 0.1), t_pose(root)))
    page.press("Show keyframe 2")
    assert page.until(lambda: page.viewer.store.state.edited is page.viewer.store.state.keyframes[1])
    page.press("Delete keyframe 2")
    assert page.until(lambda: len(page.viewer.store.state.keyframes) == 2)
    page.tab.get_by_label("Delete keyframe 2").wait_for()
    page.press("Preview the keyframes")
    assert page.until(lambda: page.viewer.store.state.playing and "preview" in page.viewer.store.state.clip)
    assert len(page.viewer.session.clip(page.viewer.store.state.clip)) == 31
    page.viewer.store.set(keyframes=())
    page.tab.get_by_label("Show keyframe 1").wait_for(state="hidden", timeout=40_000)


def test_a_view_of_the_path_is_shown_and_the_view_reset(page: Page) -> None:
    (client,) = page.viewer.server.get_clients().values()
    home = whole_person(page.viewer.session.box(page.viewer.store.state), client.camera.aspect).position
    page.viewer.store.set(views=(View((2.0, 1.0, 2.0), (0.0, 1.0, 0.0), 0.6),))
    page.press("Show view 1")
    assert page.until(lambda: bool(abs(client.camera.position - [2.0, 1.0, 2.0]).max() < 0.01))
    page.press("Look at the whole person again (R)")
    assert page.until(lambda: bool(abs(client.camera.position - home).max() < 0.01))


def test_a_limb_that_is_clicked_gets_its_rings(page: Page) -> None:
    avatar, pose = page.viewer.session.avatar, page.viewer.session.pose(page.viewer.store.state)
    joints = [avatar.body.smpl_index[joint] for joint in SLEEVE]
    from avatar.body.skinning import joint_transforms

    places = joint_transforms(avatar.rest.joints, avatar.body.parents, avatar.body.complete(pose))[joints, :3, 3]
    middle = places.detach().mean(0)

    def selected() -> bool:
        # On a busy machine the page may draw, and listen, later than its camera rests.
        assert page.camera_rests()
        page.tab.mouse.click(*pixel(page, middle))
        store = page.viewer.store
        return page.until(lambda: (store.state.handles, store.state.joint) == ("joint", SLEEVE[0]), seconds=5)

    assert page.until(selected)


def drop(page: Page, name: str, content: bytes) -> bool:
    """Drop a file on the page; whether the browser would now leave it."""
    leaves: bool = page.tab.evaluate(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], name));
          const fire = (type) => document.body.dispatchEvent(
            new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
          fire("dragenter");
          return [fire("dragover"), fire("drop")].some(Boolean);
        }""",
        [name, base64.b64encode(content).decode()],
    )
    return leaves


def test_a_motion_that_is_dropped_plays(page: Page, tmp_path: Path) -> None:
    assert page.viewer.session.track is not None
    save_track(page.viewer.session.track, tmp_path / "dropped.npz")
    assert not drop(page, "dropped.npz", (tmp_path / "dropped.npz").read_bytes())
    assert page.until(lambda: page.viewer.store.state.clip == "dropped.npz")
    assert page.tab.get_by_text("uploaded successfully").count() == 0


def test_a_file_that_is_refused_is_said_to_be(page: Page) -> None:
    assert not drop(page, "broken.bvh", b"HIERARCHY\nROOT")
    page.tab.get_by_text("broken.bvh was not loaded").wait_for(timeout=40_000)
    assert page.tab.get_by_text("uploaded successfully").count() == 0
    assert not drop(page, "letter.docx", b"PK")
    page.tab.get_by_text("letter.docx is neither a motion nor an image").wait_for(timeout=40_000)


def test_labels_name_their_fields(page: Page) -> None:
    page.open_tab("Look")
    for label in ("Opacity", "Detail", "Splats", "Drawn as", "Background"):
        assert page.until(lambda label=label: page.tab.get_by_label(label, exact=True).count() > 0), label  # type: ignore[misc]
    page.tab.get_by_label("Opacity", exact=True).last.fill("0.5")
    page.tab.keyboard.press("Enter")
    assert page.until(lambda: page.viewer.store.state.opacity == 0.5)
    page.viewer.store.set(opacity=1.0)


def test_every_button_has_a_name_and_no_slider_holds_another(page: Page) -> None:
    nameless = "[...document.querySelectorAll('button')].filter((b) => !b.textContent.trim() && !b.ariaLabel).length"
    assert page.until(lambda: page.tab.evaluate(nameless) == 0)
    assert page.tab.locator("[role=slider] [role=slider]").count() == 0
    assert page.tab.locator(".avatar-track > .avatar-limit").count() == 2


def test_the_tabs_stand_in_one_row(page: Page) -> None:
    tops = {round(tab.bounding_box()["y"]) for tab in page.tab.get_by_role("tab").all()}
    assert len(tops) == 1


def test_a_server_that_is_gone_is_said_to_be_and_comes_back(run_folder: Path, browser: Any) -> None:
    viewer = Viewer(open_session(run_folder), port=8760)
    port = viewer.port
    viewer.start()
    tab, _ = new_tab(browser, port)
    banner = tab.get_by_text("The viewer has stopped or cannot be reached")
    tab.locator(".avatar-bar").wait_for(timeout=60_000)
    assert not banner.is_visible()
    viewer.stop()
    banner.wait_for(state="visible", timeout=60_000)
    again = Viewer(open_session(run_folder), port=port)
    again.start()
    banner.wait_for(state="hidden", timeout=60_000)
    tab.close()
    again.stop()


def test_on_a_phone_the_panel_is_a_drawer_and_the_server_draws(run_folder: Path, browser: Any) -> None:
    viewer = Viewer(open_session(run_folder), port=8765)
    viewer.start()
    tab = browser.new_page(viewport={"width": 390, "height": 844})
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(f"http://127.0.0.1:{viewer.port}")
    phone = Page(tab, viewer, errors)
    button = tab.get_by_role("button", name="Controls")
    button.wait_for(timeout=60_000)
    panel = tab.locator(".avatar-panel")
    assert phone.until(lambda: panel.count() == 1 and not panel.is_visible())
    # This browser has no graphics card, so the first tab chooses images.
    assert phone.until(lambda: viewer.store.state.drawing == "images")
    assert phone.until(lambda: bool(shirt(phone.canvas().astype("float32") / 255).sum() > 500))
    button.click()
    assert phone.until(lambda: bool(panel.is_visible()))
    phone.open_tab("Pose")
    tab.get_by_role("button", name="Close").click()
    assert phone.until(lambda: not panel.is_visible())
    tab.close()
    viewer.stop()
    assert errors == []
