"""Put the pose model `assets/models/pose_landmarker_heavy.task` together again from two public packages.

    pip download --no-deps mediapipe==0.10.21
    npm pack @mediapipe/pose@0.5.1675469404
    python scripts/build_pose_models.py pose mediapipe-0.10.21-*.whl mediapipe-pose-0.5.1675469404.tgz --out heavy.task
    python scripts/build_pose_models.py hands mediapipe-0.10.21-*.whl --out hand_landmarker.task

The wheel brings the person detector, the npm package the heavy landmark network, both Apache-2.0; the second command
needs the wheel alone and makes the bundle that refines hands (docs/manual/detectors.md). The task API wants
to know how images are normalised, so that note is added to each by the wheel's own metadata writer, which later
releases no longer carry; the weights stay as published. The wheel must be one for the Python that runs this.
"""

from __future__ import annotations

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


def pose(wheel: tyro.conf.Positional[Path], package: tyro.conf.Positional[Path], out: Path) -> None:
    """Write the bundle that finds people.

    Args:
        wheel: the wheel of mediapipe 0.10.21.
        package: the archive of @mediapipe/pose 0.5.1675469404.
        out: the bundle to write.
    """
    with zipfile.ZipFile(wheel) as archive:
        detector = archive.read(DETECTOR)
    with tarfile.open(package) as archive:
        member = archive.extractfile(LANDMARKS)
        assert member is not None
        landmarks = member.read()
    with tempfile.TemporaryDirectory() as folder:
        MetadataWriter = metadata_writer(wheel, Path(folder))
        # The detector takes pixels in [-1, 1], the landmark network in [0, 1].
        parts = {
            "pose_detector.tflite": with_normalisation(MetadataWriter, detector, mean=127.5, std=127.5),
            "pose_landmarks_detector.tflite": with_normalisation(MetadataWriter, landmarks, mean=0.0, std=255.0),
        }
    write_bundle(parts, out)


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
    tyro.extras.subcommand_cli_from_dict({"pose": pose, "hands": hands})
