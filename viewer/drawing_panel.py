"""The Draw tab: an image beside the avatar, a figure of 17 points to drag over it, and the poses that fit it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import viser
from viser import Icon

from avatar.errors import AvatarError
from avatar.io.images import read_image
from avatar.motion.figure import BONES, POINTS, figure_at_ease
from avatar.viewer.drawing import COUNT, DrawingSolver
from avatar.viewer.state import Store, ViewState
from avatar.viewer.widgets import Show, on_press, on_user, set_if_changed

HEIGHT_M = 1.8  # of the image in the scene
BESIDE_M = 0.9  # from the avatar to the nearer edge of the image
HANDLE_M = 0.09
COLOR = (36, 99, 235)
BLANK = (960, 720)  # height and width of the sheet that is there before an image is loaded
CHOICES = tuple(f"{number}{' (likeliest)' if number == 1 else ''}" for number in range(1, COUNT + 1))


class DrawingBoard:
    """The image and the figure in the scene."""

    def __init__(self, server: viser.ViserServer, store: Store, solver: DrawingSolver) -> None:
        self.scene, self.store, self.solver = server.scene, store, solver
        self.image = np.full((*BLANK, 3), 255, np.uint8)
        self.figure = figure_at_ease(BLANK[1], BLANK[0])
        self.handles: list[viser.TransformControlsHandle] = []
        self.visible = False

    def load(self, image: np.ndarray) -> None:
        """Show another image, with a figure at ease on it."""
        self.image = np.ascontiguousarray(image[..., :3])
        self.figure = figure_at_ease(image.shape[1], image.shape[0])
        self.draw(True)
        self.solver.solve(self.figure, held=False)

    def draw(self, visible: bool) -> None:
        """Build the board anew, or remove it."""
        for handle in self.handles:
            handle.remove()
        self.handles, self.visible = [], visible
        scale = HEIGHT_M / self.figure.height
        size = (self.figure.width * scale, HEIGHT_M)
        # An image of viser lies in its own plane, with x to the right and y down.
        self.scene.add_image(
            "/drawing/image", self.image, *size, wxyz=(0.0, 1.0, 0.0, 0.0), visible=visible,
            position=(BESIDE_M + size[0] / 2, HEIGHT_M / 2, 0.0),
        )  # fmt: skip
        self._draw_bones()
        if visible:
            for index in range(len(POINTS)):
                self._add_handle(index)

    def dragged(self, index: int, position: tuple[float, float, float], held: bool) -> None:
        """A handle was moved to a place in the scene."""
        self.figure = self.figure.moved(index, *self.pixel_of(position))
        self._draw_bones()
        self.solver.solve(self.figure, held)

    def place_of(self, x: float, y: float) -> tuple[float, float, float]:
        """The place in the scene of a pixel of the image."""
        scale = HEIGHT_M / self.figure.height
        return BESIDE_M + x * scale, HEIGHT_M - y * scale, 0.01

    def pixel_of(self, position: tuple[float, float, float]) -> tuple[float, float]:
        """The pixel of the image at a place in the scene, kept inside the image."""
        scale = HEIGHT_M / self.figure.height
        x, y = (position[0] - BESIDE_M) / scale, (HEIGHT_M - position[1]) / scale
        return min(max(x, 0.0), float(self.figure.width)), min(max(y, 0.0), float(self.figure.height))

    def _add_handle(self, index: int) -> None:
        handle = self.scene.add_transform_controls(
            f"/drawing/handle-{POINTS[index]}", HANDLE_M, disable_rotations=True, active_axes=(True, True, False),
            depth_test=False, position=self.place_of(*self.figure.points[index]),
        )  # fmt: skip

        @handle.on_update
        async def _(event: viser.TransformControlsEvent) -> None:
            x, y, z = (float(value) for value in event.target.position)
            self.dragged(index, (x, y, z), held=event.phase != "end")

        self.handles.append(handle)

    def _draw_bones(self) -> None:
        places = np.array([self.place_of(*point) for point in self.figure.points])
        self.scene.add_line_segments(
            "/drawing/bones", places[np.array(BONES)], COLOR, thickness=0.012, visible=self.visible
        )


def drawing_panel(server: viser.ViserServer, store: Store, solver: DrawingSolver) -> Show:
    """Build the widgets for drawing; returns the function that shows a state in them."""
    gui, board = server.gui, DrawingBoard(server, store, solver)
    visible = gui.add_checkbox("Drawing board", False, hint="A sheet beside the avatar with a figure to drag")
    upload = gui.add_upload_button("Load an image", icon=Icon.PHOTO, mime_type="image/*", color="gray")
    depth = gui.add_dropdown("Depth", CHOICES, hint="Poses that fit the same drawing, the likeliest first")
    again = gui.add_button("Figure at ease", icon=Icon.REFRESH, color="gray")
    save = gui.add_button("Points for --pose (.json)", icon=Icon.DOWNLOAD, color="gray")

    def show_board(value: bool) -> None:
        board.draw(value)
        if value:
            solver.solve(board.figure, held=False)

    def start_again() -> None:
        board.figure = figure_at_ease(board.figure.width, board.figure.height)
        show_board(True)
        set_if_changed(visible, value=True)

    def new_choices(count: int) -> None:
        depth.options = CHOICES[:count]
        set_if_changed(depth, value=CHOICES[0])

    def uploaded(event: viser.GuiEvent[viser.GuiUploadButtonHandle]) -> None:
        try:
            board.load(decoded(upload.value.name, upload.value.content))
            set_if_changed(visible, value=True)
        except AvatarError as error:
            store.set(message=str(error))

    def download(event: viser.GuiEvent[viser.GuiButtonHandle]) -> None:
        if event.client is not None:
            event.client.send_file_download("points.json", board.figure.as_json().encode(), save_immediately=True)

    solver.on_choices, solver.on_message = new_choices, lambda text: store.set(message=text)
    on_user(visible, show_board)
    on_user(depth, lambda label: solver.choose(CHOICES.index(label)))
    on_press(again, start_again)
    upload.on_upload(uploaded)
    save.on_click(download)

    def show(state: ViewState) -> None:
        return None

    return show


def decoded(name: str, content: bytes) -> np.ndarray:
    """An uploaded image.

    Raises:
        AvatarError: it is no readable image; the message names the file alone.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image{Path(name).suffix.lower()}"
        path.write_bytes(content)
        try:
            return read_image(path)
        except AvatarError as error:
            raise AvatarError(str(error).replace(str(path), Path(name).name)) from error
