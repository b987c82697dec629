"""Training: one explicit loop from observations and a body track to an avatar.

Every step shows one picture, cut to the person, on a background of random colour (so that holes and floaters cost),
compares, and lets Adam move the Gaussians, the light and, a little later, the poses and the deformation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from avatar.body import Body
from avatar.metrics.images import psnr
from avatar.metrics.ssim import ssim
from avatar.model.avatar import Avatar, PoseOffsets
from avatar.model.gaussians import TriangleFrames, TriangleGaussians, sample_on_surface, triangle_frames
from avatar.rendering.renderer import render
from avatar.runtime.progress import Progress
from avatar.training import losses
from avatar.training.checkpoint import read_checkpoint, write_checkpoint
from avatar.training.config import TrainConfig
from avatar.training.densification import rebind_to_nearest_face, select_for_densification, split_gaussians
from avatar.training.initialization import splat_density
from avatar.training.inpainting import inpaint_unobserved
from avatar.training.pose_refinement import PoseRefinement
from avatar.training.resampling import resample_unobserved
from avatar.training.split import held_out_frames
from avatar.training.view_alignment import ViewAlignment
from avatar.training.views import TrainingFrame, TrainingFrames
from avatar.training.visibility import Shown, initialize_colors, measure_visibility
from avatar.types import BodyTrack, Cameras, Gaussians, Observations, RenderOutput

TOLD = 10  # steps between two looks at the loss
RENEWED = 0.85  # share of the run after which what no frame showed is sown anew


@dataclass(frozen=True)
class TrainResult:
    """A trained avatar, the track with its poses corrected, and how the held-out PSNR grew: (step, dB)."""

    avatar: Avatar
    track: BodyTrack
    held_out: list[int]
    history: list[tuple[int, float]]


@runtime_checkable
class Preview(Protocol):
    """Somebody who watches training; returns False to stop early and keep what is there."""

    def after_step(self, step: int, avatar: Avatar, loss: float, psnr: float | None) -> bool: ...


class Trainer:
    """The state of one training run; `run` is the loop.

    Args:
        observations: pictures and masks; track: body poses and cameras; body: the body model of the track.
        device, backend: where and by which renderer (`avatar.rendering`).
        checkpoint: file to save to and resume from, or None.
        views: where the frames were really taken from, to be learned too; not part of the checkpoint.
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
        views: ViewAlignment | None = None,
    ) -> None:
        if track.cameras is None:
            raise ValueError("Training needs a track with cameras.")
        self.config, self.backend, self.checkpoint, self.views = config, backend, checkpoint, views
        self.device = torch.device(device)
        self.rng = torch.Generator().manual_seed(config.seed)
        torch.manual_seed(config.seed)
        self.frames = TrainingFrames(observations, track.cameras, config.long_side, self.device)
        self.held_out = held_out_frames(len(self.frames), config.hold_out)
        self.trained = [index for index in range(len(self.frames)) if index not in set(self.held_out)]
        self.poses = PoseRefinement(track, self._seen_instants(track, observations)).to(self.device)
        self.avatar = self._new_avatar(body, track)
        self.optimizer = self._new_optimizer()
        self.step = 0
        self.order: list[int] = []
        self.history: list[tuple[int, float]] = []
        self.error = torch.zeros(len(self.avatar), device=self.device)

    def run(self, preview: Preview | None = None, resume: bool = False) -> TrainResult:
        """Train to the end. Ctrl-C saves a checkpoint, from which `resume` goes on."""
        if resume and self.checkpoint is not None and self.checkpoint.exists():
            read_checkpoint(self.checkpoint, self)
        else:
            self._paint()
        try:
            self._loop(preview)
        except KeyboardInterrupt:
            self._save()
            raise
        self._finish()
        return TrainResult(self.avatar, self.poses.refined(), self.held_out, self.history)

    def _loop(self, preview: Preview | None) -> None:
        config = self.config
        loss: float | None = None
        with Progress("training", config.steps) as bar:
            bar.step(count=self.step)
            while self.step < config.steps:
                step_loss = self._one_step()
                self.step += 1
                if loss is None or preview is not None or self.step % TOLD == 0:
                    loss = float(step_loss)
                if self._due(6, 0.15, 0.7):
                    self._densify()
                if self.config.renew_unseen and self._due(1, 0.0, RENEWED):
                    self._renew()
                measured = self._measure() if self._due(8, 0.0, 1.0) else None
                if self._due(5, 0.0, 1.0) and self.step < config.steps:
                    self._save()
                note = f"loss {loss:.4f}, {len(self.avatar)} splats"
                bar.step(note + (f", held-out PSNR {self.history[-1][1]:.2f} dB" if self.history else ""))
                if preview is not None and not preview.after_step(self.step, self.avatar, loss, measured):
                    break

    def _due(self, times: int, start: float, end: float) -> bool:
        """Whether an event that happens `times` times, evenly between two shares of the run, falls on this step."""
        first, last = self.config.steps * start, self.config.steps * end
        if not first < self.step <= last:
            return False
        period = (last - first) / times
        return int((self.step - first) / period) != int((self.step - 1 - first) / period)

    def _one_step(self) -> Float[Tensor, ""]:
        """The loss stays where it is: on a GPU, reading it would make every step wait for the one before."""
        config, share = self.config, self.step / self.config.steps
        frame = self.frames.get(self._next_frame(), level=1 if share < config.coarse else 0)
        self._schedule(share)
        gaussians, offsets = self.avatar.pose_with_offsets(self.poses.pose(frame.instant))
        gaussians.means.retain_grad()
        loss = self._picture_loss(gaussians, frame) * frame.weight + self._priors(offsets)
        optimizer: torch.optim.Optimizer = self.optimizer
        if self.views is not None and self.views.is_due(self.step):
            optimizer = self.views.optimizer
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if gaussians.means.grad is not None:
            self.error += gaussians.means.grad.norm(dim=-1)
        return loss.detach()

    def _picture_loss(self, gaussians: Gaussians, frame: TrainingFrame) -> Float[Tensor, ""]:
        weights = self.config.weights
        background = torch.rand(3, generator=self.rng).to(self.device)
        out = self._render(gaussians, frame)
        seen = losses.photometric_loss(out, frame.image, frame.mask, background, frame.trust)
        coverage = weights.mask * seen.coverage
        if self.views is not None and self.views.by_silhouette(self.step):
            return coverage
        return seen.difference + weights.ssim * (1 - ssim(seen.shown, seen.truth)) + coverage

    def _render(self, gaussians: Gaussians, frame: TrainingFrame) -> RenderOutput:
        """The picture that the frame's camera takes, wherever it really stood."""
        if self.views is None:
            return render(gaussians, frame.camera, self.backend)
        seen = self.views.seen(gaussians, frame.index)
        return self.views.exposed(render(seen, frame.camera, self.backend), frame.index)

    def _priors(self, offsets: PoseOffsets) -> Float[Tensor, ""]:
        config, weights, gaussians = self.config, self.config.weights, self.avatar.gaussians
        of_splats = losses.SplatPriors(
            weights.stiffness, weights.oversize, weights.thickness, weights.roughness, config.reach, config.largest
        )
        total = of_splats(gaussians, self.avatar.neighbors) + weights.light * self.avatar.light.unlikelihood()
        if config.refine_poses:
            total = total + weights.pose_size * self.poses.turns.square().mean()
            if len(self.poses.turns) > 2:
                total = total + weights.pose_acceleration * losses.acceleration(self.poses.turns).mean()
                total = total + weights.pose_acceleration * losses.acceleration(self.poses.shifts).mean()
        if self.views is not None:
            total = total + weights.views * self.views.prior()
        if offsets.learned is not None:
            total = total + weights.deform * (offsets.learned / config.reach).square().mean()
        return total

    def _schedule(self, share: float) -> None:
        """Set each group's rate for this share of the run: late starters wait, all decay to a tenth."""
        config = self.config
        starts = {"turns": config.refine_start, "shifts": config.refine_start, "deform": config.deform_start}
        for group in self.optimizer.param_groups:
            began = share >= starts.get(group["name"], 0.0)
            group["lr"] = group["initial"] * 0.1**share if began else 0.0
        if self.avatar.deform is not None:
            self.avatar.deform.enabled = share >= config.deform_start

    def _next_frame(self) -> int:
        """A frame of the current shuffled round; each frame is shown once a round."""
        if not self.order:
            self.order = [self.trained[i] for i in torch.randperm(len(self.trained), generator=self.rng).tolist()]
        return self.order.pop()

    def _densify(self) -> None:
        gaussians = self.avatar.gaussians
        keep, split = select_for_densification(
            gaussians.opacities.detach(), self.error, self.config.max_gaussians, growth=0.15, faintest=0.02
        )
        local = torch.nn.functional.normalize(gaussians.quats.detach(), dim=-1)
        split_gaussians(gaussians, self.optimizer, keep, split, local)
        rebind_to_nearest_face(gaussians, self.avatar.frames)
        self.avatar.refresh()
        self.error = torch.zeros(len(self.avatar), device=self.device)

    @torch.no_grad()
    def _measure(self) -> float:
        """PSNR on white of up to four held-out frames, in the person's box; kept in the history."""
        if not self.held_out:
            return float("nan")
        chosen = self.held_out[:: max(len(self.held_out) // 4, 1)][:4]
        values = []
        for index in chosen:
            frame = self.frames.get(index)
            rgb = render(self.avatar.pose(self.poses.pose(frame.instant)), frame.camera, self.backend).on_white()[0]
            mask = frame.mask[..., None]
            values.append(psnr(rgb.clamp(0, 1), frame.image * mask + 1 - mask))
        self.history.append((self.step, sum(values) / len(values)))
        return self.history[-1][1]

    def _paint(self) -> None:
        """Start from the colours that the pictures show; what no frame shows is completed later."""
        initialize_colors(self.avatar, self._shown(24), self._render)

    def _finish(self) -> None:
        """Say how well each Gaussian was seen, and complete those that no frame showed."""
        if self.avatar.deform is not None:
            self.avatar.deform.enabled = True
        measure_visibility(self.avatar, self._shown(32), self._render)
        inpaint_unobserved(self.avatar)

    def _renew(self) -> None:
        """Close what no frame showed, early enough for the frames to trim what they do not agree with."""
        frames = self._shown(32)
        measure_visibility(self.avatar, frames, self._render)
        shown = [(replace(frame, camera=self._true_camera(frame)), pose) for frame, pose in frames]
        config, sow = self.config, partial(self._sown, self.avatar.body, self.avatar.frames)
        resample_unobserved(self.avatar, self.optimizer, sow, config.gaussians, config.max_gaussians, shown)
        inpaint_unobserved(self.avatar)
        self.error = torch.zeros(len(self.avatar), device=self.device)

    def _true_camera(self, frame: TrainingFrame) -> Cameras:
        return frame.camera if self.views is None else self.views.moved(frame.camera, frame.index)

    def _shown(self, count: int) -> list[Shown]:
        """About so many of the trained frames, at half resolution, with the poses that they show."""
        chosen = self.trained[:: max(len(self.trained) // count, 1)]
        frames = [self.frames.get(index, level=1) for index in chosen]
        with torch.no_grad():
            return [(frame, self.poses.pose(frame.instant)) for frame in frames]

    def _save(self) -> None:
        if self.checkpoint is not None:
            write_checkpoint(self.checkpoint, self)

    def _seen_instants(self, track: BodyTrack, observations: Observations) -> Bool[Tensor, " instants"]:
        seen = torch.zeros(len(track), dtype=torch.bool)
        seen[observations.instant[self.trained]] = True
        return seen

    def _new_avatar(self, body: Body, track: BodyTrack) -> Avatar:
        frames = triangle_frames(body.rest(track.betas).vertices, body.faces)
        gaussians = self._sown(body, frames, self.config.gaussians)
        avatar = Avatar(body, track.betas, gaussians, deform=self.config.deform == "mlp").to(self.device)
        if self.config.light:
            avatar.light.expect()
        if avatar.deform is not None:
            avatar.deform.remember_poses(body.complete(track.poses).rotations.to(self.device))
        return avatar

    def _sown(self, body: Body, frames: TriangleFrames, count: int) -> TriangleGaussians:
        return sample_on_surface(frames, splat_density(body), count, self.rng)

    def _new_optimizer(self) -> torch.optim.Adam:
        rates = self.config.rates
        gaussians = self.avatar.gaussians
        names = ("offset", "log_scales", "quats", "logit_opacities", "raw_colors")
        groups = [(name, [getattr(gaussians, name)]) for name in names]
        if self.config.light:
            groups.append(("light", [self.avatar.light.coefficients]))
        if self.avatar.deform is not None:
            groups.append(("deform", list(self.avatar.deform.parameters())))
        if self.config.refine_poses:
            groups += [("turns", [self.poses.turns]), ("shifts", [self.poses.shifts])]
        return torch.optim.Adam(
            [{"params": p, "name": n, "lr": getattr(rates, n), "initial": getattr(rates, n)} for n, p in groups],
            # Well below the gradients of what is seen: a smaller one would blow the rounding noise of what no
            # picture shows up to whole steps, and grow fur there.
            eps=1e-7,
            fused=True,
        )
