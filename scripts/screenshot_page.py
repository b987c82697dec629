"""Screenshots of the HTML page for the README and the docs, taken in a headless browser.

    python scripts/screenshot_page.py RUN [--out docs/images]

Needs Chromium (apt-get install chromium) and the package playwright.
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from avatar.errors import UsageError
from avatar.exporters.html import PageOptions, write_page
from avatar.io.images import write_image
from avatar.pipeline.finished_run import open_run
from avatar.pipeline.motions import motions_for_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# WebGL on the CPU, so that the screenshots do not depend on a graphics card.
BROWSER_ARGUMENTS = [
    "--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]  # fmt: skip


@dataclass(frozen=True)
class Shot:
    """One screenshot: name of the file, query of the page, and size of the screen."""

    name: str
    query: str
    width: int
    height: int
    phone: bool = False


PAGE_SHOTS = (
    Shot("page-desktop", "?clip=wave&t=1.2&yaw=-20", 1280, 800),
    Shot("page-dusk", "?clip=walk&t=1.1&yaw=40&bg=dusk", 1280, 800),
    Shot("page-phone", "?clip=dance&t=0.6&yaw=15", 390, 844, phone=True),
)


def take(browser: Browser, page_file: Path, shot: Shot, folder: Path) -> Path:
    """Take one screenshot of the page, offline, after it has drawn."""
    context = browser.new_context(
        viewport={"width": shot.width, "height": shot.height},
        device_scale_factor=2 if shot.phone else 1,
        is_mobile=shot.phone,
        has_touch=shot.phone,
        offline=True,
    )
    tab = context.new_page()
    tab.goto(page_file.resolve().as_uri() + shot.query)
    tab.wait_for_selector("html[data-state=ready]", state="attached")
    tab.wait_for_timeout(1500)  # until the page has faded in
    path = folder / f"{shot.name}.webp"
    from PIL import Image

    write_image(path, np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB")))
    context.close()
    return path


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        raise UsageError("There is no Chromium on this machine: apt-get install chromium.")
    finished = open_run(arguments.run)
    run, avatar = finished.run, finished.avatar
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        page_file = Path(folder) / "page.html"
        write_page(avatar, motions_for_page(run, avatar, ()), page_file, PageOptions(arguments.run.resolve().name))
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER_ARGUMENTS)
        for shot in PAGE_SHOTS:
            print(take(browser, page_file, shot, arguments.out))
        browser.close()


if __name__ == "__main__":
    main()
