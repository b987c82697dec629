"""The avatar beside the frame it was trained on: source, avatar, difference, from the training camera."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import viser
from jaxtyping import UInt8
from viser import Icon

from avatar.io.images import to_float
from avatar.metrics.images import person_box
from avatar.viewer.camera_layer import camera_place, field_of_view, smaller
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
SIDE = 640  # long side of a compared picture, pixels
GAIN = 3.0  # differences are shown so many times as strong
EMPTY = np.full((8, 16, 3), 240, np.uint8)


def compare_panel(gui: viser.GuiApi, store: Store, session: Session) -> Show:
    """Build the widgets of the comparison; returns the function that shows a state in them."""
    if session.track is None or session.track.cameras is None or session.observations is None:
        gui.add_markdown("This run no longer has the pictures it was made from, so there is nothing to compare with.")
        return lambda state: None
    view = gui.add_dropdown("Show", tuple(VIEWS))
    picture = gui.add_image(EMPTY, format="jpeg", visible=False)
    note = gui.add_markdown("")
    stand = gui.add_button("Look through this camera", icon=Icon.CAMERA)
    shown: list[object] = []

    on_user(view, lambda name: store.set(compare=VIEWS[name]))

    @stand.on_click
    def _(event: viser.GuiEvent) -> None:
        if event.client is not None:
            store.set(cameras=False)  # the picture that hangs before this camera would hide the avatar
            stand_at(event.client, session, training_frame(store.state, session))

    def show(state: ViewState) -> None:
        set_if_changed(view, value=next(label for label, value in VIEWS.items() if value == state.compare))
        set_if_changed(picture, visible=state.compare != "off")
        posed = session.posed_state(state)
        # A comparison takes a render and a file; while a motion plays or a hand is pulled it would hold up the rest.
        if state.compare == "off" or state.playing or state.held is not None or shown == [state.compare, posed]:
            return
        shown[:] = [state.compare, posed]
        picture.image, error = compared(state, session, posed)
        caption = f"frame {training_frame(state, session)}, difference ×{GAIN:.0f}, PSNR {error:.1f} dB"
        set_if_changed(note, content=f"<sub>{caption} in the person's box</sub>")

    return show


def training_frame(state: ViewState, session: Session) -> int:
    """The filmed frame that belongs to the place in the motion; the first one for motions that were not filmed."""
    assert session.track is not None
    if state.clip != TRAINING:
        return 0
    shows = (session.track.instant == round(state.frame)).nonzero()
    return int(shows[0]) if len(shows) else 0


def compared(state: ViewState, session: Session, posed: PosedState) -> tuple[UInt8[np.ndarray, "h w 3"], float]:
    """The picture that `state.compare` asks for, and the PSNR of the avatar over the source's background."""
    assert session.track is not None and session.track.cameras is not None and session.observations is not None
    index = training_frame(state, session)
    image, mask = session.observations.images[index], session.observations.masks[index]
    coverage = to_float(mask)
    rows, columns = person_box(coverage, MARGIN) or (slice(0, mask.shape[0]), slice(0, mask.shape[1]))
    source = smaller(image[rows, columns], SIDE)
    height, width = source.shape[:2]
    camera = session.track.cameras[index].cropped(
        columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start
    )
    camera = camera.resized(width, height)
    person = smaller(np.repeat(mask[rows, columns, None], 3, axis=2), SIDE) / 255
    # Cut out along the mask, so that only the person is compared and not the room behind.
    cut = (source * person + np.array(state.background) * (1 - person)).round().astype(np.uint8)
    avatar = render_image(session.gaussians(replace(posed, opacity=1.0)), camera, state.background)
    apart = avatar.astype(np.float32) - cut
    psnr = float(10 * np.log10(255**2 / max(float((apart**2).mean()), 1e-6)))
    difference = (255 - np.abs(apart) * GAIN).clip(0, 255).astype(np.uint8)
    pictures = {"source": [source], "avatar": [avatar], "difference": [difference]}
    chosen = pictures.get(state.compare, [source, avatar, difference])
    return np.concatenate(chosen, axis=1), psnr


def stand_at(client: viser.ClientHandle, session: Session, index: int) -> None:
    """Put a tab's camera where a frame was filmed from."""
    assert session.track is not None and session.track.cameras is not None
    wxyz, position = camera_place(session.track.cameras, index)
    with client.atomic():
        client.camera.fov = field_of_view(session.track.cameras, index)
        client.camera.position = position
        client.camera.wxyz = wxyz
