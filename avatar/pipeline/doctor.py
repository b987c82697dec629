"""The state of this installation, and the commands that install missing parts."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import AvatarError, short_message
from avatar.runtime.cpus import available_cpus

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")
# Distribution -> what it adds, and the command that installs it.
OPTIONAL = {
    "gaussforge": ("packed splat files (.splat, .spz, .sog, .ksplat)", "pip install 'splat-avatar[splats]'"),
    "lzfse": ("recordings of Record3D with depth (.r3d)", "pip install 'splat-avatar[depth]'"),
    "segno": ("phones follow their camera: avatar live --lan", "pip install 'splat-avatar[lan]'"),
    "onnxruntime": ("landmarks by your own ONNX pose model", "pip install 'splat-avatar[onnx]'"),
    "diffusers": ("views of a photo's other sides by your own model", "pip install 'splat-avatar[views]'"),
    "lpips": (
        "LPIPS by its authors' package, an alternative to the networks above",
        "pip install 'splat-avatar[metrics]'",
    ),
    "h5py": ("masks and poses of PeopleSnapshot", "pip install 'splat-avatar[datasets]'"),
    "ray": ("batches on a cluster", "pip install 'splat-avatar[ray]'"),
    "smplx": ("the SMPL family's own body layer, for non-commercial research", "pip install 'splat-avatar[smpl]'"),
}
# Models that are not included -> what they add.
MODELS = {
    "face_landmarker.task": "heads that turn rightly, and faces that move and blink",
    "hand_landmarker.task": "more precise wrists",
}
INSTALL_NETWORKS = "avatar doctor --install-networks FOLDER"
# Distribution -> its module, which is imported: an installed package may lack a library of the system.
NEEDED = {name: name for name in ("torch", "numpy", "numba", "scipy", "mediapipe", "viser", "safetensors")}
NEEDED["opencv-contrib-python"] = "cv2"


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report.

    Attributes:
        name: what was checked.
        state: "works", "missing" (required) or "absent" (optional).
        detail: version, path or reason.
        remedy: the command that installs it, or nothing.
    """

    name: str
    state: str
    detail: str
    remedy: str = ""


def examine() -> Iterator[Finding]:
    """Check everything, the cheap things first."""
    yield Finding("machine", "works", f"{platform.platform()}, Python {platform.python_version()}")
    yield Finding("CPU", "works", f"{_cpu_name()}, {available_cpus()} of {os.cpu_count()} threads available")
    for package, module in NEEDED.items():
        yield _package(package, module)
    yield _ffmpeg()
    for folder, file in (
        ("body", "open.npz"),
        ("models", "pose_landmarker_heavy.task"),
        ("live", "vision_wasm_internal.wasm.gz"),
        ("clips", "turn.mp4"),
    ):
        yield _asset(folder, file)
    for name, use in MODELS.items():
        yield _model(name, use)
    yield from _cuda()
    yield _perceptual()
    yield _browser()
    for package, (use, remedy) in OPTIONAL.items():
        version = _version(package)
        yield Finding(
            package,
            "works" if version else "absent",
            f"{version}: {use}" if version else use,
            "" if version else remedy,
        )


