"""Training: one explicit loop from observations and a body track to an avatar.

Every step renders one frame, cut to the person, on a background of random colour (so that holes and floaters cost),
compares it with the image, and lets Adam move the Gaussians, the light and, a little later, the poses and the MLP.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body import Body
from avatar.errors import AvatarError
from avatar.metrics.ssim import ssim
from avatar.model.gaussians import TriangleGaussians
from avatar.rendering.devices import to_device
from avatar.rendering.renderer import render
from avatar.runtime.logging import logger
from avatar.runtime.progress import Progress, duration
from avatar.training import losses
from avatar.training.background import background_of
from avatar.training.checkpoint import read_checkpoint, write_checkpoint
from avatar.training.close_ups import RESERVED, refine_details, train_close_ups
from avatar.training.config import TrainConfig
from avatar.training.coverage import close_gaps
from avatar.training.densification import densify, replace_gaussians
from avatar.training.estimate import estimated_seconds
from avatar.training.eyelids import add_eyelids
from avatar.training.face_binding import bind_face, face_moves
from avatar.training.held_out_score import mean_psnr
from avatar.training.initialization import initial_avatar, new_optimizer, sample_gaussians
from avatar.training.inpainting import inpaint_unobserved
from avatar.training.lid_height import raise_lids
from avatar.training.loose_clothes import held_loosely, loose_gaussians
from avatar.training.perceptual_loss import PerceptualLoss
from avatar.training.pose_refinement import PoseRefinement
from avatar.training.posed_frame import FramePoser
from avatar.training.registration import register
from avatar.training.resampling import resample_unobserved
from avatar.training.result import Preview, TrainResult
from avatar.training.schedule import (
    BIND_FACE,
    DENSIFY,
    MEASURE,
    REGISTER_UNTIL,
    RESAMPLE,
    SAVE,
    Event,
    set_learning_rates,
)
from avatar.training.split import held_out_frames, shown_frames
from avatar.training.state import TrainingState
from avatar.training.view_alignment import KnownViews, LearnedViews
from avatar.training.views import TrainingView, TrainingViews
from avatar.training.visibility import PosedView, initialize_colors, measure_visibility
from avatar.types import BodyTrack, Gaussians, Observations, RenderOutput

REPORT_STEPS = 10  # steps between two readings of the loss
MEASURED_FRAMES = 4
LEAST_REGISTERED = 3  # frames
LEAST_COARSE = 250  # long side of a cropped image at half resolution, pixels, to be registered
COLOR_VIEWS, VISIBILITY_VIEWS, LID_VIEWS = 24, 32, 32  # frames that show colours, visibility and lids


class Trainer:
    """One training run; `run` is the loop, `state` everything that it changes.

    Args:
        observations: images and masks; track: body poses and cameras; body: the body model of the track.
        device, backend: where and by which renderer (`avatar.rendering`).
        checkpoint: file to save to and resume from, or None.
        alignment: corrects cameras that are not exactly known; not part of the checkpoint.

    Raises:
        ValueError: the track has no cameras.
        AvatarError: no frame shows the person without somebody else before or beside them.
    """

    def __init__(
        self,
        observations: Observations,
        track: BodyTrack,
        body: Body,
        config: TrainConfig,
        device: torch.device | str = "cpu",
        backend: str = "auto",
        checkpoint: Path | None = None,
        alignment: KnownViews | None = None,
    ) -> None:
        if track.cameras is None:
            raise ValueError("Training needs a track with cameras.")
        self.config, self.backend, self.checkpoint = config, backend, checkpoint
        self.alignment = KnownViews() if alignment is None else alignment
        self.device = torch.device(device)
        rng = torch.Generator().manual_seed(config.seed)
        torch.manual_seed(config.seed)
        backdrop = background_of(observations, track, backend) if config.masks == "learned" else None
        self.views = TrainingViews(observations, track.cameras, config.long_side, self.device, backdrop)
        self.held_out = held_out_frames(observations, config.hold_out)
        self.trained = [index for index in shown_frames(observations) if index not in set(self.held_out)]
        if not self.trained:
            raise AvatarError("Somebody else is in the way in all frames: film the person alone, or take another part.")
        poses = PoseRefinement(track, self._trained_instants(track, observations)).to(self.device)
        avatar = initial_avatar(body, track, config, self.device, rng)
        optimizer = new_optimizer(avatar, poses, config)
        self.state = TrainingState(avatar, poses, optimizer, rng, torch.zeros(len(avatar), device=self.device))
        self.loose = self._loose_clothes()
        self.poser = FramePoser(avatar, poses, config if self.loose is None else held_loosely(config))
        self.perceptual = PerceptualLoss(config.weights.perceptual, self.device)

    def run(self, preview: Preview | None = None, resume: bool = False) -> TrainResult:
        """Train to the end. Ctrl-C saves a checkpoint, from which `resume` goes on.

        Raises:
            AvatarError: the checkpoint cannot be read, or not be written.
        """
        state, config = self.state, self.config
        if resume and self.checkpoint is not None and self.checkpoint.exists():
            read_checkpoint(self.checkpoint, self.device, state.load_dict)
        else:
            if self.loose is not None:
                self._dress(self.loose)
            if self._follows_face:
                self._bind_face()
            initialize_colors(state.avatar, self._posed_views(COLOR_VIEWS), self._render)
        try:
            self._loop(preview)
            if config.close_ups > 0 and self._knows_cameras and state.step == config.steps:
                self._close_ups()
        except KeyboardInterrupt:
            self.save()
            raise
        if state.avatar.deform is not None:
            state.avatar.deform.enabled = True
        state.avatar.refresh()  # as it will be when it is loaded
        inside = measure_visibility(state.avatar, self._posed_views(VISIBILITY_VIEWS), self._render)
        inpaint_unobserved(state.avatar, inside)
        if self._knows_cameras and face_moves(state.avatar, state.poses.refined(), self.views.observations) is not None:
            lids = add_eyelids(state.avatar, config.seed)
            raise_lids(state.avatar, lids, self._sharp_views(LID_VIEWS), self.backend)
        return TrainResult(state.avatar, state.poses.refined(), self.held_out, state.history, state.losses)

    def save(self) -> None:
        """Write the checkpoint, where there is a file for it."""
        if self.checkpoint is not None:
            write_checkpoint(self.checkpoint, self.state.as_dict())

    def step(self) -> Float[Tensor, ""]:
        """Train on one frame and return its loss.

        The loss stays on the device: on a GPU, reading it would make every step wait for the previous one.
        """
        config, state = self.config, self.state
        share = state.step / config.steps
        view = self.views.get(self._next_frame(), self._level)
        set_learning_rates(state.optimizer, config, share)
        if state.avatar.deform is not None:
            state.avatar.deform.enabled = share >= config.deform_start
        gaussians, priors = self.poser(view.instant)
        gaussians.means.retain_grad()
        loss = self._image_loss(gaussians, view)
        if view.weight != 1:  # two launches on a GPU
            loss = loss * view.weight
        loss = loss + self._with_view_prior(priors)
        optimizer = self.alignment.select_optimizer(state.step, state.optimizer)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if gaussians.means.grad is not None:
            state.gradients += gaussians.means.grad.norm(dim=-1)
        state.step += 1
        return loss.detach()

    def _loop(self, preview: Preview | None) -> None:
        state, steps = self.state, self.config.steps
        if state.step < steps:
            logger.info(f"training takes about {duration(self.estimated_seconds())}: {self._plan()}")
        loss: float | None = None
        register_event = Event(self.config.registrations, end=REGISTER_UNTIL)
        with Progress("training", steps) as bar:
            bar.step(count=state.step)
            while state.step < steps:
                step_loss = self.step()
                if loss is None or preview is not None or state.step % REPORT_STEPS == 0:
                    loss = float(step_loss)
                if state.step % REPORT_STEPS == 0:
                    state.losses.append((state.step, loss))
                if DENSIFY.is_due(state.step, steps):
                    self._densify()
                if self._registers and register_event.is_due(state.step, steps):
                    self._register()
                if self._knows_cameras and BIND_FACE.is_due(state.step, steps):
                    self._bind_face()
                if self.config.resample_unobserved and RESAMPLE.is_due(state.step, steps):
                    self._resample()
                measured = self._measure() if MEASURE.is_due(state.step, steps) else None
                if SAVE.is_due(state.step, steps) and state.step < steps:
                    self.save()
                note = f"loss {loss:.4f}, {len(state.avatar)} splats"
                if state.history:
                    note += f", PSNR in the person's box {state.history[-1][1]:.2f} dB (up to 4 held-out frames)"
                bar.step(note)
                if preview is not None and not preview.after_step(state.step, state.avatar, loss, measured):
                    break

    def _plan(self) -> str:
        """The size of the run in words."""
        view, config = self.views.get(0), self.config
        size = f"{view.camera.width}x{view.camera.height} pixels around the person"
        return f"{config.steps - self.state.step} steps, up to {config.max_gaussians} splats, {size}"

    def estimated_seconds(self) -> float:
        """How long the remaining steps will take on this machine, from one image at each resolution; rough.

        Renders and backpropagates, but changes nothing: not even the random numbers of the run.
        """
        state = self.state
        rng = state.rng.get_state()
        share, registered = state.step / self.config.steps, len(self.trained) if self._registers else 0
        splats, close_ups = len(state.avatar), self._knows_cameras
        seconds = estimated_seconds(self.config, share, splats, self._timed_image, registered, close_ups)
        state.rng.set_state(rng)
        return seconds

    def _timed_image(self, level: int) -> float:
        """Seconds of one step without the change that it makes."""
        view = self.views.get(self.trained[0], level)
        begin = time.perf_counter()
        gaussians, priors = self.poser(view.instant)
        (self._image_loss(gaussians, view) + self._with_view_prior(priors)).backward()
        self.state.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - begin

    def _next_frame(self) -> int:
        """A frame of the current shuffled epoch; each frame is used once per epoch."""
        state = self.state
        if not state.queue:
            state.queue = [self.trained[i] for i in torch.randperm(len(self.trained), generator=state.rng).tolist()]
        return state.queue.pop()

    def _image_loss(self, gaussians: Gaussians, view: TrainingView) -> Float[Tensor, ""]:
        weights = self.config.weights
        background = to_device(torch.rand(3, generator=self.state.rng), self.device)
        out = self._render(gaussians, view)
        compared = (out, view.image, view.mask, background)
        if view.behind is None:
            photometric = losses.photometric_loss(*compared, view.trust)
        else:
            photometric = losses.scene_loss(*compared, view.behind, view.trust, view.size)
        mask = weights.mask * photometric.mask
        if self.alignment.mask_only(self.state.step):
            return mask
        loss = photometric.l1 + weights.ssim * (1 - ssim(photometric.rendered, photometric.target)) + mask
        perceptual = self.perceptual(photometric.rendered, photometric.target, self.state.rng)
        return loss if perceptual is None else loss + perceptual

    def _render(self, gaussians: Gaussians, view: TrainingView) -> RenderOutput:
        """Render with the real camera and exposure of a view."""
        placed = self.alignment.apply_pose(gaussians, view.index)
        return self.alignment.apply_exposure(render(placed, view.camera, self.backend), view.index)

    def _with_view_prior(self, priors: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """All loss terms that do not depend on the image."""
        return priors + self.config.weights.views * self.alignment.prior()

    @property
    def _level(self) -> int:
        """Resolution of the images at this step, see `TrainingViews.get`."""
        return 1 if self.state.step < self.config.coarse * self.config.steps else 0

    @property
    def _registers(self) -> bool:
        """Whether poses and surface are registered: the cameras are known, and frames can disagree."""
        configured = self.config.registrations > 0 and self.config.refine_poses
        return configured and self._knows_cameras and len(self.trained) >= LEAST_REGISTERED

    @property
    def _knows_cameras(self) -> bool:
        return not isinstance(self.alignment, LearnedViews)

    def _loose_clothes(self) -> TriangleGaussians | None:
        """Gaussians for a skirt or a coat, where the person wears one and the video shows it from all sides."""
        avatar, config = self.state.avatar, self.config
        if config.skinning == "triangle" or not self._knows_cameras:
            return None
        per_area = config.gaussians / float(avatar.frames.area.sum())
        rng = torch.Generator().manual_seed(config.seed)
        return loose_gaussians(avatar, self._posed_views(VISIBILITY_VIEWS), per_area, rng)

    def _dress(self, loose: TriangleGaussians) -> None:
        """Add the Gaussians of loose clothes."""
        state, rows = self.state, partial(torch.arange, device=self.device)
        replace_gaussians(state.avatar.gaussians, state.optimizer, rows(len(state.avatar)), loose, rows(len(loose)))
        state.avatar.refresh()
        state.gradients = torch.zeros(len(state.avatar), device=self.device)

    def _register(self) -> None:
        state = self.state
        # Half of a small image is too coarse for the flow.
        level = self._level if max(self.views.get(0, 1).mask.shape) >= LEAST_COARSE else 0
        view_of = partial(self.views.get, level=level)
        register(state.avatar, state.poses, self.trained, view_of, self._render, seed=state.step)
        self._stop(state.avatar.gaussians.offset, *state.poses.parameters())

    @property
    def _follows_face(self) -> bool:
        """Whether the face moves in training: then lips and lids must be where the images show them all the time."""
        return self._knows_cameras and self.state.poses.face.shape[1] > 0

    def _bind_face(self) -> None:
        state = self.state
        bind_face(state.avatar, state.poses.refined(), self.views.observations)
        self._stop(state.avatar.gaussians.offset, state.avatar.gaussians.quats)

    def _stop(self, *moved: torch.Tensor) -> None:
        """Forget the momenta of what was moved."""
        for parameter in moved:
            if parameter in self.state.optimizer.state:
                self.state.optimizer.state[parameter]["exp_avg"].zero_()

    def _densify(self) -> None:
        state = self.state
        densify(state.avatar, state.optimizer, state.gradients, self._most_before_close_ups)
        if self._follows_face:
            self._bind_face()
        state.gradients = torch.zeros(len(state.avatar), device=self.device)

    def _resample(self) -> None:
        """Close the holes that no frame shows, early enough for the images to prune what contradicts them."""
        state, config = self.state, self.config
        views = self._posed_views(VISIBILITY_VIEWS)
        measure_visibility(state.avatar, views, self._render)
        real = [(replace(v, camera=self.alignment.aligned_camera(v.camera, v.index)), pose) for v, pose in views]
        sample = partial(sample_gaussians, state.avatar.body, state.avatar.frames, rng=state.rng)
        resample_unobserved(state.avatar, state.optimizer, sample, config.gaussians, self._most_before_close_ups, real)
        inpaint_unobserved(state.avatar)
        close_gaps(state.avatar)
        state.gradients = torch.zeros(len(state.avatar), device=self.device)

    @property
    def _most_before_close_ups(self) -> int:
        """How many Gaussians there may be before face and hands get finer ones."""
        config = self.config
        reserved = RESERVED if config.close_ups > 0 and self._knows_cameras else 0.0
        return max(round((1 - reserved) * config.max_gaussians), config.gaussians)

    def _close_ups(self) -> None:
        """Refine face and hands."""
        state, config = self.state, self.config
        if not config.resample_unobserved:
            measure_visibility(state.avatar, self._posed_views(VISIBILITY_VIEWS), self._render)
        if state.avatar.deform is not None:
            state.avatar.deform.enabled = True
        refine_details(state.avatar, state.optimizer, self._sharp_views(), config.max_gaussians)
        train_close_ups(state.avatar, self._sharp_views(), config, self._image_loss, state.rng, self.backend)

    @torch.no_grad()
    def _sharp_views(self, count: int | None = None) -> Iterator[PosedView]:
        """The trained frames, or about `count` of them, at full resolution, one at a time, with their poses."""
        for view in map(self.views.get, self.trained[:: max(len(self.trained) // (count or len(self.trained)), 1)]):
            yield view, self.state.poses.pose(view.instant)

    @torch.no_grad()
    def _measure(self) -> float:
        """Mean PSNR of a few held-out frames, see `mean_psnr`; kept in the history."""
        state, frames = self.state, self.held_out[:: max(len(self.held_out) // MEASURED_FRAMES, 1)][:MEASURED_FRAMES]
        views = [self.views.get(index) for index in frames]
        mean = mean_psnr(state.avatar, [(view, state.poses.pose(view.instant)) for view in views], self.backend)
        if views:
            state.history.append((state.step, mean))
        return mean

    def _posed_views(self, count: int) -> list[PosedView]:
        """About `count` of the trained frames, evenly spaced, at half resolution, with their poses."""
        views = [self.views.get(index, level=1) for index in self.trained[:: max(len(self.trained) // count, 1)]]
        with torch.no_grad():
            return [(view, self.state.poses.pose(view.instant)) for view in views]

    def _trained_instants(self, track: BodyTrack, observations: Observations) -> Bool[Tensor, " instants"]:
        trained = torch.zeros(len(track), dtype=torch.bool)
        trained[observations.instant[self.trained]] = True
        return trained
