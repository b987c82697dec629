"""What a person does with the view of a page: keys, fingers, links, images, videos, a headset, and pages around it."""

import io
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser import needs_browser
from tests.exporters.pages import open_page, served, until

pytestmark = [needs_browser, pytest.mark.timeout(120)]
# Where the left wrist is in the canvas, pixels.
WRIST = """(() => {
  const [x, y, z] = player.placed.places[player.skeleton.index.left_wrist], {T, K} = player.view();
  const [a, b, c] = [0, 4, 8].map((i) => T[i] * x + T[i + 1] * y + T[i + 2] * z + T[i + 3]);
  return [K[0] * a / c + K[2], K[1] * b / c + K[3]];
})()"""
# A headset of two eyes that see what the page's camera saw, each in its half of the canvas.
HEADSET = """
class XRWebGLLayer {
  constructor(session, gl) {
    Object.assign(this, {framebuffer: null, framebufferWidth: gl.canvas.width, framebufferHeight: gl.canvas.height});
  }
  getViewport(view) {
    const width = this.framebufferWidth / 2;
    return {x: view.eye * width, y: 0, width, height: this.framebufferHeight};
  }
}
window.XRWebGLLayer = XRWebGLLayer;
WebGL2RenderingContext.prototype.makeXRCompatible = async () => {};
const eye = (index) => ({
  eye: index,
  transform: {inverse: {matrix: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0.03 - 0.06 * index, -1, -2, 1]}},
  projectionMatrix: [2, 0, 0, 0, 0, 1.5, 0, 0, 0, 0, -1, -1, 0, 0, -0.2, 0],
});
window.session = {
  renderState: {},
  updateRenderState(state) { Object.assign(this.renderState, state); },
  requestReferenceSpace: async (kind) => kind,
  requestAnimationFrame(call) { this.call = call; },
  addEventListener(name, call) { this[name] = call; },
  draw() { this.call(0, {getViewerPose: (space) => space === "local-floor" && {views: [eye(0), eye(1)]}}); },
};
Object.defineProperty(navigator, "xr", {value: {
  isSessionSupported: async (mode) => mode === "immersive-vr",
  requestSession: async (mode) => session,
}});
"""


@pytest.fixture(scope="module")
def address(page_file: Path) -> Iterator[str]:
    with served(page_file.parent) as folder:
        yield f"{folder}/{page_file.name}"


def choose(tab: Page, action: str) -> None:
    """An entry of the menu."""
    tab.click("#more")
    tab.click(f"#{action}")
    assert not tab.is_visible("#menu")


def test_keys_turn_and_zoom(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0")
    yaw, pitch, zoom = tab.evaluate("[player.camera.yaw, player.camera.pitch, player.camera.zoom]")
    for key in ("ArrowLeft", "ArrowUp", "+"):
        tab.keyboard.press(key)
    assert tab.evaluate("[player.camera.yaw, player.camera.pitch, player.camera.zoom]") == pytest.approx(
        [yaw - 0.12, pitch + 0.08, 1.15 * zoom]
    )
    tab.focus("#scrub")  # here arrows move the time
    tab.keyboard.press("ArrowLeft")
    assert tab.evaluate("player.camera.yaw") == pytest.approx(yaw - 0.12)


def test_the_wheel_zooms_to_the_cursor(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0&yaw=0&pitch=0&ratio=1")
    before = tab.evaluate(WRIST)
    tab.mouse.move(*before)
    tab.mouse.wheel(0, -500)
    until(tab, "player.camera.zoom > 1.7 && !player.changed")
    # Not to the pixel: the wrist is not exactly as far away as the middle of the body.
    assert tab.evaluate(WRIST) == pytest.approx(before, abs=6)
    head = tab.evaluate("player.view().K[3] - player.view().height / 2")
    assert abs(head) < 200


def test_a_pinch_zooms_to_the_fingers(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    tab = context.new_page()
    open_page(tab, page_file, "?t=0&yaw=0&pitch=0&ratio=1")
    x, y = tab.evaluate(WRIST)
    touch = context.new_cdp_session(tab)

    def fingers(kind: str, apart: float) -> None:
        points = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}] if apart else []
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 20)
    for apart in (25, 30, 35, 40):
        fingers("touchMove", apart)
    until(tab, "player.camera.zoom > 1.9 && player.camera.zoom < 2.1 && player.camera.moving")
    fingers("touchEnd", 0)
    until(tab, "!player.camera.moving && !player.changed")
    assert tab.evaluate(WRIST) == pytest.approx([x, y], abs=6)
    context.close()


