"""Kill `avatar create` at random moments, resume it, and compare the result with an undisturbed run.

    python scripts/kill_test.py --times 50

Each time a run is begun, killed with SIGKILL after a random share of the processor time that the undisturbed one took
(its clock time changes with what else the machine does), looked at (every file that has its final name must be whole),
and finished with --resume; then its avatar must equal the undisturbed one's. The sample clip is made small first: all
stages and files are those of a large one. Prints one line a kill and a last line of counts; the exit status is 1 if
any run was lost or differs. Needs /proc, that is Linux.
"""

from __future__ import annotations

import os
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

from avatar.errors import AvatarError
from avatar.io.assets import asset_path
from avatar.io.files import read_json
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track
from avatar.io.videos import VideoWriter, open_video
from avatar.model.avatar_file import read_avatar_file
from avatar.pipeline.run_folder import RunFolder

SIDE, EVERY = 288, 7  # of the clip: longer side in pixels, and the step between frames
PRESET = """max_frames = 6
[train]
steps = 40
gaussians = 1000
max_gaussians = 1500
long_side = 256
"""
PROGRAM = "from avatar.cli.main import main; main()"


@dataclass(frozen=True)
class Kill:
    """What a killed run's folder held, and how far its result lies from the undisturbed one's."""

    held: str
    difference: float

    @property
    def same_bits(self) -> bool:
        return self.difference == 0


def small_source(source: Path, folder: Path) -> Path:
    """A small copy of a video in `folder`, with the preset beside it that makes the smallest avatar."""
    (folder / "small.toml").write_text(PRESET, encoding="utf-8")
    clip, path = open_video(source, longest=SIDE), folder / "small.mp4"
    with VideoWriter(path, clip.fps / EVERY) as video:
        for index, (_, image) in enumerate(clip.frames()):
            if index % EVERY == 0:
                video.add(image)
    return path


def create(source: Path, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """Begin `avatar create`; what it says goes to a file beside the source, since a full pipe would hold it up."""
    small = ("--preset", str(source.with_suffix(".toml")), "--device", "cpu")
    command = [sys.executable, "-c", PROGRAM, "create", str(source), "--out", str(folder), *small, *more]
    with said(source).open("wb") as log:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)


def said(source: Path) -> Path:
    return source.with_suffix(".said")


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Processor time of a process, that has not been waited for yet, and of its own ended children."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def killed(process: subprocess.Popen[bytes], after: float) -> bool:
    """Kill a process after so much processor time; False if it ended before."""
    while processor_seconds(process) < after:
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    process.kill()
    return process.wait() < 0


def finish(process: subprocess.Popen[bytes], source: Path) -> None:
    if process.wait():
        message = said(source).read_text(errors="replace", encoding="utf-8")
        raise AvatarError(f"avatar create ended with {process.returncode}: {message.strip()[-500:]}")


def readable(run: RunFolder) -> str:
    """Names of the stages that the folder holds; every file under its final name must be whole.

    Raises:
        AvatarError: one is not.
    """
    held = []
    for file, read in (
        (run.config, read_json),
        (run.observations / "observations.npz", lambda path: load_observations(path.parent)),
        (run.estimated_track, load_track),
        (run.checkpoint, lambda path: torch.load(path, weights_only=True)),
        (run.track, load_track),
        (run.avatar, read_avatar_file),
        (run.report, read_json),
    ):
        if file.is_file():
            read(file)
            held.append(file.stem)
    return " ".join(held) or "nothing"


def difference(first: RunFolder, second: RunFolder) -> float:
    """Largest difference of any number of the two avatars; infinite where their sizes differ."""
    one, other = read_avatar_file(first.avatar)[1], read_avatar_file(second.avatar)[1]
    if {name: value.shape for name, value in one.items()} != {name: value.shape for name, value in other.items()}:
        return float("inf")
    return max(float((one[name].double() - other[name].double()).abs().max()) for name in one if one[name].numel())


def kill_once(source: Path, undisturbed: RunFolder, run: RunFolder, after: float) -> Kill | None:
    """Begin a run, kill it after so much processor time, look at what is left, and finish it; None if it had ended."""
    if not killed(create(source, run.folder), after):
        return None
    held = readable(run)
    # Killed before the folder was made there is nothing to resume.
    finish(create(source, run.folder, *(["--resume"] if run.folder.is_dir() else [])), source)
    left = [path for path in run.folder.rglob(".*") if path.name != ".lock"]
    if left or run.checkpoint.exists():
        raise AvatarError(f"{run.folder} holds leftovers: {left}.")
    return Kill(held, difference(undisturbed, run))


def main(times: int = 50, source: Path | None = None, seed: int = 0, folder: Path | None = None) -> None:
    """Kill `avatar create` at random moments, resume it, and compare the result with an undisturbed run.

    Args:
        times: number of kills.
        source: the video; the sample clip if not given.
        seed: of the moments.
        folder: where the runs are made; a temporary folder if not given.
    """
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        small = small_source(source or asset_path("clips", "turn.mp4"), Path(place))
        undisturbed = RunFolder(Path(place) / "undisturbed")
        # Twice: the first run on a machine compiles.
        for _ in range(2):
            shutil.rmtree(undisturbed.folder, ignore_errors=True)
            before = os.times()
            finish(create(small, undisturbed.folder), small)
        after = os.times()
        whole = after.children_user + after.children_system - before.children_user - before.children_system
        print(f"undisturbed: {whole:.1f} s of processor time", flush=True)
        done, failures, same = 0, 0, 0
        while done < times:
            run = RunFolder(Path(place) / f"killed{done}")
            moment = moments.uniform(0, whole)
            try:
                kill = kill_once(small, undisturbed, run, moment)
            except AvatarError as error:
                failures, done = failures + 1, done + 1
                print(f"{done}: killed after {moment:.1f} s: LOST: {error}", flush=True)
            else:
                if kill is not None:
                    same, done = same + kill.same_bits, done + 1
                    print(
                        f"{done}: killed after {moment:.1f} s, held {kill.held}: difference {kill.difference:g}",
                        flush=True,
                    )
            shutil.rmtree(run.folder, ignore_errors=True)
    print(f"{times} kills: {failures} failures, {same} ended in the same bits")
    raise SystemExit(0 if same == times else 1)


if __name__ == "__main__":
    tyro.cli(main)
