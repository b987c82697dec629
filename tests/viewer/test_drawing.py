"""A drawing: the figure, the board in the scene, and the pose that follows the points."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError
from avatar.motion.figure import POINTS, figure_at_ease
from avatar.motion.motion import ReadOptions
from avatar.pipeline.motions import keypoints_of
from avatar.types import BodyPose
from avatar.viewer.app import Viewer
from avatar.viewer.drawing import DrawingSolver
from avatar.viewer.drawing_panel import DrawingBoard, decoded
from avatar.viewer.session import open_session

from .sample import sample_avatar


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in good time"
        time.sleep(0.05)


@pytest.fixture
def solver() -> Iterator[tuple[DrawingSolver, list[BodyPose], list[int]]]:
    poses: list[BodyPose] = []
    counts: list[int] = []
    solver = DrawingSolver(sample_avatar(50).body, poses.append, counts.append)
    yield solver, poses, counts
    solver.stop()


def test_a_figure_is_a_file_for_the_command_line(tmp_path: Path) -> None:
    figure = figure_at_ease(600, 900)
    assert (figure.points > 0).all() and (figure.points < [600, 900]).all()
    (tmp_path / "points.json").write_text(figure.as_json(), encoding="utf-8")
    clip = keypoints_of(tmp_path / "points.json", ReadOptions())
    np.testing.assert_allclose(clip.people[0][0][:, :2], figure.points, atol=0.01)
    assert clip.names == POINTS and (clip.width, clip.height) == (600, 900)
    assert set(json.loads(figure.as_json())["points"]) == set(POINTS)


def test_the_pose_follows_a_dragged_hand(solver: tuple[DrawingSolver, list[BodyPose], list[int]]) -> None:
    solving, poses, counts = solver
    figure = figure_at_ease(600, 900)
    solving.solve(figure, held=False)
    wait_until(lambda: bool(poses))
    assert counts and counts[0] >= 1
    shoulder, elbow, wrist = (POINTS.index(f"left_{part}") for part in ("shoulder", "elbow", "wrist"))
    x, y = figure.points[shoulder]
    raised = figure.moved(elbow, x + 110, y - 40).moved(wrist, x + 200, y - 120)
    for round_ in range(2, 5):
        solving.solve(raised, held=True)
        wait_until(lambda count=round_: len(poses) >= count)  # type: ignore[misc]
    upper = poses[-1].rotations
    chain = upper[0] @ upper[3] @ upper[6] @ upper[9] @ upper[SMPL_JOINTS.index("left_collar")]
    arm = chain @ upper[SMPL_JOINTS.index("left_shoulder")] @ torch.tensor([1.0, 0.0, 0.0])
    assert float(arm[1]) > -0.2, "the arm did not rise with the hand"


def test_choosing_shows_another_hypothesis(solver: tuple[DrawingSolver, list[BodyPose], list[int]]) -> None:
    solving, poses, counts = solver
    figure = figure_at_ease(600, 900)
    elbow, wrist = POINTS.index("left_elbow"), POINTS.index("left_wrist")
    x, y = figure.points[POINTS.index("left_shoulder")]
    solving.solve(figure.moved(elbow, x + 30, y + 40).moved(wrist, x + 20, y + 20), held=False)  # towards or away
    wait_until(lambda: bool(poses))
    assert counts[-1] >= 2
    solving.choose(1)
    assert len(poses) == 2 and not torch.allclose(poses[0].rotations, poses[1].rotations, atol=0.05)
    solving.choose(99)
    assert len(poses) == 2


def test_a_figure_in_one_point_says_so() -> None:
    messages: list[str] = []
    solver = DrawingSolver(sample_avatar(50).body, lambda pose: None)
    solver.on_message = messages.append
    figure = figure_at_ease(600, 900)
    for index in range(len(POINTS)):
        figure = figure.moved(index, 300.0, 300.0)
    solver.solve(figure, held=False)
    wait_until(lambda: bool(messages))
    solver.stop()
    assert "in one place" in messages[0]


def test_the_board_in_the_scene(run_folder: Path) -> None:
    viewer = Viewer(open_session(run_folder), port=8860)
    shown = threading.Event()
    solver = DrawingSolver(viewer.session.avatar.body, lambda pose: shown.set())
    board = DrawingBoard(viewer.server, viewer.store, solver)
    board.load(np.full((300, 200, 3), 200, np.uint8))
    assert len(board.handles) == len(POINTS)
    for x, y in board.figure.points:
        assert board.pixel_of(board.place_of(x, y)) == pytest.approx((x, y))
    assert board.pixel_of((99.0, -99.0, 0.0)) == (200.0, 300.0)
    board.dragged(0, board.place_of(50.0, 60.0), held=True)
    assert board.figure.points[0] == pytest.approx([50.0, 60.0])
    wait_until(shown.is_set)
    board.draw(False)
    assert not board.handles
    viewer._show_drawn_pose(BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1)))
    assert viewer.store.state.edited is not None and float(viewer.store.state.edited.root_position[1]) > 0.5
    solver.stop()
    viewer.server.stop()


def test_an_uploaded_image() -> None:
    image = np.zeros((20, 30, 3), np.uint8)
    content = cv2.imencode(".png", image)[1].tobytes()
    assert decoded("sketch.png", content).shape[:2] == (20, 30)
    with pytest.raises(AvatarError, match=r"sketch\.png"):
        decoded("sketch.png", b"no image")
