"""Updates per second that the viewer sends in each drawing mode, and their cost.

A bare websocket client in a process of its own stands for the browser, so that only the server is measured:
`python scripts/benchmark_viewer.py RUN`.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import tyro

if TYPE_CHECKING:
    from avatar.viewer.app import Viewer

# What the pipe between us and the client carries: messages received, and their bytes.
Count = tuple[int, int]


def client(port: int, pipe: Connection) -> None:
    """Be a tab: show a camera, take all that comes, and say how much it was whenever asked."""
    import msgspec
    import viser
    from websockets.sync.client import connect

    camera = {
        "type": "ViewerCameraMessage", "wxyz": (0.0, 0.0, 1.0, 0.0), "position": (0.0, 1.0, 3.5), "fov": 0.75,
        "near": 0.01, "far": 100.0, "image_height": 960, "image_width": 720, "look_at": (0.0, 1.0, 0.0),
        "up_direction": (0.0, 1.0, 0.0),
    }  # fmt: skip
    messages = size = 0
    subprotocol = [f"viser-v{viser.__version__}"]
    with connect(f"ws://127.0.0.1:{port}", subprotocols=subprotocol, max_size=None, compression=None) as socket:  # type: ignore[arg-type]
        socket.send(msgspec.msgpack.encode(camera))
        while True:
            try:
                size += len(socket.recv(timeout=0.05))
                messages += 1
            except TimeoutError:
                pass
            if pipe.poll():
                if pipe.recv() == "end":
                    return
                pipe.send((messages, size))


def measure(viewer: Viewer, pipe: Connection, seconds: float) -> str:
    """Updates and bytes per second that reach the client, and CPU time of this process per update."""

    def now() -> tuple[float, float, int, Count]:
        pipe.send("count")
        count: Count = pipe.recv()
        return time.monotonic(), time.process_time(), viewer.updates, count

    start = now()
    time.sleep(seconds)
    end = now()
    elapsed, updates = end[0] - start[0], end[2] - start[2]
    received = end[3][0] - start[3][0]
    megabytes = (end[3][1] - start[3][1]) / 2**20
    cost = 1000 * (end[1] - start[1]) / max(updates, 1)
    return (
        f"{updates / elapsed:5.1f} updates/s drawn, {received / elapsed:5.1f} packets/s received, "
        f"{megabytes / elapsed:6.2f} MB/s, {cost:5.1f} ms of processor an update"
    )


def main(run: Annotated[Path, tyro.conf.Positional], seconds: float = 8.0) -> None:
    """Measure the ways of drawing a motion that plays.

    Args:
        run: run folder made by `avatar create`.
        seconds: how long to measure each.
    """
    from avatar.viewer.app import Viewer
    from avatar.viewer.session import open_session

    viewer = Viewer(open_session(run), port=8600)
    viewer.store.set(playing=True, loop=True)
    viewer.start()
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=client, args=(viewer.port, theirs), daemon=True)
    process.start()
    while not viewer.server.get_clients():
        time.sleep(0.1)
    print(f"{len(viewer.session.avatar)} splats, torch with {torch.get_num_threads()} threads")
    time.sleep(4)
    print("splats:                       ", measure(viewer, ours, seconds))
    viewer.store.set(skeleton=True, mesh=True)
    time.sleep(2)
    print("splats, mesh and skeleton:    ", measure(viewer, ours, seconds))
    viewer.store.set(skeleton=False, mesh=False, drawing="images")
    time.sleep(4)
    print("images rendered on the server:", measure(viewer, ours, seconds))
    print(f"their long side: {viewer.server_images.budget.side(720 / 960, 960)} of 960 pixels")
    ours.send("end")
    process.join()
    viewer.stop()


if __name__ == "__main__":
    tyro.cli(main)
