"""Structure from motion by COLMAP, in a process of its own: `python -m avatar.observation.structure_from_motion DIR`.

pycolmap brings its own zlib and libpng, which crash in one process with those of OpenCV and Pillow. So this module
imports neither and works on files: DIR/images, DIR/masks and DIR/task.json in, DIR/result.json out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

NEIGHBOURS = 8  # each frame is matched with this many after it
ENDS = 12  # frames at the start that are matched with as many at the end: people walk once round
POINTS = 2000  # per frame
LEAST_SHARE = 0.8  # of the frames that must be reconstructed
# Octaves at which points are searched: first the image as it is, then, where that was not enough, at twice its size,
# which takes three times as long.
FIRST_OCTAVES = (0, -1)
# Angles in degrees at which points are triangulated: first as usual, then for a camera that sways in one place.
TRIANGULATION = ((16.0, 1.5, 6.0), (2.0, 0.4, 1.0))


def main(folder: Path) -> None:
    """Reconstruct the cameras of a folder of images; see the module."""
    task = json.loads((folder / "task.json").read_text(encoding="utf-8"))
    (folder / "result.json").write_text(json.dumps(reconstruct(folder, task)), encoding="utf-8")


def reconstruct(folder: Path, task: dict[str, Any]) -> dict[str, Any]:
    """The largest reconstruction of the images.

    Args:
        task: `names` of the images in order of time, `focal` in pixels, whether it was `given`, and `threads`.

    Returns:
        `focal`, `principal_point`, `distortion` (one radial coefficient), `residual` (mean reprojection error, pixels)
        and `frames`: name -> R, t (world to camera). Empty without a reconstruction.
    """
    import pycolmap

    pycolmap.logging.minloglevel = pycolmap.logging.Level.ERROR.value
    pycolmap.set_random_seed(0)
    best = None
    for octave in FIRST_OCTAVES:
        database = folder / f"database{octave}.db"
        _match_features(database, folder, task, octave)
        for angles in TRIANGULATION:
            options = _mapping_options(task, angles)
            models = pycolmap.incremental_mapping(database, folder / "images", folder, options=options)
            found = [model for model in (best, *models.values()) if model is not None]
            best = max(found, key=lambda model: model.num_reg_images(), default=None)
            if best is not None and best.num_reg_images() >= LEAST_SHARE * len(task["names"]):
                return _result(best)
    return {} if best is None else _result(best)


def _match_features(database: Path, folder: Path, task: dict[str, Any], octave: int) -> None:
    """Find points in the images, and match those of `image_pairs`."""
    import pycolmap

    reader = pycolmap.ImageReaderOptions(camera_model="SIMPLE_RADIAL", mask_path=folder / "masks")
    width, height = task["size"]
    reader.camera_params = f"{task['focal']},{width / 2},{height / 2},0"
    extraction = pycolmap.FeatureExtractionOptions(num_threads=task["threads"])
    extraction.sift.max_num_features, extraction.sift.first_octave = POINTS, octave
    single = pycolmap.CameraMode.SINGLE
    pycolmap.extract_features(
        database, folder / "images", camera_mode=single, reader_options=reader, extraction_options=extraction
    )
    names, pairs = task["names"], folder / "pairs.txt"
    pairs.write_text("\n".join(f"{names[i]} {names[j]}" for i, j in image_pairs(len(names))), encoding="utf-8")
    pycolmap.match_image_pairs(
        database,
        pairing_options=pycolmap.ImportedPairingOptions(match_list_path=pairs),
        matching_options=pycolmap.FeatureMatchingOptions(num_threads=task["threads"]),
    )


def _mapping_options(task: dict[str, Any], angles: tuple[float, float, float]) -> Any:
    """Of the incremental mapper, for a line of `TRIANGULATION`."""
    import pycolmap

    options = pycolmap.IncrementalPipelineOptions(num_threads=task["threads"], random_seed=0)
    options.multiple_models = options.extract_colors = False
    options.ba_refine_focal_length = not task["given"]
    options.ba_global_frames_ratio = options.ba_global_points_ratio = 1.3
    initial, least, local = angles
    options.mapper.init_min_tri_angle = initial
    options.mapper.filter_min_tri_angle = options.triangulation.min_angle = least
    options.mapper.ba_local_min_tri_angle = local
    return options


def image_pairs(count: int) -> list[tuple[int, int]]:
    """Pairs of images to match: neighbours in time, and the start of the clip with its end."""
    near = [(i, j) for i in range(count) for j in range(i + 1, min(count, i + NEIGHBOURS + 1))]
    first, last = range(0, min(ENDS, count), 2), range(max(count - ENDS, 0), count, 2)
    return near + [(i, j) for i in first for j in last if j > i + NEIGHBOURS]


def _result(model: Any) -> dict[str, Any]:
    camera = next(iter(model.cameras.values()))
    focal, x, y, distortion = camera.params
    frames = {}
    for image in model.images.values():
        T = image.cam_from_world()
        frames[image.name] = {"R": T.rotation.matrix().tolist(), "t": T.translation.tolist()}
    return {
        "focal": focal,
        "principal_point": [x, y],
        "distortion": distortion,
        "residual": model.compute_mean_reprojection_error(),
        "frames": frames,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
