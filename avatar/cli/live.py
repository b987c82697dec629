"""`avatar live`: the avatar follows a camera."""

from __future__ import annotations

import tempfile
from pathlib import Path

from avatar.cli.options import Run, Switch


def live_avatar(
    run: Run,
    lan: Switch = False,
    port: int = 8090,
    token: str | None = None,
    motion: tuple[str, ...] = (),
) -> None:
    """Serve the page in which the avatar follows your camera; press "Mirror me" there. Images stay in the browser.

    Args:
        run: run folder made by `avatar create`.
        lan: serve phones in the same network too, with https and a token, and print a QR code of the address (needs
            the extra "lan").
        port: port to listen on; the next free one is taken if it is in use.
        token: secret that the address must contain; with --lan a random one is made.
        motion: motions of the page: "filmed", built-in names or files, as for `avatar export --html`.
    """
    from avatar.pipeline.run_folder import RunFolder

    RunFolder(run).require_avatar()
    from avatar.cli.view import require_address
    from avatar.viewer.auth import Auth, new_token
    from avatar.viewer.lan import lan_address, qr_code, self_signed_certificate
    from avatar.viewer.page_server import PageServer

    host = lan_address() if lan else "127.0.0.1"
    require_address(host, port)
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
    from avatar.exporters.html import write_page
    from avatar.pipeline.finished_run import open_run
    from avatar.pipeline.motions import motions_for_page

    finished = open_run(run, None, "cpu")
    clips = motions_for_page(finished.run, finished.avatar, motions)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "live.html"
        write_page(finished.avatar, clips, path, run.resolve().name, live=True)
        return path.read_bytes()
