"""The folder of several people of one video: one run folder each, and `scene.json`, which names them.

All tracks lie in one world, seen by one camera. The format is described in docs/formats/run-folder.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from avatar.errors import AvatarError, UsageError
from avatar.io.files import read_json, write_json
from avatar.pipeline.finished_run import FinishedRun, open_run
from avatar.pipeline.run_folder import RunFolder

VERSION = 1


@dataclass(frozen=True)
class PeopleFolder:
    """The people of one video; `run` is the folder that holds theirs."""

    run: RunFolder

    @property
    def is_complete(self) -> bool:
        """Whether it is known who is in the video; their avatars may not be finished."""
        return self.run.people.is_file()

    def person(self, number: int) -> RunFolder:
        """The run folder of a person; numbers begin at 1."""
        return RunFolder(self.run.folder / f"person-{number}")

    def save(self, source: str, count: int) -> None:
        """Write that these are the people of a video."""
        names = [self.person(number).folder.name for number in range(1, count + 1)]
        write_json(self.run.people, {"version": VERSION, "source": source, "persons": names})

    def load(self) -> list[RunFolder]:
        """The run folders of the people.

        Raises:
            UsageError: the folder holds no people. AvatarError: its file is broken.
        """
        if not self.is_complete:
            raise UsageError(f"{self.run.folder} holds no people: {self.run.people.name} is missing.")
        content = read_json(self.run.people)
        names = content.get("persons") if isinstance(content, dict) and content.get("version") == VERSION else None
        if not isinstance(names, list) or not names or not all(_is_name(name) for name in names):
            raise AvatarError(f"{self.run.people} does not hold people as this version writes them.")
        return [RunFolder(self.run.folder / name) for name in names]


def require_people(folder: Path | str) -> int:
    """How many people a folder holds, 1 for a run of one person; nothing is read.

    Raises:
        UsageError: somebody has no finished avatar. AvatarError: the file of people is broken.
    """
    people = PeopleFolder(RunFolder(Path(folder)))
    runs = people.load() if people.is_complete else [people.run]
    for run in runs:
        run.require_avatar()
    return len(runs)


def _is_name(name: object) -> bool:
    """Whether this names a folder right here."""
    return isinstance(name, str) and name not in ("", ".", "..") and "/" not in name and "\\" not in name


def open_people(folder: Path | str, device: str = "cpu", body: str | None = None) -> list[FinishedRun]:
    """The people of a folder: those that its `scene.json` names, or the one whose run folder it is.

    Raises:
        UsageError: somebody has no finished avatar. AvatarError: a file is damaged.
    """
    people = PeopleFolder(RunFolder(Path(folder)))
    runs: Sequence[RunFolder] = people.load() if people.is_complete else [people.run]
    return [open_run(run.folder, body, device) for run in runs]
