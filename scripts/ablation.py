"""Which part of the method is worth what: train one clip of a capture in several ways and score each alike.

    python scripts/ablation.py CAPTURE --clip turn --out runs/ablation

Each way is a run folder of its own; `ablation.md` holds the table. Ways whose evaluation is there already are not
done again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from avatar.body import Body, load_body
from avatar.datasets.capture import CaptureClip, load_capture
from avatar.errors import AvatarError
from avatar.evaluation.alignment import EstimatedPerson, nearest_frame
from avatar.evaluation.evaluate import evaluate_run
from avatar.evaluation.oracle import oracle_track
from avatar.io.files import atomic_write, read_json, write_json
from avatar.io.observations_file import load_observations
from avatar.io.track_file import load_track, save_track
from avatar.observation.video import observe
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings, settings_for
from avatar.tracking.fit import track
from avatar.tracking.options import TrackOptions
from avatar.training.trainer import Trainer
from avatar.types import BodyTrack, ImageList, Observations


@dataclass(frozen=True)
class Way:
    """One way to train. `truth` says which inputs are true instead of estimated."""

    name: str
    deform: Literal["mlp", "none"]
    refine_poses: bool
    true_masks: bool = False
    true_joints: bool = False


WAYS = (
    Way("no MLP, estimated poses", "none", False),
    Way("no MLP, poses refined", "none", True),
    Way("MLP, estimated poses", "mlp", False),
    Way("MLP, poses refined", "mlp", True),
    Way("no MLP, poses refined, true masks", "none", True, true_masks=True),
    Way("MLP, poses refined, true masks", "mlp", True, true_masks=True),
    Way("oracle (true masks, cameras, joints), no MLP", "none", False, true_masks=True, true_joints=True),
    Way("oracle (true masks, cameras, joints), MLP", "mlp", False, true_masks=True, true_joints=True),
)
# Title, and name of the group in evaluation.json.
COLUMNS = (
    ("held-out", "left-out frames"),
    ("training pose, estimated", "novel views, seen poses, found pose"),
    ("training pose, retargeted", "novel views, seen poses, driven"),
    ("other clip, retargeted", "novel views of {other}, driven"),
    ("novel poses, retargeted", "novel poses, driven"),
)


def main(
    capture: tyro.conf.Positional[Path],
    clip: str = "turn",
    out: Path = Path("runs/ablation"),
    preset: str = "balanced",
    steps: int | None = None,
    long_side: int | None = None,
    only: tuple[int, ...] = (),
    found: Path | None = None,
) -> None:
    """Train and score every way.

    Args:
        capture: folder of a capture with ground truth (docs/formats/capture.md).
        clip: the clip to train on.
        out: folder for the runs and the table.
        preset: configuration that all ways share.
        steps: training steps, instead of the preset's.
        long_side: images are scaled to this, instead of the preset's.
        only: numbers of the ways, from 1; all if not given.
        found: a run folder whose observations and track are taken, so that they are not made again.
    """
    torch.set_num_threads(1)
    truth = load_capture(capture)
    body = load_body("open")
    changed = {name: value for name, value in (("steps", steps), ("long_side", long_side)) if value is not None}
    settings = settings_for(truth.clip(clip).video, preset, {"device": "cpu", "train": changed}).resolved()
    source = RunFolder(found or out / "found")
    observations, estimated_track = _estimated(source, truth.clip(clip), body)
    rows = []
    for number, way in enumerate(WAYS, start=1):
        if only and number not in only:
            continue
        run = RunFolder(out / f"way{number}")
        if not (run.folder / "evaluation.json").is_file():
            if not run.avatar.is_file():
                _train(run, way, settings, truth.clip(clip), observations, source.observations, estimated_track, body)
            evaluate_run(run.folder, capture, clip)
        rows.append(_row(way, read_json(run.folder / "evaluation.json"), clip, list(truth.clips)))
    text = "\n".join(
        [f"Trained on `{clip}`, {settings.train.steps} steps, seed {settings.train.seed}.", "", *_head(), *rows]
    )
    with atomic_write(out / "ablation.md") as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(text)


def _estimated(run: RunFolder, clip: CaptureClip, body: Body) -> tuple[Observations, BodyTrack]:
    """Observations and track that the program estimates from the video, made once."""
    if not (run.observations / "observations.npz").is_file():
        observe(clip.video, run.observations)
    observations = load_observations(run.observations)
    if not run.estimated_track.is_file():
        save_track(track(observations, body, TrackOptions())[0], run.estimated_track)
    return observations, load_track(run.estimated_track)


def _train(
    run: RunFolder,
    way: Way,
    settings: Settings,
    clip: CaptureClip,
    observations: Observations,
    observed: Path,
    estimated: BodyTrack,
    body: Body,
) -> None:
    frames = [nearest_frame(clip, float(time)) for time in observations.times]
    if None in frames:
        raise AvatarError(f"The observations have frames that {clip.video} does not have.")
    clip_frames = [frame for frame in frames if frame is not None]
    given = observations
    if way.true_masks:
        given = replace(given, masks=ImageList(len(clip_frames), lambda index: clip.masks[clip_frames[index]]))
    start = estimated
    if way.true_joints:
        start = oracle_track(EstimatedPerson(body, body.rest(estimated.betas), estimated), clip, clip_frames)
    config = replace(settings.train, deform=way.deform, refine_poses=way.refine_poses)
    result = Trainer(given, start, body, config).run()
    run.folder.mkdir(parents=True, exist_ok=True)
    if not run.observations.exists():
        # All ways share what was observed; the evaluation looks for it in the run folder.
        run.observations.symlink_to(observed.resolve())
    result.avatar.save(run.avatar)
    save_track(result.track, run.track)
    write_json(run.config, replace(settings, train=config).as_dict())


def _head() -> list[str]:
    names = [f"{title}" for title, _ in COLUMNS]
    return [f"| way | {' | '.join(names)} | PA-MPJPE |", "|---|" + "---|" * (len(COLUMNS) + 1)]


def _row(way: Way, evaluation: dict[str, Any], clip: str, clips: list[str]) -> str:
    """PSNR on white, full frame / person's box, and IoU of each group."""
    other = next((name for name in clips if name != clip), "")
    cells = []
    for _, group in COLUMNS:
        mean = evaluation["means"].get(group.format(other=other))
        cells.append(
            "-" if mean is None else f"{mean['psnr_white']:.1f} / {mean['psnr_box_white']:.1f}, {mean['iou']:.2f}"
        )
    return f"| {way.name} | {' | '.join(cells)} | {evaluation['joints']['pa_mpjpe_mm']:.0f} mm |"


if __name__ == "__main__":
    tyro.cli(main)
