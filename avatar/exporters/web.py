"""A folder for a web server: the avatar as a file, the component that shows it, and a page that uses both."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import AvatarError
from avatar.exporters.html import SHARE, PageOptions, about, fill
from avatar.exporters.player_file import player_file
from avatar.exporters.player_scripts import modules, source
from avatar.exporters.poster import poster, share_image
from avatar.io.files import atomic_write
from avatar.model.avatar import Avatar
from avatar.model.world import World
from avatar.types import BodyTrack

COMPONENT = "avatar-player"  # folder of the modules
ENTRIES = ("avatar_player.js", "three.js")


@dataclass(frozen=True)
class WebReport:
    """Contents of an exported folder.

    Attributes:
        avatar: size of the avatar's file, bytes.
        component: size of the player's modules, bytes.
        splats: number of splats.
    """

    avatar: int
    component: int
    splats: int


def write_web(
    avatar: Avatar,
    clips: Mapping[str, BodyTrack],
    folder: Path,
    name: str,
    options: PageOptions,
) -> WebReport:
    """Write `index.html`, `NAME.avatar`, its poster, and the component's modules.

    Args:
        avatar: the avatar.
        clips: motions for this avatar by the name shown in the player; the first plays at the start.
        folder: where the files go; it is made where it is missing.
        name: of the avatar's file and its poster.
        options: what the page says and shows.

    Raises:
        AvatarError: a file cannot be written.
    """
    packed = player_file(avatar, clips, light=options.light, scene=options.scene)
    first, world = next(iter(clips.values())), World((avatar,), options.scene)
    heading, summary = html.escape(options.title), html.escape(about(packed.splats))
    share = options.address("share.jpg") or "share.jpg"
    page = fill(
        source("web.html"),
        title=heading,
        credits=html.escape(options.credits),
        about=summary,
        name=html.escape(name),
        share=fill(SHARE, title=heading, about=summary, share=html.escape(share)),
    )
    scripts = {module: source(module).encode() for entry in ENTRIES for module in modules(entry)}
    files = {
        f"{name}.avatar": packed.content,
        f"{name}.webp": poster(world, first),
        "share.jpg": share_image(world, first),
        **{f"{COMPONENT}/{module}": content for module, content in scripts.items()},
        "index.html": page.encode(),
    }
    try:
        (folder / COMPONENT).mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            with atomic_write(folder / path) as temporary:
                temporary.write_bytes(content)
    except OSError as error:
        raise AvatarError(f"Cannot write {error.filename or folder}: {error.strerror or error}.") from error
    return WebReport(len(packed.content), sum(map(len, scripts.values())), packed.splats)
