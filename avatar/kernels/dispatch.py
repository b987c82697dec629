"""Chooses between a tensor function and its compiled twin; the only place that does.

A tensor function says what is computed, for any device and floating type. Its twin computes the same on the CPU in
float32, in one compiled pass. Callers use the operation and need not know which of them runs:

    @compiled_by(_ssim_compiled)
    def ssim(a, b): ...  # in tensors

`ssim(a, b)` then runs `_ssim_compiled(a, b)` when every floating tensor among its arguments lies on the CPU in
float32, and the tensor function otherwise or inside `tensor_functions()`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, ParamSpec, TypeVar

import torch
from torch import Tensor, nn

P = ParamSpec("P")
R = TypeVar("R")

_compiled_enabled: ContextVar[bool] = ContextVar("compiled_enabled", default=True)


class Operation(Generic[P, R]):
    """A tensor function with a compiled twin of the same signature.

    Attributes:
        tensors: the tensor function; compiled: its twin.
    """

    def __init__(self, tensors: Callable[P, R], compiled: Callable[P, R]) -> None:
        self.tensors, self.compiled = tensors, compiled
        functools.update_wrapper(self, tensors)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        function = self.compiled if compiled_runs(*args, *kwargs.values()) else self.tensors
        return function(*args, **kwargs)


def compiled_by(compiled: Callable[P, R]) -> Callable[[Callable[P, R]], Operation[P, R]]:
    """Decorator that makes a tensor function an operation with the twin `compiled`."""

    def decorate(tensors: Callable[P, R]) -> Operation[P, R]:
        return Operation(tensors, compiled)

    return decorate


def compiled_runs(*arguments: object) -> bool:
    """Whether compiled code takes these arguments: all floating tensors in them are float32 on the CPU."""
    if not _compiled_enabled.get():
        return False
    return all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32
        for tensor in _tensors(arguments)
        if tensor.is_floating_point()
    )


@contextmanager
def tensor_functions() -> Iterator[None]:
    """Inside, every operation runs its tensor function, as it would on a GPU."""
    token = _compiled_enabled.set(False)
    try:
        yield
    finally:
        _compiled_enabled.reset(token)


def _tensors(value: object) -> Iterator[Tensor]:
    """The tensors in arguments: bare, in tuples, and as attributes of dataclasses."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, nn.Module):
        yield from value.parameters()
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
    elif hasattr(value, "__dataclass_fields__"):
        # A list, since other threads may be adding what they cache.
        attributes: list[Any] = list(vars(value).values())
        for item in attributes:
            yield from _tensors(item)
