"""The inputs of the fit: the observations of a whole clip in the form that the terms need."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from avatar.body import Body
from avatar.body.joint_limits import joint_prior
from avatar.landmark_layouts import LAYOUTS, SMPL_JOINTS
from avatar.tracking.acceleration import nearest_landmarks, visible_accelerations
from avatar.tracking.dense import DenseMatches
from avatar.tracking.depth import DepthReadings
from avatar.tracking.detector_bias import direction_biases, facing, unbiased
from avatar.tracking.initialization import rotate_to_rays
from avatar.tracking.kinematics import CameraPath, SkinnedPoints, joint_points, surface_points
from avatar.tracking.landmarks import landmark_points, landmark_weights, pitch_biases
from avatar.tracking.lifting import lift_to_3d
from avatar.tracking.masses import standing_weights
from avatar.tracking.silhouette import SilhouetteMatches
from avatar.tracking.vertical_lines import CameraTilt
from avatar.types import Observations

LIFTED_CONFIDENCE = 0.2  # in directions that follow from 2D alone; a quarter of it fits as well
HEIGHT = 0.003  # deviation of the person's height, metres: the images of one camera do not determine it
_LEGS_AND_HANDS = ("pelvis", "hip", "knee", "ankle", "foot", "hand")
UPPER_BODY = tuple(name for name in SMPL_JOINTS if not name.endswith(_LEGS_AND_HANDS))
LEAST_WEIGHT = 0.05  # of a frame
REFERENCE_RATE = 30.0  # frames per second for which the deviations in the schedule are meant


@dataclass(frozen=True)
class FitProblem:
    """Observations of n instants, ready for the residuals.

    Attributes:
        body: the body that is fitted.
        landmark_names: of the detector's layout.
        landmarks, joints, soles: points on it.
        spread: standard deviation of each landmark's place on the body, metres.
        focal: given or assumed focal length, pixels; `focal_given` says which.
        pixels: landmarks in pixels from the principal point.
        confidence: of each landmark in each frame.
        frame_weight: how far the image of each instant is trusted, less where it is blurred.
        landmark_weight: weight of each landmark beside its confidence.
        pitch_bias: share of the camera's pitch that the detector ignores at each landmark.
        hips: the two landmarks whose midpoint is the pivot of the pitch bias.
        guess: the detector's landmarks in metres along the camera's axes, or lifted from the 2D ones.
        person_height: of the person in the image at each instant, pixels.
        times: seconds.
        time_weight: time that each instant stands for, in frames of the reference rate.
        bones: pairs of joints with a direction from the detector.
        bone_directions, bone_confidence: that direction as a unit vector, and its confidence.
        joint_prior: see `avatar.body.joint_limits.joint_prior`.
        height: of the person standing, metres; sets the scale of everything.
        height_spread: its standard deviation; height_given: whether the user gave it.
        stature: the body's height without shape, and its derivative by the shape coefficients.
        trunk: the pair of joints that is upright in most clips.
        knees: the two joints.
        upper: the joints of spine, head and arms, which no step jerks.
        standing: weights of the joints in the centre of mass and in the middle of the feet.
        joint_acceleration: of each joint in the image, m/s^2, as far as it is visible.
        bone_pitch_bias: share of the camera's pitch that the detector ignores in each bone's direction.
        shape_constraint: `slopes @ betas = values` from the user's shape attributes, relative to the range of each.
        holds_pose: whether the person was recognised as holding one pose while all their sides were filmed.
        pitch: the camera's pitch and its standard deviation, radians, if a full turn determines it; else None.
        depth: what a depth camera measured at the points that the last state showed, or None.
        dense: pixels that a dense detector ties to the body's surface, others in each pass, or None.
        tilt: the camera's pitch and roll, if the user (`pitch_given`) or the lines of the scene tell them.
        views: what other standing cameras show at the same instants.
    """

    body: Body
    landmark_names: tuple[str, ...]
    landmarks: SkinnedPoints
    joints: SkinnedPoints
    soles: SkinnedPoints
    spread: Float[Tensor, " l"]
    focal: float
    pixels: Float[Tensor, "n l 2"]
    confidence: Float[Tensor, "n l"]
    frame_weight: Float[Tensor, " n"]
    landmark_weight: Float[Tensor, " l"]
    pitch_bias: Float[Tensor, " l"]
    hips: Tensor
    guess: Float[Tensor, "n l 3"]
    person_height: Float[Tensor, " n"]
    times: Float[Tensor, " n"]
    time_weight: Float[Tensor, " n"]
    bones: Tensor
    bone_directions: Float[Tensor, "n b 3"]
    bone_confidence: Float[Tensor, "n b"]
    joint_prior: Float[Tensor, "4 j 3"]
    height: float
    stature: tuple[float, Float[Tensor, " s"]]
    trunk: Tensor
    knees: Tensor
    upper: Tensor
    standing: Float[Tensor, "2 j"]
    bone_pitch_bias: Float[Tensor, " b"]
    joint_acceleration: Float[Tensor, "n j"]
    shape_constraint: tuple[Float[Tensor, "k s"], Float[Tensor, " k"]] | None = None
    focal_given: bool = True
    pitch: tuple[float, float] | None = None
    tilt: CameraTilt | None = None
    pitch_given: bool = False
    holds_pose: bool = False
    height_spread: float = HEIGHT
    height_given: bool = True
    depth: DepthReadings | None = None
    dense: DenseMatches | None = None
    views: tuple[OtherView, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def velocity(self) -> Float[Tensor, "n1 2"]:
        """Stencil of the first derivative in time, 1/s."""
        rate = 1 / self.times.diff()
        return torch.stack([-rate, rate], 1)

    @property
    def acceleration(self) -> Float[Tensor, "n2 3"]:
        """Stencil of the second derivative at uneven times, 1/s^2."""
        return second_derivative(self.times)

    @property
    def angular_acceleration(self) -> Float[Tensor, "n2 2"]:
        """Stencil that turns rotation vectors between instants into angular accelerations, 1/s^2."""
        before, after = self.times.diff()[:-1], self.times.diff()[1:]
        return torch.stack([-1 / before, 1 / after], 1) / ((before + after) / 2)[:, None]


@dataclass(frozen=True)
class OtherView:
    """What another standing camera shows at the instants of the first one.

    Attributes:
        problem: its landmarks, in pixels as the first camera's focal length would give them.
        path: from the first camera's frame to its own, the same at every instant; one scale holds for all cameras.
        matches: of its silhouettes, in the same pixels, at the last state; None: not matched.
    """

    problem: FitProblem
    path: CameraPath
    matches: SilhouetteMatches | None = None


def second_derivative(times: Float[Tensor, " n"]) -> Float[Tensor, "n2 3"]:
    """Its stencil at uneven times, 1/s^2; see `LinearizedResidual.stencil`."""
    before, after = times.diff()[:-1], times.diff()[1:]
    middle = (before + after) / 2
    return torch.stack([1 / before, -(1 / before + 1 / after), 1 / after], 1) / middle[:, None]


def build_problem(observations: Observations, body: Body, focal: float, height: float) -> FitProblem:
    """Gather what the terms need. Frames must come in order of time, one per instant."""
    names = LAYOUTS[observations.layout].names
    landmarks, spread = landmark_points(body, observations.layout)
    times = observations.times.double()
    keypoints = interpolate_gaps(observations.keypoints.double(), times)
    centre = keypoints.new_tensor([observations.width / 2, observations.height / 2])
    pixels, confidence = keypoints[..., :2] - centre, keypoints[..., 2].clamp(0.02, 1)
    frame_weight = torch.ones(len(keypoints), dtype=torch.float64)
    if observations.frame_weight is not None:
        frame_weight = observations.frame_weight.double().clamp_min(LEAST_WEIGHT)
    guess, trust = guessed_places(observations, landmarks, pixels)
    guess = rotate_to_rays(guess, pixels.mean(1), focal)
    bones = detected_bones(observations, body, guess, confidence * trust)
    person_height = (pixels.amax(1) - pixels.amin(1))[:, 1].median()
    accelerations = visible_accelerations(pixels * height / person_height, confidence * frame_weight[:, None], times)
    return FitProblem(
        body=body,
        landmark_names=names,
        landmarks=landmarks,
        joints=joint_points(body),
        soles=surface_points(body, sole_vertices(body)),
        spread=spread,
        focal=focal,
        pixels=pixels,
        confidence=confidence,
        frame_weight=frame_weight,
        landmark_weight=landmark_weights(observations.layout),
        pitch_bias=pitch_biases(observations.layout),
        hips=torch.tensor([names.index(f"{side}_hip") for side in ("left", "right")]),
        guess=guess,
        person_height=person_height.expand(len(times)),
        times=times,
        time_weight=time_weights(times),
        bones=bones.joints,
        bone_directions=bones.directions,
        bone_confidence=bones.confidence,
        joint_prior=joint_prior(body),
        height=height,
        stature=body_stature(body),
        trunk=torch.tensor([[body.joint_names.index("pelvis"), body.joint_names.index("neck")]]),
        knees=torch.tensor([body.joint_names.index(f"{side}_knee") for side in ("left", "right")]),
        upper=torch.tensor([body.smpl_index[SMPL_JOINTS.index(name)] for name in UPPER_BODY]),
        standing=standing_weights(body.joint_names),
        joint_acceleration=accelerations[:, nearest_landmarks(joint_points(body).rest, landmarks.rest)],
        bone_pitch_bias=bones.pitch_bias,
    )


def time_weights(times: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The time that each instant stands for, in frames of the reference rate."""
    gap = times.diff()
    return (REFERENCE_RATE / 2 * (torch.cat([gap[:1], gap]) + torch.cat([gap, gap[-1:]]))).clamp(max=2.0)


