"""Digest every tensor that a short, seeded run makes, and compare with the digests of another tree.

A change that is meant to move code and no number is checked with it, on one machine:

    python scripts/golden_run.py before.json          # on the tree before
    python scripts/golden_run.py after.json --expected before.json

The digests differ from processor to processor, so none are kept in the repository.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

ROOT = Path(__file__).parents[1]
CLIP = ROOT / "assets" / "clips" / "turn.mp4"
BVH = ROOT / "tests" / "motion" / "data" / "mixamo.bvh"


def main(out: Annotated[Path, tyro.conf.Positional], expected: Path | None = None, keep: Path | None = None) -> None:
    """Make a short avatar from a video and from a photo, drive it, and write the digests of all of it.

    Args:
        out: JSON file to write, a digest per tensor.
        expected: digests of another run; the exit code is 1 where any differs.
        keep: folder to leave the runs in; a temporary one if not given.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        digests = run_all(folder)
    out.write_text(json.dumps(digests, indent=1, sort_keys=True), encoding="utf-8")
    if expected is None:
        print(f"{len(digests)} digests in {out}")
        return
    before = json.loads(expected.read_text(encoding="utf-8"))
    differing = sorted(name for name in before.keys() | digests.keys() if before.get(name) != digests.get(name))
    for name in differing:
        print(f"differs: {name}")
    print(f"{len(digests)} digests, {len(differing)} differ from {expected}")
    raise SystemExit(1 if differing else 0)


def run_all(folder: Path) -> dict[str, str]:
    """The digests of a short run of everything, made in `folder`."""
    import imageio.v3 as iio

    photo = folder / "photo.png"
    iio.imwrite(photo, iio.imread(CLIP, index=0, plugin="FFMPEG"))
    common = ("--preset", "fast", "--seed", "0", "--device", "cpu")
    avatar("create", CLIP, "--out", folder / "video", "--steps", "160", "--max-frames", "20", *common)
    avatar("create", photo, "--out", folder / "photo", "--steps", "60", *common)
    ply, motion = folder / "walk.ply", folder / "mixamo.json"
    avatar("export", folder / "video", "--motion", BVH, "--motion-file", motion, "--ply", ply, "--pose", "walk:12")
    digests = {file.name: sha256(file.read_bytes()) for file in (ply, motion)}
    for run in ("video", "photo"):
        for file in sorted((folder / run).rglob("*")):
            if file.suffix in (".npz", ".safetensors"):
                digests |= {f"{run}/{file.name}/{name}": value for name, value in tensor_digests(file).items()}
    return digests


def avatar(*words: str | Path) -> None:
    program = [sys.executable, "-m", "avatar"]
    subprocess.run([*program, *(str(word) for word in words)], check=True, cwd=ROOT)


def tensor_digests(file: Path) -> dict[str, str]:
    """A digest of each array of an NPZ or safetensors file, of its values, type and shape."""
    if file.suffix == ".npz":
        with np.load(file, allow_pickle=False) as arrays:
            loaded = {name: arrays[name] for name in arrays.files}
    else:
        from safetensors.numpy import load_file

        loaded = load_file(file)
    return {name: digest(values) for name, values in loaded.items() if values.dtype.kind in "biuf"}


def digest(values: np.ndarray) -> str:
    """A digest of the bits, but for the rounding noise of what is zero: its sign depends on where memory lies."""
    if values.dtype.kind == "f":
        values = np.where(np.abs(values) < 1e-12, 0, values).astype(values.dtype)
    return sha256(f"{values.dtype}{values.shape}".encode() + values.tobytes())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


if __name__ == "__main__":
    tyro.cli(main)
