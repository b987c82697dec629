"""A pose drawn in the page: the figure over an image, the pose that follows it, and the depths to choose from."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page

from avatar.body.skeleton import SMPL_JOINTS
from avatar.metrics.poses import pa_mpjpe
from avatar.motion.figure import POINTS
from avatar.motion.motion import ReadOptions
from avatar.pipeline.motions import keypoints_of
from tests.browser import needs_browser
from tests.exporters.pages import drop, open_page, until
from tests.motion.keypoint_files import HEIGHT, WIDTH, coco_points, moving_person

pytestmark = [needs_browser, pytest.mark.timeout(120)]
JOINTS_IN_PAGE = """() => {
  const {places} = player.skeleton.place(samplePose(player.clip, 0, player.skeleton.size));
  return Object.fromEntries(player.skeleton.joints.map(({name}, i) => [name, places[i]]));
}"""


def joints(tab: Page) -> dict[str, np.ndarray]:
    """Places of the joints of the pose on the page."""
    return {name: np.array(place) for name, place in tab.evaluate(JOINTS_IN_PAGE).items()}


def place_of(tab: Page, point: str) -> tuple[float, float]:
    """Where a point of the figure is on the screen."""
    box = tab.locator(f"#sheet circle[aria-label='{point}']").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def figure_of(motion: str, turned: float, frame: int) -> tuple[dict[str, Any], np.ndarray]:
    """A figure as the page keeps it, of a person in a built-in motion, and the true places of the joints (24, 3)."""
    _, transforms = moving_person(motion=motion, turned=turned)
    points = dict(zip(POINTS, coco_points(transforms)[frame].tolist(), strict=True))
    return {"points": points, "width": WIDTH, "height": HEIGHT}, transforms[frame, :, :3, 3]


def open_drawing(tab: Page, page_file: Path) -> None:
    tab.set_viewport_size({"width": 900, "height": 640})
    open_page(tab, page_file, "?t=0")
    tab.click("#draw")
    until(tab, "player.clip.name === 'drawing'")


def test_the_pose_follows_a_dragged_hand(page_file: Path, tab: Page) -> None:
    open_drawing(tab, page_file)
    before = joints(tab)
    assert before["left_wrist"][1] < before["left_shoulder"][1]
    x, y = place_of(tab, "left shoulder")
    for point, place in (("left elbow", (x + 45, y)), ("left wrist", (x + 55, y - 38))):
        tab.mouse.move(*place_of(tab, point))
        tab.mouse.down()
        tab.mouse.move(*place, steps=8)
        if point == "left wrist":  # the pose follows while the point is held
            until(tab, f"({JOINTS_IN_PAGE})().left_wrist[1] > {before['left_shoulder'][1] + 0.1}")
        tab.mouse.up()
    after = joints(tab)
    assert after["left_wrist"][1] > after["left_shoulder"][1] + 0.1
    assert after["left_elbow"][0] > after["left_shoulder"][0] + 0.2
    np.testing.assert_allclose(after["right_wrist"] - after["right_shoulder"],
                               before["right_wrist"] - before["right_shoulder"], atol=0.12)  # fmt: skip


def test_depths_fit_the_same_drawing_and_differ_along_the_view(page_file: Path, tab: Page) -> None:
    open_drawing(tab, page_file)
    tab.evaluate("([figure]) => controls.drawing.show(figure)", [figure_of("walk", 0.5, 5)[0]])
    until(tab, "controls.element('depths').children.length > 1")
    poses = []
    for number in range(tab.locator("#depths button").count()):
        tab.click(f"#depths button:nth-child({number + 1})")
        assert tab.locator(f"#depths button:nth-child({number + 1})").get_attribute("aria-checked") == "true"
        at = joints(tab)
        poses.append(np.stack([at[name] - at["pelvis"] for name in ("left_wrist", "right_wrist", "left_knee", "neck")]))
    for number, pose in enumerate(poses[1:], start=1):
        away = np.abs(pose - poses[0]).max(0)
        assert away[2] > 0.08, number
        assert away[0] < 0.12, number


def test_an_image_is_drawn_over_and_the_points_are_saved_and_read_again(
    page_file: Path, tab: Page, tmp_path: Path
) -> None:
    Image.new("RGB", (300, 500), (200, 180, 160)).save(tmp_path / "person.png")
    tab.set_viewport_size({"width": 390, "height": 800})  # a phone
    open_page(tab, page_file, "?t=0")
    with tab.expect_file_chooser() as chooser:
        tab.evaluate("controls.element('load-image').click()")
    chooser.value.set_files(tmp_path / "person.png")
    until(tab, "controls.drawing.isOpen && player.clip.name === 'drawing'")
    assert tab.locator("#sheet").get_attribute("viewBox") == "0 0 300 500"
    with tab.expect_download() as download:
        tab.click("#save-points")
    download.value.save_as(tmp_path / "points.json")
    clip = keypoints_of(tmp_path / "points.json", ReadOptions())
    assert clip.names == POINTS and (clip.width, clip.height) == (300, 500)
    content = json.loads((tmp_path / "points.json").read_text())
    content["points"]["left_wrist"] = [290, 20]
    (tmp_path / "points.json").write_text(json.dumps(content))
    drop(tab, tmp_path / "points.json")
    until(tab, "controls.drawing.figure.points.left_wrist[1] === 20")
    at = joints(tab)
    assert at["left_wrist"][1] > at["neck"][1]
    # The sheet leaves room for the avatar.
    assert tab.evaluate("player.freeArea().top >= controls.element('drawing').getBoundingClientRect().bottom")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("broken.png", b"\x89PNG\r\n\x1a\nno image", "broken.png is no image that this browser reads."),
        ("points.json", b'{"points": {"nose": [1, 2]}, "width": 3, "height": 4}', "points.json lacks left eye"),
        ("points.json", b'{"points": {}, "width": 3, "height": 4}', "points.json lacks nose"),
    ],
)
def test_a_broken_file_gives_one_sentence(
    page_file: Path, tab: Page, tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    open_page(tab, page_file, "?t=0")
    (tmp_path / name).write_bytes(content)
    tab.evaluate(
        """([name, bytes]) => controls.openFile(new File([new Uint8Array(bytes)], name,
          {type: name.endsWith('png') ? 'image/png' : 'application/json'}))""",
        [name, list(content)],
    )
    until(tab, f"controls.element('message').textContent.includes({json.dumps(reason)})")


def test_one_of_the_depths_is_the_true_pose(page_file: Path, tab: Page) -> None:
    """Poses of built-in motions, as their points show them, against the joints that they came from."""
    open_page(tab, page_file, "?t=0")
    errors = []
    names = [f"{side}_{part}" for side in ("left", "right")
             for part in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")]  # fmt: skip
    for motion, turned, frame in (("walk", 0.5, 5), ("walk", -0.9, 12), ("squat", 0.3, 12), ("wave", 0.0, 8)):
        figure, places = figure_of(motion, turned, frame)
        poses = tab.evaluate("([figure]) => poseHypotheses(figure, player.skeleton, 4).map(({at}) => at)", [figure])
        assert 1 <= len(poses) <= 4
        ours = torch.tensor([[pose[name] for name in names] for pose in poses])
        truth = torch.from_numpy(places[[SMPL_JOINTS.index(name) for name in names]]).float()
        errors.append(float(pa_mpjpe(ours, truth.expand(len(poses), -1, -1)).min()))
    assert max(errors) < 0.1 and sum(errors) / len(errors) < 0.065, errors
