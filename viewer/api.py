"""`avatar.view`: the viewer for an avatar in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from avatar.model.avatar import Avatar
from avatar.model.spring_rings import swinging
from avatar.types import BodyTrack
from avatar.viewer.app import Viewer
from avatar.viewer.clips import Source, builtin_clips, clip_of_track
from avatar.viewer.session import Session


def view(
    person: Avatar,
    motions: Mapping[str, BodyTrack] | None = None,
    *,
    port: int = 8080,
    block: bool = True,
    springs: Literal["auto", "off"] = "auto",
) -> Viewer:
    """Show an avatar in the browser, on 127.0.0.1 alone; prints the address.

    Args:
        motions: tracks for this avatar (`avatar.retarget`) by name, offered before the built-in ones.
        port: the next free one is used when it is taken.
        block: return only when the viewer ends (Ctrl-C); otherwise return the running viewer, to be ended by its
            `stop`.
        springs: "auto" lets skirts, coats and long hair swing, "off" leaves them to the limbs.

    Raises:
        UsageError: `springs` is something else.
    """
    person = swinging(person, springs)
    clips: dict[str, Source] = {name: clip_of_track(name, track) for name, track in (motions or {}).items()}
    clips |= builtin_clips(person)
    viewer = Viewer(Session(person, clips), port=port)
    print(f"look at it:  http://localhost:{viewer.port}", flush=True)
    viewer.start()
    if block:
        try:
            viewer.thread.join()
        finally:
            viewer.stop()
    return viewer
