"""report.html and the index of a batch, made from a sample run and read in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avatar.io.files import write_json
from avatar.pipeline.batch import Outcome, write_summary
from avatar.pipeline.finished_run import open_run
from avatar.pipeline.previews import CONTACT_BYTES, person_windows, write_contact_sheet
from avatar.pipeline.report_images import write_report_images
from avatar.pipeline.report_page import write_report_page
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.verdict import verdict

from .sample import sample_run

REPORT: dict[str, Any] = {
    "source": "clips/me <1>.mp4", "frames": 90, "size": [1080, 1920], "splats": 800,
    "held_out": {"frames": 3, "psnr": 28.0, "psnr_box": 24.5, "alpha_iou": 0.96},
    "body_mask_iou": {"median": 0.9, "worst": 0.8}, "observed_share": 0.97,
    "warnings": ["the person's height is unknown: assumed 1.70 m, give --height"],
    "seconds": {"observe": 10.0, "train": 60.0},
}  # fmt: skip


@pytest.fixture(scope="module")
def reported(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    run = RunFolder(sample_run(tmp_path_factory.mktemp("batch") / "me", splats=800, frames=8))
    write_json(run.config, {"source": "me.mp4"})
    opened = open_run(run.folder)
    write_json(run.report, REPORT)
    write_json(run.history, {"losses": [[10, 0.3], [20, 0.1]], "history": [[10, 20.0], [20, 22.0]]})
    write_report_images(run, opened.avatar, opened.track, opened.observations(), "auto")
    write_report_page(run)
    return run


def test_the_verdict_names_what_is_weak_and_what_to_do_better() -> None:
    good = verdict(REPORT, confidence=0.9)
    assert good.level == "good" and "24.5 dB" in good.sentence and good.advice == ()
    half = verdict(REPORT | {"observed_share": 0.6})
    assert half.level == "usable" and "40% of the surface" in half.sentence and "Turn round" in half.advice[0]
    bad = verdict(REPORT | {"observed_share": 0.6, "frames": 12, "size": [320, 240]}, confidence=0.3)
    assert bad.level == "poor" and len(bad.advice) == 4
    assert verdict({"source": "x"}).sentence.startswith("Nothing was measured")


def test_the_page_needs_no_other_file_and_has_every_part(reported: RunFolder) -> None:
    text = reported.report_page.read_text()
    assert "me &lt;1&gt;.mp4" in text
    assert text.count("data:image/jpeg;base64") > 10 and text.count("<svg") == 5
    for part in (
        "Held-out frames (3)",
        "Coverage",
        "Source and avatar",
        "Warnings",
        "left shoulder",
        "seen from above",
    ):
        assert part in text, part


def test_an_older_run_has_a_page_too(tmp_path: Path) -> None:
    old = RunFolder(tmp_path)
    write_json(old.report, {"source": "x.mp4", "held_out": {"frames": 0}, "seconds": {}})
    write_report_page(old)
    assert "Nothing was measured" in old.report_page.read_text()


@pytest.mark.parametrize("size", [(1200, 900), (390, 844)])
def test_its_tabs_and_its_slider(reported: RunFolder, browser: Any, size: tuple[int, int]) -> None:
    tab = browser.new_page(viewport={"width": size[0], "height": size[1]})
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on(
        "request", lambda request: None if request.url.startswith(("file:", "data:")) else errors.append(request.url)
    )
    tab.goto(reported.report_page.as_uri())
    coverage, confidence = tab.get_by_role("heading", name="Coverage"), tab.get_by_role("heading", name="Confidence")
    assert coverage.is_visible() and not confidence.is_visible()
    pair = tab.locator(".pair")
    tab.get_by_label("from avatar to source").fill("20")
    assert pair.evaluate("pair => pair.style.getPropertyValue('--at')") == "20%"
    before = pair.locator("img").first.get_attribute("src")
    tab.get_by_label("frame 3").click()
    assert pair.locator("img").first.get_attribute("src") != before
    for name in ("Numbers", "Tracking"):
        tab.get_by_role("tab", name=name).click()
        assert tab.evaluate("document.documentElement.scrollWidth") <= size[0], f"{name} is wider than the window"
    assert confidence.is_visible() and not coverage.is_visible()
    tab.close()
    assert errors == []


def test_a_batch_is_sorted_by_clicking(reported: RunFolder, browser: Any) -> None:
    out = reported.folder.parent
    failed = Outcome("a.mp4", str(out / "a"), "failed", "a.mp4 shows no person.")
    write_summary(out, [Outcome("me.mp4", str(reported.folder), "done"), failed])
    tab = browser.new_page()
    tab.goto((out / "index.html").as_uri())
    tab.wait_for_function("() => document.querySelector('td img').naturalWidth > 50", timeout=60_000)  # it loads late
    names = tab.locator("tbody tr td:nth-child(2)")
    assert names.all_inner_texts() == ["me.mp4", "a.mp4"]
    tab.get_by_role("button", name="video").click()
    assert names.all_inner_texts() == ["a.mp4", "me.mp4"]
    tab.get_by_role("button", name="video").click()
    assert names.all_inner_texts() == ["me.mp4", "a.mp4"]
    assert "good" in tab.inner_text("tbody") and "give --height" in tab.inner_text("tbody")
    tab.get_by_role("link", name="report").click()
    assert tab.title() == "Avatar of me <1>.mp4"
    tab.close()


def test_the_contact_sheet_shows_the_person(reported: RunFolder) -> None:
    observations = open_run(reported.folder).observations()
    windows = person_windows(observations, [0, 1, 2])
    assert len({(window.width, window.height) for window in windows}) == 1
    for index, window in enumerate(windows):
        mask = observations.masks[index] > 127
        rows, columns = (slice(window.top, window.top + window.height), slice(window.left, window.left + window.width))
        assert mask[rows, columns].sum() == mask.sum()
        assert mask[rows, columns].any(1).mean() > 0.75


def test_the_contact_sheet_is_small_and_labelled(reported: RunFolder) -> None:
    opened = open_run(reported.folder)
    write_contact_sheet(reported.contact, opened.avatar, opened.track, opened.observations(), "auto", frames=4)
    assert reported.contact.stat().st_size <= CONTACT_BYTES
    with Image.open(reported.contact) as sheet:
        assert sheet.width <= 4 * 400 and sheet.height == 5 * (400 + 24)
        label = np.asarray(sheet.convert("L"))[424:448, :120]
        assert label.min() < 100, "the second row has its label"
