"""Explicit SIMD vectors of float32, one register wide, for Numba kernels.

Numba leaves vectorisation to LLVM, and a harmless-looking edit can silently lose it and cost a factor of five. Here
`Vector` and `Mask` are Numba types with LLVM's own vector types behind them: the usual operators work on them lane
by lane, and numbers are broadcast to every lane.

    v = load(array, start) * 2.0 + lanes()
    store(array, start, where(v > 3.0, v, 0.0))
"""

# Numba's extension points have no type annotations.
# mypy: disable-error-code="no-untyped-call, untyped-decorator"

from __future__ import annotations

import hashlib
import inspect
import operator
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core import event as events
from numba.core.typeconv.castgraph import Conversion
from numba.core.typing.templates import ConcreteTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model
from numpy.typing import NDArray

# Annotations of kernels; Numba infers its own types.
P = ParamSpec("P")
R = TypeVar("R")
Array = NDArray[Any]
Index = int | np.int64
Number = Any  # a float of either precision
Lanes = Any  # a vector of LANES float32, or a number that is copied to every lane
Triple = tuple[Lanes, Lanes, Lanes]
Quad = tuple[Lanes, Lanes, Lanes, Lanes]

LANES = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 8
"""Lanes in a vector: what one register of AVX2 or AVX-512 holds. Narrower machines use several registers."""

