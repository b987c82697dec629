"""RTMPose, RTMW and DWPose from a user's ONNX file: more accurate 2D landmarks, top-down and without depth.

These networks take a crop of one person and return two rows of scores per landmark, one along x and one along y, whose
peaks give its position (SimCC, Li et al. 2022; RTMPose, Jiang et al. 2023). Persons, masks and the 3D guess come from
another detector.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from avatar.errors import AvatarError, UsageError, short_message
from avatar.landmark_layouts import LAYOUTS
from avatar.observation.detectors.flip_test import person_size
from avatar.types import Detection, LandmarkDetector

# How these networks are trained: RGB images, normalised by ImageNet's statistics, boxes wider than the person.
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
PADDING = 1.25
MARGIN = 0.15  # beyond the landmarks, as a share of the person's size, where the mask may still be this person's
SAME_POINT = 0.1  # distance of the two detectors' landmarks from which the 3D guess is of something else
PEAK = 2  # bins on each side of a peak for interpolation

# Number of the model's key points -> a layout, and which of them are its landmarks: those fixed to a bone of the
# body. 17: COCO; 26: Halpe's body with feet; 133: COCO-WholeBody, feet from 17, face from 23, hands from 91 and 112.
KEY_POINTS = {
    17: ("coco17", tuple(range(17))),
    26: ("coco17_feet", (*range(17), 24, 25, 20, 21)),
    133: ("blazepose33", (
        0, 65, 1, 68, 62, 2, 59, 3, 4, 77, 71, 5, 6, 7, 8, 9, 10, 108, 129, 96, 117, 93, 114, 11, 12, 13, 14, 15, 16,
        19, 22, 17, 20,
    )),
}  # fmt: skip


class SimCCDetector:
    """Refines each person that `people` finds by a SimCC network. `layout` follows from its number of key points."""

    def __init__(self, model: Path, people: LandmarkDetector) -> None:
        """Load the network.

        Raises:
            UsageError: there is no such file, or onnxruntime is not installed.
            AvatarError: the file is no ONNX model, or one with other inputs or outputs.
        """
        self._model, self._people = model, people
        self._session = _session(model)
        available = {output.name for output in self._session.get_outputs()}
        self._output_names = ["simcc_x", "simcc_y"] if {"simcc_x", "simcc_y"} <= available else None
        self._input, self._size = _image_input(self._session, model)
        width, height = self._size
        bins = [tuple(output.shape) for output in self._outputs(np.zeros((height, width, 3), np.float32))]
        self.layout, self._chosen = self._layout(bins)
        names = LAYOUTS[people.layout].names
        self._same = [names.index(name) for name in LAYOUTS[self.layout].names]

    def detect(self, image: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        """Everyone that the other detector finds, with this network's landmarks."""
        return [self._refined(image, person) for person in self._people.detect(image)]

    def _refined(self, image: UInt8[np.ndarray, "h w 3"], person: Detection) -> Detection:
        A_crop_image = crop_transform(person_box(person), self._size)
        x, y = self._outputs(normalized_crop(image, A_crop_image, self._size))
        keypoints = decode_simcc(x[0], y[0], self._size)[list(self._chosen)]
        if not np.isfinite(keypoints).all():
            raise AvatarError(f"{self._model} answers with numbers that are not finite.")
        keypoints[:, :2] = (keypoints[:, :2] - A_crop_image[:, 2]) / A_crop_image[0, 0]
        apart = np.linalg.norm((keypoints - person.keypoints[self._same])[:, :2], axis=1)
        same = apart < SAME_POINT * person_size(person.keypoints)
        guess = np.where(same[:, None], person.keypoints_3d[self._same], np.float32(np.nan))
        return Detection(keypoints, guess, person.mask)

    def _outputs(self, crop: Float32[np.ndarray, "h w 3"]) -> list[np.ndarray]:
        try:
            outputs: list[np.ndarray] = self._session.run(
                self._output_names, {self._input: crop.transpose(2, 0, 1)[None]}
            )
            return outputs
        except Exception as error:  # onnxruntime raises a dozen types of its own
            raise AvatarError(f"{self._model} does not run on an image: {short_message(error)}.") from error

    def _layout(self, bins: list[tuple[int, ...]]) -> tuple[str, tuple[int, ...]]:
        width, height = self._size
        if len(bins) != 2 or any(len(shape) != 3 or shape[:2] != (1, bins[0][1]) for shape in bins):
            raise AvatarError(
                f"{self._model} is not a SimCC pose model: its outputs have the shapes {bins} instead of a row along x "
                "and one along y for each key point."
            )
        if bins[0][2] * height != bins[1][2] * width:
            raise AvatarError(
                f"{self._model} has {bins[0][2]} and {bins[1][2]} places along x and y, which do not fit its images "
                f"of {width} x {height} pixels."
            )
        if bins[0][1] not in KEY_POINTS:
            raise AvatarError(
                f"{self._model} finds {bins[0][1]} key points; known are models of 17 (COCO), 26 (Halpe, body with "
                "feet) and 133 (COCO-WholeBody)."
            )
        return KEY_POINTS[bins[0][1]]


