"""Prove and measure the GPU path on a finished run; `scripts/gpu_check.sh` calls this.

    python scripts/gpu_check.py --run runs/turn --out gpu_check

Each stage is tried by itself, and `gpu_check.json` is written after each, so that a check that is cut off leaves what
it has. A stage is left out where less time is left than it takes.
"""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import avatar  # noqa: F401 - before torch, so that idle threads sleep

# isort: split
import tyro
from gpu_stages import STAGES, Material, Stage

MARKS = {"train balanced": 12.0, "render 20000 at 1080p": 500.0, "render 100000 at 1080p": 400.0}


@dataclass
class Check:
    """The results of all stages."""

    out: Path
    seconds: float
    start: float = field(default_factory=time.monotonic)
    results: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.seconds - (time.monotonic() - self.start)

    @property
    def passed(self) -> bool:
        """Whether no stage failed."""
        return all(result["state"] != "failed" for result in self.results.values())

    def run(self, stage: Stage, material: Material) -> None:
        """Run one stage, or say why not."""
        if self.left < stage.seconds:
            result = {"state": "left out", "reason": f"{self.left:.0f} s left, about {stage.seconds:.0f} s needed"}
        else:
            print(f"-- {stage.name}", flush=True)
            begin = time.monotonic()
            result = _outcome(stage, material) | {"seconds": round(time.monotonic() - begin, 2)}
        self.results[stage.name] = result
        (self.out / "gpu_check.json").write_text(json.dumps(self.results, indent=1, default=str), encoding="utf-8")
        print(f"   {_line(stage.name, result)}", flush=True)

    def summary(self) -> str:
        """One line per stage with what it measured, and the marks."""
        lines = [_line(name, result) for name, result in self.results.items()]
        rates = {name: value for result in self.results.values() for name, value in result.get("marks", {}).items()}
        for name, mark in MARKS.items():
            if name in rates:
                met = rates[name] < mark if name.startswith("train") else rates[name] > mark
                unit = "s, below" if name.startswith("train") else "per second, above"
                lines.append(f"mark: {name}: {rates[name]:.1f} {unit} {mark:g}: {'met' if met else 'NOT met'}")
        return "\n".join(lines)


def _outcome(stage: Stage, material: Material) -> dict[str, Any]:
    try:
        return {"state": "ok", **stage.measure(material)}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # every stage is tried, whatever happened to the others
        print(traceback.format_exc(), flush=True)
        return {"state": "failed", "error": f"{type(error).__name__}: {error}"[:2000]}


def _line(name: str, result: dict[str, Any]) -> str:
    entries = {key: value for key, value in result.items() if key not in ("state", "marks", "kernels_by_time")}
    return f"{name}: {result['state']} {json.dumps(entries, default=str)[:1500]}"


def check(run: Path, out: Path, seconds: float = 420.0, only: Sequence[str] = (), tiny: bool = False) -> bool:
    """Run the check; returns whether no stage failed.

    Args:
        run: a finished run of a video, with its observations; out: folder for the results.
        seconds: time that all stages may take together.
        only: names of stages, all if none.
        tiny: a rehearsal, on few small frames and few splats.
    """
    out.mkdir(parents=True, exist_ok=True)
    material = Material(run, out, tiny)
    results = Check(out, float("inf") if tiny else seconds)
    for stage in STAGES:
        if not only or stage.name in only:
            results.run(stage, material)
    text = results.summary()
    (out / "summary.txt").write_text(text + "\n", encoding="utf-8")
    print(text, flush=True)
    return results.passed


def main(
    run: Path = Path(".gpu/run"),
    out: Path = Path("gpu_check"),
    seconds: float = 420.0,
    only: tuple[str, ...] = (),
    tiny: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """Run the check; exit code 1 if a stage failed. The arguments: see `check`."""
    raise SystemExit(0 if check(run, out, seconds, only, tiny) else 1)


if __name__ == "__main__":
    tyro.cli(main)
