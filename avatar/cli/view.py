"""`avatar view`: look at an avatar in the browser, play and pose it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro


def view(
    run: Annotated[Path, tyro.conf.Positional],
    host: str = "127.0.0.1",
    port: int = 8080,
    share: bool = False,
    token: str | None = None,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> None:
    """Look at an avatar in the browser, play motions with it, pose it, film it.

    Args:
        run: run folder made by `avatar create`.
        host: address to listen on. Anything but 127.0.0.1 lets others in, and then asks for a token.
        port: port to listen on; the next free one is taken when it is in use.
        share: also make a public address through the server of the viser project (share.viser.studio); all that the
            page shows then passes through it.
        token: secret that the address must hold; a random one is made where one is needed.
        device: where to render; auto takes CUDA where it works.
    """
    from avatar.errors import AvatarError
    from avatar.rendering.devices import resolve_device
    from avatar.viewer.app import Viewer, needs_token
    from avatar.viewer.auth import Auth, new_token
    from avatar.viewer.session import open_session

    if token is None and (share or needs_token(host)):
        token = new_token()
    subject = open_session(run, resolve_device(device))
    viewer = Viewer(subject, host, port, Auth(token))
    query = "" if token is None else f"/?token={token}"
    shown = "localhost" if host in ("0.0.0.0", "::") else host
    print(f"look at it:  http://{shown}:{viewer.port}{query}", flush=True)
    if needs_token(host):
        print(
            f"warning: everyone who reaches this machine and has the token can use the page ({host}).", file=sys.stderr
        )
    print(f"from afar:   ssh -L {viewer.port}:localhost:{viewer.port} THIS-MACHINE, then open the address there")
    viewer.start()
    try:
        if share:
            address = viewer.server.request_share_url(verbose=False)
            if address is None:
                raise AvatarError("The share server cannot be reached: go without --share, or use SSH.")
            print(f"shared:      {address}{query}", flush=True)
        print("Ctrl+C ends it.", flush=True)
        viewer.thread.join()
    finally:
        viewer.stop()
