"""A function on every tensor of a tree of dataclasses: what moves an avatar to another device or number format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor


def with_tensors_mapped(value: Any, fn: Callable[[Tensor], Tensor], name: str) -> Any:
    """`value` with `fn` applied to the tensors in it; values cached by dataclasses are computed again when needed.

    Raises:
        TypeError: `value` is neither a tensor, a dataclass nor plain data; `name` says what it is.
    """
    if isinstance(value, Tensor):
        return fn(value)
    if is_dataclass(value) and not isinstance(value, type):
        mapped = {f.name: with_tensors_mapped(getattr(value, f.name), fn, f"{name}.{f.name}") for f in fields(value)}
        return replace(value, **mapped)
    if isinstance(value, tuple):
        return tuple(with_tensors_mapped(item, fn, name) for item in value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{name} is a {type(value).__name__}, which cannot be moved to another device.")
