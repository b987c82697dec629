"""Time in the timeline, and the store that everybody writes to."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from avatar.types import BodyPose
from avatar.viewer.state import Store, ViewState, advanced, limited, stepped, toggled_play

STATE = ViewState("walk", (0.0,))


def test_play_runs_at_the_motions_rate_times_the_speed() -> None:
    playing = replace(STATE, playing=True, speed=0.5)
    assert advanced(playing, 2.0, 10.0, 100).frame == pytest.approx(10.0)


def test_the_end_loops_or_stops() -> None:
    late = replace(STATE, playing=True, frame=9.5)
    assert advanced(late, 0.1, 10.0, 10).frame == pytest.approx(0.5)
    stopped = advanced(replace(late, loop=False), 0.1, 10.0, 10)
    assert (stopped.frame, stopped.playing) == (9.0, False)


def test_a_long_gap_stays_inside_the_motion() -> None:
    assert 0 <= advanced(replace(STATE, playing=True), 1234.5, 30.0, 7).frame < 7


def test_frames_play_at_their_own_times() -> None:
    """Four frames of 0.1 s, a gap of 4 s, and four more."""
    times = torch.tensor([0.0, 0.1, 0.2, 0.3, 4.3, 4.4, 4.5, 4.6])
    playing = replace(STATE, playing=True)
    fps = 7 / 4.6
    assert advanced(playing, 0.25, fps, 8, times).frame == pytest.approx(2.5)
    assert advanced(playing, 2.3, fps, 8, times).frame == pytest.approx(3.5)
    assert advanced(replace(playing, frame=3.5), 2.05, fps, 8, times).frame == pytest.approx(4.5)
    assert advanced(playing, 4.6 + 1 / fps + 0.1, fps, 8, times).frame < 1
    in_small_steps = playing
    for _ in range(44):
        in_small_steps = advanced(in_small_steps, 0.1, fps, 8, times)
    assert in_small_steps.frame == pytest.approx(5.0, abs=1e-3)


def test_steps_wrap_and_stop_play() -> None:
    state = stepped(replace(STATE, playing=True), -1, 10)
    assert (state.frame, state.playing) == (9.0, False)
    assert stepped(state, 1, 10).frame == 0.0


def test_play_at_the_last_frame_starts_over() -> None:
    assert toggled_play(replace(STATE, frame=9.0), 10).frame == 0.0
    assert toggled_play(replace(STATE, frame=4.0), 10).frame == 4.0


def test_only_the_range_plays() -> None:
    state = replace(STATE, playing=True, limits=(2, 5), frame=4.0)
    assert advanced(state, 0.3, 10.0, 10).frame == pytest.approx(3.0)
    assert advanced(replace(state, frame=9.0), 0.0, 10.0, 10).frame < 6
    assert toggled_play(replace(state, playing=False, frame=5.0), 10).frame == 2.0
    assert limited(state, 1, 1, 10).limits == (1, 1)
    assert limited(replace(STATE, limits=(3, 9)), 0, 0, 10).limits is None, "the whole motion is no range"


def test_undo_takes_back_one_edit_and_a_whole_drag_at_once() -> None:
    poses = [BodyPose(torch.zeros(3), torch.eye(3).repeat(24, 1, 1)) for _ in range(4)]
    store = Store(STATE)
    store.set(edited=poses[0])
    store.set(held=16)  # a ring is grabbed, turned through two poses, and let go
    store.set(edited=poses[1])
    store.set(edited=poses[2])
    store.set(held=None)
    store.set(keyframes=(poses[2],))
    store.undo()
    assert store.state.keyframes == () and store.state.edited is poses[2]
    store.undo()
    assert store.state.edited is poses[0]
    store.undo()
    assert store.state.edited is None
    store.undo()
    assert store.state.edited is None
    store.redo()
    store.redo()
    assert store.state.edited is poses[2]
    store.set(edited=poses[3])
    store.redo()
    assert store.state.edited is poses[3], "a new edit ends what could be made again"
    for pose in poses[:3]:
        store.change(lambda state, pose=pose: replace(state, edited=pose), "slider")
    store.undo()
    assert store.state.edited is poses[3], "a slider that is dragged is one edit"


def test_changes_from_many_threads_are_all_kept() -> None:
    store = Store(STATE)

    def add() -> None:
        for _ in range(200):
            store.change(lambda state: replace(state, frame=state.frame + 1))

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.state.frame == 1600


def test_waiting_ends_with_a_change() -> None:
    store = Store(STATE)
    threading.Timer(0.05, lambda: store.set(frame=3.0)).start()
    assert store.wait(STATE, timeout=10.0).frame == 3.0