def test_a_link_opens_the_same_view(browser: Browser, address: str) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    tab = context.new_page()
    tab.goto(f"{address}?clip=turn&t=0.5&yaw=40&light=0&bg=dusk")
    tab.wait_for_selector("html[data-state=ready]", state="attached")
    tab.evaluate("player.camera.pan = [0.1, 0.2, 0]; player.camera.zoomBy(1.4); player.drawFrame()")
    view = "[player.clip.name, player.state.time, player.state.light, ...player.view().T, ...player.view().K]"
    before = tab.evaluate(view)
    choose(tab, "share")
    until(tab, "controls.element('message').textContent.includes('copied')")
    tab.goto(tab.evaluate("navigator.clipboard.readText()"))
    tab.wait_for_selector("html[data-state=ready]", state="attached")
    after = tab.evaluate(view)
    assert after[:3] == before[:3] == ["turn", 0.5, "even"]
    assert after[3:] == pytest.approx(before[3:], abs=0.02)
    assert tab.evaluate("controls.root.dataset.background") == "dusk"
    context.close()


def test_an_image_and_a_video_are_saved(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0&bg=dusk")
    with tab.expect_download() as download:
        choose(tab, "screenshot")
    assert download.value.suggested_filename.endswith(".png")
    image = np.asarray(Image.open(io.BytesIO(Path(download.value.path()).read_bytes())).convert("RGBA"))
    assert image.shape[:2] == (tab.evaluate("player.canvas.height"), tab.evaluate("player.canvas.width"))
    assert (image[..., 3] == 255).all() and image[5, 5, :3].max() < 90 and image[..., :3].max() > 150
    choose(tab, "record")
    start = tab.evaluate("player.frames")
    until(tab, f"player.frames > {start + 5} && player.state.playing")
    with tab.expect_download() as recording:
        choose(tab, "record")
    content = Path(recording.value.path()).read_bytes()
    assert content[:4] == b"\x1aE\xdf\xa3" or content[4:8] == b"ftyp"
    assert len(content) > 500


def test_it_turns_by_itself(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0")
    yaw = tab.evaluate("player.camera.yaw")
    choose(tab, "rotate")
    until(tab, f"player.camera.yaw > {yaw + 0.02}")
    choose(tab, "rotate")
    assert tab.evaluate("player.state.rotating") is False


def test_the_resolution_follows_the_frame_rate_and_returns_at_rest(page_file: Path, tab: Page) -> None:
    open_page(tab, page_file, "?t=0")
    ratios = tab.evaluate(
        """(() => {
          const resolution = new Resolution(), ratios = [resolution.ratio];
          let now = 0;
          const frames = (milliseconds) => {
            for (let i = 0; i < 60; i++) resolution.update((now += milliseconds), true);
            ratios.push(resolution.ratio);
          };
          frames(50);
          resolution.update((now += 50), false);
          ratios.push(resolution.ratio);
          frames(16);
          return ratios;
        })()"""
    )
    full, slow, still, quick = ratios
    assert full == still == 1 and 0.5 <= slow < 0.6 and quick > slow


@pytest.mark.parametrize(("scheme", "background"), [("dark", "dusk"), ("light", "dawn")])
def test_the_page_is_dark_where_the_visitor_likes_it_dark(
    browser: Browser, page_file: Path, scheme: str, background: str
) -> None:
    context = browser.new_context(color_scheme="dark" if scheme == "dark" else "light")
    tab = context.new_page()
    open_page(tab, page_file, "?t=0")
    assert tab.evaluate("controls.root.dataset.background") == background
    context.close()


def test_an_embedded_page_lets_the_page_around_it_scroll(browser: Browser, page_file: Path, tmp_path: Path) -> None:
    (tmp_path / "around.html").write_text(
        f'<body style="height: 4000px"><iframe src="{page_file.as_uri()}?t=0" width="300" height="400"></iframe>',
        encoding="utf-8",
    )
    tab = browser.new_page(viewport={"width": 500, "height": 600})
    tab.goto((tmp_path / "around.html").as_uri())
    frame = tab.frames[1]
    frame.wait_for_selector("html[data-state=ready]", state="attached")
    tab.mouse.move(150, 200)
    tab.mouse.wheel(0, 400)
    until(tab, "window.scrollY > 300")
    assert frame.evaluate("player.camera.zoom") == 1
    tab.close()


def test_a_headset_sees_the_avatar_with_both_eyes(browser: Browser, page_file: Path) -> None:
    tab = browser.new_page(viewport={"width": 400, "height": 300})
    tab.add_init_script(HEADSET)
    open_page(tab, page_file, "?t=0")
    until(tab, "!controls.element('immersive').hidden")
    choose(tab, "immersive")
    until(tab, "session.call !== undefined")
    left, right = tab.evaluate(
        """(() => {
          session.draw();
          const {gl} = player.splats, {width, height} = gl.canvas, pixels = new Uint8Array(4 * width * height);
          gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
          const middles = [0, 1].map((eye) => {
            let sum = 0, count = 0;
            for (let y = 0; y < height; y++) for (let x = 0; x < width / 2; x++) {
              const alpha = pixels[4 * (y * width + x + eye * width / 2) + 3];
              sum += alpha * x;
              count += alpha;
            }
            return [sum / count / (width / 2), count / 255 / (width * height / 2)];
          });
          return middles;
        })()"""
    )
    # Each eye has the whole person, and the right eye sees them farther to the left.
    assert 0.02 < left[1] < 0.5 and abs(left[1] - right[1]) < 0.01
    assert left[0] > right[0] + 0.005
    frames = tab.evaluate("(session.end(), player.frames)")
    until(tab, f"player.frames > {frames}")
    tab.close()


def test_fullscreen_fills_the_screen_and_comes_back(page_file: Path, tab: Page) -> None:
    frame = page_file.parent / "around.html"  # in a page around it, where the wheel is the page's
    frame.write_text(
        f'<body style="margin:0"><iframe src="{page_file.name}" allowfullscreen width=280 height=300></iframe>'
    )
    tab.goto(frame.as_uri())
    inner = tab.frames[1]
    inner.wait_for_selector("html[data-state=ready]", state="attached")
    assert inner.evaluate("document.querySelector('avatar-player').cooperative")
    small = inner.evaluate("player.canvas.clientWidth")
    inner.click("#more")
    inner.click("#fullscreen")

    def until_inside(condition: str) -> None:
        deadline = time.monotonic() + 20
        while not inner.evaluate(condition):
            assert time.monotonic() < deadline, f"never came true: {condition}"
            time.sleep(0.03)

    until_inside(f"document.fullscreenElement?.localName === 'avatar-player' && player.canvas.clientWidth > {small}")
    # Now the whole screen is the player's, so the plain wheel zooms.
    until_inside("controls.root.dataset.cooperative === 'false'")
    assert not inner.evaluate("document.querySelector('avatar-player').cooperative")
    tab.keyboard.press("f")
    until_inside(f"!document.fullscreenElement && player.canvas.clientWidth === {small}")
    until_inside("controls.root.dataset.cooperative === 'true'")
