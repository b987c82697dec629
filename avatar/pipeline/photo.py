"""An avatar from one photo: the body is fitted to it first, then what the photo shows, and what generated views
suggest, becomes frames of one instant. From there on it is the way of a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, load_body
from avatar.io.observations_file import load_observations, save_observations
from avatar.io.track_file import load_track, save_track
from avatar.metrics.images import alpha_iou
from avatar.model.avatar import Avatar, part_of_gaussians
from avatar.novel_views.face_transfer import Surface, close_up, repaired
from avatar.novel_views.generator import Photo, View
from avatar.novel_views.observations import assign_frames, gather
from avatar.novel_views.placement import camera_angles, on_canvas, place_view
from avatar.novel_views.registry import view_generator
from avatar.observation.detectors.registry import choose_detector
from avatar.observation.photo import observe_photo, still_clip
from avatar.pipeline.previews import to_bytes
from avatar.pipeline.run_folder import RunFolder
from avatar.pipeline.settings import Settings
from avatar.rendering.renderer import render
from avatar.runtime.logging import logger
from avatar.tracking.fit import track
from avatar.tracking.multiview import LEAST_IOU, fit_views
from avatar.training.config import TrainConfig
from avatar.training.inpainting import FACE, HEAD
from avatar.training.trainer import Trainer
from avatar.training.view_alignment import LearnedViews
from avatar.types import BodyPose, BodyTrack, Cameras, Observations, PosedImage

ALIGN_ROUNDS = 120  # times that each view is shown while the views are aligned
ALIGN_SIDE = 512  # px
NEAREST_TRUST, FARTHEST_TRUST = 0.9, 0.5  # of a generated view beside the photo, and of one opposite to it
FULL_IOU = 0.9
STEPS_A_FRAME = 300

BACK_IS_A_GUESS = (
    "one photo shows one side: what it does not show is guessed, the back from the front; "
    "`avatar view` shows the guessed parts as a heat map"
)


def from_photo(run: RunFolder, settings: Settings) -> tuple[Observations, BodyTrack, list[str]]:
    """The frames of one instant that the avatar is made from, the fitted body, and sentences for the user.

    All of it is saved in the run folder, and read from there where a run is resumed.

    Raises:
        UsageError, AvatarError: see `observe_photo` and `view_generator`.
    """
    warnings_file = run.folder / "track_warnings.json"
    from avatar.io.files import read_json, write_json

    if run.found_track.is_file() and warnings_file.is_file():
        return load_observations(run.observations), load_track(run.found_track), read_json(warnings_file)
    options = settings.novel_views
    generator = view_generator(options.generator, settings.device, options.frames, options.offload)
    detector, sentence = choose_detector(settings.observe.detector)
    logger.info(sentence)
    photo = observe_photo(Path(settings.source), settings.observe.person, detector)
    body = load_body(settings.body)
    sights, found, warnings = photo_sights(settings, photo, body)
    if generator is not None:
        vertices = body_vertices(body, found)
        elevation = camera_angles(sights[0].camera.T_camera_world[0], middle(vertices))[1]
        terms = generator.terms()
        warnings += [terms] if terms else []
        views = generator.generate(Photo(sights[0].image, sights[0].mask, elevation))
        rough = [placed_sight(view, vertices, sights[0].camera) for view in views]
        found, placed = fit_views(photo, sights[0], rough, found, body, detector)
        fixed = torch.arange(len(sights) + len(placed)) < len(sights)
        alignment = LearnedViews(middle(body_vertices(body, found)), fixed)
        sights, found, lost = with_views(settings, photo, sights, placed, found, body, alignment)
        warnings += lost
    observations = gather(photo, sights)
    found = assign_frames(found, observations)
    save_observations(observations, run.observations)
    write_json(warnings_file, warnings)
    save_track(found, run.found_track)
    for warning in warnings:
        logger.info(f"warning: {warning}")
    return observations, found, warnings


def photo_sights(settings: Settings, photo: Observations, body: Body) -> tuple[list[PosedImage], BodyTrack, list[str]]:
    """The photo and, where it can be enlarged, its face; the body fitted to it; and sentences for the user."""
    found, report = track(still_clip(photo), body, settings.track)
    assert found.cameras is not None
    sights = [PosedImage(photo.images[0], photo.masks[0], found.cameras[0])]
    head = (body.parts == HEAD) | (body.parts == FACE)
    near = close_up(Path(settings.source), sights[0], body_vertices(body, found)[head])
    if near is not None:
        sights.append(near)
    return sights, assign_frames(found, gather(photo, sights)), [*report.warnings, BACK_IS_A_GUESS]


def photo_training(config: TrainConfig, frames: int) -> TrainConfig:
    """How to train on one instant: nothing is left out, and what only motion can tell is not learned."""
    return replace(
        config,
        steps=min(config.steps, STEPS_A_FRAME * frames),
        hold_out=0,
        deform="none",
        light=False,
        refine_poses=False,
    )


def placed_sight(view: View, vertices: Float[Tensor, "v 3"], photo: Cameras) -> PosedImage:
    """A view as a sight of the photo's size, its camera placed by its angles and the fitted body."""
    camera = place_view(view, vertices, photo.T_camera_world[0])
    image, mask, camera = on_canvas(view, camera, photo.width, photo.height)
    turned = abs((view.azimuth + 180) % 360 - 180) / 180
    trust = NEAREST_TRUST + (FARTHEST_TRUST - NEAREST_TRUST) * turned
    return PosedImage(image, mask, camera, weight=view.confidence * trust, name=view.name)


