"""One self-contained HTML file with a player: the avatar, its motions, and nothing from the network.

The page holds the same file and the same scripts as `<avatar-player>` loads, see `player/`.
"""

from __future__ import annotations

import base64
import html
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from avatar import __version__
from avatar.exporters.linear_correctives import RANK
from avatar.exporters.mirror import ENTRY, NOTICE, POLICY, mirror_elements
from avatar.exporters.player_file import player_file
from avatar.exporters.player_scripts import script, source
from avatar.exporters.poster import SHARE_SIZE, poster, share_image
from avatar.io.files import atomic_write
from avatar.model.avatar import Avatar
from avatar.model.environment import ChosenLight
from avatar.model.world import World
from avatar.types import BodyTrack, Gaussians

COMPANION = '<script class="companion" type="text/plain">{}</script>'
# What previews of links show, https://ogp.me; both kinds of pages have it.
SHARE = f"""<meta name="description" content="{{{{about}}}}">
<meta property="og:type" content="website">
<meta property="og:title" content="{{{{title}}}}">
<meta property="og:description" content="{{{{about}}}}">
<meta property="og:image" content="{{{{share}}}}">
<meta property="og:image:width" content="{SHARE_SIZE[0]}">
<meta property="og:image:height" content="{SHARE_SIZE[1]}">
<meta name="twitter:card" content="summary_large_image">"""
CREDITS = f"Made with avatar {__version__}, open source"


@dataclass(frozen=True)
class PageReport:
    """Contents of an exported page.

    Attributes:
        bytes: size of the file.
        splats: number of splats.
        deformation_kept: share of the squared deformation that the correctives explain, in [0, 1].
    """

    bytes: int
    splats: int
    deformation_kept: float


def write_page(
    avatar: Avatar,
    clips: Mapping[str, BodyTrack],
    path: Path,
    title: str,
    credits: str = CREDITS,
    rank: int = RANK,
    live: bool = False,
    light: ChosenLight | None = None,
    scene: Gaussians | None = None,
    url: str | None = None,
    companions: Sequence[tuple[Avatar, Mapping[str, BodyTrack]]] = (),
) -> PageReport:
    """Write the avatar with its clips as one HTML file that opens anywhere.

    Args:
        avatar: the avatar.
        clips: motions for this avatar by the name shown in the page; the first plays at the start.
        path: the file to write.
        title: shown at the top of the page.
        credits: a line at the bottom, such as who made the recording and under which licence it may be shared.
        rank: number of linear correctives that approximate the learned deformation.
        live: with the mirror, in which the avatar follows a camera; 11 MB more.
        light: the light at the start; None is that of the recording.
        scene: what stands still around the person, world, metres, floor at y = 0.
        url: address of the folder where the page will be. With it an image for previews of links is written beside the
            page, under the same name as .jpg; those need its whole address.
        companions: other people in the same world, each with clips of the same names, which play along.

    Raises:
        AvatarError: a file cannot be written.
    """
    image = path.with_suffix(".jpg")
    address = None if url is None else f"{url.rstrip('/')}/{quote(image.name)}"
    text, report = page_text(avatar, clips, title, credits, rank, live, light, scene, address, companions)
    if url is not None:
        with atomic_write(image) as temporary:
            temporary.write_bytes(share_image(World((avatar,), scene), next(iter(clips.values()))))
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return report


def page_text(
    avatar: Avatar,
    clips: Mapping[str, BodyTrack],
    title: str,
    credits: str = CREDITS,
    rank: int = RANK,
    live: bool = False,
    light: ChosenLight | None = None,
    scene: Gaussians | None = None,
    share: str | None = None,
    companions: Sequence[tuple[Avatar, Mapping[str, BodyTrack]]] = (),
) -> tuple[str, PageReport]:
    """The page that `write_page` writes, as text; `share` is the address of the image for previews of links."""
    packed = player_file(avatar, clips, rank, light, scene)
    others = [player_file(other, theirs, rank, light) for other, theirs in companions]
    splats = packed.splats + sum(other.splats for other in others)
    heading, summary = html.escape(title), html.escape(about(splats) + (NOTICE if live else ""))
    text = fill(
        source("player.html"),
        title=heading,
        credits=html.escape(credits),
        about=summary,
        share="" if share is None else fill(SHARE, title=heading, about=summary, share=html.escape(share)),
        poster=_base64(poster(World((avatar,), scene), next(iter(clips.values())))),
        avatar=_base64(packed.content),
        companions="\n".join(COMPANION.format(_base64(other.content)) for other in others),
        policy=f" {POLICY}" if live else "",
        mirror=mirror_elements(avatar.body) if live else "",
        script=_base64(zlib.compress(script(ENTRY if live else "page.js").encode(), 9)),
    )
    return text, PageReport(len(text.encode()), splats, packed.deformation_kept)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def about(splats: int) -> str:
    """What the page says about itself."""
    return f"A person as {splats:,} Gaussian splats on a skeleton, drawn live in this page. Nothing is sent anywhere."


def fill(template: str, **parts: str) -> str:
    """The template with every {{name}} replaced once; the inserted text is not searched again."""
    pieces = template.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, rest = piece.split("}}", 1)
        filled += [parts[name], rest]
    return "".join(filled)
