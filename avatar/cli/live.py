"""`avatar live`: the avatar follows a camera."""

from __future__ import annotations

from pathlib import Path

from avatar.cli.options import Run, Switch
from avatar.errors import AvatarError, UsageError


def live_avatar(
    run: Run,
    camera: str | None = None,
    record: Path | None = None,
    lan: Switch = False,
    port: int = 8090,
    token: str | None = None,
    motion: tuple[str, ...] = (),
) -> None:
    """Serve the page in which the avatar follows your camera; press "Mirror me" there. Images stay in the browser.

    Args:
        run: run folder made by `avatar create`.
        camera: follow a camera of this machine instead, by its number (0 is the first), or a video file, in the viewer
            of `avatar view`; the network and the fit are those of `avatar create`.
        record: with --camera: file for the motion (.json), for `avatar animate --motion`.
        lan: serve phones in the same network too, with https and a token, and print a QR code of the address (needs
            the extra "lan").
        port: port to listen on; the next free one is taken if it is in use.
        token: secret that the address must contain; with --lan a random one is made.
        motion: motions of the page: "filmed", built-in names or files, as for `avatar export --html`.
    """
    from avatar.cli.view import require_address
    from avatar.pipeline.run_folder import RunFolder

    if record is not None and (camera is None or record.suffix.lower() != ".json"):
        raise UsageError("--record takes a .json file, and goes with --camera; the page has a button of its own.")
    if camera is not None and (lan or motion):
        raise UsageError("--camera shows the avatar in the viewer of this machine, without --lan and --motion.")
    require_address("127.0.0.1", port)
    RunFolder(run).require_avatar()
    if camera is not None:
        _in_viewer(run, camera, record, port, token)
        return
    from avatar.viewer.auth import Auth, new_token
    from avatar.viewer.lan import lan_address, qr_code, self_signed_certificate
    from avatar.viewer.page_server import PageServer

    host = lan_address() if lan else "127.0.0.1"
    certificate, fingerprint = self_signed_certificate(host) if lan else (None, "")
    token = token or (new_token() if lan else None)
    server = PageServer(_page(run, motion), host, port, Auth(token), certificate)
    name = host if lan else "localhost"
    address = f"http{'s' if lan else ''}://{name}:{server.port}/{f'?token={token}' if token else ''}"
    if lan:
        print(qr_code(address))
    print(f"open:    {address}", flush=True)
    if lan:
        print("note:    this machine signed its certificate itself, so the browser asks once whether to go on.")
        print(f"         SHA-256 fingerprint: {fingerprint}")
    server.start()
    try:
        print("Press Ctrl+C to stop.", flush=True)
        server.wait()
    finally:
        server.stop()


def _page(run: Path, motions: tuple[str, ...]) -> bytes:
    """The page with the mirror."""
    from avatar.exporters.html import PageOptions, page_text
    from avatar.pipeline.finished_run import open_run
    from avatar.pipeline.motions import motions_for_page

    finished = open_run(run, None, "cpu")
    clips = motions_for_page(finished.run, finished.avatar, motions)
    text, _ = page_text(finished.avatar, clips, PageOptions(run.resolve().name), live=True)
    return text.encode()


def _in_viewer(run: Path, camera: str, record: Path | None, port: int, token: str | None) -> None:
    """Follow a camera in the viewer, until Ctrl-C."""
    from avatar.viewer.app import Viewer
    from avatar.viewer.auth import Auth
    from avatar.viewer.camera_feed import CameraFeed, camera_frames
    from avatar.viewer.session import open_session

    frames = camera_frames(camera)
    viewer = Viewer(open_session(run, springs=False), "127.0.0.1", port, Auth(token))
    feed = CameraFeed(viewer, frames)
    viewer.start()
    feed.start()
    try:
        print(f"open:    http://localhost:{viewer.port}{f'/?token={token}' if token else ''}", flush=True)
        print("Press Ctrl+C to stop.", flush=True)
        feed.thread.join()
        if feed.failure is not None:
            raise AvatarError(str(feed.failure))
        print("note:    the video has ended; the viewer stays open.", flush=True)
        viewer.thread.join()
    finally:
        feed.stop()
        if record is not None and feed.failure is None:
            print(f"motion:  {record}  ({feed.write(record)} frames)", flush=True)
        viewer.stop()
