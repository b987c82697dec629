"""The configuration of a run: the options of every stage in one tree, presets, and their text form."""

from __future__ import annotations

import json
import tomllib
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib import resources
from math import isfinite
from pathlib import Path
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from avatar.errors import UsageError
from avatar.io.files import read_text
from avatar.novel_views.options import ViewOptions
from avatar.observation.options import ObserveOptions, check_depth_scale
from avatar.tracking.options import TrackOptions, check_camera, check_pitch
from avatar.training.config import TrainConfig

PRESETS = ("fast", "balanced", "quality", "large")
ProtocolName = Literal["instantavatar", "gauhuman", "humannerf", "hugs", "exavatar", "xhumans", "4ddress", "actorshq"]
TruthName = Literal["bedlam", "gtahuman", "gtahuman2", "voccl3d", "freeman", "adt"]

# Entries of older configurations and presets -> where they stand now, tables separated by dots. These are also the
# short names that `avatar.create` takes.
RENAMED = {
    "person": "observe.person",
    "start": "observe.start",
    "end": "observe.end",
    "max_frames": "observe.max_frames",
    "detector": "observe.detector",
    "depth": "observe.depth",
    "depth_scale": "observe.depth_scale",
    "focal": "track.focal",
    "height": "track.height",
    "pitch": "track.pitch",
    "camera": "track.camera",
    "keep_going": "track.keep_going",
    "shape": "track.shape",
    "views": "novel_views.generator",
    "view_frames": "novel_views.frames",
    "view_offload": "novel_views.offload",
    "train.renew_unseen": "train.resample_unobserved",
    "train.reach": "train.offset_sigma",
    "train.largest": "train.max_scale",
    "train.weights.stiffness": "train.weights.offset_l2",
    "train.weights.oversize": "train.weights.scale_limit",
    "train.weights.thickness": "train.weights.flatness",
    "train.weights.roughness": "train.weights.offset_smoothness",
    "train.rates.turns": "train.rates.delta_rotvec",
    "train.rates.shifts": "train.rates.delta_translation",
}

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """The configuration of one run. `--help`, presets and config.json are made from it.

    Attributes:
        source: the video or photo, or the folder of a public dataset.
        others: videos of the same person by other phones that stood still and filmed at the same time.
        offset: how many seconds after the first video each other one began, separated by commas, where the motion and
            the sound do not tell.
        preset: name of a preset (fast, balanced, quality, large), or the path of a TOML file with the same entries.
        protocol: train on a public dataset (PeopleSnapshot, ZJU-MoCap, NeuMan, X-Humans, 4D-DRESS, ActorsHQ) with its
            own poses and the split of this publication; needs an SMPL or SMPL-X file as --body. See
            docs/manual/evaluate.md.
        device: where to train; auto takes CUDA where it works.
        backend: renderer: auto (gsplat on CUDA, cpu elsewhere), gsplat, cpu, reference, or one that is registered.
        body: "open", the body that ships with the program, or the path of an SMPL, SMPL-H or SMPL-X file.
        init: a track or a result of another body fitter for the frames of the video (GVHMR, WHAM, 4D-Humans, TRAM,
            PromptHMR, any SMPL npz), to start from instead of the detector's own 3D estimate.
        people: make an avatar of each of several people in the video, in one world: all who are in view for long
            enough, or a number, such as 2: the largest and most persistent ones.
        observe: how the video becomes observations.
        track: prior knowledge of the person and the camera.
        novel_views: generated views of the other sides of the person in a photo.
        train: how the avatar is trained.
    """

    source: str
    others: tuple[str, ...] = ()
    offset: str | None = None
    preset: str = "balanced"
    protocol: ProtocolName | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    backend: str = "auto"
    body: str = "open"
    init: str | None = None
    people: str | None = None
    observe: ObserveOptions = field(default_factory=ObserveOptions)
    track: TrackOptions = field(default_factory=TrackOptions)
    novel_views: ViewOptions = field(default_factory=ViewOptions)
    train: TrainConfig = field(default_factory=TrainConfig)

    @property
    def sources(self) -> list[Path]:
        """The video, photo or dataset; or all videos, the reference first."""
        return [Path(self.source), *map(Path, self.others)]

    def as_dict(self) -> dict[str, Any]:
        """The settings as nested dictionaries of plain values, as `config.json` stores them."""
        return asdict(self)

    def resolved(self) -> Settings:
        """The settings with the device and the renderer that "auto" stands for on this machine.

        Raises:
            UsageError: the device or the renderer does not exist here.
        """
        from avatar.rendering.devices import resolve_device
        from avatar.rendering.renderer import resolve_backend

        device = resolve_device(self.device, self.backend)
        backend = resolve_backend(self.backend, device)
        return replace(self, device=device, backend=backend)  # type: ignore[arg-type]  # a plain string


def settings_for(source: str | Path, preset: str = "balanced", options: dict[str, Any] | None = None) -> Settings:
    """The settings of a preset with `options` in place of its values.

    Args:
        source: the video or photo, or the folder of a public dataset.
        preset: see `read_preset`.
        options: entries of `Settings`, by table or by a short name: {"height": 1.82, "train": {"steps": 500}}.

    Raises:
        UsageError: there is no such preset, or an entry does not exist or is of the wrong type.
    """
    given = {**renamed(options or {}), "source": str(source), "preset": preset}
    settings = build(Settings, merged(read_preset(preset), given), f"the preset {preset}")
    require_sensible(settings)
    return settings


