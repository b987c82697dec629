"""Editing an avatar: other colours, other clothes, another head, another face. The result is a run of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from avatar.errors import UsageError
from avatar.io.colors import parse_color
from avatar.io.files import read_json, write_json
from avatar.model.garments import GARMENTS, labels_of
from avatar.model.recoloring import recolor
from avatar.model.wardrobe import WEARABLE, Labelled, dressed, with_head
from avatar.novel_views.diffusers_weights import licence_of
from avatar.pipeline.edit_face import FROM_ONE_SIDE, transfer_face
from avatar.pipeline.edit_text import COLORS_ALONE, pieces_of, repaint
from avatar.pipeline.finished_run import FinishedRun, open_run, save_garments
from avatar.pipeline.previews import TURNTABLE_SIZE, write_turntable
from avatar.pipeline.report_page import write_report_page
from avatar.pipeline.run_folder import RunFolder, locked_run

# Scores of the avatar as it was filmed, which the edited one does not have.
MEASURED = ("held_out", "held_out_frames", "body_mask_iou", "observed_share", "seconds", "peak_memory_mb", "gpu")
OTHERS_LOOK = "clothes and heads are taken from another person's avatar: make sure that you may use them"

OTHERS_FACE = "the face is that of a photo: make sure that the person agrees"


@dataclass(frozen=True)
class Edits:
    """What changes, in the order in which it is applied.

    Attributes:
        wear: OTHER:top,bottom,shoes, clothes of the avatars in other run folders; head: run folder of another head.
        face: photo of another face.
        text: descriptions of clothes, such as "a leather jacket", painted by the editing pipeline `model`: a folder, or
            a name on the Hugging Face hub.
        recolor: LABEL=COLOUR, such as top=#2050b0.
    """

    wear: tuple[str, ...] = ()
    head: Path | None = None
    face: Path | None = None
    text: tuple[str, ...] = ()
    model: str | None = None
    recolor: tuple[str, ...] = ()


@dataclass
class _Desk:
    """The edited person, and what is to be written about the edits."""

    person: Labelled
    body: str | None
    edits: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def other(self, folder: Path) -> Labelled:
        """The avatar in another run folder, with its labels."""
        opened = open_run(folder, self.body, str(self.person.avatar.device), props=False)
        return Labelled(opened.avatar, opened.garments)


def edit_run(
    folder: Path,
    edits: Edits,
    out: Path,
    overwrite: bool = False,
    body: str | None = None,
    device: str = "cpu",
    backend: str = "auto",
) -> list[dict[str, str]]:
    """Edit the avatar of a run into a run folder of its own; the old one stays as it is.

    Args:
        out: the new run folder; overwrite: replace an older run in it.
        body: path of the body file, if it has moved since the avatars were made.
        device, backend: where and by which renderer the turntable is made.

    Returns:
        What was done, as the new run's report and configuration have it under "edits".

    Raises:
        UsageError: an edit names no colour, label or run, or `out` holds another run or one of those used.
        AvatarError: a run is damaged, or a file cannot be written.
    """
    steps = _steps(edits, backend)
    opened = open_run(folder, body, device)
    others = [RunFolder(path) for path in (folder, *([edits.head] if edits.head else []), *_wardrobes(edits))]
    for other in others:
        other.require_avatar()
        if other is not others[0] and other.folder.resolve() == folder.resolve():
            raise UsageError(f"{folder} has its own clothes and head already: give the run folder of another avatar.")
        if out.resolve() == other.folder.resolve():
            raise UsageError(f"{out} is one of the avatars used, and no edit is made in place: choose another --out.")
    desk = _Desk(Labelled(opened.avatar, opened.garments), body)
    for step in steps:
        step(desk)
    run = RunFolder(out)
    with locked_run(run, overwrite, resume=False):
        _write(run, opened, desk, backend)
    return desk.edits


def parse_recolor(text: str) -> tuple[tuple[int, ...], torch.Tensor]:
    """The labels and the colour that LABEL=COLOUR means; skin is that of the face too.

    Raises:
        UsageError: there is no such label or colour.
    """
    name, equals, color = text.partition("=")
    if not equals or name.strip() not in GARMENTS:
        raise UsageError(f"--recolor takes LABEL=COLOUR with a label of {', '.join(GARMENTS)}, not {text!r}.")
    return labels_of(name.strip()), parse_color(color)


def _steps(edits: Edits, backend: str) -> list[Callable[[_Desk], None]]:
    """The edits, each checked as far as it can be without any avatar."""
    _require_once("--wear", [GARMENTS[label] for text in edits.wear for label in _parse_wear(text)[1]])
    _require_once("--recolor", [GARMENTS[parse_recolor(text)[0][0]] for text in edits.recolor])
    steps: list[Callable[[_Desk], None]] = [partial(_wear, *_parse_wear(text)) for text in edits.wear]
    if edits.head is not None:
        steps.append(partial(_take_head, edits.head))
    if edits.face is not None:
        steps.append(partial(_take_face, edits.face, backend))
    if bool(edits.text) != (edits.model is not None):
        raise UsageError("--text and --model go together: the words, and the image-editing pipeline that paints them.")
    for text in edits.text:
        pieces_of(text)
        steps.append(partial(_repaint, text, edits.model or "", backend))
    steps += [partial(_recolor, text) for text in edits.recolor]
    if not steps:
        raise UsageError("Say what to edit, for example --recolor top=navy; `avatar edit --help` lists the edits.")
    return steps


def _require_once(option: str, labels: list[str]) -> None:
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise UsageError(f"{option} names {' and '.join(twice)} twice, and only one of them could be seen.")


def _wardrobes(edits: Edits) -> list[Path]:
    return [_parse_wear(text)[0] for text in edits.wear]


def _parse_wear(text: str) -> tuple[Path, tuple[int, ...]]:
    """The run folder and the labels that OTHER:top,bottom means."""
    folder, colon, clothes = text.rpartition(":")  # a Windows path has a colon of its own
    wearable = {GARMENTS[label]: label for label in WEARABLE}
    names = [name.strip() for name in clothes.split(",")]
    if not colon or not folder or any(name not in wearable for name in names):
        raise UsageError(f"--wear takes OTHER_RUN:CLOTHES with clothes of {', '.join(wearable)}, not {text!r}.")
    return Path(folder), tuple(wearable[name] for name in dict.fromkeys(names))


def _wear(folder: Path, worn: tuple[int, ...], desk: _Desk) -> None:
    other = desk.other(folder)
    for label in worn:
        _require_shown(other, (label,), str(folder))
    desk.person = dressed(desk.person, other, worn)
    clothes = ", ".join(GARMENTS[label] for label in worn)
    desk.edits.append({"edit": "wear", "from": str(folder), "clothes": clothes, "sentence": f"{clothes} of {folder}"})
    _note(desk, OTHERS_LOOK)


def _take_head(folder: Path, desk: _Desk) -> None:
    desk.person = with_head(desk.person, desk.other(folder))
    desk.edits.append({"edit": "head", "from": str(folder), "sentence": f"the head of {folder}"})
    _note(desk, OTHERS_LOOK)


def _take_face(photo: Path, backend: str, desk: _Desk) -> None:
    transfer_face(desk.person, photo, backend)
    desk.edits.append({"edit": "face", "from": str(photo), "sentence": f"the face in {photo}"})
    for note in (FROM_ONE_SIDE, OTHERS_FACE):
        _note(desk, note)


def _repaint(text: str, model: str, backend: str, desk: _Desk) -> None:
    _require_shown(desk.person, pieces_of(text)[0], "This avatar")
    terms = licence_of(model)
    repaint(desk.person, text, model, backend)
    desk.edits.append({"edit": "text", "text": text, "model": model, "sentence": f"{text}, painted by {model}"})
    for note in (COLORS_ALONE, terms):
        _note(desk, note)


def _recolor(text: str, desk: _Desk) -> None:
    labels, color = parse_recolor(text)
    chosen = desk.person.has(*labels)
    name, value = GARMENTS[labels[0]], text.partition("=")[2].strip()
    _require_shown(desk.person, labels, "This avatar")
    recolor(desk.person.avatar, chosen, color)
    desk.edits.append({"edit": "recolor", "label": name, "color": value, "sentence": f"{name} in {value}"})


def _require_shown(person: Labelled, labels: tuple[int, ...], name: str) -> None:
    """Refuse an edit of a garment that an avatar does not show."""
    if not person.has(*labels).any():
        shown = ", ".join(GARMENTS[label] for label in sorted(set(person.labels.tolist())))
        raise UsageError(f"{name} shows no {GARMENTS[labels[0]]}, but {shown}.")


def _note(desk: _Desk, text: str) -> None:
    if text not in desk.notes:
        desk.notes.append(text)


def _write(run: RunFolder, opened: FinishedRun, desk: _Desk, backend: str) -> None:
    """Write the new run: the avatar, its labels and motion, and where it comes from."""
    avatar, source = desk.person.avatar, opened.run
    provenance = {"edited_from": str(source.folder), "edits": desk.edits}
    config = opened.config if source.config.is_file() else {"source": "", "train": {}}
    write_json(run.config, {**config, **_earlier(config, provenance)})
    if source.props.is_dir():
        shutil.copytree(source.props, run.props)
    if opened.has_track:
        shutil.copyfile(source.track, run.track)
        pose = opened.track.poses[len(opened.track) // 2]
        write_turntable(avatar, pose, run.turntable, *TURNTABLE_SIZE, backend)
    save_garments(run, desk.person.labels)
    avatar.save(run.avatar)
    report = read_json(source.report) if source.report.is_file() else {"source": config.get("source", "")}
    sentences = [f"edited: {edit['sentence']}" for edit in desk.edits]
    warnings = [*report.get("warnings", ()), *sentences, *desk.notes]
    unmeasured = {name: value for name, value in report.items() if name not in MEASURED}
    write_json(run.report, {**unmeasured, "splats": len(avatar), "warnings": warnings, **_earlier(report, provenance)})
    write_report_page(run)


def _earlier(content: Mapping[str, Any], provenance: dict[str, Any]) -> dict[str, Any]:
    """The provenance, with the edits that the edited run had already."""
    return {**provenance, "edits": [*content.get("edits", ()), *provenance["edits"]]}
