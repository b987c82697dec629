"""gsplat's CUDA kernels, cut from the installed package and compiled as C++ for the CPU."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "1.5.3"  # the sources that this file and entry_points.cpp know
HERE = Path(__file__).parent
KERNELS = {
    "ProjectionEWA3DGSFused.cu": ["projection_ewa_3dgs_fused_fwd_kernel", "projection_ewa_3dgs_fused_bwd_kernel"],
    "IntersectTile.cu": ["intersect_tile_kernel", "intersect_offset_kernel"],
    "RasterizeToPixels3DGSFwd.cu": ["rasterize_to_pixels_3dgs_fwd_kernel"],
    "RasterizeToPixels3DGSBwd.cu": ["rasterize_to_pixels_3dgs_bwd_kernel"],
}
# Headers of CUDA and torch that gsplat's own headers ask for; cuda_on_cpu.h has what is needed of them.
REPLACED_HEADERS = ["cooperative_groups.h", "cooperative_groups/reduce.h"]


def missing_tool() -> str | None:
    """Why the kernels cannot be compiled here, or None if they can."""
    if sys.platform != "linux":
        return "fibers by ucontext are tried on Linux only"
    if shutil.which(compiler()) is None:
        return f"there is no C++ compiler ({compiler()})"
    return None if importlib.util.find_spec("gsplat") else "gsplat is not installed"


def compiler() -> str:
    """The C++ compiler: that of the environment variable CXX, or g++."""
    return os.environ.get("CXX", "g++")


def compile_kernels(folder: Path) -> Path:
    """Compile the kernels in `folder` and return the shared library."""
    sources = _gsplat_sources()
    (folder / "kernels.inc").write_text(kernel_code(sources / "csrc"), encoding="utf-8")
    for header in REPLACED_HEADERS:
        path = folder / "replaced" / header
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('#include "cuda_on_cpu.h"\n', encoding="utf-8")
    library = folder / "kernels.so"
    includes = [folder, folder / "replaced", HERE, sources / "include", sources / "csrc" / "third_party" / "glm"]
    command = [compiler(), "-std=c++17", "-O2", "-fno-strict-aliasing", "-fPIC", "-shared", "-w", "-Wl,--no-undefined"]
    command += [f"-I{path}" for path in includes]
    subprocess.run([*command, str(HERE / "entry_points.cpp"), "-o", str(library)], check=True)
    return library


def kernel_code(csrc: Path) -> str:
    """The bare kernels, without the code that launches them, with casts from float as the device does them."""
    functions = [
        _function((csrc / file).read_text(encoding="utf-8"), name) for file, names in KERNELS.items() for name in names
    ]
    code = "\n\n".join(functions)
    for pattern, replacement, count in (
        (r"\((u?int32_t)\)((?:floor|ceil)\([^()]*\))", r"saturated<\1>(\2)", 4),
        (r"\((int32_t)\)(radius_[xy])\b", r"saturated<\1>(\2)", 2),
    ):
        code, replaced = re.subn(pattern, replacement, code)
        assert replaced == count, f"gsplat's casts changed: {replaced} of {count} like {pattern}"
    return f"namespace gsplat {{\nnamespace cg = cooperative_groups;\n{code}\n}}\n"


def _function(source: str, name: str) -> str:
    """The definition of one kernel, from its template line to its closing brace, which begins a line."""
    pattern = rf"^(?:template <[^>]*>\n)?__global__ void {name}\(.*?^\}}$"
    definition = re.search(pattern, source, re.MULTILINE | re.DOTALL)
    assert definition is not None, f"gsplat {VERSION} has no kernel {name} any more"
    return definition.group()


def _gsplat_sources() -> Path:
    spec = importlib.util.find_spec("gsplat")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "cuda"
