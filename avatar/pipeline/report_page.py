"""report.html: one page that says how good an avatar is, why, and what to film better.

It is made from the files of the run alone, so that any later command can write it again.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch

from avatar.body.skeleton import SMPL_JOINTS
from avatar.errors import AvatarError
from avatar.geometry import invert_rigid
from avatar.io.files import atomic_write, read_json
from avatar.io.track_file import load_track
from avatar.pipeline.charts import heat_map, line_chart, top_view
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.verdict import verdict
from avatar.types import BodyTrack

EMBEDDED_VIDEO_BYTES = 3 * 2**20  # a larger turntable is linked
SCORES = {
    "psnr": ("PSNR, full image on white", "dB"),
    "psnr_box": ("PSNR, person's box", "dB"),
    "alpha_iou": ("overlap of the outlines (IoU)", ""),
    "lpips_alex": ("LPIPS (AlexNet), less is better", ""),
    "detail_contrast_0.7": ("contrast of the finest detail, 1 is right", ""),
    "detail_contrast_1.4": ("contrast of fine detail, 1 is right", ""),
    "detail_contrast_2.8": ("contrast of coarse detail, 1 is right", ""),
}


def write_report_page(run: RunFolder) -> None:
    """Write report.html from report.json and whatever else the run has."""
    report = read_json(run.report)
    track = load_track(run.track) if run.track.is_file() else None
    tabs = {"Overview": _overview(run, report), "Numbers": _numbers(run, report), "Tracking": _tracking(track)}
    if run.evaluation_page.is_file():
        tabs["Evaluation"] = f'<iframe src="{run.evaluation_page.name}" title="Evaluation" loading="lazy"></iframe>'
    confidence = None if track is None else float(track.confidence.mean())
    name = Path(str(report.get("source", run.folder.name))).name
    with atomic_write(run.report_page) as temporary:
        temporary.write_text(page(f"Avatar of {name}", _head(report, confidence), tabs), encoding="utf-8")


def page(title: str, head: str, tabs: Mapping[str, str]) -> str:
    """A page with a head and tabs; without scripts all tabs stand below each other."""
    filled = {name: content for name, content in tabs.items() if content}
    buttons = "".join(
        f'<button type="button" role="tab" data-tab="tab-{number}" aria-selected="false">{html.escape(name)}</button>'
        for number, name in enumerate(filled)
    )
    bodies = "".join(
        f'<div id="tab-{number}" role="tabpanel" aria-label="{html.escape(name)}">{content}</div>'
        for number, (name, content) in enumerate(filled.items())
    )
    return plain_page(title, f"{head}<nav role='tablist'>{buttons}</nav>{bodies}")


def plain_page(title: str, content: str) -> str:
    """A page in the style of all reports, readable on a phone."""
    folder = files("avatar.pipeline")
    style, script = ((folder / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{style}</style></head><body><main>"
        f"<h1>{html.escape(title)}</h1>{content}</main><script>{script}</script></body></html>\n"
    )


def load_history(run: RunFolder) -> dict[str, list[tuple[int, float]]]:
    """PSNR (`history`) and loss (`losses`) over the steps of training; empty for runs that did not keep them."""
    try:
        saved = read_json(run.history)
        return {name: [(int(step), float(value)) for step, value in saved[name]] for name in ("history", "losses")}
    except (AvatarError, KeyError, TypeError, ValueError):
        return {"history": [], "losses": []}


def _head(report: Mapping[str, Any], confidence: float | None) -> str:
    judged = verdict(report, confidence)
    advice = "".join(f"<li>{html.escape(line)}</li>" for line in judged.advice)
    warnings = "".join(f"<li>{html.escape(line)}</li>" for line in report.get("warnings", ()))
    parts = [f"<p>{html.escape(judged.sentence)}</p>"]
    if advice:
        parts.append(f"<h2>To film better</h2><ul>{advice}</ul>")
    if warnings:
        parts.append(f"<h2>Warnings</h2><ul>{warnings}</ul>")
    return f'<section class="verdict {judged.level}">{"".join(parts)}</section>'


def _overview(run: RunFolder, report: Mapping[str, Any]) -> str:
    sections = [_videos(run), _pairs(run)]
    coverage = run.report_images / "coverage.jpg"
    if coverage.is_file():
        share = report.get("observed_share")
        text = "" if share is None else f"{share:.0%} of the surface was in view. "
        sections.append(
            f"<section><h2>Coverage</h2><p>{text}Dark parts were never in view and are guessed; bright ones were clear."
            f'</p><img src="{_data(coverage)}" alt="how well the avatar was in view, from four sides">'
            '<div class="legend"></div><p class="muted">guessed … well in view</p></section>'
        )
    return "".join(sections)


def _videos(run: RunFolder) -> str:
    cells = []
    if run.turntable.is_file():
        large = run.turntable.stat().st_size > EMBEDDED_VIDEO_BYTES
        source = run.turntable.name if large else _data(run.turntable)
        cells.append(
            f'<div><h2>Turntable</h2><video src="{source}" autoplay muted loop controls playsinline '
            'style="max-height:70vh;margin:auto"></video></div>'
        )
    if run.overlay.is_file():
        cells.append(
            f'<div><h2>Over the video</h2><video src="{run.overlay.name}" controls muted loop playsinline></video>'
            '<p class="muted">Source, body, avatar, difference; the file lies beside this page.</p></div>'
        )
    return f'<section class="grid">{"".join(cells)}</section>' if cells else ""


def _pairs(run: RunFolder) -> str:
    pairs = list(_source_and_avatar(run))
    if not pairs:
        return ""
    choices = "".join(
        f'<button type="button" aria-pressed="{"true" if number == 0 else "false"}" aria-label="frame {number + 1}">'
        f'<img src="{source}" alt=""><img src="{avatar}" alt="" hidden></button>'
        for number, (source, avatar) in enumerate(pairs)
    )
    source, avatar = pairs[0]
    return (
        f'<section><h2>Source and avatar</h2><div class="pair"><img src="{source}" alt="frame of the video">'
        f'<img src="{avatar}" alt="the avatar over the same frame"><span>source</span><span>avatar</span></div>'
        '<input id="wipe" type="range" min="0" max="100" value="50" aria-label="from avatar to source">'
        f'<div class="frames">{choices}</div></section>'
    )


def _source_and_avatar(run: RunFolder) -> Iterator[tuple[str, str]]:
    for source in sorted(run.report_images.glob("source-*.jpg")):
        avatar = source.with_name(source.name.replace("source", "avatar"))
        if avatar.is_file():
            yield _data(source), _data(avatar)


def _numbers(run: RunFolder, report: Mapping[str, Any]) -> str:
    held_out = report.get("held_out") or {}
    rows = "".join(
        f"<tr><td>{title}</td><td>{held_out[key]:.{2 if unit else 3}f} {unit}</td></tr>"
        for key, (title, unit) in SCORES.items()
        if isinstance(held_out.get(key), int | float)
    )
    count = held_out.get("frames", 0)
    sections = [f"<section><h2>Held-out frames ({count})</h2><table>{rows}</table></section>"] if rows else []
    curves = load_history(run)
    charts = []
    if len(curves["losses"]) > 1:
        charts.append(line_chart(curves["losses"], "loss", "step", log=True))
    if len(curves["history"]) > 1:
        charts.append(line_chart(curves["history"], "PSNR in the person's box, held-out frames, dB", "step"))
    frames = _frame_scores(run)
    if len(frames) > 1:
        charts.append(line_chart(frames, "PSNR in the person's box, dB", "frame", mean=True))
    if charts:
        sections.append(f'<section><h2>Curves</h2><div class="grid">{"".join(charts)}</div></section>')
    return "".join([*sections, _facts(report), _times(report)])


def _frame_scores(run: RunFolder) -> list[tuple[int, float]]:
    try:
        return [(int(frame), float(value)) for frame, value in read_json(run.report_images / "frames.json")["psnr_box"]]
    except (AvatarError, KeyError, TypeError, ValueError):
        return []


def _facts(report: Mapping[str, Any]) -> str:
    facts: dict[str, object] = {
        "source": Path(str(report.get("source", ""))).name,
        "camera": (report.get("camera") or {}).get("sentence"),
        "frames": report.get("frames"),
        "size": "x".join(str(side) for side in report.get("size") or ()),
        "splats": report.get("splats"),
    }
    height = (report.get("shape") or {}).get("height")
    if height is not None:
        facts["height"] = f"{height['value']:.2f} ± {height['spread']:.2f} m"
    body = report.get("body_mask_iou") or {}
    if "median" in body:
        facts["body against the outline (IoU)"] = f"{body['median']:.2f}, worst frame {body['worst']:.2f}"
    made = report.get("made_with") or {}
    facts["made with"] = f"avatar {made.get('avatar', '')}, {made.get('platform', '')}"
    rows = "".join(
        f"<tr><td>{name}</td><td>{html.escape(str(value))}</td></tr>"
        for name, value in facts.items()
        if value not in (None, "")
    )
    return f"<section><h2>The run</h2><table>{rows}</table></section>"


def _times(report: Mapping[str, Any]) -> str:
    seconds = report.get("seconds") or {}
    longest = max(seconds.values(), default=0.0) or 1.0
    rows = "".join(
        f'<tr><td>{html.escape(name)}</td><td>{value:.0f} s</td><td style="width:60%"><div class="bar" '
        f'style="width:{100 * value / longest:.0f}%"></div></td></tr>'
        for name, value in seconds.items()
    )
    return f"<section><h2>Time</h2><table>{rows}</table></section>" if rows else ""


def _tracking(track: BodyTrack | None) -> str:
    if track is None or len(track) < 2:
        return ""
    names = [name.replace("_", " ") for name in SMPL_JOINTS]
    confidence = track.confidence.T.numpy()
    charts = [heat_map(confidence, names[: len(confidence)], "confidence of each joint", "frame")]
    if track.cameras is not None:
        T_world_camera = invert_rigid(track.cameras.T_camera_world)
        roots = track.poses.root_position[track.instant.long()]
        places, directions = T_world_camera[:, :3, 3], T_world_camera[:, :3, 2]
        charts.append(top_view(_array(places), _array(directions), _array(roots), "seen from above"))
    weakest = "".join(
        f"<tr><td>{name}</td><td>{value:.0%}</td></tr>"
        for value, name in sorted(zip(confidence.mean(1).tolist(), names, strict=False))[:5]
    )
    return (
        f'<section><h2>Confidence and camera</h2><div class="grid">{"".join(charts)}</div></section>'
        f"<section><h2>Least certain joints</h2><table>{weakest}</table></section>"
    )


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().numpy()


def _data(path: Path) -> str:
    """A file as an address, so that the page needs no other."""
    kind = {".jpg": "image/jpeg", ".mp4": "video/mp4"}[path.suffix]
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
