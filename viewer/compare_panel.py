"""The avatar beside the frame it was trained on: source, avatar, difference, from the training camera."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import viser
from jaxtyping import UInt8
from viser import Icon

from avatar.io.images import to_float
from avatar.metrics.images import person_box
from avatar.viewer.camera_layer import camera_pose, downscaled, field_of_view
from avatar.viewer.clips import TRAINING
from avatar.viewer.server_images import render_image
from avatar.viewer.session import PosedState, Session
from avatar.viewer.state import Compare, Store, ViewState
from avatar.viewer.widgets import Show, on_user, set_if_changed

VIEWS: dict[str, Compare] = {
    "Off": "off", "Source | avatar | difference": "all three", "Source": "source", "Avatar": "avatar",
    "Difference": "difference",
}  # fmt: skip
MARGIN = 16  # pixels of the source left round the person
SIDE = 640  # long side of a compared image, pixels
GAIN = 3.0  # factor by which differences are shown stronger
EMPTY = np.full((8, 16, 3), 240, np.uint8)


def compare_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets of the comparison; returns the function that shows a state in them."""
    if session.track is None or session.track.cameras is None or session.observations is None:
        gui.add_markdown("This run no longer has its source images, so there is nothing to compare with.")
        return lambda state: None
    view = gui.add_dropdown("Show", tuple(VIEWS))
    image = gui.add_image(EMPTY, format="jpeg", visible=False)
    note = gui.add_markdown("")
    stand = gui.add_button("Look through this camera", icon=Icon.CAMERA)
    current: list[object] = []

    on_user(view, lambda name: store.set(compare=VIEWS[name]))

    @stand.on_click
    def _(event: viser.GuiEvent[Any]) -> None:
        if event.client is not None:
            store.set(cameras=False)  # the image in front of this camera would hide the avatar
            stand_at(event.client, session, training_frame(store.state, session))

    def show(state: ViewState) -> None:
        set_if_changed(view, value=next(label for label, value in VIEWS.items() if value == state.compare))
        set_if_changed(image, visible=state.compare != "off")
        posed = session.posed_state(state)
        # A comparison needs a render and a file read, too slow while a motion plays or a hand is dragged.
        if state.compare == "off" or state.playing or state.held is not None or current == [state.compare, posed]:
            return
        current[:] = [state.compare, posed]
        image.image, psnr = compared(state, session, posed)
        caption = f"frame {training_frame(state, session)}, difference ×{GAIN:.0f}, PSNR {psnr:.1f} dB"
        set_if_changed(note, content=f"<sub>{caption} in the person's box</sub>")

    return show


def training_frame(state: ViewState, session: Session) -> int:
    """The training frame at the time shown; the first one for motions that are not of the video."""
    assert session.track is not None
    if state.clip != TRAINING:
        return 0
    shows = (session.track.instant == round(state.frame)).nonzero()
    return int(shows[0]) if len(shows) else 0


def compared(state: ViewState, session: Session, posed: PosedState) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
    """The image that `state.compare` selects, and the PSNR of the avatar against the masked source."""
    assert session.track is not None and session.track.cameras is not None and session.observations is not None
    index = training_frame(state, session)
    image, mask = session.observations.images[index], session.observations.masks[index]
    coverage = to_float(mask)
    rows, columns = person_box(coverage, MARGIN) or (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    source = downscaled(image[rows, columns], SIDE)
    height, width = source.shape[:2]
    camera = session.track.cameras[index].cropped(
        columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
    )
    camera = camera.resized(width, height)
    person = downscaled(np.repeat(mask[rows, columns, None], 3, axis=2), SIDE) / 255
    # Cut out along the mask, so that only the person is compared and not the room behind.
    cut = (source * person + np.array(state.background) * (1 - person)).round().astype(np.uint8)
    avatar = render_image(session.gaussians(replace(posed, opacity=1.0)), camera, state.background)
    error = avatar.astype(np.float32) - cut
    psnr = float(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-6)))
    difference = (255 - np.abs(error) * GAIN).clip(0, 255).astype(np.uint8)
    images = {"source": [source], "avatar": [avatar], "difference": [difference]}
    chosen = images.get(state.compare, [source, avatar, difference])
    return np.concatenate(chosen, axis=1), psnr


def stand_at(client: viser.ClientHandle, session: Session, index: int) -> None:
    """Move a tab's camera to the camera of a training frame."""
    assert session.track is not None and session.track.cameras is not None
    wxyz, position = camera_pose(session.track.cameras, index)
    with client.atomic():
        client.camera.fov = field_of_view(session.track.cameras, index)
        client.camera.position = position
        client.camera.wxyz = wxyz