def guessed_places(
    observations: Observations, landmarks: SkinnedPoints, pixels: Float[Tensor, "n l 2"]
) -> tuple[Float[Tensor, "n l 3"], Float[Tensor, "n l"]]:
    """The detector's landmarks in 3D, metres, and how far each is trusted; those known in 2D only are lifted."""
    times = observations.times.double()
    has_depth = observations.keypoints_3d.isfinite().all(-1)
    guess, trust = interpolate_gaps(observations.keypoints_3d.double(), times), has_depth.double()
    flat = ~has_depth.any(0)
    if flat.any():
        names = LAYOUTS[observations.layout].names
        guess[:, flat] = lift_to_3d(pixels, landmarks.rest, names, times)[:, flat]
        trust[:, flat] = LIFTED_CONFIDENCE
    return guess, trust


@dataclass(frozen=True)
class DetectedBones:
    """Directions between joints of the body as the detector has them; see `FitProblem`."""

    joints: Int[Tensor, "b 2"]
    directions: Float[Tensor, "n b 3"]
    confidence: Float[Tensor, "n b"]
    pitch_bias: Float[Tensor, " b"]


def detected_bones(
    observations: Observations, body: Body, guess: Float[Tensor, "n l 3"], confidence: Float[Tensor, "n l"]
) -> DetectedBones:
    """The bones between landmarks that are joints of the body, free of the detector's measured biases."""
    layout = LAYOUTS[observations.layout]
    pairs = [(a, b) for a, b in layout.bones if a in SMPL_JOINTS and b in SMPL_JOINTS]
    start, end = (torch.tensor([layout.names.index(pair[at]) for pair in pairs]) for at in (0, 1))
    # The measured biases are those of a detector's own 3D guess.
    guessed_by_detector = bool(observations.keypoints_3d.isfinite().all(-1).any(0).all())
    biases = direction_biases(observations.layout if guessed_by_detector else "", pairs)
    directions = F.normalize(guess[:, end] - guess[:, start], dim=-1)
    return DetectedBones(
        joints=torch.tensor([[body.joint_names.index(name) for name in pair] for pair in pairs]),
        directions=unbiased(directions, facing(guess, layout.names), biases),
        confidence=torch.minimum(confidence[:, start], confidence[:, end]),
        pitch_bias=torch.tensor([bias.share for bias in biases], dtype=torch.float64),
    )


