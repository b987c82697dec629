"""How the camera of a video moved, and the files that tell it: our own, and those of other programs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import AvatarError
from avatar.geometry import rigid, rotation_from_quat
from avatar.io.camera_estimators import SUFFIXES, read_estimated_cameras
from avatar.io.camera_file import load_cameras, save_cameras
from avatar.io.files import read_json, read_text, write_json
from avatar.io.lens_distortion import Distortion, distortion_from, read_distortion, unsupported_lens
from avatar.types import Cameras

CameraRegime = Literal["still", "turning", "moving"]

# From OpenGL's camera axes (y up, z backwards), in which nerfstudio and ARKit write, to ours.
GL_AXES = (1.0, -1.0, -1.0)
Y_UP = (0.0, 1.0, 0.0)  # in our camera files, and by gravity in ARKit's
STILL_M = 1e-4
USUAL_FOCAL_SPREAD = 0.1  # relative standard deviation of the focal length that phones usually have


@dataclass(frozen=True)
class CameraMotion:
    """How the camera of a video moved, as the background or a file tells.

    Attributes:
        regime: "still", "turning" (it rotates and keeps its place) or "moving".
        cameras: of each frame, in a world of their own: its axes and, of a moving camera, its scale mean nothing.
        focal_given: whether the focal length in `cameras` was measured; otherwise it is an assumption.
        focal_spread: its standard deviation, relative to it, where it is an assumption.
        focal_source: what an assumption that is not the usual one rests on, in words.
        distortion: of the lens (see `avatar.io.lens_distortion`), which `cameras` do not have; None: no visible one.
        residual: how far the background typically lies from where these cameras put it, pixels; None: not measured.
        metric: whether the scale is in metres.
        vertical: the unit vector in the cameras' world that points up, where gravity was measured; None: unknown.
        exposure: factor of each frame's automatic exposure on linear light, by colour channel; None: constant.
        notes: what the user should know, one sentence each.
    """

    regime: CameraRegime
    cameras: Cameras
    focal_given: bool = False
    residual: float | None = None
    metric: bool = False
    notes: tuple[str, ...] = ()
    exposure: Float[Tensor, "frames 3"] | None = None
    focal_spread: float = USUAL_FOCAL_SPREAD
    focal_source: str = ""
    distortion: Distortion | None = None
    vertical: tuple[float, float, float] | None = None

    def sentence(self) -> str:
        """The motion in words, for the log and the report."""
        words = {"still": "stands still", "turning": "turns and keeps its place", "moving": "moves"}[self.regime]
        measured = "" if self.residual is None else f" (the background fits to {self.residual:.2f} px)"
        exposure = ""
        if self.exposure is not None:
            exposure = (
                f"; its exposure changed by up to {float(self.exposure.log().abs().max()):.0%} and was evened out"
            )
        focal = "" if self.focal_given or not self.focal_source else f"; {self.focal_source}"
        lens = "" if self.distortion is None else "; the distortion of its lens was taken out of the images"
        return f"the camera {words}{measured}{exposure}{focal}{lens}"


def save_camera_motion(path: Path, motion: CameraMotion) -> None:
    """Write a camera file with the entries of the motion beside it."""
    save_cameras(path, motion.cameras)
    more: dict[str, Any] = {"regime": motion.regime, "focal_given": motion.focal_given, "residual": motion.residual}
    if motion.exposure is not None:
        more["exposure"] = motion.exposure.tolist()
    if motion.focal_source:
        more |= {"focal_source": motion.focal_source, "focal_spread": motion.focal_spread}
    if motion.distortion is not None:
        more["distortion"] = list(motion.distortion)
    if motion.vertical is not None:
        more["vertical"] = list(motion.vertical)
    write_json(path, read_json(path) | more | {"metric": motion.metric, "notes": list(motion.notes)})


def load_camera_motion(path: Path) -> CameraMotion:
    """Read what `save_camera_motion` wrote, or a camera per frame from another program.

    Read are our camera file, `transforms.json` of nerfstudio, `metadata.json` of Record3D (ARKit), the folder or
    `images.txt` of a COLMAP model in text form, and the files of `avatar.io.camera_estimators`. Frames come in the
    order of their names. Cameras without intrinsics have images of 1x1 pixels.

    Raises:
        UsageError: there is no such file.
        AvatarError: it is none of these, or broken.
    """
    try:
        if path.is_dir() or path.name == "images.txt":
            return _colmap(path if path.is_dir() else path.parent)
        if path.suffix.lower() in SUFFIXES:
            cameras, metric = read_estimated_cameras(path)
            return _motion(cameras, metric)
        content: Any = read_json(path)
        if "T_camera_world" in content:
            return _own(path, content)
        if "frames" in content:
            return _nerfstudio(path, content)
        if "poses" in content:
            return metric_motion(record3d_cameras(content))
    except (KeyError, TypeError, ValueError, IndexError, RuntimeError, EOFError, StopIteration) as error:
        raise AvatarError(f"{path} is broken: {type(error).__name__}, {error}.") from error
    raise AvatarError(
        f"{path} holds no cameras: give a camera file, nerfstudio's transforms.json, Record3D's metadata.json, a "
        "COLMAP model as text, or the cameras of TRAM, WHAM or GVHMR."
    )


def _own(path: Path, content: dict[str, Any]) -> CameraMotion:
    cameras = load_cameras(path)
    if "regime" not in content:
        return metric_motion(cameras)
    regime = content["regime"]
    if regime not in ("still", "turning", "moving"):
        raise ValueError(f"regime {regime!r}")
    residual = None if content.get("residual") is None else float(content["residual"])
    notes = tuple(str(note) for note in content.get("notes", ()))
    given, metric = bool(content.get("focal_given")), bool(content.get("metric"))
    exposure = None if content.get("exposure") is None else torch.tensor(content["exposure"], dtype=torch.float32)
    if exposure is not None and (exposure.shape != (len(cameras), 3) or not (exposure > 0).all()):
        raise ValueError(f"exposure of shape {tuple(exposure.shape)}")
    source, spread = str(content.get("focal_source", "")), float(content.get("focal_spread", USUAL_FOCAL_SPREAD))
    lens = distortion_from(*content.get("distortion", ()))
    vertical = _unit(*content["vertical"]) if content.get("vertical") else None
    return CameraMotion(regime, cameras, given, residual, metric, notes, exposure, spread, source, lens, vertical)


def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = math.sqrt(x * x + y * y + z * z)
    if not 0 < length < math.inf:
        raise ValueError(f"the direction {x, y, z}")
    return x / length, y / length, z / length


def _nerfstudio(path: Path, content: dict[str, Any]) -> CameraMotion:
    frames = sorted(content["frames"], key=lambda frame: str(frame["file_path"]))
    T_world_camera = torch.tensor([frame["transform_matrix"] for frame in frames], dtype=torch.float32)
    settings = [content | frame for frame in frames]
    K = torch.stack([_intrinsics(one["fl_x"], one.get("fl_y"), one["cx"], one["cy"]) for one in settings])
    T = _from_gl(T_world_camera[:, :3, :3], T_world_camera[:, :3, 3])
    if settings[0].get("k4"):  # nerfstudio's is another than OpenCV's
        raise unsupported_lens(path, "OPENCV with k4")
    lens = read_distortion(path, settings[0])
    return replace(_motion(Cameras(K, T, int(settings[0]["w"]), int(settings[0]["h"]))), distortion=lens)


def record3d_cameras(content: dict[str, Any]) -> Cameras:
    """The cameras of Record3D's metadata, in metres, in ARKit's world, whose y axis points up.

    Raises:
        KeyError, TypeError, ValueError, RuntimeError: it is broken.
    """
    poses = torch.tensor(content["poses"], dtype=torch.float32)  # qx qy qz qw x y z
    K = torch.tensor(content["K"], dtype=torch.float32).view(3, 3).T  # column by column
    T = _from_gl(rotation_from_quat(poses[:, [3, 0, 1, 2]]), poses[:, 4:])
    return Cameras(K.repeat(len(T), 1, 1), T, int(content["w"]), int(content["h"]))


def _colmap(folder: Path) -> CameraMotion:
    cameras, lens = {}, None
    for line in _lines(folder / "cameras.txt"):
        number, model, width, height, *parameters = line.split()
        values = [float(value) for value in parameters]
        plain = model in ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL")
        lens = lens or distortion_from(*values[3 if plain else 4 :])
        if plain:
            values = [values[0], *values]
        elif model not in ("PINHOLE", "OPENCV"):
            raise ValueError(f"the camera model {model}")
        cameras[number] = int(width), int(height), _intrinsics(*values[:4])
    # Every second line lists the points of the image before it, and may be empty.
    lines = [line for line in read_text(folder / "images.txt").splitlines() if not line.startswith("#")]
    images = sorted((line.split() for line in lines[::2] if line.strip()), key=lambda fields: fields[9])
    poses = torch.tensor([[float(value) for value in fields[1:8]] for fields in images])
    widths, heights, K = zip(*(cameras[fields[8]] for fields in images), strict=True)
    T = rigid(rotation_from_quat(poses[:, :4]), poses[:, 4:])
    return replace(_motion(Cameras(torch.stack(K), T, widths[0], heights[0])), distortion=lens)


def _lines(path: Path) -> list[str]:
    return [line for line in read_text(path).splitlines() if line.strip() and not line.startswith("#")]


def _intrinsics(fx: float, fy: float | None, cx: float, cy: float) -> Float[Tensor, "3 3"]:
    return torch.tensor([[fx, 0, cx], [0, fy or fx, cy], [0, 0, 1]], dtype=torch.float32)


def _from_gl(R: Float[Tensor, "n 3 3"], centres: Float[Tensor, "n 3"]) -> Float[Tensor, "n 4 4"]:
    """World-to-camera transforms from cameras placed in the world, with OpenGL's axes."""
    R_camera_world = (R * R.new_tensor(GL_AXES)).mT
    return rigid(R_camera_world, -(R_camera_world @ centres[..., None]).squeeze(-1))


def metric_motion(cameras: Cameras) -> CameraMotion:
    """The motion of cameras in metres, in a world whose y axis points up."""
    return replace(_motion(cameras, metric=True), vertical=Y_UP)


def _motion(cameras: Cameras, metric: bool = False) -> CameraMotion:
    """A motion whose regime follows from the cameras."""
    if not len(cameras):
        raise ValueError("no frames")
    T = cameras.T_camera_world
    centres = -(T[:, :3, :3].mT @ T[:, :3, 3:]).squeeze(-1)
    has_lens = cameras.width > 1  # whether there are intrinsics
    if (centres - centres[0]).norm(dim=-1).max() > STILL_M:
        return CameraMotion("moving", cameras, has_lens, metric=metric)
    turned = (T[:, :3, :3] - T[0, :3, :3]).abs().max() > STILL_M
    return CameraMotion("turning" if turned else "still", cameras, has_lens)
