"""`avatar edit`: a new run that says where it comes from and works with every command; the old one stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from avatar.cli.main import main
from avatar.errors import UsageError
from avatar.evaluation.evaluate import evaluate_run
from avatar.io.files import write_json
from avatar.io.track_file import save_track
from avatar.model.garments import TOP, garment_labels
from avatar.pipeline.edit import Edits, edit_run
from avatar.pipeline.finished_run import open_run
from avatar.pipeline.run_folder import RunFolder
from avatar.types import BodyPose, BodyTrack
from tests.model.painted_people import Look, painted

GREEN = Look(top=(0.1, 0.5, 0.2), bottom=(0.6, 0.5, 0.35), sleeves=0.6, shoes=(0.8, 0.8, 0.8), print=None)


def made_run(folder: Path, look: Look) -> Path:
    """A run folder as `create` leaves it, of a painted person."""
    run, person = RunFolder(folder), painted(look)
    folder.mkdir()
    person.avatar.save(run.avatar)
    poses = BodyPose(torch.tensor([[0.0, 1.0, 0.0]]).repeat(2, 1), torch.eye(3).repeat(2, 24, 1, 1))
    track = BodyTrack("open", person.avatar.betas, poses, torch.tensor([0.0, 0.1]), torch.ones(2, 24), torch.arange(2))
    save_track(track, run.track)
    write_json(run.config, {"source": "me.mp4", "train": {"hold_out": 8}})
    write_json(run.report, {"source": "me.mp4", "frames": 2, "warnings": ["dark"], "held_out": {"psnr": 30.0}})
    return folder


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return made_run(tmp_path / "red", Look())


@pytest.fixture
def green(tmp_path: Path) -> Path:
    return made_run(tmp_path / "green", GREEN)


@pytest.fixture(autouse=True)
def no_turntable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avatar.pipeline.edit.write_turntable", lambda *_: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_new_run_says_what_was_done_and_the_old_one_stays(red: Path, green: Path, tmp_path: Path) -> None:
    before = contents(red)
    edit_run(red, Edits((f"{green}:bottom",), green, recolor=("top=navy",)), tmp_path / "new")
    assert contents(red) == before
    new = RunFolder(tmp_path / "new")
    report, config = (json.loads(path.read_text(encoding="utf-8")) for path in (new.report, new.config))
    assert (
        [edit["edit"] for edit in report["edits"]]
        == ["wear", "head", "recolor"]
        == [edit["edit"] for edit in config["edits"]]
    )
    assert report["edited_from"] == str(red) and report["warnings"][0] == "dark"
    assert any("make sure that you may use them" in line for line in report["warnings"])
    assert "held_out" not in report and new.report_page.is_file()
    opened = open_run(new.folder)
    assert len(opened.garments) == len(opened.avatar) and opened.has_track
    # Once more: what was done before is remembered.
    edit_run(new.folder, Edits(recolor=("bottom=#102030",)), tmp_path / "newer")
    assert len(json.loads((tmp_path / "newer" / "report.json").read_text(encoding="utf-8"))["edits"]) == 4


def test_labels_are_those_of_the_run_or_estimated(red: Path, tmp_path: Path) -> None:
    opened = open_run(red)
    assert torch.equal(opened.garments, garment_labels(opened.avatar))
    edit_run(red, Edits(recolor=("top=black",)), tmp_path / "new")
    new = open_run(tmp_path / "new")
    # Black on top of black would be guessed otherwise.
    assert torch.equal(new.garments == TOP, opened.garments == TOP)
    (tmp_path / "new" / "garments.npy").write_bytes(b"damaged")
    assert len(open_run(tmp_path / "new").garments) == len(new.avatar)


def test_an_edited_run_is_exported_and_not_evaluated(red: Path, tmp_path: Path) -> None:
    main(["edit", str(red), "--recolour", "top=navy", "hair=gold", "--out", str(tmp_path / "new")])
    main(["export", str(tmp_path / "new"), "--ply", str(tmp_path / "new.ply")])
    assert (tmp_path / "new.ply").stat().st_size > 10_000
    with pytest.raises(UsageError, match="was edited"):
        evaluate_run(tmp_path / "new")


@pytest.mark.parametrize(
    ("edits", "message"),
    [
        (Edits(), "what to edit"),
        (Edits(recolor=("top",)), "LABEL=COLOUR"),
        (Edits(recolor=("trousers=red",)), "LABEL=COLOUR"),
        (Edits(recolor=("top=reddish",)), "not a colour"),
        (Edits(wear=("green",)), "OTHER_RUN:CLOTHES"),
        (Edits(wear=("green:hat",)), "OTHER_RUN:CLOTHES"),
        (Edits(wear=("nowhere:top",)), "no finished avatar"),
        (Edits(wear=("one:top", "two:shoes,top")), "names top twice"),
        (Edits(recolor=("top=red", "bottom=red", "top=blue")), "names top twice"),
        (Edits(head=Path("nowhere")), "no finished avatar"),
    ],
)
def test_wrong_edits_are_refused_before_anything_is_written(
    edits: Edits, message: str, red: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        edit_run(red, edits, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_own_clothes_and_what_nobody_wears_are_refused(red: Path, tmp_path: Path) -> None:
    for edits in (Edits(wear=(f"{red}:top",)), Edits(head=red)):
        with pytest.raises(UsageError, match="its own clothes"):
            edit_run(red, edits, tmp_path / "new")
    barefoot = made_run(tmp_path / "barefoot", Look(shoes=Look.skin))
    with pytest.raises(UsageError, match="barefoot shows no shoes, but skin, face, hair, top, bottom"):
        edit_run(red, Edits(wear=(f"{barefoot}:shoes",)), tmp_path / "new")
    for edits in (Edits(recolor=("shoes=red",)), Edits(text=("boots",), model="nowhere")):
        with pytest.raises(UsageError, match="This avatar shows no shoes"):
            edit_run(barefoot, edits, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_edited_in_place(red: Path, green: Path) -> None:
    before = contents(red), contents(green)
    for edits, out in ((Edits(recolor=("top=red",)), red), (Edits(head=green), green)):
        with pytest.raises(UsageError, match="in place"):
            edit_run(red, edits, out, overwrite=True)
        with pytest.raises(UsageError):
            edit_run(red, replace(edits), out)
    assert (contents(red), contents(green)) == before
