"""The run folder: its paths, its lock and its log."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_json, remove_partial_files
from avatar.runtime.file_lock import lock_file
from avatar.runtime.logging import LogFile, logger

LOCK = ".lock"
PREVIOUS = ".previous"


@dataclass(frozen=True)
class RunFolder:
    """Paths of one run's files."""

    folder: Path

    @property
    def avatar(self) -> Path:
        """The trained avatar."""
        return self.folder / "avatar.safetensors"

    @property
    def garments(self) -> Path:
        """The label of each splat of the avatar: one byte each, see `avatar.model.garments`."""
        return self.folder / "garments.npy"

    @property
    def track(self) -> Path:
        """The body track that belongs to the avatar, its poses corrected by training."""
        return self.folder / "track.npz"

    @property
    def estimated_track(self) -> Path:
        """The body track as it was estimated, before training."""
        return self.folder / "track_found.npz"

    @property
    def track_warnings(self) -> Path:
        """Warnings about the estimated track."""
        return self.folder / "track_warnings.json"

    @property
    def camera_motion(self) -> Path:
        """How the camera moved, for the tracking."""
        return self.folder / "camera_motion.json"

    @property
    def scene(self) -> Path:
        """Splats of the scene in which the person was filmed, where `avatar scene` made them."""
        return self.folder / "scene.ply"

    @property
    def observations(self) -> Path:
        """The folder of frames, masks and landmarks."""
        return self.folder / "observations"

    @property
    def observations_file(self) -> Path:
        """The last file that is written of the observations: with it they are complete."""
        return self.observations / "observations.npz"

    @property
    def videos(self) -> Path:
        """What each of several videos shows alone, until they are fitted together."""
        return self.folder / "videos"

    @property
    def videos_file(self) -> Path:
        """The clocks and lenses of several videos, and how many frames of each are used."""
        return self.folder / "videos.json"

    @property
    def checkpoint(self) -> Path:
        """The state from which interrupted training resumes."""
        return self.folder / "checkpoint.pt"

    def round_track(self, number: int) -> Path:
        """The poses that one of several rounds of training leaves to the next."""
        return self.folder / f"track_round{number}.npz"

    def round_checkpoint(self, number: int) -> Path:
        """The state from which this round, if it was interrupted, resumes."""
        return self.folder / f"checkpoint_round{number}.pt"

    @property
    def config(self) -> Path:
        """The settings of the run."""
        return self.folder / "config.json"

    @property
    def props(self) -> Path:
        """The folder of what the person wears and holds, one file each."""
        return self.folder / "props"

    @property
    def report(self) -> Path:
        """Scores, times and warnings of the run."""
        return self.folder / "report.json"

    @property
    def history(self) -> Path:
        """Loss and PSNR over the steps of training."""
        return self.folder / "history.json"

    @property
    def report_page(self) -> Path:
        """The report for people: one page."""
        return self.folder / "report.html"

    @property
    def report_images(self) -> Path:
        """The folder of the images in the report."""
        return self.folder / "report"

    @property
    def evaluation_page(self) -> Path:
        """The page that `avatar evaluate` writes."""
        return self.folder / "evaluation.html"

    @property
    def log(self) -> Path:
        """The log of all its commands."""
        return self.folder / "log.txt"

    @property
    def people(self) -> Path:
        """Which people of a video have their run folders in this one."""
        return self.folder / "scene.json"

    @property
    def separation(self) -> Path:
        """In how many frames people who touch or hide each other were separated."""
        return self.folder / "separation.json"

    @property
    def turntable(self) -> Path:
        """A video of the avatar turning once."""
        return self.folder / "turntable.mp4"

    @property
    def overlay(self) -> Path:
        """A video that compares the avatar with the source video."""
        return self.folder / "overlay.mp4"

    @property
    def contact(self) -> Path:
        """A contact sheet that compares frames with renders."""
        return self.folder / "contact.png"

    def require_avatar(self) -> None:
        """Raise UsageError unless this is a run folder with a finished avatar."""
        if self.people.is_file():
            raise UsageError(f"{self.folder} holds several people: give one of them, such as {self.folder}/person-1.")
        if not self.avatar.is_file():
            raise UsageError(
                f"{self.folder} holds no finished avatar ({self.avatar.name} is missing): give a run folder made by "
                "`avatar create`, or finish it with --resume."
            )


