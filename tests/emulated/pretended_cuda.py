"""A CUDA device that is only pretended: tensors that say they lie on `cuda:0` and keep their numbers in CPU tensors.

Each operation is checked as CUDA would, which refuses operands on several devices; what would be launched is counted,
and each wait of the host for the device is noted with the line of the program that asked for it.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only

CUDA = torch.device("cuda:0")
ROOT = Path(__file__).resolve().parents[2]
_FACTORIES = (torch.tensor, torch.as_tensor, torch.asarray)

# Operations that launch nothing: views, and memory without content.
_FREE = frozenset((
    "_reshape_alias", "_unsafe_view", "alias", "as_strided", "detach", "diagonal", "empty", "empty_like",
    "empty_strided", "expand", "lift_fresh", "new_empty", "new_empty_strided", "permute", "real_view",
    "resolve_conj", "resolve_neg", "select", "slice", "split", "split_with_sizes", "squeeze", "t", "transpose",
    "unbind", "unfold", "unsqueeze", "view", "view_as_real",
))  # fmt: skip
# Operations whose result the host needs before it can go on.
_WAITS = frozenset((
    "_linalg_check_errors", "_linalg_solve_ex", "_local_scalar_dense", "_unique2", "bincount", "equal", "histc",
    "is_nonzero", "linalg_inv_ex", "masked_select", "nonzero", "repeat_interleave", "unique_consecutive",
    "unique_dim",
))  # fmt: skip
# Operations with indices, which torch copies to the device where they lie on the host.
_INDEXED = frozenset((
    "index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index",
))  # fmt: skip
# Operations that take a scalar tensor of the host for a number beside a tensor of the device; others refuse it.
_NO_SCALARS = frozenset((
    "addmm", "addmv", "bmm", "cat", "convolution", "dot", "gather", "index_add", "index_select", "mm", "mv",
    "scatter", "stack",
))  # fmt: skip


class PretendedTensor(Tensor):
    """A tensor of `cuda:0`. For torch's core it is of `meta`, whose backward pass needs no streams."""

    on_host: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, on_host: Tensor) -> PretendedTensor:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            on_host.size(),
            strides=on_host.stride(),
            storage_offset=on_host.storage_offset(),
            dtype=on_host.dtype,
            device=torch.device("meta"),
        )

    def __init__(self, on_host: Tensor) -> None:
        assert not isinstance(on_host, PretendedTensor)
        self.on_host = on_host

    device = property(lambda self: CUDA)
    is_cuda = property(lambda self: True)
    is_cpu = property(lambda self: False)
    is_meta = property(lambda self: False)

    def get_device(self) -> int:
        return 0

    def cpu(self) -> Tensor:  # type: ignore[override]
        return self.to("cpu")

    def cuda(self) -> Tensor:  # type: ignore[override]
        return self

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")

    def __array__(self, *_: Any) -> Any:
        return self.numpy()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"PretendedTensor({self.on_host!r})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        copied: Tensor = PretendedTensor(self.on_host.detach().clone())
        if isinstance(self, torch.nn.Parameter):
            copied = torch.nn.Parameter(copied, self.requires_grad)
        memo[id(self)] = copied
        return copied.requires_grad_(self.requires_grad)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _restored, (self.on_host.detach(), isinstance(self, torch.nn.Parameter), self.requires_grad)

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return run_operation(func, args, kwargs or {}, Record())


def _restored(on_host: Tensor, parameter: bool, requires_grad: bool) -> Tensor:
    tensor: Tensor = PretendedTensor(on_host)
    return torch.nn.Parameter(tensor, requires_grad) if parameter else tensor.requires_grad_(requires_grad)


# Checkpoints are read without running what they name; this one is ours.
torch.serialization.add_safe_globals([_restored])


