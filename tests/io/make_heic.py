"""Writes `data/plain.heic` and `data/tiled.heic` (as phones store them) with libheif, which the project does not need.

Run it in an environment of its own: `pip install numpy pillow pillow-heif`, then `python make_heic.py`.
"""

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_ubyte, c_uint16, c_void_p
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
from PIL import Image

DATA = Path(__file__).parent / "data"
HEIGHT, WIDTH, TILE = 192, 128, 64
HEVC, RGB, INTERLEAVED_RGB, INTERLEAVED = 1, 1, 10, 10  # numbers of heif.h


def ramp() -> np.ndarray:
    """Red grows to the right, green downwards."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([columns * 255 // WIDTH, rows * 255 // HEIGHT, 128 + 0 * rows], -1).astype(np.uint8)


class Status(ctypes.Structure):
    _fields_ = (("code", c_int), ("subcode", c_int), ("message", c_char_p))


def library() -> ctypes.CDLL:
    """The libheif inside the wheel of pillow-heif."""
    folder = Path(pillow_heif.__file__).parent.parent / "pillow_heif.libs"
    for name in ("libde265", "libx265"):
        ctypes.CDLL(str(next(folder.glob(f"{name}*"))), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(next(folder.glob("libheif*"))))


def write_tiled(path: Path, image: np.ndarray) -> None:
    """One image item of kind "grid" over square tiles."""
    heif = library()

    def call(name: str, *arguments: Any, result: Any = Status) -> Any:
        function = getattr(heif, name)
        function.restype = result
        status = function(*arguments)
        if result is Status and status.code:
            raise RuntimeError(f"{name}: {status.message}")
        return status

    def tile(pixels: np.ndarray) -> c_void_p:
        made, stride = c_void_p(), c_int()
        call("heif_image_create", TILE, TILE, RGB, INTERLEAVED_RGB, byref(made))
        call("heif_image_add_plane", made, INTERLEAVED, TILE, TILE, 8)
        plane = call("heif_image_get_plane", made, INTERLEAVED, byref(stride), result=POINTER(c_ubyte))
        np.ctypeslib.as_array(plane, shape=(TILE, stride.value))[:, : 3 * TILE] = pixels.reshape(TILE, -1)
        return made

    call("heif_init", None)
    context = c_void_p(call("heif_context_alloc", result=c_void_p))
    encoder, grid = c_void_p(), c_void_p()
    call("heif_context_get_encoder_for_format", context, HEVC, byref(encoder))
    options = c_void_p(call("heif_encoding_options_alloc", result=c_void_p))
    tiles = [tile(image[y : y + TILE, x : x + TILE]) for y in range(0, HEIGHT, TILE) for x in range(0, WIDTH, TILE)]
    listed = (c_void_p * len(tiles))(*tiles)
    shape = c_uint16(WIDTH // TILE), c_uint16(HEIGHT // TILE)
    call("heif_context_encode_grid", context, listed, *shape, encoder, options, byref(grid))
    call("heif_context_set_primary_image", context, grid)
    call("heif_context_write_to_file", context, str(path).encode())


def main() -> None:
    DATA.mkdir(exist_ok=True)
    pillow_heif.register_heif_opener()
    Image.fromarray(ramp()).save(DATA / "plain.heic", quality=80)
    write_tiled(DATA / "tiled.heic", ramp())


if __name__ == "__main__":
    main()