_FLOAT = ir.FloatType()
_VECTOR = ir.VectorType(_FLOAT, LANES)
_MASK = ir.VectorType(ir.IntType(1), LANES)
_INDEX = ir.IntType(32)
# Only fused multiply-add is allowed, so the same input gives the same bits.
_FLAGS = ("contract",)
_OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy"}


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` with Numba: no interpreter lock, fused arithmetic, cached on disk.

    Numba checks only the function's own file for changes. The cached code also contains inlined functions of this
    package, so the cache's stamp covers all files of the package. Wrappers (such as a shape checker's) are removed.
    """
    compiled: Any = numba.njit(cache=True, **_OPTIONS)(inspect.unwrap(function))
    own = compiled._cache._cache_file
    own._source_stamp = _SOURCES, own._source_stamp
    return compiled  # type: ignore[no-any-return]  # numba has no types


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Like `kernel`, for small functions called by kernels: always inlined."""
    compiled: Any = numba.njit(forceinline=True, **_OPTIONS)(inspect.unwrap(function))
    return compiled  # type: ignore[no-any-return]  # numba has no types


def instruction(define: Callable[..., Any]) -> Callable[..., Any]:
    """Numba's `intrinsic`, with a type: what kernels call has the parameters of `define` after the first."""
    compiled: Callable[..., Any] = intrinsic(define)
    return compiled


class _Announcement(events.Listener):
    """Explains once on stderr why the first run after an installation is slow; later runs load the cached code."""

    def __init__(self) -> None:
        self.announced = False

    def on_start(self, event: Any) -> None:
        # Numba reports a compilation only if the cache on disk has nothing.
        if not self.announced and event.data["dispatcher"].py_func.__module__.startswith("avatar."):
            self.announced = True
            text = "Compiling the renderer for this processor (once after an installation, about half a minute) ..."
            print(text, file=sys.stderr, flush=True)

    def on_end(self, event: Any) -> None:
        pass


events.register("numba:compile", _Announcement())


def _digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_SOURCES = _digest()


class _VectorType(types.Type):
    def can_convert_from(self, typingctx: Any, other: Any) -> Any:
        return Conversion.promote if isinstance(other, types.Float) else None


class _MaskType(types.Type):
    pass


Vector = _VectorType(name=f"Vector({LANES})")
Mask = _MaskType(name=f"Mask({LANES})")


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)


@register_model(_MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _MASK)


def _splat(builder: Any, value: Any) -> Any:
    if isinstance(value.type, ir.DoubleType):
        value = builder.fptrunc(value, _FLOAT)
    single = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES)
    return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), zeros)


@lower_cast(types.Float, Vector)
def _from_number(context: Any, builder: Any, source: Any, target: Any, value: Any) -> Any:
    return _splat(builder, value)


def _define(operation: Any, arguments: list[Any], result: Any, build: Callable[..., Any]) -> None:
    """Give an operator a meaning on vectors or masks."""

    @infer_global(operation)
    class _Template(ConcreteTemplate):
        cases = [signature(result, *arguments)]  # noqa: RUF012

    @lower_builtin(operation, *arguments)
    def _lower(context: Any, builder: Any, sig: Any, values: Any) -> Any:
        return build(builder, *values)


_define(operator.add, [Vector, Vector], Vector, lambda b, x, y: b.fadd(x, y, flags=_FLAGS))
_define(operator.sub, [Vector, Vector], Vector, lambda b, x, y: b.fsub(x, y, flags=_FLAGS))
_define(operator.mul, [Vector, Vector], Vector, lambda b, x, y: b.fmul(x, y, flags=_FLAGS))
_define(operator.truediv, [Vector, Vector], Vector, lambda b, x, y: b.fdiv(x, y, flags=_FLAGS))
_define(operator.neg, [Vector], Vector, lambda b, x: b.fneg(x, flags=_FLAGS))
_define(operator.gt, [Vector, Vector], Mask, lambda b, x, y: b.fcmp_ordered(">", x, y))
_define(operator.ge, [Vector, Vector], Mask, lambda b, x, y: b.fcmp_ordered(">=", x, y))
_define(operator.lt, [Vector, Vector], Mask, lambda b, x, y: b.fcmp_ordered("<", x, y))
_define(operator.le, [Vector, Vector], Mask, lambda b, x, y: b.fcmp_ordered("<=", x, y))
_define(operator.and_, [Mask, Mask], Mask, lambda b, x, y: b.and_(x, y))


@instruction
def lanes(typingctx: Any) -> Any:
    """The vector 0, 1, 2, ..."""
    return Vector(), lambda context, builder, sig, args: ir.Constant(_VECTOR, [float(i) for i in range(LANES)])


@instruction
def splat(typingctx: Any, number: Any) -> Any:
    """The vector with `number` in every lane."""
    return Vector(number), lambda context, builder, sig, args: _splat(builder, args[0])


def _place(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Address of element `index` of a one-dimensional contiguous array, without bounds or sign check."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), _VECTOR.as_pointer())


def _is_float_row(kind: Any) -> bool:
    return isinstance(kind, types.Array) and kind.ndim == 1 and kind.layout == "C" and kind.dtype == types.float32


@instruction
def load(typingctx: Any, array: Any, index: Any) -> Any:
    """The LANES elements of a contiguous one-dimensional float32 array that start at `index`."""
    if not (_is_float_row(array) and isinstance(index, types.Integer)):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        value = builder.load(_place(context, builder, sig.args[0], *args))
        value.align = 4
        return value

    return Vector(array, index), build


@instruction
def store(typingctx: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write the lanes of `vector` to the elements of a contiguous float32 array that start at `index`."""
    if not (_is_float_row(array) and isinstance(index, types.Integer)):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, sig.args[0], *args[:2])).align = 4
        return context.get_dummy_value()

    return types.void(array, index, Vector), build


@instruction
def prefetch(typingctx: Any, array: Any, index: Any) -> Any:
    """Start to load the cache line of element `index` of a contiguous array; only a hint, it cannot fail."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()] + 3 * [_INDEX])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, keep, data_cache = _INDEX(0), _INDEX(3), _INDEX(1)
        builder.call(function, [place, read, keep, data_cache])
        return context.get_dummy_value()

    return types.void(array, index), build


@instruction
def where(typingctx: Any, mask: Any, yes: Any, no: Any) -> Any:
    """`yes` in the lanes where `mask` holds, `no` in the others."""
    return Vector(Mask, Vector, Vector), lambda context, builder, sig, args: builder.select(*args)


def _function(name: str, count: int) -> Callable[..., Any]:
    """An LLVM intrinsic from vectors to a vector."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        kind = ir.FunctionType(_VECTOR, [_VECTOR] * count)
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
        return builder.call(function, args)

    return build


@instruction
def sqrt(typingctx: Any, vector: Any) -> Any:
    """Square root of each lane."""
    return Vector(Vector), _function("sqrt", 1)


@instruction
def floor(typingctx: Any, vector: Any) -> Any:
    """The whole number at or below each lane."""
    return Vector(Vector), _function("floor", 1)


@instruction
def absolute(typingctx: Any, vector: Any) -> Any:
    """Absolute value of each lane."""
    return Vector(Vector), _function("fabs", 1)


@instruction
def minimum(typingctx: Any, x: Any, y: Any) -> Any:
    """The smaller of two lanes; `y` where one is not a number, as the machine's own instruction has it."""
    return Vector(Vector, Vector), lambda context, b, sig, args: b.select(b.fcmp_ordered("<", *args), *args)


@instruction
def maximum(typingctx: Any, x: Any, y: Any) -> Any:
    """The larger of two lanes; `y` where one is not a number."""
    return Vector(Vector, Vector), lambda context, b, sig, args: b.select(b.fcmp_ordered(">", *args), *args)


def _pick(builder: Any, x: Any, y: Any, lanes_of_both: Any) -> Any:
    """A vector of the chosen lanes of `x`, counted from 0, and of `y`, counted on from there."""
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(_INDEX, len(lanes_of_both)), lanes_of_both))


def _fold(builder: Any, value: Any, width: int) -> Any:
    """Add the upper half of the lanes to the lower half until `width` are left."""
    while value.type.count > width:
        half = value.type.count // 2
        lower, upper = list(range(half)), list(range(half, 2 * half))
        value = builder.fadd(_pick(builder, value, value, lower), _pick(builder, value, value, upper))
    return value


@instruction
def power_of_two(typingctx: Any, vector: Any) -> Any:
    """Two to the power of each lane, a whole number from -126 to 127: the exponent of a float32, put in place."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        whole = ir.VectorType(_INDEX, LANES)
        biased = builder.add(builder.fptosi(args[0], whole), ir.Constant(whole, [127] * LANES))
        return builder.bitcast(builder.shl(biased, ir.Constant(whole, [23] * LANES)), _VECTOR)

    return Vector(Vector), build


@inlined
def exp(x: Lanes) -> Lanes:
    """The exponential of each lane to 2e-7 of its value; beyond -87 and 88 that of the nearest of the two."""
    x = minimum(maximum(x, -87.0), 88.0)
    twos = floor(x * 1.4426950408889634 + 0.5)
    # The logarithm of two in two parts, so that the rest keeps its digits; then Taylor up to the sixth degree.
    rest = x - twos * 0.693359375 + twos * 2.12194440e-4
    p = splat(1 / 720) * rest + 1 / 120
    p = p * rest + 1 / 24
    p = p * rest + 1 / 6
    p = p * rest + 0.5
    p = p * rest + 1.0
    return (p * rest + 1.0) * power_of_two(twos)


@instruction
def total(typingctx: Any, vector: Any) -> Any:
    """Sum over the lanes, in a fixed order."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.extract_element(_fold(builder, args[0], 1), _INDEX(0))

    return types.float32(Vector), build


@instruction
def store_totals(typingctx: Any, array: Any, index: Any, vectors: Any) -> Any:
    """Write the sums over the lanes of each of eight vectors to eight elements of an array that start at `index`.

    The sums are formed side by side: three rounds of adding two vectors' even and odd parts, instead of eight sums
    of three rounds each.
    """
    if not (_is_float_row(array) and isinstance(vectors, types.UniTuple) and vectors.count == 8):
        return None

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        sums = [_fold(builder, value, 8) for value in cgutils.unpack_tuple(builder, args[2])]
        # Lanes 0..7 are of the first vector, 8..15 of the second; each round halves the number of partial sums.
        rounds = [
            ([0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]),
            ([0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]),
            ([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]),
        ]
        for even, odd in rounds:
            sums = [
                builder.fadd(_pick(builder, x, y, even), _pick(builder, x, y, odd))
                for x, y in zip(sums[::2], sums[1::2], strict=True)
            ]
        place = builder.gep(context.make_array(sig.args[0])(context, builder, args[0]).data, [args[1]])
        builder.store(sums[0], builder.bitcast(place, sums[0].type.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.void(array, index, vectors), build


@instruction
def any_lane(typingctx: Any, mask: Any) -> Any:
    """Whether the mask holds in any lane."""

    def build(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0))

    return types.boolean(Mask), build
