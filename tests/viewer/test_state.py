"""Time in the timeline, and the store that everybody writes to."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from avatar.viewer.state import Store, ViewState, advanced, stepped, toggled_play

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


def test_steps_wrap_and_stop_play() -> None:
    state = stepped(replace(STATE, playing=True), -1, 10)
    assert (state.frame, state.playing) == (9.0, False)
    assert stepped(state, 1, 10).frame == 0.0


def test_play_at_the_last_frame_starts_over() -> None:
    assert toggled_play(replace(STATE, frame=9.0), 10).frame == 0.0
    assert toggled_play(replace(STATE, frame=4.0), 10).frame == 4.0


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