@contextlib.contextmanager
def locked_run(run: RunFolder, overwrite: bool, resume: bool) -> Iterator[None]:
    """Hold a run folder for writing: make it or take it over, lock it, and log into it.

    Raises:
        UsageError: it holds another run and neither `overwrite` nor `resume` is set, there is nothing to resume,
            or another process is writing it.
        AvatarError: it cannot be written.
    """
    if resume and not run.config.is_file() and not (run.folder / LOCK).is_file():
        raise UsageError(f"There is no run to resume in {run.folder}.")
    _make(run.folder)
    with _locked(run.folder):
        remove_partial_files(run.folder)
        # A run that was killed before it wrote anything is resumed from the start.
        if resume and not run.config.is_file() and _contents(run):
            raise UsageError(f"There is no run to resume in {run.folder}: its {run.config.name} is missing.")
        if not resume:
            _backup(run, overwrite)
        with _logging(run):
            try:
                yield
            except AvatarError:
                # Bad input shows before the body is estimated: then the folder is restored.
                if not resume and not (run.estimated_track.is_file() or run.people.is_file()):
                    _restore(run)
                raise
        if run.avatar.is_file() or run.people.is_file():
            shutil.rmtree(run.folder / PREVIOUS, ignore_errors=True)


@contextlib.contextmanager
def _logging(run: RunFolder) -> Iterator[None]:
    handler = LogFile(run.log)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
    except FileExistsError as error:
        raise UsageError(f"{folder} is a file; give another folder with --out.") from error
    except OSError as error:
        raise AvatarError(f"Cannot write into {folder}: {error.strerror}.") from error


def _backup(run: RunFolder, overwrite: bool) -> None:
    """Move an older run aside, if `overwrite` is set and the folder holds nothing else."""
    others = _contents(run)
    if not others:
        return
    if not overwrite:
        raise UsageError(
            f"{run.folder} holds another run: --resume finishes it, --overwrite replaces it, --out DIR puts the new "
            "one elsewhere."
        )
    if not _is_ours(run) and not (run.folder / PREVIOUS).is_dir():
        raise UsageError(f"{run.folder} is not empty and was not made by this program: choose another --out.")
    shutil.rmtree(run.folder / PREVIOUS, ignore_errors=True)
    (run.folder / PREVIOUS).mkdir()
    # The configuration goes first: without it the rest is not taken for a run, if this is interrupted.
    for path in sorted(others, key=lambda path: path != run.config):
        path.rename(run.folder / PREVIOUS / path.name)


def _is_ours(run: RunFolder) -> bool:
    """Whether the configuration was written by this program: others also write files of the name config.json."""
    try:
        config = read_json(run.config)
    except AvatarError:
        return False
    return isinstance(config, dict) and {"source", "train"} <= config.keys()


def _restore(run: RunFolder) -> None:
    """Remove what a failed run wrote, and restore the older run or remove the new folder."""
    for path in _contents(run):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    previous = run.folder / PREVIOUS
    if previous.is_dir():
        for path in previous.iterdir():
            path.rename(run.folder / path.name)
        previous.rmdir()
    else:
        (run.folder / LOCK).unlink(missing_ok=True)
        run.folder.rmdir()


def _contents(run: RunFolder) -> list[Path]:
    return [path for path in run.folder.iterdir() if path.name not in (LOCK, PREVIOUS)]


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system releases when the process ends in any way."""
    with (folder / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            lock_file(lock)
        except OSError as error:
            raise UsageError(f"Another process writes {folder}: wait for it, or choose another --out.") from error
        yield