class Record:
    """What the device is given to do.

    Attributes:
        launches: operations that launch something, by name.
        waits: moments when the host waits for the device, by the operation and the line that asks.
    """

    def __init__(self) -> None:
        self.launches: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.capturing = False
        self._replaying = False

    @contextmanager
    def replay(self) -> Iterator[None]:
        """Inside, what is launched counts as one graph."""
        self.launches["graph"] += 1
        self._replaying = True
        try:
            yield
        finally:
            self._replaying = False

    @contextmanager
    def capture(self) -> Iterator[None]:
        """Inside, the host must not wait for the device."""
        self.capturing = True
        try:
            with self.replay():
                yield
        finally:
            self.capturing = False

    def waited(self, reason: str) -> None:
        if self.capturing:
            raise RuntimeError(f"operation not permitted when stream is capturing: {reason}")
        self.waits[reason] += 1

    def clear(self) -> None:
        self.launches.clear()
        self.waits.clear()

    def launched(self, kernel: str) -> None:
        """What gsplat's compiled part tells, see `gsplat_csrc.Kernels`."""
        if kernel == "wait":
            self.waited(f"gsplat's number of pairs at {_place()}")
        elif not self._replaying:
            self.launches[f"gsplat {kernel}"] += 1

    def operation(self, func: Any, args: Any, kwargs: dict[str, Any], to_cuda: bool) -> None:
        name, first = _name(func), args[0] if args else None
        if name in ("_to_copy", "copy_"):
            source = args[1] if name == "copy_" else first
            if isinstance(source, PretendedTensor) != to_cuda and not (
                kwargs.get("non_blocking") or args[2:3] == (True,)
            ):
                self.waited(f"copy {'to' if to_cuda else 'from'} the device at {_place()}")
        elif name in _WAITS:
            self.waited(f"{name} at {_place()}")
        elif name in _INDEXED:
            indices = [index for index in args[1] if index is not None]
            if any(isinstance(index, PretendedTensor) and index.dtype == torch.bool for index in indices):
                self.waited(f"index by a mask at {_place()}")
            if any(not isinstance(index, PretendedTensor) for index in indices):
                self.waited(f"index on the host at {_place()}")
        if name not in _FREE and not self._replaying:
            self.launches[name] += 1


def run_operation(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], record: Record) -> Any:
    """One operation of torch's core, on the host's copies of the device's tensors where it has any."""
    device = kwargs.get("device")
    if device is not None and torch.device(device).type == "meta":
        device = kwargs["device"] = CUDA  # what torch's core takes for the device of a tensor here
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    on_cuda = any(isinstance(tensor, PretendedTensor) for tensor in tensors)
    to_cuda = on_cuda if device is None else torch.device(device).type == "cuda"
    if _name(func) == "copy_":
        to_cuda = isinstance(args[0], PretendedTensor)
    elif _name(func) != "_to_copy" and on_cuda:
        _refuse_several_devices(func, args, tensors)
    if on_cuda or to_cuda:
        record.operation(func, args, kwargs, to_cuda)
    host_args, host_kwargs = tree_map_only(PretendedTensor, lambda tensor: tensor.on_host, (args, kwargs))
    if to_cuda and "device" in host_kwargs:
        host_kwargs = host_kwargs | {"device": torch.device("cpu")}
    host_kwargs.pop("pin_memory", None)
    if _name(func) == "_to_copy" and to_cuda and not on_cuda:
        host_kwargs["copy"] = True
        host_kwargs.pop("copy")
    with torch.utils._python_dispatch._disable_current_modes():
        result = func(*host_args, **host_kwargs)
    if not to_cuda:
        return result
    result = tree_map(lambda x: PretendedTensor(x) if isinstance(x, Tensor) else x, result)
    if any(argument.alias_info is not None for argument in func._schema.arguments):
        return return_and_correct_aliasing(func, args, kwargs, result)
    return result


def _refuse_several_devices(func: Any, args: tuple[Any, ...], tensors: list[Tensor]) -> None:
    host = [tensor for tensor in tensors if not isinstance(tensor, PretendedTensor)]
    if _name(func) in _INDEXED:
        host = [args[0]] if not isinstance(args[0], PretendedTensor) else []
    if any(tensor.dim() or _name(func) in _NO_SCALARS for tensor in host):
        shapes = [tuple(tensor.shape) for tensor in host]
        raise RuntimeError(
            f"Expected all tensors to be on the same device, cuda:0, but {func} found {shapes} on cpu at {_place()}"
        )


def _name(func: Any) -> str:
    return str(func.__name__.split(".")[0])


def _place() -> str:
    """The innermost line of the program or of gsplat that is running."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if path.startswith((f"{ROOT}/avatar/", f"{ROOT}/viewer/")) or "/gsplat/" in path:
            return f"{Path(path).name}:{frame.f_lineno} {frame.f_code.co_name}"
        frame = frame.f_back  # type: ignore[assignment]
    return "the backward pass or a test"


class _Functions(TorchFunctionMode):
    """Names the device in full, for which torch's core would ask CUDA, and copies a factory's numbers from the host."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") == "__get__":  # an attribute, such as the shape, which most calls are
            return func(*args)
        args = tuple(map(_in_full, args))
        kwargs = {name: _in_full(value) for name, value in (kwargs or {}).items()}
        if func in _FACTORIES and kwargs.get("device") == CUDA and not isinstance(args[0], Tensor):
            return func(*args, **kwargs | {"device": "cpu"}).to(CUDA)
        if func is torch.Tensor.new_tensor:
            tensor, data, *rest = args
            options = {"dtype": tensor.dtype, "device": tensor.device} | kwargs
            device = options.pop("device")
            return torch.tensor(data, *rest, **options).to(device)
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args = (args[0], _indices_as_tensors(args[1]), *args[2:])
        return func(*args, **kwargs)


