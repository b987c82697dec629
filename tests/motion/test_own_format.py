"""How to add a motion format: one class, one registration. The documentation shows the class as its example."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.errors import UsageError
from avatar.geometry import rotation_from_rotvec
from avatar.motion import Content, Motion, ReadOptions, load_motion, motion_formats, register_format
from avatar.motion.formats import registry
from avatar.motion.motion import numbers, uniform_track


# --8<-- [start:example]
class TableFormat:
    """A text table: per line the pelvis position (3, metres, Y up) and 24 rotation vectors (72, radians)."""

    name = "table"
    description = "text table of SMPL poses"

    def recognizes(self, content: Content) -> bool:
        return content.kind == "text" and content.data.startswith("# smpl table")

    def read(self, content: Content, options: ReadOptions) -> Motion:
        rows = numbers(content.path, [line.split() for line in content.data.splitlines()[1:]], "table", None, 75)
        rotations = rotation_from_rotvec(torch.from_numpy(rows[:, 3:]).reshape(-1, 24, 3))
        return Motion(self.name, uniform_track(rotations, torch.from_numpy(rows[:, :3]), options.fps or 30.0))


# --8<-- [end:example]


@pytest.fixture(autouse=True)
def registration(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_FORMATS", list(registry._FORMATS))
    # --8<-- [start:registration]
    register_format(TableFormat())
    # --8<-- [end:registration]
    yield


def test_a_registered_format_is_recognized_and_read(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(scale=0.1, size=(5, 75))
    path = tmp_path / "dance.txt"
    path.write_text("# smpl table\n" + "\n".join(" ".join(f"{x:.6f}" for x in row) for row in rows))
    motion = load_motion(str(path), ReadOptions(fps=25.0))
    assert motion.format == "table" and len(motion.track) == 5
    assert motion.track.fps == pytest.approx(25.0)
    np.testing.assert_allclose(motion.track.poses.root_position.numpy(), rows[:, :3], atol=1e-5)
    path.write_text("# smpl table\n1 2 3\n")
    with pytest.raises(Exception, match="table has the shape"):
        load_motion(path, format="table")


def test_it_is_listed_and_can_be_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    from avatar.cli.motions import list_motions

    assert next(iter(motion_formats())) == "table"
    list_motions()
    assert "text table of SMPL poses" in capsys.readouterr().out
    with pytest.raises(UsageError, match="choose one of table, own"):
        load_motion("a.txt", format="unknown")


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="registered already"):
        register_format(TableFormat())
