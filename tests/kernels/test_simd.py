"""Vectors in Numba: their meaning, and that they reach the machine as packed instructions."""

import platform
import re

import numba
import numpy as np
import pytest

from avatar.kernels import splat_blending as cpu_raster
from avatar.kernels.simd import (
    LANES,
    Array,
    Vector,
    absolute,
    any_lane,
    exp,
    floor,
    kernel,
    lanes,
    load,
    maximum,
    minimum,
    splat,
    sqrt,
    store,
    store_totals,
    total,
    where,
)


@kernel
def _mixed(x: Array, y: Array, out: Array) -> None:
    for i in range(0, len(x), LANES):
        a, b = load(x, i), load(y, i)
        c = where((a > b) & (a >= 0.25), a * 2.0 - b, floor(b * 4.0) / 3.0 + lanes())
        store(out, i, minimum(maximum(sqrt(absolute(c)), 0.3), splat(1.5)))


def test_lanes_behave_like_arrays() -> None:
    g = np.random.default_rng(0)
    x, y = g.normal(size=(2, 8 * LANES)).astype(np.float32)
    out = np.empty_like(x)
    _mixed(x, y, out)
    lane = np.tile(np.arange(LANES), 8)
    c = np.where((x > y) & (x >= 0.25), x * 2 - y, np.floor(y * 4) / 3 + lane)
    np.testing.assert_allclose(out, np.clip(np.sqrt(np.abs(c)), 0.3, 1.5), rtol=1e-6)


@kernel
def _sums(x: Array, out: Array) -> tuple[bool, bool]:
    a = load(x, 0)
    store_totals(out, 0, (a, a * 2.0, a * a, lanes(), a + 1.0, splat(1.0), a * lanes(), splat(0.0) - a))
    out[8] = total(a)
    return any_lane(a > 10.0), any_lane(a > 0.0)


def test_sums_over_lanes() -> None:
    x, out = np.linspace(0.1, 1, LANES, dtype=np.float32), np.empty(16, np.float32)
    assert _sums(x, out) == (False, True)
    lane = np.arange(LANES)
    vectors = [x, 2 * x, x * x, lane, x + 1, np.ones(LANES), x * lane, -x]
    np.testing.assert_allclose(out[:9], [*(v.sum() for v in vectors), x.sum()], rtol=1e-6)


@kernel
def _exponentials(x: Array, out: Array) -> None:
    for i in range(0, len(x), LANES):
        store(out, i, exp(load(x, i)))


def test_exponential_of_lanes() -> None:
    x = np.linspace(-86, 88, 1024 * LANES, dtype=np.float32)
    out, beyond = np.empty_like(x), np.empty(LANES, np.float32)
    _exponentials(x, out)
    np.testing.assert_allclose(out, np.exp(x.astype(np.float64)), rtol=3e-7)
    for far in (-1e9, 1e9):
        _exponentials(np.full(LANES, far, np.float32), beyond)
        np.testing.assert_allclose(beyond, np.exp(np.clip(far, -87, 88)), rtol=1e-5)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
def test_the_inner_loop_is_packed() -> None:
    """If LLVM ever split the explicit vectors, results would stay right but take about five times as long."""

    @numba.njit(fastmath={"contract"})
    def exponential(x: Array, out: Array) -> None:
        for i in range(0, len(x), LANES):
            store(out, i, cpu_raster._exp8(load(x, i)))

    x = np.linspace(-0.69, 0, 8 * LANES, dtype=np.float32)
    out = np.empty_like(x)
    exponential(x, out)
    np.testing.assert_allclose(out, np.exp(8 * x.astype(np.float64)), rtol=3e-6)
    (assembly,) = exponential.inspect_asm().values()
    packed = len(re.findall(r"\tv?(?:mul|add|fmadd\w*|fmsub\w*)ps\t", assembly.replace("vfm", "fm")))
    single = len(re.findall(r"\tv?(?:mul|add|fmadd\w*)ss\t", assembly))
    assert packed >= 8 and single == 0, (packed, single)
    assert str(Vector) == f"Vector({LANES})"
