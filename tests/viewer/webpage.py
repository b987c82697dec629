"""A tab on a viewer in a real browser, and what a person does in it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from avatar.viewer.app import Viewer

from .sample import SHIRT

WIDTH, HEIGHT, PANEL, BAR = 760, 460, 330, 100
PATIENCE = 40.0


@dataclass
class Page:
    """A tab on a viewer, and the errors it met."""

    tab: Any
    viewer: Viewer
    errors: list[str]

    def screenshot(self) -> np.ndarray:
        """The scene without the panel and the timeline."""
        shot = np.asarray(Image.open(io.BytesIO(self.tab.screenshot())).convert("RGB")).astype(np.float32) / 255
        return shot[: HEIGHT - BAR, : WIDTH - PANEL]

    def canvas(self) -> np.ndarray:
        """The scene alone, as bytes, in the canvas's own size."""
        shot = self.tab.locator("canvas").first.screenshot()
        return np.asarray(Image.open(io.BytesIO(shot)).convert("RGB"))

    def until(self, condition: Callable[[], bool], seconds: float = PATIENCE) -> bool:
        """Whether something becomes true in good time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            self.tab.wait_for_timeout(150)
        return False

    def choose(self, label: str, option: str) -> None:
        self.tab.get_by_label(label, exact=True).first.click(force=True)
        self.tab.get_by_role("option", name=option, exact=True).click(force=True)

    def field(self, label: str) -> Any:
        """The text field, or the number field beside a slider, with this label."""
        return self.tab.get_by_text(label, exact=True).locator("xpath=ancestor::p/../..").locator("input:visible").last

    def number(self, label: str) -> str:
        """What stands in the number field beside a slider."""
        return str(self.field(label).input_value())

    def camera_rests(self) -> bool:
        """Whether the tab's camera stands still, and the server knows where."""
        of_the_tab = "window.__viserMutable.camera.matrixWorld.elements.join()"

        def places() -> list[str]:
            clients = self.viewer.server.get_clients().values()
            return [str(self.tab.evaluate(of_the_tab)), *(f"{c.camera.position} {c.camera.wxyz}" for c in clients)]

        def still() -> bool:
            before = places()
            self.tab.wait_for_timeout(1000)
            return places() == before

        return self.until(still)

    def go_to_frame(self, frame: int) -> None:
        """Type the number of a frame into the timeline."""
        field = self.tab.get_by_label("Frame", exact=True)
        field.fill(str(frame))
        field.press("Enter")

    def frame(self) -> str:
        """The frame that the timeline shows."""
        return str(self.tab.get_by_label("Frame", exact=True).input_value())

    def press(self, label: str) -> None:
        """Press a button of the timeline."""
        self.tab.locator(".avatar-bar").get_by_role("button", name=label, exact=True).click()

    def type_into(self, label: str, value: object) -> None:
        """Type into a field and press Enter."""
        self.field(label).fill(str(value))
        self.field(label).press("Enter")

    def open_tab(self, name: str) -> None:
        """Click on a tab of the panel until it is the open one: a page that is still being built loses clicks."""
        tab = self.tab.get_by_role("tab", name=name)

        def opened() -> bool:
            tab.click(force=True)
            return bool(tab.get_attribute("aria-selected") == "true")

        assert self.until(opened), f"the tab {name} does not open"

    def download(self, label: str) -> Path:
        """The file that a button of the Export tab gives, pressed once it can be."""
        self.open_tab("Export")
        button = self.tab.get_by_role("button", name=label, exact=True).first
        assert self.until(lambda: button.is_visible() and button.is_enabled()), f"{label} cannot be pressed"
        with self.tab.expect_download(timeout=1000 * PATIENCE) as started:
            button.click(force=True)
        return Path(started.value.path())


def shirt(image: np.ndarray) -> np.ndarray:
    """Which pixels show the red shirt."""
    near: np.ndarray = np.abs(image - np.array(SHIRT)).max(-1) < 0.18
    return near


def new_tab(browser: Any, port: int) -> tuple[Any, list[str]]:
    tab = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(f"http://127.0.0.1:{port}")
    return tab, errors
