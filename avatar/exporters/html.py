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
# People who stand beside the first one in a page, each with clips of the same names.
Companions = Sequence[tuple[Avatar, Mapping[str, BodyTrack]]]
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


@dataclass(frozen=True)
class PageOptions:
    """What a page says, and what it shows beside the avatar and its clips.

    Attributes:
        title: shown at the top.
        credits: a line at the bottom, such as who made the recording and under which licence it may be shared.
        light: the light at the start; None is that of the recording.
        scene: what stands still around the person, world, metres, floor at y = 0.
        url: address of the folder where the page will be. With it there is an image for previews of links, which need
            its whole address.
    """

    title: str
    credits: str = CREDITS
    light: ChosenLight | None = None
    scene: Gaussians | None = None
    url: str | None = None

    def address(self, file: str) -> str | None:
        """Where a file beside the page will be, if that is known."""
        return None if self.url is None else f"{self.url.rstrip('/')}/{quote(file)}"


def write_page(
    avatar: Avatar,
    clips: Mapping[str, BodyTrack],
    path: Path,
    options: PageOptions,
    live: bool = False,
    companions: Companions = (),
) -> PageReport:
    """Write the avatar with its clips as one HTML file that opens anywhere.

    With `options.url` an image for previews of links is written beside the page, under the same name as .jpg.

    Args:
        avatar: the avatar.
        clips: motions for this avatar by the name shown in the page; the first plays at the start.
        path: the file to write.
        options: what the page says and shows.
        live: with the mirror, in which the avatar follows a camera; 11 MB more.
        companions: other people in the same world, each with clips of the same names, which play along.

    Raises:
        AvatarError: a file cannot be written.
    """
    image = path.with_suffix(".jpg")
    text, report = page_text(avatar, clips, options, live, companions, options.address(image.name))
    if options.url is not None:
        with atomic_write(image) as temporary:
            temporary.write_bytes(share_image(World((avatar,), options.scene), next(iter(clips.values()))))
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return report


def page_text(
    avatar: Avatar,
    clips: Mapping[str, BodyTrack],
    options: PageOptions,
    live: bool = False,
    companions: Companions = (),
    share: str | None = None,
) -> tuple[str, PageReport]:
    """The page that `write_page` writes, as text; `share` is the address of the image for previews of links."""
    packed = player_file(avatar, clips, light=options.light, scene=options.scene)
    others = [player_file(other, theirs, light=options.light) for other, theirs in companions]
    splats = packed.splats + sum(other.splats for other in others)
    heading, summary = html.escape(options.title), html.escape(about(splats) + (NOTICE if live else ""))
    text = fill(
        source("player.html"),
        title=heading,
        credits=html.escape(options.credits),
        about=summary,
        share="" if share is None else fill(SHARE, title=heading, about=summary, share=html.escape(share)),
        poster=_base64(poster(World((avatar,), options.scene), next(iter(clips.values())))),
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