def person_box(person: Detection) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a person: of the landmarks and the part of the mask near them."""
    margin = MARGIN * float(person_size(person.keypoints))
    low, high = person.keypoints[:, :2].min(0), person.keypoints[:, :2].max(0)
    height, width = person.mask.shape
    left, top = (max(0, int(value - margin)) for value in low)
    near = person.mask[top : max(0, int(high[1] + margin)), left : max(0, int(high[0] + margin))] > 127
    if near.any():
        rows, columns = np.flatnonzero(near.any(1)), np.flatnonzero(near.any(0))
        low = np.minimum(low, (left + columns[0], top + rows[0]))
        high = np.maximum(high, (left + columns[-1] + 1, top + rows[-1] + 1))
    low, high = np.clip(low, 0, (width - 1, height - 1)), np.clip(high, 1, (width, height))
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def crop_transform(box: tuple[float, float, float, float], size: tuple[int, int]) -> Float32[np.ndarray, "2 3"]:
    """The map from pixels of the image to those of a crop of `size` (width, height) that holds the padded box.

    Pixel centres are at +0.5 in both.
    """
    left, top, right, bottom = box
    scale = min(size[0] / max(right - left, 1.0), size[1] / max(bottom - top, 1.0)) / PADDING
    shift = (size[0] / 2 - scale * (left + right) / 2, size[1] / 2 - scale * (top + bottom) / 2)
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)


def normalized_crop(
    image: UInt8[np.ndarray, "h w 3"], A_crop_image: Float32[np.ndarray, "2 3"], size: tuple[int, int]
) -> Float32[np.ndarray, "h2 w2 3"]:
    """The crop in the network's size and axes; black outside the image."""
    import cv2

    # OpenCV counts from the centre of the first pixel.
    A = A_crop_image.astype(np.float64)
    A[:, 2] += 0.5 * A[0, 0] - 0.5
    crop = cv2.warpAffine(image, A, size, flags=cv2.INTER_LINEAR)
    return (crop - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)


def decode_simcc(
    x: Float32[np.ndarray, "points bins_x"], y: Float32[np.ndarray, "points bins_y"], size: tuple[int, int]
) -> Float32[np.ndarray, "points 3"]:
    """Places in the crop, pixel centres at +0.5, and confidence: the lower of the two peaks, at most 1."""
    places, heights = zip(*(_peaks(rows, length) for rows, length in zip((x, y), size, strict=True)), strict=True)
    return np.column_stack([*places, np.clip(np.minimum(*heights), 0, 1)]).astype(np.float32)


def _peaks(rows: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Position of each row's peak, in pixels of a side of `length`, and its height.

    A parabola through the peak and its neighbours gives the position between bins, which are several image pixels wide.
    """
    every, bins = np.arange(len(rows)), rows.shape[1]
    peak = rows.argmax(1)
    middle = np.clip(peak, PEAK, bins - 1 - PEAK)
    before, top, after = (rows[every, middle + step].astype(np.float64) for step in (-PEAK, 0, PEAK))
    bend = before - 2 * top + after
    step = np.where((bend < 0) & (middle == peak), PEAK * 0.5 * (before - after) / np.minimum(bend, -1e-12), 0)
    # Bin b stands for b / (bins per pixel), counted from the centre of the first pixel.
    return (peak + np.clip(step, -PEAK, PEAK)) * length / bins + 0.5, rows[every, peak]


def _session(model: Path) -> Any:
    if not model.is_file():
        raise UsageError(f"There is no file {model}: give the ONNX file of an RTMPose, RTMW or DWPose model.")
    try:
        import onnxruntime
    except ImportError as error:
        raise UsageError(
            "A detector from an ONNX file needs onnxruntime: pip install 'splat-avatar[onnx]', or leave out --detector."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # frames run in parallel already
    options.log_severity_level = 4
    here = onnxruntime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in here]
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=providers)
    except Exception as error:  # onnxruntime raises a dozen types of its own
        raise AvatarError(
            f"{model} is not a readable ONNX model (of a downloaded zip, give the end2end.onnx in it): "
            f"{short_message(error)}."
        ) from error


def _image_input(session: Any, model: Path) -> tuple[str, tuple[int, int]]:
    """The name of the only input, and the (width, height) of the images that it takes."""
    inputs = session.get_inputs()
    shape = inputs[0].shape if inputs else []
    if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or not all(isinstance(n, int) for n in shape[2:]):
        raise AvatarError(
            f"{model} is not a SimCC pose model: its inputs have the shapes {[i.shape for i in inputs]} instead of one "
            "colour image of fixed size."
        )
    return inputs[0].name, (shape[3], shape[2])
