"""Whether an avatar is good, in one sentence, and what to film better; from the numbers of report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["good", "usable", "poor"]

# Below these an avatar has the weakness that its sentence names. Good clips of the lab lie well above, see docs/lab.
LEAST_PSNR_BOX = 21.0  # dB, held-out frames, person's box
LEAST_BODY_IOU = 0.8
LEAST_OBSERVED = 0.85  # of the splats
LEAST_CONFIDENCE = 0.6  # mean over frames and joints
FEWEST_FRAMES = 40
SHORTEST_SIDE = 720  # pixels, longer side of the video
POOR_PSNR_BOX = 17.0
POOR_COUNT = 3  # weaknesses at once


@dataclass(frozen=True)
class Verdict:
    """What a report comes to.

    Attributes:
        level: in one word; sentence: why; advice: what to do differently, the most important first.
    """

    level: Level
    sentence: str
    advice: tuple[str, ...]


def verdict(report: Mapping[str, Any], confidence: float | None = None) -> Verdict:
    """The verdict on a run.

    Args:
        report: the content of report.json; values that older runs lack are not judged.
        confidence: mean over all joints and frames of the track, in [0, 1].
    """
    held_out = report.get("held_out") or {}
    box, iou = held_out.get("psnr_box"), (report.get("body_mask_iou") or {}).get("median")
    observed, frames, size = report.get("observed_share"), report.get("frames"), report.get("size") or (0, 0)
    weak: list[tuple[str, str]] = []
    if box is not None and box < LEAST_PSNR_BOX:
        weak.append(
            (
                f"it differs from frames that it was not trained on ({box:.1f} dB in the person's box)",
                "Record in more light and turn slower, so that no frame is blurred; stand so that you fill the image.",
            )
        )
    if iou is not None and iou < LEAST_BODY_IOU:
        weak.append(
            (
                f"the body does not fill the outline ({iou:.0%})",
                "Keep the whole body in view, hold the phone upright at chest height, and give --height.",
            )
        )
    if observed is not None and observed < LEAST_OBSERVED:
        weak.append(
            (
                f"{1 - observed:.0%} of the surface was never in view and is guessed",
                "Turn round once completely, with the arms away from the body.",
            )
        )
    if confidence is not None and confidence < LEAST_CONFIDENCE:
        weak.append(
            (
                f"the pose is uncertain (mean confidence {confidence:.0%})",
                "Stand before a plain background, alone, without furniture before the legs.",
            )
        )
    if frames is not None and frames < FEWEST_FRAMES and frames > 1:
        weak.append((f"the video has only {frames} usable frames", "Record ten to twenty seconds."))
    if 0 < max(size) < SHORTEST_SIDE:
        weak.append((f"the video is small ({size[0]}x{size[1]})", "Record in full HD or more."))
    advice = tuple(remedy for _, remedy in weak)
    if not weak:
        return Verdict("good", _strengths(box, held_out.get("alpha_iou"), observed), ())
    level: Level = "poor" if len(weak) >= POOR_COUNT or (box is not None and box < POOR_PSNR_BOX) else "usable"
    start = "Usable, but" if level == "usable" else "Poor:"
    return Verdict(level, f"{start} {_joined([reason for reason, _ in weak])}.", advice)


def _strengths(box: float | None, alpha_iou: float | None, observed: float | None) -> str:
    parts = []
    if box is not None:
        parts.append(f"it matches frames that it was not trained on ({box:.1f} dB in the person's box)")
    if alpha_iou is not None:
        parts.append(f"its outline agrees by {alpha_iou:.0%}")
    if observed is not None:
        parts.append(f"{observed:.0%} of the surface was in view")
    return f"Good: {_joined(parts)}." if parts else "Nothing was measured: the run holds out no frame."


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])}, and {parts[-1]}"
