"""The results of an evaluation: a table, and a page of images, worst first."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from avatar.evaluation.regions import REGIONS
from avatar.evaluation.scores import BACKGROUNDS, VGG_IMAGES, ScoredTarget
from avatar.evaluation.surface import SURFACES
from avatar.evaluation.targets import ALIGNED, TRAINING_GROUP
from avatar.io.files import atomic_write
from avatar.metrics.detail import SIGMAS
from avatar.metrics.images import BOX_MARGIN
from avatar.metrics.perceptual import LpipsNet
from avatar.pipeline.report_page import plain_page

Column = tuple[str, str, float, str]  # title, score, factor, format
LPIPS_FACTOR = 1000  # LPIPS is printed times a thousand, as in most papers, and says so


# Words of a group's name in `evaluation.json`, which stay as in its first version, and what people read instead.
TITLES = {
    "left-out frames": "held-out frames",
    "seen poses": "training poses",
    "found pose": "estimated",
    "driven": "retargeted",
    "seen by": "camera",
}


def row_title(group: str) -> str:
    """The title of a group of targets in tables and captions."""
    for word, title in TITLES.items():
        group = group.replace(word, title)
    return group


def table(rows: dict[str, dict[str, float]], reasons: Mapping[LpipsNet, str | None]) -> str:
    """The rows as text: on white and black, full image and the person's box."""
    nets = [net for net, reason in reasons.items() if reason is None]
    scores = {name for row in rows.values() for name in row}
    columns: list[Column] = [("n", "pictures", 1.0, ".0f")]
    for background in BACKGROUNDS:
        if f"psnr_{background}" not in scores:
            continue
        for label, where in ((background, background), (f"box_{background}", "box")):
            columns.append((f"PSNR {where}", f"psnr_{label}", 1.0, ".2f"))
            columns.append((f"SSIM {where}", f"ssim_{label}", 1.0, ".4f"))
            columns += [(f"LPIPS {net} {where}", f"lpips_{net}_{label}", LPIPS_FACTOR, ".1f") for net in nets]
    if "dists_box" in scores:
        columns.append(("DISTS box", "dists_box", 1.0, ".3f"))
    for sigma in SIGMAS[:2]:
        columns.append((f"contrast {sigma:g} px", f"detail_contrast_{sigma:g}", 1.0, ".2f"))
        columns.append((f"corr. {sigma:g} px", f"detail_correlation_{sigma:g}", 1.0, ".2f"))
    columns.append(("IoU", "iou", 1.0, ".3f"))
    text = _lines(rows, [column for column in columns if column[1] in scores or column[1] == "iou"])
    notes = [
        f"SSIM: 11x11 Gaussian window, sigma 1.5, zero padding; box: the person + {BOX_MARGIN} px, on the "
        "background named to its left; IoU of soft coverage."
    ]
    notes += [f"LPIPS ({net}), times {LPIPS_FACTOR}, on the first background." for net in nets]
    notes.append(
        "Contrast and correlation of detail inside the person, in the octave from that many pixels to twice as many: "
        "1 and 1 are right, a contrast below 1 is blur."
    )
    if any(TRAINING_GROUP in name or ALIGNED in name for name in rows):
        notes.append(
            f"LPIPS vgg and DISTS: on at most {VGG_IMAGES} images of a row; not on training frames, nor in rows "
            "without the clip's one shift (which do not say aligned): these are there for comparison."
        )
    notes += [reason + "." for reason in reasons.values() if reason]
    return "\n".join([*text, *notes, *_part_table(rows), *_surface_table(rows)])


