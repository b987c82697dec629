"""Kill `avatar create` at random moments, resume it, and compare the result with an undisturbed run.

    python scripts/kill_test.py --times 50

Each time a run is begun, killed with SIGKILL after a random share of the time that the undisturbed one took, looked
at (every file that has its final name must be whole), and finished with --resume; then its avatar must equal the
undisturbed one's. Prints one line a kill and a last line of counts; the exit status is 1 if any run
was lost or differs.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import tyro

from avatar.assets import asset_path
from avatar.errors import AvatarError
from avatar.files import read_json
from avatar.model import read_avatar_file
from avatar.observe import load_observations
from avatar.run import Run
from avatar.track import load_track

SMALL = ("--max-frames", "16", "--steps", "40", "--preset", "fast", "--device", "cpu")

PROGRAM = "from avatar.cli import main; main()"


@dataclass(frozen=True)
class Kill:
    """When a run was killed, what its folder held then, and how far its result lies from the undisturbed one's."""

    after: float
    held: str
    difference: float

    @property
    def same_bits(self) -> bool:
        return self.difference == 0


def create(source: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, "create", str(source), "--out", str(folder), *SMALL, *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> None:
    _, message = process.communicate()
    if process.returncode:
        raise AvatarError(f"avatar create ended with {process.returncode}: {message.strip()[-500:]}")


def readable(run: Run) -> str:
    """Names of the stages that the folder holds; every file under its final name must be whole.

    Raises:
        AvatarError: one is not.
    """
    held = []
    for file, read in (
        (run.config, read_json),
        (run.observations / "observations.npz", lambda path: load_observations(path.parent)),
        (run.found_track, load_track),
        (run.checkpoint, lambda path: torch.load(path, weights_only=True)),
        (run.track, load_track),
        (run.avatar, read_avatar_file),
        (run.report, read_json),
    ):
        if file.is_file():
            read(file)
            held.append(file.stem)
    return " ".join(held) or "nothing"


def difference(first: Run, second: Run) -> float:
    """Largest difference of any number of the two avatars; infinite where their sizes differ."""
    one, other = read_avatar_file(first.avatar)[1], read_avatar_file(second.avatar)[1]
    if {name: value.shape for name, value in one.items()} != {name: value.shape for name, value in other.items()}:
        return float("inf")
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one if one[name].numel())


def kill_once(source: Path, undisturbed: Run, run: Run, after: float) -> Kill:
    """Begin a run, kill it `after` seconds, look at what is left, and finish it."""
    process = create(source, run.folder)
    time.sleep(after)
    process.kill()
    process.communicate()
    held = readable(run)
    # Killed before the folder was made there is nothing to resume.
    finish(create(source, run.folder, *(["--resume"] if run.folder.is_dir() else [])))
    left = [path for path in run.folder.rglob(".*") if path.name != ".lock"]
    if left or run.checkpoint.exists():
        raise AvatarError(f"{run.folder} holds leftovers: {left}.")
    return Kill(after, held, difference(undisturbed, run))


def main(times: int = 50, source: Path | None = None, seed: int = 0, folder: Path | None = None) -> None:
    """Kill `avatar create` so many times.

    Args:
        times: how often.
        source: the video; the sample clip if not given.
        seed: of the moments.
        folder: where the runs are made; a temporary folder if not given.
    """
    chosen, moments = source or asset_path("clips", "turn.mp4"), random.Random(seed)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        undisturbed = Run(Path(place) / "undisturbed")
        start = time.monotonic()
        finish(create(chosen, undisturbed.folder))
        whole = time.monotonic() - start
        print(f"undisturbed: {whole:.1f} s", flush=True)
        lost, same = 0, 0
        for index in range(times):
            run = Run(Path(place) / f"killed{index}")
            after = moments.uniform(0, whole)
            try:
                kill = kill_once(chosen, undisturbed, run, after)
            except AvatarError as error:
                lost += 1
                print(f"{index}: killed after {after:.1f} s: LOST: {error}", flush=True)
            else:
                same += kill.same_bits
                print(
                    f"{index}: killed after {after:.1f} s, held {kill.held}: difference {kill.difference:g}", flush=True
                )
            shutil.rmtree(run.folder, ignore_errors=True)
    print(f"{times} kills: {lost} lost, {same} ended in the same bits")
    raise SystemExit(0 if same == times else 1)


if __name__ == "__main__":
    tyro.cli(main)