def _in_full(value: Any) -> Any:
    return CUDA if isinstance(value, str | torch.device) and str(value) == "cuda" else value


def _indices_as_tensors(index: Any) -> Any:
    """A list as an index becomes a tensor of the host, as in torch's core."""
    if isinstance(index, tuple):
        return tuple(torch.tensor(part) if isinstance(part, list) else part for part in index)
    return torch.tensor(index) if isinstance(index, list) else index


class _Dispatch(TorchDispatchMode):
    def __init__(self, record: Record) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.record = record

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return run_operation(func, args, kwargs or {}, self.record)


@contextmanager
def pretended_cuda() -> Iterator[Record]:
    """Inside, torch seems to have one CUDA device."""
    record, load = Record(), torch.load

    def loaded(file: Any, map_location: Any = None, **options: Any) -> Any:
        if torch.device(map_location or "cpu").type != "cuda":
            return load(file, map_location=map_location, **options)
        return tree_map_only(Tensor, lambda tensor: tensor.to(CUDA), load(file, map_location="cpu", **options))

    replaced: dict[str, Callable[..., Any]] = {
        "torch.cuda._lazy_init": lambda: None,
        "torch.cuda.is_available": lambda: True,
        "torch.cuda.device_count": lambda: 1,
        "torch.cuda.current_device": lambda: 0,
        "torch.cuda.get_device_name": lambda *_: "pretended",
        "torch.cuda.max_memory_allocated": lambda *_: 0,
        "torch.cuda.synchronize": lambda *_: None,
        "torch.cuda.is_current_stream_capturing": lambda: False,
        "torch.cuda.make_graphed_callables": partial(_graphed, record),
        "torch.Tensor.pin_memory": lambda tensor, *_: tensor,
        "torch.load": loaded,
    }
    submit = ThreadPoolExecutor.submit

    def submitted(pool: ThreadPoolExecutor, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Torch keeps modes for each thread, so that workers must enter their own."""

        def call() -> Any:
            with _Functions(), _Dispatch(record):
                return function(*args, **kwargs)

        return submit(pool, call)

    swapping = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    with ExitStack() as stack:
        for name, function in replaced.items():
            stack.enter_context(mock.patch(name, function))
        stack.callback(torch.__future__.set_swap_module_params_on_conversion, swapping)
        stack.enter_context(mock.patch.object(ThreadPoolExecutor, "submit", submitted))
        stack.enter_context(_Functions())
        stack.enter_context(_Dispatch(record))
        yield record


def _graphed(
    record: Record, module: torch.nn.Module, sample: tuple[Tensor, ...], allow_unused_input: bool
) -> Callable[..., tuple[Tensor, ...]]:
    """A stand-in for `torch.cuda.make_graphed_callables` of one module.

    Operations run one by one, but count as one launch forward and one backward. As in a real capture, the host may not
    wait meanwhile, and inputs are copied to where the graph reads them.
    """
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    inputs = [tensor.detach().clone() for tensor in sample]

    class Graph(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *_: Tensor) -> tuple[Tensor, ...]:
            with record.replay(), torch.enable_grad():
                ctx.outputs = module(*inputs)
            return tuple(output.detach() for output in ctx.outputs)

        @staticmethod
        def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
            for gradient in gradients:
                gradient.clone()  # to where the graph reads it
            with record.replay():
                return torch.autograd.grad(ctx.outputs, parameters, gradients, allow_unused=allow_unused_input)

    def backpropagated() -> None:
        outputs = module(*inputs)
        torch.autograd.grad(outputs, parameters, [torch.ones_like(output) for output in outputs], allow_unused=True)

    backpropagated()  # what is computed once may wait
    with record.capture():
        backpropagated()

    def run(*arguments: Tensor) -> tuple[Tensor, ...]:
        for place, argument in zip(inputs, arguments, strict=True):
            place.copy_(argument)
        results: tuple[Tensor, ...] = Graph.apply(*parameters)  # type: ignore[no-untyped-call]
        return results

    return run


def on_host(tensor: Tensor) -> Tensor:
    """The numbers of a tensor, wherever it pretends to lie; shared with it."""
    return tensor.on_host if isinstance(tensor, PretendedTensor) else tensor
