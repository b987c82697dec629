"""Pack into `.gpu` what `gpu_check.sh` needs on a bare machine with a GPU and without a network.

    avatar create assets/clips/turn.mp4 --out runs/turn
    python scripts/gpu_prepare.py runs/turn --python 3.12

Packed are a finished run with its observations, in whose frames all but the surroundings of the person is made grey
(what the mask leaves out counts nowhere in training), and the wheels that the machine lacks: it is taken to have torch,
NumPy, Numba, SciPy, OpenCV and pytest. With `--kernels`, gsplat's kernels compiled for that machine's torch, Python and
GPU (`csrc.cpython-*.so`, as `pip wheel gsplat` makes it where a CUDA toolkit is) spare it a minute of compilation.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import tyro

from avatar.io.files import write_json
from avatar.io.observations_file import frame_path, image_path, load_observations, save_arrays
from avatar.pipeline.run_folder import RunFolder
from avatar.types import Observations

LARGEST_MB = 25.0
WHEELS = (
    "gsplat==1.5.3", "beartype", "jaxtyping", "tyro", "docstring-parser", "typeguard", "platformdirs", "tqdm",
    "safetensors",
)  # fmt: skip
# Of the sources in gsplat's wheel: five of its six megabytes are a library's documents.
UNUSED = ("/glm/doc/", "/glm/test/", "/glm/util/")
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
AROUND = 16  # px around the person that stay as they are
GREY = 128
QUALITY = 98  # of the JPEGs, as of the run's own


def main(
    run: tyro.conf.Positional[Path],
    out: Path = Path(".gpu"),
    python: str = "3.12",
    wheels: tyro.conf.FlagCreatePairsOff[bool] = True,
    kernels: Path | None = None,
) -> None:
    """Pack a finished run; see the module.

    Args:
        run: a finished run of a video; out: folder to write.
        python: version of the other machine's Python; wheels: pack wheels as well.
        kernels: compiled kernels of gsplat for that machine.
    """
    size = pack(run, out, python, wheels, kernels)
    print(f"{out}: {size:.1f} MB")
    if size > LARGEST_MB:
        raise SystemExit(f"That is more than {LARGEST_MB:g} MB: take a run of a shorter or smaller video.")


def pack(run: Path, out: Path, python: str, wheels: bool, kernels: Path | None) -> float:
    """Write the folder; returns its size in MB."""
    shutil.rmtree(out, ignore_errors=True)
    packed, source = RunFolder(out / "run"), RunFolder(run)
    packed.observations.mkdir(parents=True)
    for name in ("avatar", "track", "estimated_track", "config"):
        if getattr(source, name).is_file():
            shutil.copy(getattr(source, name), getattr(packed, name))
    pack_observations(load_observations(source.observations), packed.observations)
    if wheels:
        options = ["--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", python]
        options += [part for platform in PLATFORMS for part in ("--platform", platform)]
        command = [sys.executable, "-m", "pip", "download", "-q", *options, "-d", str(out / "wheels"), *WHEELS]
        subprocess.run(command, check=True)
        for wheel in (out / "wheels").glob("gsplat-*.whl"):
            leave_out(wheel, UNUSED)
    if kernels is not None:
        (out / f"{kernels.name}.gz").write_bytes(gzip.compress(kernels.read_bytes()))
    write_json(out / "packed.json", {"run": run.name, "python": python, "wheels": list(WHEELS) if wheels else []})
    return sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6


def leave_out(wheel: Path, folders: Sequence[str]) -> None:
    """Remove files of a wheel whose paths hold one of `folders`."""

    def used(name: str) -> bool:
        return not any(folder in name for folder in folders)

    whole = wheel.rename(wheel.with_suffix(".whole"))
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in filter(lambda entry: used(entry.filename), source.infolist()):
            content = source.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                content = b"".join(line for line in content.splitlines(keepends=True) if used(line.decode("utf-8")))
            target.writestr(entry, content)
    whole.unlink()


def pack_observations(observations: Observations, folder: Path) -> None:
    """Write observations whose frames show only the person and a border around."""
    for index in range(len(observations)):
        image, mask = observations.images[index], observations.masks[index]
        near = cv2.dilate(mask, np.ones((2 * AROUND + 1, 2 * AROUND + 1), np.uint8)) > 0
        write_jpeg(frame_path(folder, index), np.where(near[..., None], image, GREY).astype(np.uint8))
        mask_path = image_path(folder / "masks", index)
        mask_path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(mask_path), mask)
    save_arrays(observations, folder)


def write_jpeg(path: Path, image: np.ndarray) -> None:
    """As the frames of a run are written, without subsampling of colours."""
    path.parent.mkdir(exist_ok=True)
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    cv2.imwrite(str(path), image[..., ::-1], options)


if __name__ == "__main__":
    tyro.cli(main)
