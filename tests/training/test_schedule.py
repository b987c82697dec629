"""Events of a training run fall on steps, whatever their number."""

import pytest

from avatar.training.schedule import BIND_FACE, DENSIFY, MEASURE, RESAMPLE, SAVE, Event


@pytest.mark.parametrize("event", [DENSIFY, BIND_FACE, RESAMPLE, MEASURE, SAVE, Event(10, end=0.75), Event(0)])
@pytest.mark.parametrize("steps", [60, 220, 500, 700, 1350, 1400, 3000, 3001])
def test_each_event_happens_as_often_as_it_says(event: Event, steps: int) -> None:
    due = [step for step in range(1, steps + 1) if event.is_due(step, steps)]
    assert len(due) == event.times
    assert all(event.start * steps < step < event.end * steps + 1 for step in due)


def test_a_last_event_comes_with_the_last_step() -> None:
    """The scores of the finished avatar are measured, and what the user stops is saved."""
    for steps in range(10, 400):
        assert MEASURE.is_due(steps, steps)
        assert SAVE.is_due(steps, steps)