def _lines(rows: Mapping[str, Mapping[str, float]], columns: Sequence[Column]) -> list[str]:
    lines = [["", *(title for title, *_ in columns)]]
    for name, row in rows.items():
        cells = [f"{row[key] * factor:{form}}" if key in row else "-" for _, key, factor, form in columns]
        lines.append([row_title(name), *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = []
    for line in lines:
        padded = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        text.append("  ".join([line[0].ljust(widths[0]), *padded[1:]]))
    return text


def _part_table(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Face, hands and torso apart, in the rows that have them."""
    columns: list[Column] = []
    for region in REGIONS:
        columns.append((f"{region}: PSNR", f"psnr_{region}", 1.0, ".2f"))
        columns.append(("LPIPS", f"lpips_alex_{region}", LPIPS_FACTOR, ".0f"))
        columns.append(("DISTS", f"dists_{region}", 1.0, ".3f"))
        for sigma in SIGMAS:
            columns.append((f"contrast {sigma:g}", f"detail_contrast_{sigma:g}_{region}", 1.0, ".2f"))
            columns.append(("corr.", f"detail_correlation_{sigma:g}_{region}", 1.0, ".2f"))
    columns.append(("elsewhere: PSNR", "psnr_elsewhere", 1.0, ".2f"))
    chosen = rows_with(rows, [key for _, key, *_ in columns])
    if not chosen:
        return []
    scores = {name for row in chosen.values() for name in row}
    columns = [column for column in columns if column[1] in scores]
    return [
        "",
        "Parts of the body, on white: PSNR, LPIPS alex and DISTS in the part's box, detail on its pixels; elsewhere is "
        "the body's box without those of face and hands. Images where a part is out of view or too small to judge do "
        "not count; - stands where that is so in all of them.",
        *_lines(chosen, columns),
    ]


def _surface_table(rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """How far the surface is from the true one, in the rows that have true depth."""
    columns: list[Column] = [(part, f"surface_{part}_mm", 1.0, ".1f") for part in SURFACES]
    chosen = rows_with(rows, [key for _, key, *_ in columns])
    if not chosen:
        return []
    return ["", "Surface to the true depth along the view, median, mm.", *_lines(chosen, columns)]


def joint_table(joints: Mapping[str, Any]) -> list[str]:
    """Errors of the clip's limb joints along the view and across it, as lines."""
    names = {"limb joints about their middle": "joints", "their middle": "middle"}
    columns: list[Column] = [(where, where, 1.0, ".1f") for where in ("along", "across")]
    rows = {title: {where: joints[f"{key}_{where}_rms_mm"] for where, *_ in columns} for title, key in names.items()}
    return [
        "",
        "Joints of the clip against the true ones, along the view and across it (per axis), root mean square, mm.",
        *_lines(rows, columns),
    ]


def rows_with(rows: Mapping[str, Mapping[str, float]], scores: Sequence[str]) -> dict[str, Mapping[str, float]]:
    """The rows that have any of these scores, without those of one side alone."""
    return {name: row for name, row in rows.items() if name[-1] != "°" and any(score in row for score in scores)}


def write_page(path: Path, title: str, text: str, plots: str, scored: Sequence[ScoredTarget], verdict: str) -> None:
    """One HTML file with everything in it: verdict, plots, table, then truth, avatar and difference of each image.

    Args:
        plots: an svg element; verdict: what limits the avatar, one sentence or nothing.
    """
    ordered = sorted(scored, key=lambda one: _first(one, "psnr_box", "psnr") or 0.0)
    figures = "\n".join(_figure(one) for one in ordered)
    head = f'<section class="verdict usable"><p>{html.escape(verdict)}</p></section>' if verdict else ""
    content = (
        f"{head}<section><h2>Plots</h2>{plots}</section>"
        f"<section><h2>Numbers</h2><pre>{html.escape(text)}</pre></section>"
        f"<section><h2>Images, worst first: truth, avatar, difference</h2>{figures}</section>"
    )
    with atomic_write(path) as temporary:
        temporary.write_text(plain_page(title, content), encoding="utf-8")


def _figure(one: ScoredTarget) -> str:
    source = base64.b64encode(one.strip).decode()
    scores: dict[str, Any] = one.scores
    numbers = (("PSNR", _first(one, "psnr")), ("box", _first(one, "psnr_box")), ("IoU", scores.get("iou")))
    numbers_text = ", ".join(
        f"{label} {value:.{2 if label == 'IoU' else 1}f}" for label, value in numbers if value is not None
    )
    where = "" if one.target.angle is None else f", {one.target.angle:.0f}° from the training camera"
    caption = html.escape(f"{row_title(one.target.group)}: {one.target.name}{where}. {numbers_text}")
    return f'<figure><img src="data:image/jpeg;base64,{source}" alt=""><figcaption>{caption}</figcaption></figure>'


def _first(one: ScoredTarget, *scores: str) -> float | None:
    """The first of these scores that the image has, on the first background it was scored on."""
    names = (f"{score}_{background}" for score in scores for background in BACKGROUNDS)
    return next((one.scores[name] for name in names if name in one.scores), None)
