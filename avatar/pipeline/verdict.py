"""Whether an avatar is good, in one sentence, and what to film better; from the numbers of report.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["good", "usable", "poor"]

# Values below which an avatar has a weakness, the sentence on it, and the remedy. Good clips of the lab lie well above
# them, see docs/lab.
LEAST = {
    "psnr_box": (  # dB, held-out frames
        21.0,
        "it differs from frames that it was not trained on ({:.1f} dB in the person's box)",
        "Record in more light and turn slower, so that no frame is blurred; stand so that you fill the image.",
    ),
    "body_iou": (
        0.8,
        "the body does not fill the outline ({:.0%})",
        "Keep the whole body in view, hold the phone upright at chest height, and give --height.",
    ),
    "observed": (  # share of the splats
        0.85,
        "{rest:.0%} of the surface was never in view and is guessed",
        "Turn round once completely, with the arms away from the body.",
    ),
    "confidence": (  # mean over frames and joints
        0.6,
        "the pose is uncertain (mean confidence {:.0%})",
        "Stand before a plain background, alone, without furniture before the legs.",
    ),
    "frames": (40, "the video has only {} usable frames", "Record ten to twenty seconds."),
    "side": (720, "the video is small ({size})", "Record in full HD or more."),
}
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
    held_out, frames, size = report.get("held_out") or {}, report.get("frames"), report.get("size") or ()
    values: dict[str, Any] = {
        "psnr_box": held_out.get("psnr_box"),
        "body_iou": (report.get("body_mask_iou") or {}).get("median"),
        "observed": report.get("observed_share"),
        "confidence": confidence,
        "frames": None if frames == 1 else frames,  # a photo has one
        "side": max(size, default=0) or None,
    }
    weak = [
        (sentence.format(values[name], rest=1 - values[name], size="x".join(map(str, size))), remedy)
        for name, (least, sentence, remedy) in LEAST.items()
        if values[name] is not None and values[name] < least
    ]
    box, observed = values["psnr_box"], values["observed"]
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