def require_sensible(settings: Settings) -> None:
    """Refuse numbers out of range before any work.

    Raises:
        UsageError: one is out of range.
    """
    train, observe, track, views = settings.train, settings.observe, settings.track, settings.novel_views
    counts = {
        "--steps": train.steps, "--train.gaussians": train.gaussians, "--train.max-gaussians": train.max_gaussians,
        "--train.long-side": train.long_side, "--max-frames": observe.max_frames, "--person": observe.person,
        "--rounds": train.rounds,
        "--view-frames": views.frames,
    }  # fmt: skip
    for flag, count in counts.items():
        if count is not None and count < 1:
            raise UsageError(f"{flag} must be at least 1, not {count}.")
    if train.hold_out < 0:
        raise UsageError(f"--train.hold-out must be 0 or more, not {train.hold_out}.")
    if track.focal is not None and not track.focal > 0:
        raise UsageError(f"--focal must be above 0 pixels, not {track.focal:g}.")
    if observe.start is not None and observe.start < 0:
        raise UsageError(f"--start must be 0 seconds or more, not {observe.start:g}.")
    if observe.end is not None and observe.end <= (observe.start or 0.0):
        raise UsageError(f"--end must be after --start: it is {observe.end:g} seconds.")
    check_depth_scale(observe)
    check_pitch(track.pitch)
    check_camera(track.camera)


def read_preset(preset: str) -> dict[str, Any]:
    """The values of a named preset or a TOML file, by their current names.

    Raises:
        UsageError: there is no such preset, or the file is not one.
    """
    if preset in PRESETS:
        text = resources.files("avatar.configs").joinpath(f"{preset}.toml").read_text(encoding="utf-8")
    elif Path(preset).is_file():
        text = read_text(Path(preset))
    else:
        raise UsageError(f"There is no preset {preset!r}: use {', '.join(PRESETS)}, or the path of a TOML file.")
    try:
        return renamed(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The preset {preset} is not a TOML file: {error}.") from error


def renamed(values: dict[str, Any]) -> dict[str, Any]:
    """`values` with the entries of `RENAMED` under their current names; an entry that has that name already wins."""
    result = merged({}, values)
    for old, new in RENAMED.items():
        *tables, name = old.split(".")
        place: Any = result
        for table in tables:
            place = place.get(table) if isinstance(place, dict) else None
        if isinstance(place, dict) and name in place:
            entry: Any = place.pop(name)
            for part in reversed(new.split(".")):
                entry = {part: entry}
            result = merged(entry, result)
    return result


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """A copy of `base` with the values of `over` in their place, table by table."""
    result = {name: merged(value, {}) if isinstance(value, dict) else value for name, value in base.items()}
    for name, value in over.items():
        old = result.get(name)
        if isinstance(value, dict):
            result[name] = merged(old if isinstance(old, dict) else {}, value)
        else:
            result[name] = value
    return result


def build(kind: type[T], values: Any, where: str = "the configuration") -> T:
    """An instance of the dataclass `kind` from plain values; fields that are not given keep their defaults.

    Raises:
        UsageError: a name does not exist or a value is of the wrong type.
    """
    if not isinstance(values, dict):
        raise UsageError(f"{where} is not a table of entries.")
    if kind is Settings:
        values = renamed(values)
    hints = get_type_hints(kind)
    names = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]  # always a dataclass
    chosen: dict[str, Any] = {}
    for name, value in values.items():
        if name not in names:
            raise UsageError(f"{where} has no entry {name!r}; it has {', '.join(sorted(names))}.")
        hint = hints[name]
        if is_dataclass(hint):
            chosen[name] = build(hint, value, f"{where}, table {name}")  # type: ignore[arg-type]
        elif not _fits(hint, value):
            expected = hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
            raise UsageError(f"{where}: {name} must be {expected}, not {str(value)[:100]!r}.")
        else:
            takes_float = float in (hint, *get_args(hint)) and value is not None
            chosen[name] = float(value) if takes_float else tuple(value) if isinstance(value, list) else value
    try:
        return kind(**chosen)
    except TypeError as error:  # an entry without a default
        raise UsageError(f"{where} lacks an entry: {error}.") from error


def _fits(hint: Any, value: Any) -> bool:
    if get_origin(hint) in (UnionType, Union):
        return any(_fits(one, value) for one in get_args(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30 and isfinite(value)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def to_toml(settings: Settings) -> str:
    """The settings as TOML that serves as a preset: without the source and the preset's name, unset entries omitted."""
    values = settings.as_dict()
    del values["source"], values["others"], values["preset"]
    return "\n".join(_toml_lines(values, "")) + "\n"


def _toml_lines(table: dict[str, Any], name: str) -> list[str]:
    # A JSON string, number or truth value is one of TOML as well.
    entries = {key: value for key, value in table.items() if not isinstance(value, dict) and value is not None}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items()]
    if name and lines:
        lines = ["", f"[{name}]", *lines]
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _toml_lines(value, f"{name}.{key}" if name else key)
    return lines
