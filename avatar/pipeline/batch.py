"""Many avatars: one process for each video, so that a crash of one does not end the others."""

from __future__ import annotations

import html
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import quote

from avatar.errors import AvatarError, UsageError, short_message
from avatar.io.files import atomic_write, read_json, read_text, write_json
from avatar.pipeline.report_page import plain_page
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.verdict import verdict
from avatar.runtime.progress import Progress

COLUMNS = ("video", "result", "PSNR", "minutes", "warnings", "more")
VIDEOS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".avi", ".r3d")
PROGRAM = "from avatar.cli.main import main; main()"


@dataclass(frozen=True)
class Outcome:
    """The result of one video: `state` is "done" or "failed", `reason` the error message."""

    video: str
    run: str
    state: str
    reason: str = ""


def find_videos(source: Path) -> list[Path]:
    """The videos of a folder, or those of a text file: one per line, relative to the file; `#` begins a comment.

    Raises:
        UsageError: the folder or file does not exist, names no video, or two of one name.
    """
    if source.is_dir():
        videos = sorted(path for path in source.iterdir() if path.suffix.lower() in VIDEOS)
    elif source.is_file():
        try:
            lines = [line.strip() for line in read_text(source).splitlines()]
        except AvatarError as error:
            raise UsageError(f"{source} is not a list of videos: it is not a text file.") from error
        videos = [source.parent / line for line in lines if line and not line.startswith("#")]
    else:
        raise UsageError(f"There is no folder or list {source}.")
    if not videos:
        raise UsageError(f"{source} names no video; videos end in {', '.join(VIDEOS)}.")
    stems = [video.stem for video in videos]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise UsageError(f"{source} names several videos called {', '.join(twice)}: their runs would share a folder.")
    return videos


def run_here(task: Callable[..., Outcome], *arguments: Any) -> Outcome:
    """Run a task on this machine; `avatar.pipeline.ray_pool.ray_pool` has the same for a cluster."""
    return task(*arguments)


def run_on_each(gpus: list[str], workers: int) -> Callable[..., Outcome]:
    """The same, but each task sees one of `gpus`; where there are more workers than those, they share evenly.

    Args:
        gpus: as CUDA_VISIBLE_DEVICES names them; with fewer than two, tasks see what this process sees.
    """
    if len(gpus) < 2:
        return run_here
    free: SimpleQueue[str] = SimpleQueue()
    for worker in range(max(workers, len(gpus))):
        free.put(gpus[worker % len(gpus)])

    def run(task: Callable[..., Outcome], *arguments: Any) -> Outcome:
        gpu = free.get()
        try:
            return task(*arguments, gpu)
        finally:
            free.put(gpu)

    return run


