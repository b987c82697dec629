"""Stored images are decoded once, as far as memory allows."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

from avatar.errors import UsageError
from avatar.io import image_cache, observations_file
from avatar.io.image_cache import ImageCache, shared_cache
from avatar.io.images import read_image, write_image
from avatar.io.observations_file import image_path, stored_masks
from avatar.types import ImageList


class Decoder:
    """Reads images and remembers which."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def __call__(self, path: Path) -> np.ndarray:
        self.paths.append(path)
        return read_image(path)


def write_masks(folder: Path, values: list[int]) -> None:
    for index, value in enumerate(values):
        write_image(image_path(folder / "masks", index), np.full((8, 6), value, np.uint8))


def values_of(masks: ImageList) -> list[int]:
    return [int(masks[index][0, 0]) for index in range(len(masks))]


def test_all_who_read_a_folder_decode_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_masks(tmp_path, [1, 2, 3])
    decoder = Decoder()
    monkeypatch.setattr(observations_file, "read_mask", lambda path: decoder(path)[..., 0])
    first, second = stored_masks(tmp_path, 3), stored_masks(tmp_path, 3)
    assert values_of(first) == values_of(second) == values_of(first) == [1, 2, 3]
    assert len(decoder.paths) == 3
    del first, second
    gc.collect()
    assert values_of(stored_masks(tmp_path, 3)) == [1, 2, 3] and len(decoder.paths) == 6


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    write_masks(tmp_path, [1, 2])
    masks = stored_masks(tmp_path, 2)
    assert values_of(masks) == [1, 2]
    write_masks(tmp_path, [1, 9])
    os.utime(image_path(tmp_path / "masks", 1), ns=(1, 1))
    assert values_of(masks) == [1, 9]
    image_path(tmp_path / "masks", 0).unlink()
    with pytest.raises(UsageError):
        masks[0]


def test_who_reads_may_change_what_it_reads(tmp_path: Path) -> None:
    write_masks(tmp_path, [5])
    masks = stored_masks(tmp_path, 1)
    for _ in range(3):
        mask = masks[0]
        assert mask[0, 0] == 5
        mask[:] = 7


def test_memory_is_bounded_and_long_videos_are_read_from_disk(tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(5)]
    for index, path in enumerate(paths):
        write_image(path, np.full((10, 10, 3), index, np.uint8))
    cache, decoder = ImageCache(most=2 * 300), Decoder()
    for _ in range(3):
        assert [int(cache.read(path, decoder)[0, 0, 0]) for path in paths] == [0, 1, 2, 3, 4]
        assert cache.bytes <= 600
    assert len(decoder.paths) == 2 + 3 * 3


def test_folders_do_not_share(tmp_path: Path) -> None:
    one = shared_cache(tmp_path / "a")
    assert shared_cache(tmp_path / "a") is one and shared_cache(tmp_path / "b") is not one
    assert one.most == image_cache.MOST_BYTES
