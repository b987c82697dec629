"""An avatar from one photo: the body is fitted to the photo, and the photo, a close-up of its face and generated
views become frames of one instant. From there on training is that of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body
from avatar.novel_views.face_transfer import close_up
from avatar.novel_views.generator import Photo, ViewGenerator
from avatar.novel_views.observations import assign_frames, photo_observations
from avatar.novel_views.options import ViewOptions
from avatar.novel_views.placement import box_center, camera_angles, placed_image
from avatar.novel_views.registry import view_generator
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.options import ObserveOptions
from avatar.observation.photo import observe_photo, still_clip
from avatar.pipeline.camera import photo_motion
from avatar.pipeline.training_data import TrainingData
from avatar.pipeline.view_selection import align_views, select_views
from avatar.runtime.logging import logger
from avatar.tracking.fit import track
from avatar.tracking.multiview import fit_views
from avatar.tracking.options import TrackOptions
from avatar.training.config import TrainConfig
from avatar.training.inpainting import FACE, HEAD
from avatar.training.view_alignment import LearnedViews
from avatar.types import BodyTrack, LandmarkDetector, Observations, PosedImage

STEPS_PER_FRAME = 300

BACK_IS_A_GUESS = (
    "a photo shows one side of the person: the rest is guessed, the back from the front; `avatar view` shows the "
    "guessed regions as a heat map"
)


@dataclass(frozen=True)
class PhotoTraining:
    """How and where avatars of one instant are trained.

    Attributes:
        config: as for a video; device, backend: as of `Trainer`.
    """

    config: TrainConfig
    device: str
    backend: str

    def config_for(self, frames: int) -> TrainConfig:
        """The configuration for `frames` images of one instant: no frame is held out, and the parts that need motion
        (deformation, light, pose refinement) are off."""
        return replace(
            self.config,
            steps=min(self.config.steps, STEPS_PER_FRAME * frames),
            hold_out=0,
            deform="none",
            light=False,
            refine_poses=False,
        )


def photo_training_data(
    path: Path,
    body: Body,
    observing: ObserveOptions,
    tracking: TrackOptions,
    views: ViewOptions,
    training: PhotoTraining,
) -> TrainingData:
    """The frames of one instant that an avatar is made from, and the body fitted to them.

    Raises:
        UsageError, AvatarError: see `observe_photo`, `view_generator` and `ViewGenerator.generate`.
    """
    generator = view_generator(views, training.device)
    detector, sentence = choose_detector(observing.detector)
    logger.info(sentence)
    photo = observe_photo(path, observing.person, detector)
    images, estimated, warnings = fit_photo(path, photo, body, tracking)
    if generator is not None:
        images, estimated, more = _add_views(photo, images, estimated, body, detector, generator, training)
        warnings += more
    observations = photo_observations(photo, images)
    return TrainingData(observations, assign_frames(estimated, observations), tuple(warnings))


def fit_photo(
    path: Path, photo: Observations, body: Body, options: TrackOptions
) -> tuple[list[PosedImage], BodyTrack, list[str]]:
    """The photo and, where the file is large enough, a close-up of its face; the fitted body; warnings."""
    motion = photo_motion(path, photo)
    if motion is not None and options.focal is None:
        logger.info(motion.focal_source)
    estimated, report = track(still_clip(photo), body, options, motion=motion)
    assert estimated.cameras is not None
    images = [PosedImage(photo.images[0], photo.masks[0], estimated.cameras[0])]
    head = (body.parts == HEAD) | (body.parts == FACE)
    face = close_up(path, images[0], posed_vertices(body, estimated)[head])
    if face is not None:
        images.append(face)
    observations = photo_observations(photo, images)
    return images, assign_frames(estimated, observations), [*report.warnings, BACK_IS_A_GUESS]


def _add_views(
    photo: Observations,
    images: Sequence[PosedImage],
    estimated: BodyTrack,
    body: Body,
    detector: LandmarkDetector,
    generator: ViewGenerator,
    training: PhotoTraining,
) -> tuple[list[PosedImage], BodyTrack, list[str]]:
    """All images with the generated views that agree with the photo, the body corrected by them, and warnings."""
    vertices = posed_vertices(body, estimated)
    elevation = camera_angles(images[0].camera.T_camera_world[0], box_center(vertices))[1]
    terms = generator.terms()
    views = generator.generate(Photo(images[0].image, images[0].mask, elevation))
    rough = [placed_image(view, vertices, images[0].camera) for view in views]
    estimated, placed = fit_views(photo, images[0], rough, estimated, body, detector)
    fixed = torch.arange(len(images) + len(placed)) < len(images)
    alignment = LearnedViews(box_center(posed_vertices(body, estimated)), fixed).to(training.device)
    together = photo_observations(photo, [*images, *placed])
    config = training.config_for(len(together))
    result = align_views(
        together, assign_frames(estimated, together), body, alignment, config, training.device, training.backend
    )
    selected, warnings = select_views(images, placed, result, alignment, training.backend)
    return [*images, *selected], result.track, [*([terms] if terms else []), *warnings]


def posed_vertices(body: Body, track: BodyTrack) -> Float[Tensor, "v 3"]:
    """Vertices of the fitted body in the first pose of its track, metres."""
    return body.vertices(body.rest(track.betas), body.complete(track.poses[0]))
