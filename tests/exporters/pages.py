"""An exported page in a tab: opened, waited for, looked at."""

import functools
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page

from avatar.types import Cameras

WIDTH, HEIGHT = 320, 480


def open_page(tab: Page, path: Path, query: str = "") -> None:
    tab.goto(path.as_uri() + query)
    tab.wait_for_selector("html[data-state=ready]", state="attached")


def until(tab: Page, condition: str, seconds: float = 20.0) -> None:
    """Wait for a condition in JavaScript. Playwright's own waiting needs eval, which the page's policy forbids."""
    deadline = time.monotonic() + seconds
    while not tab.evaluate(condition):
        assert time.monotonic() < deadline, f"never came true: {condition}"
        time.sleep(0.03)


def canvas_image(tab: Page) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(tab.screenshot())).convert("RGB")) / 255.0


def camera_option(camera: Cameras) -> str:
    K, T = camera.K[0], camera.T_camera_world[0, :3]
    return ",".join(f"{x:.7g}" for x in (K[0, 0], K[1, 1], K[0, 2], K[1, 2], *T.flatten()))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(-10 * np.log10(((a - b) ** 2).mean()))


def drop(tab: Page, path: Path) -> None:
    """Let go of a file over the page, as from a file manager."""
    tab.evaluate(
        """([name, text]) => {
          const transfer = new DataTransfer();
          transfer.items.add(new File([text], name));
          window.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        [path.name, path.read_text(encoding="utf-8")],
    )


class Quiet(SimpleHTTPRequestHandler):
    """A file server that prints nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server that gives the files of a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
