"""Film a person with a phone and get a Gaussian-splat avatar.

Each verb is one function over nouns; heavy packages are imported when a verb is first used, so `import avatar` is fast:

    video --observe--> Observations --track--> BodyTrack --train--> Avatar --pose--> Gaussians --render--> RenderOutput
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# OpenMP reads this once, when torch loads it: idle threads of torch must sleep, not spin, beside the renderer's own.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from avatar.model.avatar import Avatar as Avatar
    from avatar.motion.motion import Motion as Motion
    from avatar.pipeline import camera_paths as camera_paths
    from avatar.pipeline.api import create as create
    from avatar.pipeline.api import export_html as export_html
    from avatar.pipeline.api import load as load
    from avatar.pipeline.api import load_motion as load_motion
    from avatar.pipeline.api import observe as observe
    from avatar.pipeline.api import retarget as retarget
    from avatar.pipeline.api import track as track
    from avatar.pipeline.api import train as train
    from avatar.pipeline.run_folder import RunFolder as RunFolder
    from avatar.rendering.renderer import render as render
    from avatar.training.result import TrainResult as TrainResult
    from avatar.types import BodyPose as BodyPose
    from avatar.types import BodyTrack as BodyTrack
    from avatar.types import Cameras as Cameras
    from avatar.types import Gaussians as Gaussians
    from avatar.types import Observations as Observations
    from avatar.types import RenderOutput as RenderOutput
    from avatar.viewer.api import view as view

    __version__: str

# Public name -> module that holds it, imported on first use (PEP 562). The block above says the same to type checkers
# and editors; a test compares the two.
_MODULES = {
    "create": "avatar.pipeline.api",
    "load": "avatar.pipeline.api",
    "observe": "avatar.pipeline.api",
    "track": "avatar.pipeline.api",
    "train": "avatar.pipeline.api",
    "load_motion": "avatar.pipeline.api",
    "retarget": "avatar.pipeline.api",
    "render": "avatar.rendering.renderer",
    "camera_paths": "avatar.pipeline",
    "export_html": "avatar.pipeline.api",
    "view": "avatar.viewer.api",
    "Avatar": "avatar.model.avatar",
    "BodyPose": "avatar.types",
    "BodyTrack": "avatar.types",
    "Cameras": "avatar.types",
    "Gaussians": "avatar.types",
    "Motion": "avatar.motion.motion",
    "Observations": "avatar.types",
    "RenderOutput": "avatar.types",
    "RunFolder": "avatar.pipeline.run_folder",
    "TrainResult": "avatar.training.result",
}
__all__ = [*_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version

        try:
            value: Any = version("splat-avatar")
        except PackageNotFoundError:  # a checkout that is not installed
            value = "unknown"
    elif name == "camera_paths":
        value = importlib.import_module("avatar.pipeline.camera_paths")
    elif name in _MODULES:
        value = getattr(importlib.import_module(_MODULES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
