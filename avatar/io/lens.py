"""What a photo or a video says about the lens that took it: EXIF, and the keys of QuickTime files.

Phones state the 35 mm equivalent of the focal length, for a full frame with a diagonal of 43.27 mm (CIPA DCG-001).
That of a photo holds for its diagonal. That of a video is the same number, of the whole sensor of 4:3, while its frames
are as wide as the sensor less what the stabiliser cuts off at the sides.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from avatar.io.heic import is_heic

FULL_FRAME_DIAGONAL = 43.27  # mm
SENSOR_DIAGONAL = 1.25  # of a sensor of 4:3, relative to its longer side
STABILISED = 1.09  # focal length over that without a stabiliser's crop, as phones' videos of 16:9 show
PHOTO_SPREAD, VIDEO_SPREAD = 0.03, 0.07  # relative standard deviations: rounding, crops
PLAUSIBLE = (8.0, 400.0)  # mm
SAME_SHAPE = 0.02  # relative difference of two ratios of width to height
EXIF, FOCAL_35MM, MAKE, MODEL, WIDTH, HEIGHT = 0x8769, 0xA405, 0x010F, 0x0110, 0xA002, 0xA003
MOST_BYTES = 16 * 2**20  # of a box of metadata, or of the head of a photo
CONTAINERS = (b"moov", b"trak", b"udta")
FLOATS, SIGNED, UNSIGNED = {23: ">f", 24: ">d"}, (21, 65, 66, 67, 74), (22, 75, 76, 77, 78)


@dataclass(frozen=True)
class Lens:
    """The lens that took a photo or a video.

    Attributes:
        focal_35mm: 35 mm equivalent of the focal length, mm; device: maker and model, "" if the file has none.
        video: whether a stabiliser may have cropped it.
    """

    focal_35mm: float
    device: str
    video: bool

    def focal(self, width: int, height: int) -> tuple[float, float]:
        """The focal length of images of a size in pixels, and its standard deviation relative to it."""
        if self.video:
            crop = SENSOR_DIAGONAL * STABILISED * max(width, height)
            return self.focal_35mm / FULL_FRAME_DIAGONAL * crop, VIDEO_SPREAD
        return self.focal_35mm / FULL_FRAME_DIAGONAL * math.hypot(width, height), PHOTO_SPREAD

    def sentence(self, width: int, height: int) -> str:
        """Where the focal length comes from, in words."""
        pixels, spread = self.focal(width, height)
        crop = " with the stabiliser's crop" if self.video else ""
        device = f" ({self.device})" if self.device else ""
        equivalent = f"a 35 mm equivalent of {self.focal_35mm:g} mm{device}"
        return f"the file gives {equivalent}, {pixels:.0f} px{crop}, ± {spread:.0%}"


def read_lens(path: Path) -> Lens | None:
    """The lens that a photo or a video names; None if it names none, was cut to another shape, or is no such file."""
    try:
        with path.open("rb") as file:
            start = file.read(12)
        heic = is_heic(path)
        if start[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip") and not (heic or b"avif" in start):
            return _video_lens(path)
        return _photo_lens(path, heic)
    except (OSError, ValueError, struct.error, SyntaxError):  # the last is Pillow's, of broken EXIF
        return None


def _lens(focal: float, names: tuple[object, ...], video: bool) -> Lens | None:
    if not PLAUSIBLE[0] <= focal <= PLAUSIBLE[1]:
        return None
    maker, model = (str(name or "").strip("\0 ") for name in names)
    device = model if model.lower().startswith(maker.lower()) else f"{maker} {model}".strip()
    return Lens(focal, device, video)


def _photo_lens(path: Path, heic: bool) -> Lens | None:
    from PIL import Image

    exif = Image.Exif()
    shape: tuple[int, int] | None = None
    if heic:
        with path.open("rb") as file:
            head = file.read(MOST_BYTES)
        begin = re.search(rb"Exif\0\0(?=II\*\0|MM\0\*)", head)
        if begin is None:
            return None
        exif.load(head[begin.start() : begin.start() + 2**16])
    else:
        with Image.open(path, formats=("PNG", "JPEG", "WEBP", "AVIF")) as photo:
            exif, shape = photo.getexif(), photo.size
    details: Mapping[int, object] = exif.get_ifd(EXIF)
    if shape is not None and _was_cut(details.get(WIDTH), details.get(HEIGHT), shape):
        return None
    focal = details.get(FOCAL_35MM)
    return _lens(float(focal), (exif.get(MAKE), exif.get(MODEL)), False) if isinstance(focal, int | float) else None


def _was_cut(width: object, height: object, shape: tuple[int, int]) -> bool:
    """Whether a photo has another shape than the one it was taken in, by EXIF; whichever way up."""
    if not (isinstance(width, int) and isinstance(height, int) and min(width, height) > 0):
        return False
    before, now = (max(size) / min(size) for size in ((width, height), shape))
    return abs(before / now - 1) > SAME_SHAPE


def _video_lens(path: Path) -> Lens | None:
    values = quicktime_keys(path)

    def value(*ends: str) -> object:
        return next((values[key] for end in ends for key in values if key.endswith(end)), None)

    focal = value(".focal_length.35mm_equivalent")
    if isinstance(focal, str):
        focal = float(focal)
    names = value("quicktime.make", "android.manufacturer"), value("quicktime.model", "android.model")
    return _lens(float(focal), names, True) if isinstance(focal, int | float) else None


def quicktime_keys(path: Path) -> dict[str, object]:
    """The metadata of a QuickTime or MP4 file by name, of the file and of its tracks (QuickTime File Format).

    Raises:
        OSError, struct.error, ValueError: the file cannot be read or is broken.
    """
    with path.open("rb") as file:
        file.seek(0, 2)
        return dict(_values(file, 0, file.tell()))


def _values(file: IO[bytes], start: int, end: int, depth: int = 0) -> Iterator[tuple[str, object]]:
    for kind, begin, stop in _boxes(file, start, end):
        if kind in CONTAINERS and depth < len(CONTAINERS):
            yield from _values(file, begin, stop, depth + 1)
        elif kind == b"meta" and stop - begin <= MOST_BYTES:
            file.seek(begin + 4)
            # In MP4 a version and flags come before the boxes, in QuickTime they do not.
            first = begin if file.read(4) == b"hdlr" else begin + 4
            parts = {name: (inner, last) for name, inner, last in _boxes(file, first, stop)}
            if b"keys" in parts and b"ilst" in parts:
                yield from _entries(file, parts[b"keys"], parts[b"ilst"])


def _entries(file: IO[bytes], keys: tuple[int, int], items: tuple[int, int]) -> Iterator[tuple[str, object]]:
    names = []
    for _, begin, stop in _boxes(file, keys[0] + 8, keys[1]):
        file.seek(begin)
        names.append(file.read(stop - begin).decode(errors="replace"))
    for number, begin, stop in _boxes(file, *items):
        place = int.from_bytes(number, "big") - 1
        for kind, inner, last in _boxes(file, begin, stop):
            if kind == b"data" and 0 <= place < len(names):
                file.seek(inner)
                data = file.read(last - inner)
                yield names[place], _value(int.from_bytes(data[:4], "big"), data[8:])


def _value(kind: int, data: bytes) -> object:
    if kind in FLOATS:
        return float(struct.unpack(FLOATS[kind], data)[0])
    if kind in SIGNED or kind in UNSIGNED:
        return int.from_bytes(data, "big", signed=kind in SIGNED)
    return data.decode(errors="replace")


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two places of a file: type, and where the content begins and ends."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", file.read(8))[0], 16
        size = end - start if size == 0 else size
        if size < head or start + size > end:
            return
        yield kind, start + head, start + size
        start += size
