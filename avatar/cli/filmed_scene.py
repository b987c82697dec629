"""`avatar scene`: the room in which the person was filmed."""

from __future__ import annotations

from pathlib import Path

from avatar.cli.options import Backend, Run


def make_scene(run: Run, out: Path | None = None, steps: int = 600, backend: Backend = "auto") -> None:
    """Make splats of the room in which the person was filmed, and write them to scene.ply in the run folder.

    `--scene RUN/scene.ply` of view, animate and export then shows the person there. A camera that moved shows how far
    everything is; of one that stayed in its place, the floor and a wall behind the person are made.

    Args:
        run: run folder made by `avatar create`.
        out: file to write instead.
        steps: steps of training, each on one frame.
        backend: renderer; auto takes gsplat on CUDA and cpu elsewhere.
    """
    from avatar.pipeline.filmed_scene import scene_of_run

    file, note = scene_of_run(run, out, steps, backend)
    print(f"scene: {note}: {file}")
