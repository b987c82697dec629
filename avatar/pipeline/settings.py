"""Everything that decides how an avatar is made, read from a preset and written into the run folder."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import resources
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from avatar.errors import UsageError
from avatar.training.config import TrainConfig

if TYPE_CHECKING:
    from avatar.tracking import TrackOptions

PRESETS = ("fast", "balanced", "quality")


@dataclass(frozen=True)
class Settings:
    """The resolved configuration of one run.

    Attributes:
        source: the video or photo, or the folder of a public dataset.
        protocol: which pictures of a dataset are trained on (`avatar.datasets.protocols`); None for one's own source.
        preset: the name or file of the preset that the rest was taken from.
        device: "cpu" or "cuda"; backend: the renderer that runs there.
        body: "open" or the path of a body file.
        focal: focal length in pixels, where it is known; height: the person's height in metres, likewise; shape: their
            shape in words, likewise (`avatar.body.shape_attributes.parse_shape`).
        max_frames: at most so many frames are used; person: which of several people, counted by size.
        detector: what finds the person's landmarks (`avatar.observation.detectors.registry`).
        views: what shows the other sides of the person in a photo (see `avatar.novel_views.generator`); view_frames:
            most views of an orbit; view_offload: keep a generator's weights in main memory while they are not used.
        train: how the avatar is trained.
    """

    source: str
    protocol: str | None = None
    preset: str = "balanced"
    device: Literal["cpu", "cuda"] = "cpu"
    backend: Literal["gsplat", "cpu", "reference"] = "cpu"
    body: str = "open"
    focal: float | None = None
    height: float | None = None
    shape: str | None = None
    max_frames: int = 120
    person: int | None = None
    detector: str = "auto"
    views: str = "none"
    view_frames: int = 21
    view_offload: bool = False
    train: TrainConfig = field(default_factory=TrainConfig)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def track_options(self) -> TrackOptions:
        """What is known of the person and the camera.

        Raises:
            UsageError: the words of the shape are wrong.
        """
        from avatar.body.shape_attributes import parse_shape
        from avatar.tracking import TrackOptions

        return TrackOptions(self.focal, self.height, shape=parse_shape(self.shape))


def read_preset(preset: str) -> dict[str, Any]:
    """The values of a named preset or of a TOML file of one's own.

    Raises:
        UsageError: there is no such preset, or the file is not one.
    """
    if preset in PRESETS:
        text = resources.files("avatar.configs").joinpath(f"{preset}.toml").read_text()
    elif Path(preset).is_file():
        text = Path(preset).read_text()
    else:
        raise UsageError(f"There is no preset {preset!r}: use {', '.join(PRESETS)}, or the path of a TOML file.")
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The preset {preset} is not a TOML file: {error}.") from error


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the values of `over` in their place, table by table."""
    result = dict(base)
    for name, value in over.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return result


def build(kind: type, values: Any, where: str = "the configuration") -> Any:
    """An instance of the dataclass `kind` from plain values; fields that are not given keep their defaults.

    Raises:
        UsageError: a name does not exist or a value is of the wrong type.
    """
    if not isinstance(values, dict):
        raise UsageError(f"{where} is not a table of entries.")
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"{where} has no entry {name!r}; it has {', '.join(sorted(known))}.")
        hint = hints[name]
        if is_dataclass(hint):
            chosen[name] = build(hint, value, f"{where}, table {name}")  # type: ignore[arg-type]
        elif not _fits(hint, value):
            wanted = hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
            raise UsageError(f"{where}: {name} must be {wanted}, not {str(value)[:100]!r}.")
        else:
            chosen[name] = float(value) if hint is float else value
    try:
        return kind(**chosen)
    except TypeError as error:  # an entry without a default
        raise UsageError(f"{where} lacks an entry: {error}.") from error


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) is UnionType:
        return any(_fits(one, value) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30 and isfinite(value)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))
