"""How the parameters of a command appear in its help: names for what is required, no `None` for what is optional."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import tyro

Options = TypeVar("Options")
Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
Device = Literal["auto", "cpu", "cuda"]
Backend = Literal["auto", "gsplat", "cpu", "reference"]
Up = Literal["y", "minus-y", "z"]
# A switch that is off by default and needs no --no-... beside it.
Switch = Annotated[bool, tyro.conf.FlagCreatePairsOff]


def with_plain_help(command: Callable[..., None]) -> Callable[..., None]:
    """Show optional parameters of a command as "(optional)" instead of "(default: None)", and each on whole lines."""
    hints = _plain_hints(command)
    for function in (command, inspect.unwrap(command)):  # a type checker may have wrapped it
        function.__annotations__ = hints
        function.__doc__ = _on_one_line(function.__doc__)
    return command


def option_group(options: type[Options]) -> type[Options]:
    """Make a dataclass a group of a command's options: each keeps its plain name, and --help shows them in one box.

    A command takes it as a parameter of the type `Annotated[options, tyro.conf.arg(name=TITLE)]`.
    """
    options.__doc__ = _on_one_line(options.__doc__)
    flat = tyro.conf.arg(prefix_name=False)
    options.__annotations__ = {
        name: Annotated[Switch if hint is bool else hint, flat] for name, hint in _plain_hints(options).items()
    }
    return options


def _on_one_line(docstring: str | None) -> str:
    """A docstring with each of its entries on one line: tyro would show the line breaks that are only the source's."""
    return re.sub(r"\n {8,}", " ", inspect.cleandoc(docstring or ""))


def _plain_hints(options: Callable[..., Any]) -> dict[str, Any]:
    hints = get_type_hints(options, include_extras=True)
    for name, parameter in inspect.signature(options).parameters.items():
        if parameter.default in (None, ()) and get_origin(hints[name]) is not Annotated:
            hints[name] = optional(hints[name])
    return hints


def optional(hint: Any, metavar: str | None = None, default_text: str = "(optional)", **more: Any) -> Any:
    """The annotation of an option that may stay open: its help shows `default_text` in the place of None."""
    notes: list[Any] = [tyro.conf.arg(help_behavior_hint=default_text, metavar=metavar, **more)]
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if _is_union(hint) else [hint]
    if len(kinds) == 1 and kinds[0] in (int, float):
        notes.insert(0, _number(kinds[0]))
    return Annotated[(hint, *notes)]


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in (Union, UnionType)


def _number(kind: type[int] | type[float]) -> Any:
    """Reads a number itself, so that a wrong one is refused without the names of Python's classes."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=lambda words: kind(words[0]),
        is_instance=lambda value: value is None or isinstance(value, int | float),
        str_from_instance=lambda value: [str(value)],
    )
