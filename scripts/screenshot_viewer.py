"""Screenshots of the viewer for the README and the docs, taken in headless Chromium.

Software WebGL is slow, so this takes some minutes: `python scripts/screenshot_viewer.py RUN docs/images`.
"""

from __future__ import annotations

import io
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from avatar.model.avatar import Avatar

FLAGS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist", "--disable-background-networking",
]  # fmt: skip
PULSE = 2_500  # milliseconds between looks at whether software WebGL still draws
LOOKS = 24
PATIENCE = 90_000
TRAINING_STEPS = 250  # after which the training is shown


def main(
    run: Annotated[Path, tyro.conf.Positional],
    out: Annotated[Path, tyro.conf.Positional] = Path("docs/images"),
    width: int = 1000,
    height: int = 640,
) -> None:
    """Take the screenshots.

    Args:
        run: run folder made by `avatar create`.
        out: folder for the screenshots.
        width: of the page, pixels.
        height: of the page, pixels.
    """
    from playwright.sync_api import sync_playwright

    from avatar.motion.text.parse import parse_pose
    from avatar.types import BodyPose
    from avatar.viewer.app import Viewer
    from avatar.viewer.session import open_session

    session = open_session(run)
    viewer = Viewer(session, port=8640)
    viewer.store.set(playing=False)
    viewer.start()
    out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": width, "height": height})
        page.set_default_timeout(PATIENCE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"http://127.0.0.1:{viewer.port}")
        page.get_by_role("tab", name="Look").wait_for()
        settled(page)
        take(page, out / "viewer.webp")
        pose = parse_pose("left arm level, right knee bent 60")
        viewer.store.set(
            edited=BodyPose(session.pose(viewer.store.state).root_position, pose), handles="hands and feet"
        )
        page.get_by_role("tab", name="Pose").click(force=True)
        take(page, out / "viewer-pose.webp")
        viewer.store.set(edited=None, handles="off", compare="wipe")
        page.get_by_role("tab", name="Compare").click(force=True)
        take(page, out / "viewer-compare.webp")
        viewer.store.set(compare="off", colors="observed")
        page.get_by_role("tab", name="Look").click(force=True)
        take(page, out / "viewer-observed.webp")
        viewer.store.set(colors="lit", splats=False, mesh=True, skeleton=True)
        take(page, out / "viewer-mesh.webp")
        viewer.store.set(splats=True, mesh=False, skeleton=False, clip="walk", frame=20.0)
        page.get_by_role("tab", name="Export").click(force=True)
        take(page, out / "viewer-export.webp")
        viewer.store.set(drawing="images", clip=next(iter(session.clips)), frame=0.0)
        page.get_by_role("tab", name="Look").click(force=True)
        take(page, out / "viewer-server.webp")
        viewer.stop()
        take_training(browser, run, out / "viewer-training.webp", width, height)
        browser.close()
    print("\n".join(errors) or "the page met no errors")


def take_training(browser: Browser, run: Path, path: Path, width: int, height: int) -> None:
    """What `avatar create --viewer` shows: a training on the run's data, held at one step and then dropped."""
    import avatar
    from avatar.io.observations_file import load_observations
    from avatar.io.track_file import load_track
    from avatar.pipeline.settings import settings_for
    from avatar.viewer.live import LivePreview

    reached, taken = threading.Event(), threading.Event()

    class HeldPreview(LivePreview):
        def after_step(self, step: int, avatar: Avatar, loss: float, psnr: float | None) -> bool:
            proceed = super().after_step(step, avatar, loss, psnr)
            if step < TRAINING_STEPS:
                return proceed
            reached.set()
            taken.wait()
            return False

    folder = avatar.RunFolder(run)
    observations, track = load_observations(folder.observations), load_track(folder.estimated_track)
    config, preview = settings_for("", "fast").train, HeldPreview(port=8660)
    page = browser.new_page(viewport={"width": width, "height": height})
    page.goto(f"http://127.0.0.1:{preview.port}")
    page.get_by_text("Stop and save").wait_for(timeout=PATIENCE)
    training = threading.Thread(target=avatar.train, args=(observations, track, config), kwargs={"preview": preview})
    training.start()
    assert reached.wait(PATIENCE / 1000), "the training did not reach the step"
    take(page, path)
    taken.set()
    training.join()
    preview.close()


def take(page: Page, path: Path) -> None:
    """Write what the page shows once it has settled."""
    Image.open(io.BytesIO(settled(page))).convert("RGB").save(path, quality=88)
    print(path, flush=True)


def settled(page: Page) -> bytes:
    """A screenshot of the page, when it looks the same twice in a row."""
    page.wait_for_timeout(PULSE)
    last, current = b"", page.screenshot()
    for _ in range(LOOKS):
        if current == last:
            break
        page.wait_for_timeout(PULSE)
        last, current = current, page.screenshot()
    return current


if __name__ == "__main__":
    tyro.cli(main)