def visible_gpus() -> list[str]:
    """The CUDA devices of this process, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [str(index) for index in range(torch.cuda.device_count())]
    return [name.strip() for name in chosen.split(",")][: len(names)] if chosen else names


def batch(
    videos: list[Path],
    out: Path,
    workers: int,
    options: list[str],
    run: Callable[..., Outcome] = run_here,
) -> list[Outcome]:
    """Make an avatar of each video in `out/NAME`, `workers` at a time, with these options of `avatar create`.

    Runs that are finished are not made again, and those that were stopped go on. `out/batch.json` and
    `out/index.html` are rewritten after each video. `run(task, *arguments)` calls the task where it is to run.
    """
    folder = Path.cwd()

    def outcome_of(video: Path) -> Outcome:
        try:
            return run(_make, video, out, options, folder)
        except AvatarError as error:
            return Outcome(str(video), str(out / video.stem), "failed", str(error))

    outcomes: list[Outcome] = []
    with Progress("avatars", len(videos)) as bar, ThreadPoolExecutor(workers) as pool:
        for video, outcome in zip(videos, pool.map(outcome_of, videos), strict=True):
            outcomes.append(outcome)
            write_summary(out, outcomes)
            bar.step(f"{video.name} {outcome.state}")
    return outcomes


def _make(video: Path, out: Path, options: list[str], folder: Path, gpu: str | None = None) -> Outcome:
    """The avatar of one video; paths are relative to `folder`, on whichever machine this runs, on one GPU if named."""
    run = RunFolder(folder / out / video.stem)
    made = str(video), str(out / video.stem)
    if not folder.is_dir():
        raise AvatarError(
            f"{socket.gethostname()} has no folder {folder}: all machines must share the files of a batch."
        )
    if run.report.is_file() and run.avatar.is_file():
        return Outcome(*made, "done")
    resume = ["--resume"] if run.config.is_file() else []
    command = [sys.executable, "-c", PROGRAM, "create", str(video), "--out", made[1], *options, *resume]
    process = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=_alone(gpu),
        encoding="utf-8",
    )
    if process.returncode == 0:
        return Outcome(*made, "done")
    errors = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    reason = errors[-1].removeprefix("error: ") if errors else f"avatar create ended with {process.returncode}."
    return Outcome(*made, "failed", reason)


def _alone(gpu: str | None) -> dict[str, str]:
    """The environment of a process that shares the machine with others like it: one OpenMP thread, perhaps one GPU."""
    return {**os.environ, "OMP_NUM_THREADS": "1"} | ({} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu})


def write_summary(out: Path, outcomes: list[Outcome]) -> None:
    """`batch.json` with what became of each video, and `index.html` with images and numbers for a quick check."""
    write_json(out / "batch.json", [asdict(outcome) for outcome in outcomes])
    rows = "\n".join(_row(outcome, out) for outcome in outcomes)
    done = sum(outcome.state == "done" for outcome in outcomes)
    columns = "".join(f"<th><button type='button' title='sort'>{name}</button></th>" for name in COLUMNS)
    content = (
        "<p class='muted'>Click a title to sort.</p><section class='wide'>"
        f"<table><thead><tr><th></th>{columns}</tr></thead><tbody>{rows}</tbody></table></section>"
    )
    with atomic_write(out / "index.html") as temporary:
        temporary.write_text(plain_page(f"{done} of {len(outcomes)} avatars", content), encoding="utf-8")


def _row(outcome: Outcome, out: Path) -> str:
    name = html.escape(Path(outcome.video).name)
    run = RunFolder(Path(outcome.run))
    place = quote(os.path.relpath(run.folder, out).replace(os.sep, "/"))
    log = f'<a href="{place}/{run.log.name}">log</a>' if run.log.is_file() else ""
    if outcome.state != "done":
        reason = html.escape(outcome.reason)
        return f"<tr><td></td><td>{name}</td><td>failed</td><td></td><td></td><td>{reason}</td><td>{log}</td></tr>"
    try:
        report: dict[str, Any] = read_json(run.report)
        psnr = f"{report['held_out'].get('psnr', float('nan')):.1f} dB"
        minutes = f"{sum(report['seconds'].values()) / 60:.1f}"
        level: str = verdict(report).level
        warnings = "<br>".join(html.escape(line) for line in report.get("warnings", ()))
    except (AvatarError, KeyError, TypeError, ValueError, AttributeError) as error:
        psnr, minutes, level, warnings = "", "", "unknown", html.escape(short_message(error))
    thumbnail = f"{place}/{run.report_images.name}/thumbnail.jpg"
    pages = (("report", run.report_page), ("turntable", run.turntable), ("frames", run.contact))
    links = " · ".join(
        [*(f'<a href="{place}/{file.name}">{title}</a>' for title, file in pages if file.is_file()), log]
    )
    cells = (name, level, psnr, minutes, warnings, links.strip(" ·"))
    image = f'<a href="{place}/{run.report_page.name}"><img src="{thumbnail}" alt="" loading="lazy"></a>'
    return f"<tr><td>{image}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def require_workers(workers: int) -> None:
    """Raise UsageError unless there is at least one worker."""
    if workers < 1:
        raise UsageError(f"--workers must be at least 1, not {workers}.")
