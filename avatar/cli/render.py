"""`avatar render`: images of an avatar with alpha, for any cameras and poses."""

from __future__ import annotations

from pathlib import Path

from avatar.cli.options import Backend, Device, Run, Switch
from avatar.errors import UsageError


def render_images(
    run: Run,
    cameras: Path,
    poses: Path,
    out: Path,
    pair: Switch = False,
    training_camera: Path | None = None,
    scale: float = 1.0,
    light: str = "filmed",
    device: Device = "auto",
    backend: Backend = "auto",
) -> None:
    """Write RGBA images of an avatar, so that anybody can measure it. The formats: docs/formats/run-folder.md.

    Args:
        run: run folder made by `avatar create`.
        cameras: camera file (json), a track (npz), or a capture's cameras.json or gt.npz.
        poses: a track (npz), or a capture's gt.npz, whose true joints drive the avatar by inverse kinematics.
        out: folder for the images: POSE_CAMERA.png, or POSE.png if there is one camera.
        pair: camera i shows pose i, instead of every pose from every camera.
        training_camera: the capture's camera file of the clip that the avatar was trained on; it places the capture's
            cameras and joints in the avatar's world.
        scale: true metres per metre of the run, as `avatar evaluate` reports it.
        light: the light that the avatar stands in: filmed, even, above, window, window:left (right, front, behind, or
            degrees to the right), window:left:WARMTH (-1 to 1), or an equirectangular image (.hdr, .exr, .png, .jpg),
            with :DEGREES to turn it.
        device: where to render; auto takes CUDA where it works.
        backend: renderer; auto takes gsplat on CUDA and cpu elsewhere.
    """
    if not scale > 0:
        raise UsageError(f"--scale must be above 0, not {scale:g}.")
    from avatar.evaluation.render_views import read_shots, write_shots
    from avatar.pipeline.finished_run import open_run
    from avatar.pipeline.lights import read_light
    from avatar.rendering.devices import resolve_device

    chosen = read_light(light)
    opened = open_run(run, device=resolve_device(device, backend))
    opened.avatar.relight(chosen.coefficients)
    count = write_shots(opened, read_shots(opened, cameras, poses, training_camera, scale), pair, out, backend)
    print(f"{count} images: {out}")
