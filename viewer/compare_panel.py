"""The avatar against the frame it was trained on, from the training camera, over the whole scene."""

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
from avatar.viewer.stage_images import as_data
from avatar.viewer.state import Compare, Store, ViewState
from avatar.viewer.widgets import on_user, set_if_changed

VIEWS: dict[str, Compare] = {
    "Off": "off", "Wipe": "wipe", "Overlay": "overlay", "Side by side": "side by side", "Difference": "difference",
}  # fmt: skip
MARGIN = 16  # pixels of the source left round the person
SIDE = 1080  # long side of a compared image, pixels
GAIN = 3.0  # factor by which differences are shown stronger
NOTHING: dict[str, Any] = {"mode": "off", "caption": "", "source": "", "avatar": ""}


class ComparePanel:
    """The Compare tab, and what the page shows over the scene."""

    def __init__(self, gui: viser.GuiApi, store: Store, session: Session) -> None:
        self.store, self.session = store, session
        self.comparison = NOTHING
        self._made: list[object] = []
        self.usable = (
            session.track is not None and session.track.cameras is not None and session.observations is not None
        )
        if not self.usable:
            gui.add_markdown("This run no longer has its source images, so there is nothing to compare with.")
            return
        self.view = gui.add_dropdown("Show", tuple(VIEWS), hint="Over the scene, from the camera of the video")
        stand = gui.add_button("Look through this camera", icon=Icon.CAMERA)
        on_user(self.view, lambda name: store.set(compare=VIEWS[name]))
        stand.on_click(self._stand)

    def _stand(self, event: viser.GuiEvent[Any]) -> None:
        if event.client is not None:
            # The comparison and the image in front of this camera would hide the avatar.
            self.store.set(cameras=False, compare="off")
            stand_at(event.client, self.session, training_frame(self.store.state, self.session))

    def show(self, state: ViewState) -> None:
        """Bring the tab and `comparison` to a state."""
        if not self.usable:
            return
        set_if_changed(self.view, value=next(label for label, value in VIEWS.items() if value == state.compare))
        if state.compare == "off":
            self.comparison, self._made = NOTHING, []
            return
        posed = self.session.posed_state(state)
        # A comparison needs a render and a file read, too slow while a motion plays or a hand is dragged.
        if state.playing or state.held is not None or self._made == [state.compare, posed]:
            return
        self._made = [state.compare, posed]
        source, avatar, difference, psnr = compared(state, self.session, posed)
        frame = training_frame(state, self.session)
        gained = f", difference ×{GAIN:.0f}" if state.compare == "difference" else ""
        self.comparison = {
            "mode": state.compare,
            "caption": f"frame {frame}, PSNR {psnr:.1f} dB in the person's box{gained}",
            "source": as_data(source),
            "avatar": as_data(difference if state.compare == "difference" else avatar),
        }


def training_frame(state: ViewState, session: Session) -> int:
    """The training frame at the time shown; the first one for motions that are not of the video."""
    assert session.track is not None
    if state.clip != TRAINING:
        return 0
    shows = (session.track.instant == round(state.frame)).nonzero()
    return int(shows[0]) if len(shows) else 0


def compared(
    state: ViewState, session: Session, posed: PosedState
) -> tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], float]:
    """The masked source, the avatar from the same camera, their difference, and the PSNR."""
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
    avatar = render_image(session.person(replace(posed, opacity=1.0)), camera, state.background)
    error = avatar.astype(np.float32) - cut
    psnr = float(10 * np.log10(255**2 / max(float((error**2).mean()), 1e-6)))
    difference = (255 - np.abs(error) * GAIN).clip(0, 255).astype(np.uint8)
    return cut, avatar, difference, psnr


def stand_at(client: viser.ClientHandle, session: Session, index: int) -> None:
    """Move a tab's camera to the camera of a training frame."""
    assert session.track is not None and session.track.cameras is not None
    wxyz, position = camera_pose(session.track.cameras, index)
    with client.atomic():
        client.camera.fov = field_of_view(session.track.cameras, index)
        client.camera.position = position
        client.camera.wxyz = wxyz
