"""`avatar render`: pictures of an avatar with alpha, for any cameras and poses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro


def render(
    run: Annotated[Path, tyro.conf.Positional],
    cameras: Path,
    poses: Path,
    out: Path,
    pair: bool = False,
    training_camera: Path | None = None,
    scale: float = 1.0,
    backend: Literal["auto", "gsplat", "cpu", "reference"] = "auto",
) -> None:
    """Write RGBA pictures of an avatar, so that anybody can measure it. The formats: docs/run-format.md.

    Args:
        run: run folder made by `avatar create`.
        cameras: camera file (json), a track (npz), or a capture's cameras.json or gt.npz.
        poses: a track (npz), or a capture's gt.npz, whose true joints drive the avatar by inverse kinematics.
        out: folder for the pictures: POSE_CAMERA.png, or POSE.png where there is one camera.
        pair: camera i shows pose i, instead of every pose from every camera.
        training_camera: the capture's camera file of the clip that the avatar was trained on, which places the
            capture's cameras and joints in the avatar's world.
        scale: true metres for one metre of the run, as `avatar evaluate` reports it.
        backend: the renderer.
    """
    from avatar.evaluation.render_views import read_shots, write_shots
    from avatar.pipeline.finished_run import open_run

    opened = open_run(run)
    count = write_shots(opened, read_shots(opened, cameras, poses, training_camera, scale), pair, out, backend)
    print(f"{count} pictures: {out}")
