"""The CUDA compiler that gsplat's kernels are built with: the system's, or the one of the extra `cuda`.

NVIDIA's wheels bring a compiler, but not quite the folder that torch's extension builder expects: the libraries lie in
`lib` instead of `lib64`, and have no names without a version. A folder of links in the user's cache mends both.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path

from avatar.io.assets import cache_folder
from avatar.runtime.cpus import available_cpus

INSTALL = "pip install 'splat-avatar[cuda]'"
_SYSTEM_HOME = Path("/usr/local/cuda")  # where torch looks too


def missing_compiler() -> str | None:
    """Why CUDA code cannot be compiled on this machine, or None if it can."""
    if find_nvcc() is None:
        return f"there is no CUDA compiler (nvcc) to build its kernels with; {INSTALL} brings one"
    host = "cl" if sys.platform == "win32" else os.environ.get("CXX", "c++")
    if shutil.which(host) is None:
        advice = "install Visual Studio's Build Tools" if sys.platform == "win32" else "apt install g++, or the like"
        return f"there is no C++ compiler ({host}) to build its kernels with; {advice}"
    return None


def find_nvcc() -> Path | None:
    """The CUDA compiler: of CUDA_HOME, of the path, of the system's usual place, or of NVIDIA's wheels."""
    name = "nvcc.exe" if sys.platform == "win32" else "nvcc"
    homes = [Path(os.environ[key]) for key in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(key)]
    for home in (*homes, _SYSTEM_HOME):
        if (home / "bin" / name).is_file():
            return home / "bin" / name
    on_path = shutil.which("nvcc")
    if on_path is not None:
        return Path(on_path)
    return next((home / "bin" / name for home in _wheel_homes() if (home / "bin" / name).is_file()), None)


def prepare_build() -> None:
    """Set the environment in which torch compiles CUDA code: the toolkit, and as many jobs as there are processors.

    What the user has set stays. Call this before `torch.utils.cpp_extension` is imported, which reads CUDA_HOME once.
    """
    os.environ.setdefault("MAX_JOBS", str(available_cpus()))
    nvcc = find_nvcc()
    if nvcc is None or "CUDA_HOME" in os.environ or nvcc.parent.parent not in _wheel_homes():
        return
    os.environ["CUDA_HOME"] = str(linked_toolkit(nvcc.parent.parent))


def linked_toolkit(home: Path) -> Path:
    """A folder that looks like an installed toolkit, made of links to the one that NVIDIA's wheels left in `home`."""
    folder = cache_folder() / "cuda" / home.name
    libraries = folder / "lib64"
    libraries.mkdir(parents=True, exist_ok=True)
    for name in ("bin", "include", "nvvm"):
        _link(folder / name, home / name)
    for library in sorted((home / "lib").glob("lib*.so.*")):
        _link(libraries / library.name, library)
        _link(libraries / f"{library.name.partition('.so')[0]}.so", library)
    return folder


def _link(link: Path, target: Path) -> None:
    if not target.exists():
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _wheel_homes() -> list[Path]:
    """The folders that NVIDIA's wheels install their toolkits into."""
    spec = importlib.util.find_spec("nvidia")
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    return [home for place in places for home in sorted(Path(place).glob("cu[0-9]*"), reverse=True)]