def interpolate_gaps(values: Float[Tensor, "n l c"], times: Float[Tensor, " n"]) -> Float[Tensor, "n l c"]:
    """NaN replaced by linear interpolation in time."""
    import numpy as np

    flat = values.flatten(1).clone().numpy()
    for column in flat.T:
        valid = np.isfinite(column)
        if valid.any() and not valid.all():
            column[~valid] = np.interp(times.numpy()[~valid], times.numpy()[valid], column[valid])
    return torch.from_numpy(np.nan_to_num(flat)).view_as(values)


def body_stature(body: Body) -> tuple[float, Float[Tensor, " s"]]:
    """Height of the mean body from sole to crown, and its derivative by the shape coefficients, metres."""
    y = body.template[:, 1]
    top, bottom = int(y.argmax()), int(y.argmin())
    return float(y[top] - y[bottom]), (body.shape_dirs[top, 1] - body.shape_dirs[bottom, 1]).double()


def sole_vertices(body: Body) -> Tensor:
    """A few vertices of each sole: the lowest of the heel, the ball and the toes, left foot first."""
    chosen = []
    for side in ("left", "right"):
        ankle, foot = (body.joint_names.index(f"{side}_{name}") for name in ("ankle", "foot"))
        mine = (body.weights[:, ankle] + body.weights[:, foot] > 0.5).nonzero()[:, 0]
        back, front = body.template[mine, 2].min(), body.template[mine, 2].max()
        for part in (0.15, 0.7):
            near = (body.template[mine, 2] - (back + part * (front - back))).abs() < 0.15 * (front - back)
            chosen.append(mine[near][body.template[mine[near], 1].argmin()])
    return torch.stack(chosen)