def report(findings: list[Finding]) -> str:
    """The findings as aligned lines of text, with a summary."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.name:{width}}  {finding.state:7}  {finding.detail}")
        if finding.remedy:
            lines.append(f"{'':{width}}           install: {finding.remedy}")
    count = {state: sum(finding.state == state for finding in findings) for state in ("missing", "absent")}
    required = f"{count['missing']} required parts are missing" if count["missing"] else "Everything required works"
    return "\n".join([*lines, "", f"{required}; {count['absent']} optional parts are missing."])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _package(package: str, module: str) -> Finding:
    version = _version(package)
    if version is None:
        return Finding(package, "missing", "not installed", f"pip install {package}")
    try:
        importlib.import_module(module)
    except Exception as error:  # broken packages raise many kinds
        remedy = f"pip install --force-reinstall {package}"
        return Finding(package, "missing", f"{version} cannot be loaded: {short_message(error)}", remedy)
    return Finding(package, "works", version)


def _cpu_name() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text(encoding="utf-8").splitlines() if facts.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _ffmpeg() -> Finding:
    try:
        import imageio_ffmpeg

        path = imageio_ffmpeg.get_ffmpeg_exe()
        banner = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=20, check=True, encoding="utf-8"
        ).stdout
    except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return Finding("ffmpeg", "missing", str(error), "pip install --force-reinstall imageio-ffmpeg")
    return Finding("ffmpeg", "works", banner.split(" Copyright")[0].removeprefix("ffmpeg "))


def _asset(*parts: str) -> Finding:
    from avatar.io.assets import asset_path

    name = "/".join(parts)
    try:
        return Finding(name, "works", f"{asset_path(*parts).stat().st_size / 1e6:.1f} MB")
    except AvatarError as error:
        return Finding(name, "missing", str(error), "pip install --force-reinstall --no-deps splat-avatar")


def _model(name: str, use: str) -> Finding:
    from avatar.io.assets import model_folder, model_path
    from avatar.observation.detectors.face_network import DOWNLOAD
    from avatar.observation.detectors.registry import FACE_MODEL

    path = model_path(name)
    if path is not None:
        return Finding(name, "works", str(path))
    if name == FACE_MODEL:
        return Finding(name, "absent", use, f"{DOWNLOAD} && {INSTALL_NETWORKS}")
    page = "https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker#models"
    return Finding(name, "absent", use, f"{page}, into {model_folder()} or the folder that AVATAR_MODELS names")


def _cuda() -> Iterator[Finding]:
    import torch

    if torch.version.hip is not None:
        yield Finding("GPU", "absent", "AMD's devices (ROCm) are not used: gsplat is for NVIDIA's; the CPU trains")
        return
    if torch.backends.mps.is_available():
        yield Finding("GPU", "absent", "Apple's device is not used: gsplat is for NVIDIA's; the CPU trains")
        return
    if not torch.cuda.is_available():
        if torch.version.cuda is None and shutil.which("nvidia-smi"):
            reason = "there is an NVIDIA device here, but torch is built without CUDA; training runs on the CPU"
            yield Finding("CUDA", "absent", reason, "pip install --force-reinstall torch")
            return
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
        yield Finding("CUDA", "absent", f"{built} and finds no device; training runs on the CPU")
        return
    facts = torch.cuda.get_device_properties(0)
    yield Finding("CUDA", "works", f"{facts.name}, {facts.total_memory / 2**30:.0f} GB, CUDA {torch.version.cuda}")
    yield _gsplat()


def _gsplat() -> Finding:
    """Whether the renderer for the GPU is there, or can be compiled; nothing is compiled here."""
    from avatar.rendering.cuda_toolkit import INSTALL, missing_compiler
    from avatar.rendering.gsplat_backend import kernels_are_built

    version = _version("gsplat")
    if version is None:
        return Finding("gsplat", "missing", "not installed; training runs on the CPU", INSTALL)
    if kernels_are_built():
        return Finding("gsplat", "works", f"{version}, compiled")
    problem = missing_compiler()
    if problem is not None:
        reason, _, remedy = problem.partition("; ")
        return Finding("gsplat", "missing", f"{version}, but {reason}; training runs on the CPU", remedy)
    detail = f"{version}; its first use compiles for some minutes, or do so now: avatar doctor --build-kernels"
    return Finding("gsplat", "works", detail)


def _perceptual() -> Finding:
    """LPIPS and DISTS need networks that this program never fetches by itself; one value is computed to be sure."""
    import torch

    from avatar.errors import AvatarError
    from avatar.metrics.perceptual import lpips, weights_path
    from avatar.metrics.perceptual_weights import DOWNLOAD

    image = torch.rand(64, 64, 3, generator=torch.Generator().manual_seed(0))
    try:
        lpips(image, 1 - image)
    except AvatarError:
        remedy = " && ".join((*DOWNLOAD, INSTALL_NETWORKS))
        return Finding("LPIPS networks", "absent", f"evaluations omit LPIPS; {weights_path()} is missing", remedy)
    path = weights_path()
    return Finding("LPIPS networks", "works", str(path) if path.is_file() else "the package lpips")


def _browser() -> Finding:
    for name in BROWSERS:
        if path := shutil.which(name):
            return Finding("browser", "works", path)
    return Finding(
        "browser",
        "absent",
        "none on this machine; `avatar view` also serves one elsewhere",
        "apt install chromium",
    )
