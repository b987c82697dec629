"""Helpers of all panels: reacting only to people, and showing the state without echo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import viser

from avatar.errors import AvatarError
from avatar.viewer.state import ViewState

# A panel builds its widgets and returns the function that shows a state in them.
Show = Callable[[ViewState], None]
ProgressCallback = Callable[[str], None]
Job = Callable[[viser.ClientHandle, ProgressCallback], str]


def on_user(widget: Any, act: Callable[[Any], None]) -> None:
    """Call `act` with the widget's value when a person changes it, in the order of the changes.

    Values that the program sets itself come back as events without a client; acting on them would echo for ever.
    A number typed beside a slider is clamped to the slider's range.
    """

    async def changed(event: viser.GuiEvent[Any]) -> None:
        if event.client is None:
            return
        if isinstance(widget, viser.GuiSliderHandle):
            set_if_changed(widget, value=min(max(widget.value, widget.min), widget.max))
        act(widget.value)

    # A group of buttons remembers the last one pressed but calls it a click.
    listen = widget.on_click if isinstance(widget, viser.GuiButtonGroupHandle) else widget.on_update
    listen(changed)


def on_press(button: viser.GuiButtonHandle, act: Callable[[], None]) -> None:
    """Call `act`, which must be quick, when a person presses the button."""

    async def pressed(event: viser.GuiEvent[Any]) -> None:
        act()

    button.on_click(pressed)


def on_job(button: viser.GuiButtonHandle, title: str, job: Job) -> None:
    """Run long work in a thread of its own when the button is pressed, one at a time, and report how it ended.

    Args:
        job: does the work for the tab that requested it, may report progress, and returns the final message; the
            message of an AvatarError is shown too.
    """

    def pressed(event: viser.GuiEvent[Any]) -> None:
        client = event.client
        if client is None or button.disabled:
            return
        button.disabled = True
        note = client.add_notification(title, "Working …", loading=True, with_close_button=False)
        try:
            note.body, note.color = job(client, lambda text: set_if_changed(note, body=text)), "teal"
        except AvatarError as error:
            note.body, note.color = str(error), "red"
        finally:
            note.loading, note.with_close_button, note.auto_close_seconds = False, True, 12.0
            button.disabled = False

    button.on_click(pressed)


def set_if_changed(widget: Any, **properties: Any) -> None:
    """Set properties that differ; unchanged ones send nothing."""
    for name, value in properties.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)
