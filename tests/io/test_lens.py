"""The focal length that a file names: made-up photos by Pillow, made-up QuickTime files byte by byte."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from avatar.io.lens import EXIF, FOCAL_35MM, HEIGHT, MAKE, MODEL, WIDTH, Lens, quicktime_keys, read_lens

FOCAL_KEY = "com.apple.quicktime.camera.focal_length.35mm_equivalent"


def photo(path: Path, size: tuple[int, int], focal: int, taken: tuple[int, int] | None = None) -> Path:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "Fairphone", "Fairphone 4"
    exif.get_ifd(EXIF)[FOCAL_35MM] = focal
    if taken is not None:
        exif.get_ifd(EXIF)[WIDTH], exif.get_ifd(EXIF)[HEIGHT] = taken
    Image.fromarray(np.zeros((size[1], size[0], 3), np.uint8)).save(path, exif=exif)
    return path


def box(kind: bytes, *content: bytes) -> bytes:
    inside = b"".join(content)
    return struct.pack(">I4s", 8 + len(inside), kind) + inside


def metadata(values: dict[str, tuple[int, bytes]], mp4: bool = False) -> bytes:
    """A box of named values, each with its type, as QuickTime writes it, or MP4 with four bytes more."""
    names = [box(b"mdta", name.encode()) for name in values]
    items = [
        box(struct.pack(">I", number), box(b"data", struct.pack(">II", kind, 0), data))
        for number, (kind, data) in enumerate(values.values(), 1)
    ]
    keys = box(b"keys", struct.pack(">II", 0, len(names)), *names)
    handler = box(b"hdlr", bytes(8) + b"mdta" + bytes(12))
    return box(b"meta", *([bytes(4)] if mp4 else []), handler, keys, box(b"ilst", *items))


def video(path: Path, focal: tuple[int, bytes], mp4: bool = False) -> Path:
    device = {"com.apple.quicktime.make": (1, b"Apple"), "com.apple.quicktime.model": (1, b"iPhone 15 Pro")}
    track = box(b"trak", box(b"tkhd", bytes(84)), metadata({FOCAL_KEY: focal}, mp4))
    path.write_bytes(box(b"ftyp", b"qt  ", bytes(8)) + box(b"moov", track, metadata(device, mp4)) + box(b"mdat", b"."))
    return path


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
def test_a_photo_names_its_lens(tmp_path: Path, suffix: str) -> None:
    lens = read_lens(photo(tmp_path / f"photo.{suffix}", (300, 400), 26, (300, 400)))
    assert lens == Lens(26.0, "Fairphone 4", video=False)
    pixels, spread = lens.focal(300, 400)
    assert pixels == pytest.approx(26 / 43.27 * 500) and 0 < spread < 0.05


@pytest.mark.parametrize(
    ("focal", "taken"), [(0, None), (26, (400, 400)), (3000, None)], ids=["unknown", "cut to another shape", "nonsense"]
)
def test_photos_that_do_not_tell(tmp_path: Path, focal: int, taken: tuple[int, int] | None) -> None:
    assert read_lens(photo(tmp_path / "photo.jpg", (300, 400), focal, taken)) is None


def test_a_photo_that_was_turned_upright_has_the_same_lens(tmp_path: Path) -> None:
    assert read_lens(photo(tmp_path / "photo.jpg", (300, 400), 26, (400, 300))) is not None


def test_an_iphones_photo(tmp_path: Path) -> None:
    with Image.open(photo(tmp_path / "photo.jpg", (30, 40), 24)) as jpeg:
        exif = jpeg.info["exif"]
    path = tmp_path / "photo.heic"
    path.write_bytes(
        box(b"ftyp", b"heic", bytes(4), b"mif1heic") + box(b"meta", bytes(40)) + box(b"mdat", bytes(9), exif)
    )
    assert read_lens(path) == Lens(24.0, "Fairphone 4", video=False)


@pytest.mark.parametrize("mp4", [False, True], ids=["mov", "mp4"])
@pytest.mark.parametrize(
    "focal",
    [(21, b"\x00\x1b"), (22, b"\x1b"), (23, struct.pack(">f", 27.0)), (1, b"27")],
    ids=["int", "uint", "float", "text"],
)
def test_a_video_names_its_lens(tmp_path: Path, focal: tuple[int, bytes], mp4: bool) -> None:
    lens = read_lens(video(tmp_path / "video.mov", focal, mp4))
    assert lens == Lens(27.0, "Apple iPhone 15 Pro", video=True)
    pixels, spread = lens.focal(1080, 1920)
    # A phone's lens of 27 mm, calibrated from its videos of 16:9, has 32 mm (of their own diagonal).
    assert pixels == pytest.approx(32 / 43.27 * np.hypot(1080, 1920), rel=0.01) and spread > 0.05
    assert "27 mm" in lens.sentence(1080, 1920) and "iPhone 15 Pro" in lens.sentence(1080, 1920)


def test_videos_that_do_not_tell(tmp_path: Path) -> None:
    assert read_lens(video(tmp_path / "a.mov", (1, b"wide"))) is None
    assert read_lens(tmp_path / "none.mov") is None
    whole = video(tmp_path / "b.mov", (1, b"27")).read_bytes()
    for length in range(0, len(whole), 7):  # cut off anywhere
        (tmp_path / "c.mov").write_bytes(whole[:length])
        read_lens(tmp_path / "c.mov")
    deep = b"."
    for _ in range(3000):
        deep = box(b"moov", deep)
    (tmp_path / "deep.mov").write_bytes(box(b"ftyp", b"qt  ", bytes(8)) + deep)
    assert quicktime_keys(tmp_path / "deep.mov") == {}
