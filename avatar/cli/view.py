"""`avatar view`: look at an avatar in the browser, play and pose it."""

from __future__ import annotations

import socket
import sys
from typing import Literal

from avatar.cli.options import Device, Run, Switch
from avatar.cli.scene import NO_SCENE, Scene
from avatar.errors import AvatarError, UsageError


def view_avatar(
    run: Run,
    host: str = "127.0.0.1",
    port: int = 8080,
    share: Switch = False,
    token: str | None = None,
    around: Scene = NO_SCENE,
    springs: Literal["auto", "off"] = "auto",
    device: Device = "auto",
) -> None:
    """Look at an avatar in the browser, play motions with it, pose it, record it.

    Args:
        run: run folder made by `avatar create`.
        host: address to listen on. Anything but 127.0.0.1 lets others in, and then asks for a token.
        port: port to listen on; the next free one is taken if it is in use.
        share: also make a public address through the server of the viser project (share.viser.studio); everything
            that the page shows then passes through it.
        token: secret that the address must contain; a random one is made where one is needed.
        springs: auto lets skirts, coats and long hair swing, off leaves them to the limbs.
        device: where to render; auto takes CUDA where it works.
    """
    from avatar.pipeline.people_folder import require_people

    require_address(host, port)
    require_people(run)
    from avatar.rendering.devices import resolve_device
    from avatar.viewer.app import Viewer, needs_token
    from avatar.viewer.auth import Auth, new_token
    from avatar.viewer.session import open_session

    if token is None and (share or needs_token(host)):
        token = new_token()
    subject = open_session(run, resolve_device(device), around.read(), springs == "auto")
    viewer = Viewer(subject, host, port, Auth(token))
    query = "" if token is None else f"/?token={token}"
    name = "localhost" if host in ("0.0.0.0", "::") else host
    print(f"open:    http://{name}:{viewer.port}{query}", flush=True)
    if needs_token(host):
        print(
            f"warning: everyone who reaches this machine and has the token can use the page ({host}).", file=sys.stderr
        )
    print(f"remote:  ssh -L {viewer.port}:localhost:{viewer.port} THIS-MACHINE, then open the address there")
    viewer.start()
    try:
        if share:
            address = viewer.server.request_share_url(verbose=False)
            if address is None:
                raise AvatarError("The share server cannot be reached: go without --share, or use SSH.")
            print(f"shared:  {address}{query}", flush=True)
        print("Press Ctrl+C to stop.", flush=True)
        viewer.thread.join()
    finally:
        viewer.stop()


def require_address(host: str, port: int) -> None:
    """Check an address before any work.

    Raises:
        UsageError: the port does not exist, or this machine has no such address.
    """
    if not 1 <= port <= 65535:
        raise UsageError(f"--port must be from 1 to 65535, not {port}.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(address)  # any free port: the viewer itself goes on to the next one if `port` is in use
    except (OSError, UnicodeError) as error:
        raise UsageError(f"This machine cannot listen on --host {host}: use 127.0.0.1 or 0.0.0.0.") from error
