"""Views made by any tool: images in a folder, and a JSON file with the direction of each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_json
from avatar.io.images import read_image
from avatar.novel_views.background import person_mask
from avatar.novel_views.generator import Photo, View
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import on_white

INDEX = "views.json"
RANGES = {"azimuth": (-360.0, 360.0), "elevation": (-80.0, 80.0), "fov": (1.0, 120.0), "confidence": (0.0, 1.0)}


class FolderViews:
    """The views of a folder with `views.json`; `docs/manual/photo.md` specifies the format."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UsageError(f"There is no folder {folder} with views.")
        if not (self.folder / INDEX).is_file():
            raise UsageError(f"{folder} has no {INDEX} with the direction of each image: see docs/manual/photo.md.")

    def terms(self) -> None:
        """None: only the user knows where the images come from."""

    def generate(self, photo: Photo) -> list[View]:
        """Read the views; the photo is not used."""
        entries = read_json(self.folder / INDEX)
        listed = entries.get("views") if isinstance(entries, dict) else None
        if not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed):
            raise AvatarError(f'{self.folder / INDEX} must be {{"views": [...]}} with one entry per image.')
        return [self._view(entry) for entry in listed]

    def _view(self, entry: dict[str, Any]) -> View:
        name = entry.get("image")
        where = f"{self.folder / INDEX}, {name}"
        if not isinstance(name, str) or Path(name).name != name:
            raise AvatarError(
                f'{self.folder / INDEX}: every entry needs "image", the name of an image in the same folder.'
            )
        if not (self.folder / name).is_file():
            raise AvatarError(f"{self.folder} lacks the image {name} that its {INDEX} names.")
        values = {key: self._number(entry, key, where) for key in RANGES}
        image, alpha = on_white(read_image(self.folder / name))
        mask = person_mask(image, where, choose_detector(most_people=1)[0]) if alpha is None else alpha
        if mask.max() < 128:
            raise AvatarError(f"{where}: the image shows nobody.")
        return View(name, image, mask, **values)

    def _number(self, entry: dict[str, Any], key: str, where: str) -> float:
        low, high = RANGES[key]
        value = entry.get(key, 1.0 if key == "confidence" else None)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise AvatarError(f"{where}: {key} must be a number.")
        if not low <= value <= high:
            raise AvatarError(f"{where}: {key} is {value}, but must lie between {low:g} and {high:g}.")
        return float(value)
