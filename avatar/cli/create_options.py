"""The options of `avatar create`, made from `avatar.pipeline.settings.Settings`: types, texts and defaults stand there,
and here only how they are grouped and named on the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, make_dataclass
from typing import Annotated, Any, get_type_hints

import docstring_parser
import tyro

from avatar.cli.options import optional
from avatar.pipeline.settings import Settings, settings_for

GROUPS = {
    "person": "What you know of the person and the camera.",
    "quality": "How much work is put into the avatar.",
    "machine": "Devices, threads and files.",
    "research": "Other bodies, detectors and public datasets.",
    "training": "Every number of the training.",
    "training weights": "Weight of each loss term; the absolute colour error has weight 1.",
    "training rates": "Learning rates of Adam at the start; all decay to a tenth over the run.",
}


@dataclass(frozen=True)
class Look:
    """How an entry appears: its group, flag, other flags, and for an open one its metavar and what stands for None."""

    group: str
    flag: str | None = None
    aliases: tuple[str, ...] = ()
    metavar: str | None = None
    none: str = "(optional)"


LOOKS = {
    "track.height": Look("person", "height", metavar="METRES", none="(default: assumed, 1.70)"),
    "track.shape": Look("person", "shape", metavar="WORDS", none="(default: estimated)"),
    "track.focal": Look("person", "focal", metavar="PIXELS", none="(default: estimated)"),
    "track.pitch": Look("person", "pitch", metavar="DEGREES", none="(default: estimated)"),
    "track.camera": Look("person", "camera", metavar="HOW"),
    "observe.depth": Look("person", "depth", metavar="FOLDER|FILE"),
    "observe.depth_scale": Look(
        "person", "depth-scale", metavar="METRES", none="(default: whole numbers are millimetres, others metres)"
    ),
    "track.keep_going": Look("quality", "keep-going"),
    "observe.person": Look("person", "person", metavar="INDEX", none="(default: the largest and most persistent)"),
    "people": Look("person", "people", metavar="all|N", none="(default: one person)"),
    "offset": Look("person", "offset", metavar="SECONDS", none="(default: by motion and sound)"),
    "observe.start": Look("person", "start", metavar="SECONDS", none="(default: the video's beginning)"),
    "observe.end": Look("person", "end", metavar="SECONDS", none="(default: the video's end)"),
    "preset": Look("quality", "preset"),
    "observe.max_frames": Look("quality", "max-frames"),
    "train.masks": Look("quality", "masks"),
    "novel_views.generator": Look("quality", "views"),
    "novel_views.frames": Look("quality", "view-frames"),
    "device": Look("machine", "device"),
    "backend": Look("machine", "backend"),
    "novel_views.offload": Look("machine", "view-offload"),
    "body": Look("research", "body"),
    "observe.detector": Look("research", "detector"),
    "protocol": Look("research", "protocol", none="(optional)"),
    "track.iuv": Look("research", "iuv", metavar="FOLDER"),
    "track.iuv_charts": Look("research", "iuv-charts", metavar="FILE"),
    "init": Look("research", "init", metavar="FILE", none="(default: the detector's own 3D estimate)"),
    "train.steps": Look("training", aliases=("--steps",)),
    "train.rounds": Look("training", aliases=("--rounds",)),
    "train.seed": Look("training", aliases=("--seed",)),
    "train.deform": Look("training", aliases=("--deform",)),
}
TABLES = {"train": "training", "train.weights": "training weights", "train.rates": "training rates"}


@dataclass(frozen=True)
class Entry:
    """One entry of the settings: its place in dots, its type, its text and its value in the preset."""

    place: str
    hint: Any
    text: str
    value: Any

    @property
    def look(self) -> Look:
        """How help shows this setting."""
        table = self.place.rpartition(".")[0]
        return LOOKS.get(self.place) or Look(TABLES.get(table, "research"))

    @property
    def flag(self) -> str:
        """The option's name on the command line."""
        return "--" + (self.look.flag or self.place).replace("_", "-")


def entries(settings: Settings) -> Iterator[Entry]:
    """All entries of the settings but the sources, which are no options."""
    for entry in _entries(settings, ""):
        if entry.place not in ("source", "others"):
            yield entry


def _entries(table: Any, prefix: str) -> Iterator[Entry]:
    hints = get_type_hints(type(table))
    parsed = docstring_parser.parse_from_object(type(table))
    texts = {one.arg_name: " ".join((one.description or "").split()) for one in parsed.params}
    for one in fields(table):
        value = getattr(table, one.name)
        if is_dataclass(value):
            yield from _entries(value, f"{prefix}{one.name}.")
        else:
            yield Entry(f"{prefix}{one.name}", hints[one.name], texts.get(one.name, "").rstrip("."), value)


def options_type(settings: Settings) -> type:
    """A dataclass with one field for each group of options, whose defaults are those of `settings`."""
    by_group: dict[str, list[Entry]] = {name: [] for name in GROUPS}
    for entry in entries(settings):
        by_group[entry.look.group].append(entry)
    groups = []
    for name, text in GROUPS.items():
        members = [(_field(entry.place), _annotation(entry), entry.value) for entry in by_group[name]]
        group = make_dataclass(name.title().replace(" ", ""), members, frozen=True)
        group.__doc__ = text
        groups.append((name.replace(" ", "_"), Annotated[group, tyro.conf.arg(name=name)], group()))
    return make_dataclass("Options", groups, frozen=True)


def _annotation(entry: Entry) -> Any:
    look, name = entry.look, entry.flag.removeprefix("--")
    more: dict[str, Any] = {"name": name, "prefix_name": False, "aliases": look.aliases, "help": entry.text}
    if entry.value is None:
        return optional(entry.hint, look.metavar, look.none, **more)
    return Annotated[entry.hint, tyro.conf.arg(metavar=look.metavar, **more)]


def _field(place: str) -> str:
    return place.replace(".", "__")


def chosen_settings(source: str, options: Any, others: Sequence[str] = ()) -> Settings:
    """The settings that a command line asks for; `options` is an instance of `options_type`."""
    values: dict[str, Any] = {"others": list(others)}
    for group in fields(options):
        part = getattr(options, group.name)
        for one in fields(part):
            *tables, name = one.name.split("__")
            table = values
            for key in tables:
                table = table.setdefault(key, {})
            table[name] = getattr(part, one.name)
    return settings_for(source, values.pop("preset"), values)


def preset_in(arguments: Sequence[str]) -> str:
    """The preset that a command line names, needed before the parser, which shows its values, exists."""
    preset = "balanced"
    for index, argument in enumerate(arguments):
        name, equals, value = argument.partition("=")
        if name == "--preset" and (equals or index + 1 < len(arguments)):
            preset = value if equals else arguments[index + 1]
    return preset
