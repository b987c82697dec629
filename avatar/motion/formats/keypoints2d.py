"""2D key points of other programs: OpenPose, DWPose, MMPose, AlphaPose, COCO, MediaPipe, arrays -> `KeypointClip`.

They are no motion yet: `avatar.pipeline.motions` fits a body to them as to the landmarks of a video.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from avatar.errors import AvatarError, UsageError
from avatar.landmark_layouts import LAYOUTS
from avatar.motion.formats.container import Content
from avatar.motion.formats.keypoints2d_arrays import read_arrays
from avatar.motion.formats.keypoints2d_json import read_json_people
from avatar.motion.formats.keypoints2d_people import NEEDED, FramePeople, ImportedPeople, landmark_name
from avatar.motion.formats.smpl import frame_rate
from avatar.motion.motion import Motion, ReadOptions
from avatar.types import KeypointClip

# Number of points -> layout, where neither the user nor the file names it.
BY_COUNT = {
    17: "coco17", 18: "coco18", 21: "coco17_feet", 25: "body25", 26: "halpe26", 33: "blazepose33",
    133: "wholebody133", 134: "dwpose134", 135: "body135", 136: "halpe136",
}  # fmt: skip
# Image sizes that videos and generated images have, landscape or square, for files without a size.
USUAL_SIZES = (
    (320, 240), (480, 360), (512, 512), (640, 360), (640, 480), (768, 512), (768, 768), (854, 480), (960, 540),
    (1024, 576), (1024, 768), (1024, 1024), (1280, 720), (1280, 960), (1920, 1080), (2560, 1440), (3840, 2160),
)  # fmt: skip
MOST_AREA = 2.5  # of an assumed image, relative to the smallest usual one that holds all points
LARGEST_SHARE = 2.0  # coordinates up to this are shares of the image and not pixels
LARGEST_IMAGE = 30_000  # px
SURE = 0.3  # confidence of the points that tell the size of the image


class Keypoints2dFormat:
    """Recognises 2D key points, which `read_keypoints` reads."""

    name = "keypoints2d"
    description = (
        "2D key points: OpenPose, DWPose, MMPose, AlphaPose, COCO and MediaPipe JSON, a folder of them, or arrays "
        "(frames, points, 2)"
    )

    def recognizes(self, content: Content) -> bool:
        try:
            return _read_people(content) is not None
        except AvatarError:
            return True  # what `read_keypoints` will say of it is the true reason
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
            return False

    def read(self, content: Content, options: ReadOptions) -> Motion:
        raise UsageError(
            f"{content.path} holds 2D key points, which a body must be fitted to first: "
            f"`avatar track --keypoints {content.path}` makes a track of them."
        )


def read_keypoints(content: Content, options: ReadOptions, times: Sequence[float] | None = None) -> KeypointClip:
    """The key points of everyone in a file or folder.

    Args:
        content: the opened file or folder.
        options: `layout`, `fps` and `size` where the file does not state them.
        times: of each frame in seconds, where a video beside the file gives them.

    Raises:
        UsageError: the layout or the image size must be stated, or the layout lacks limbs.
        AvatarError: the file is broken or holds nobody.
    """
    imported = _read_people(content)
    if imported is None:
        raise AvatarError(f"{content.path} holds no 2D key points of a known form.")
    names = _names(content, imported, options)
    width, height, people, notes = _in_pixels(content, imported, options)
    if times is None:
        rate = frame_rate(content, options)
        frames = np.array([frame.number for frame in people], dtype=np.float64)
        seconds = [frame.seconds for frame in people]
        stamps = (frames - frames[0]) / rate if None in seconds else np.array(seconds, dtype=np.float64)
    else:
        stamps = _times_of_video(content, people, times)
    if (np.diff(stamps) <= 0).any():
        raise AvatarError(f"{content.path}: the times of its frames do not increase.")
    labelled = all(None not in frame.labels for frame in people)
    return KeypointClip(
        people=tuple(tuple(frame.people) for frame in people),
        labels=tuple(tuple(map(str, frame.labels)) for frame in people) if labelled else None,
        names=names,
        times=stamps,
        width=width,
        height=height,
        source=str(content.path),
        notes=notes,
    )


def _read_people(content: Content) -> ImportedPeople | None:
    """Everyone in each frame, or None where the content is something else."""
    people = read_json_people(content) if content.kind in ("json", "folder") else None
    return people if people is not None or content.kind == "folder" else read_arrays(content)


def _names(content: Content, imported: ImportedPeople, options: ReadOptions) -> tuple[str, ...]:
    """The landmark that each point is: as the user, the file, or the number of points states."""
    count = next(person.shape[0] for frame in imported.frames for person in frame.people)
    names: tuple[str, ...]
    if options.layout is not None:
        if options.layout not in LAYOUTS or len(LAYOUTS[options.layout]) > count:
            raise UsageError(
                f"{content.path} has {count} points per person, which does not fit the layout {options.layout!r}: "
                f"--layout takes {', '.join(f'{name} ({len(layout)})' for name, layout in LAYOUTS.items())}."
            )
        names = LAYOUTS[options.layout].names + ("",) * (count - len(LAYOUTS[options.layout]))
    elif imported.point_names is not None and len(imported.point_names) == count:
        names = tuple(map(landmark_name, imported.point_names))
    elif count in BY_COUNT:
        layout = "h36m17" if count == 17 and imported.plain and _is_human36m(imported) else BY_COUNT[count]
        names = LAYOUTS[layout].names
    else:
        raise UsageError(
            f"{content.path} has {count} points per person, and no layout has this number: state it with --layout, "
            f"one of {', '.join(LAYOUTS)}."
        )
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise UsageError(f"{content.path} has no {', '.join(missing)}, which are needed to drive a body.")
    return names


def _is_human36m(imported: ImportedPeople) -> bool:
    """Whether 17 points are in Human3.6M's order: its fourth, an ankle, is far from its first, the pelvis; in COCO's
    order they are an ear and the nose."""
    points = np.stack([person for frame in imported.frames for person in frame.people])[..., :2]
    apart = np.linalg.norm(points[:, 3] - points[:, 0], axis=-1)
    tall = np.nanmax(points[..., 1], axis=1) - np.nanmin(points[..., 1], axis=1)
    return bool(np.nanmedian(apart / tall) > 0.25)


def _in_pixels(
    content: Content, imported: ImportedPeople, options: ReadOptions
) -> tuple[int, int, list[FramePeople], tuple[str, ...]]:
    """Width and height of the image, the people in pixels, and notes."""
    all_points = np.concatenate([person for frame in imported.frames for person in frame.people])
    sure = all_points[all_points[:, 2] >= min(SURE, float(np.nanmax(all_points[:, 2])))]
    size = options.size or imported.size
    low, high = sure[:, :2].min(0), sure[:, :2].max(0)
    if float(np.abs(sure[:, :2]).max()) <= LARGEST_SHARE:
        if size is None:
            raise UsageError(
                f"{content.path}: the coordinates are shares of the image, and the file does not hold its size: "
                "state it with --source-size WIDTHxHEIGHT."
            )
        centred = bool((low < -0.2).any())  # OpenPose can write them from -1 to 1
        scale, shift = (np.array(size) / 2, 1.0) if centred else (np.array(size, dtype=np.float64), 0.0)
        return *size, [frame.moved(scale, shift) for frame in imported.frames], ()
    if size is not None:
        if (high > 1.5 * np.array(size)).any():
            raise UsageError(
                f"{content.path}: points lie up to ({high[0]:.0f}, {high[1]:.0f}), outside images of "
                f"{size[0]}x{size[1]}: correct --source-size."
            )
        return *size, list(imported.frames), ()
    if float(high.max()) > LARGEST_IMAGE:
        raise AvatarError(f"{content.path}: points lie up to ({high[0]:.3g}, {high[1]:.3g}): these are no pixels.")
    width, height = _usual_size(sure[:, :2])
    note = (
        f"{content.path} does not hold the size of its images: assumed {width}x{height}; state it with --source-size."
    )
    return width, height, list(imported.frames), (note,)


def _usual_size(places: Float[np.ndarray, "points 2"]) -> tuple[int, int]:
    """Of the usual images that hold all points and are not much too large the one with the person nearest its centre;
    without one, an image just large enough."""
    low, high = places.min(0), places.max(0)
    sizes = [size for size in (*USUAL_SIZES, *((h, w) for w, h in USUAL_SIZES)) if (high <= size).all()]
    if not sizes:
        return int(high[0]) + 1, int(high[1]) + 1
    least = min(width * height for width, height in sizes)
    near = [size for size in sizes if size[0] * size[1] <= MOST_AREA * least]
    return min(near, key=lambda size: float(np.linalg.norm((low + high) / 2 - np.array(size) / 2)))


def _times_of_video(content: Content, people: Sequence[FramePeople], times: Sequence[float]) -> np.ndarray:
    numbers = [frame.number for frame in people]
    first = 0 if numbers[0] == 0 or numbers[-1] < len(times) else 1
    if numbers[-1] - first >= len(times):
        raise UsageError(f"{content.path} has {len(people)} frames, but the video has {len(times)}.")
    return np.array([times[number - first] for number in numbers])