def with_views(
    settings: Settings,
    photo: Observations,
    sights: Sequence[PosedImage],
    views: Sequence[PosedImage],
    found: BodyTrack,
    body: Body,
    alignment: LearnedViews,
) -> tuple[list[PosedImage], BodyTrack, list[str]]:
    """The sights with the views that agree with them, aligned, their faces repaired; the body corrected by them.

    Args:
        sights: the photo and its close-up; views: placed by their angles; alignment: learns where they really were.

    Returns:
        All sights, the track, and a sentence for each view that was left out.
    """
    known = len(sights)
    together = gather(photo, [*sights, *views])
    begun = assign_frames(found, together)
    alignment.to(settings.device)
    avatar, corrected = aligned(settings, together, begun, body, alignment)
    centre = alignment.centre.cpu()
    pose = corrected.poses[0]
    assert begun.cameras is not None
    cameras = alignment.aligned(begun.cameras.to(settings.device)).to("cpu")
    kept, lost = list(sights), []
    azimuth = camera_angles(sights[0].camera.T_camera_world[0], centre)[0]
    seen_in_photo = surface(avatar, pose, sights[0].camera, sights[0].camera, settings.backend)
    for index, view in enumerate(views, start=known):
        camera = cameras[index]
        seen = surface(avatar, pose, camera, sights[0].camera, settings.backend)
        mask = torch.from_numpy(view.mask).float() / 255
        iou = alpha_iou((seen.depth > 0).float(), mask)
        if iou < LEAST_IOU:
            lost.append(f"the view {view.name} does not show this person in this pose (overlap {iou:.2f}): left out")
            continue
        image = to_bytes(alignment.undo_exposure(torch.from_numpy(view.image).float() / 255, index))
        turned = camera_angles(camera.T_camera_world[0], centre)[0] - azimuth
        turned = (turned + 180) % 360 - 180
        image, trust = repaired(image, camera, seen, sights[0], seen_in_photo.depth, turned)
        agreement = min(1.0, (iou - LEAST_IOU) / (FULL_IOU - LEAST_IOU) + 0.2)
        kept.append(replace(view, image=image, camera=camera, weight=view.weight * agreement, trust=trust))
    return kept, corrected, lost


def aligned(
    settings: Settings, observations: Observations, begun: BodyTrack, body: Body, alignment: LearnedViews
) -> tuple[Avatar, BodyTrack]:
    """A coarse avatar trained while `alignment`, in turn with it, learns where the views were taken from."""
    config = replace(
        photo_training(settings.train, len(observations)),
        steps=ALIGN_ROUNDS * len(observations),
        gaussians=min(settings.train.gaussians, 8000),
        max_gaussians=min(settings.train.max_gaussians, 8000),
        long_side=min(settings.train.long_side, ALIGN_SIDE),
        coarse=1.0,
        refine_poses=True,
        refine_start=0.2,
    )
    trainer = Trainer(observations, begun, body, config, settings.device, settings.backend, alignment=alignment)
    result = trainer.run()
    return result.avatar, result.track


@torch.no_grad()
def surface(avatar: Avatar, pose: BodyPose, camera: Cameras, photo: Cameras, backend: str) -> Surface:
    """What a camera sees of the avatar: depth, face, and how it faces the photo's camera."""
    posed = avatar.pose(pose.to(avatar.device), lit=False)
    parts = part_of_gaussians(avatar)
    eye = torch.linalg.inv(photo.T_camera_world[0])[:3, 3].to(posed.means)
    towards = torch.nn.functional.normalize(eye - posed.means, dim=-1)
    facing = (avatar.posed_normals(pose.to(avatar.device)) * towards).sum(-1)
    values = torch.stack([(parts == FACE).float(), facing.clamp(0, 1), torch.zeros_like(facing)], -1)
    out = render(replace(posed, colors=values), camera.to(avatar.device), backend)
    alpha = out.alpha[0]
    solid = alpha > 0.5
    shares = torch.where(
        solid[..., None], out.rgb[0] / alpha.clamp_min(0.5)[..., None], torch.zeros_like(out.rgb[0])
    ).cpu()
    depth = torch.where(solid, out.depth[0] / alpha.clamp_min(0.5), torch.zeros_like(alpha)).cpu()
    return Surface(depth, shares[..., 0], shares[..., 1])


def body_vertices(body: Body, found: BodyTrack) -> Float[Tensor, "v 3"]:
    return body.vertices(body.rest(found.betas), body.complete(found.poses[0]))


def middle(vertices: Float[Tensor, "v 3"]) -> Float[Tensor, " 3"]:
    return (vertices.amin(0) + vertices.amax(0)) / 2
