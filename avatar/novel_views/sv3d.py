"""Views on an orbit by SV3D's network (Voleti et al. 2024, arXiv 2403.12008), built from diffusers' own parts.

SV3D is Stable Video Diffusion conditioned on the elevation and azimuth of the camera in each frame. The weights are
the user's: a folder, or a name on the hub, in the layout of diffusers (`unet`, `vae`, `image_encoder`), safetensors
only. Conventions of the published model that are kept here: the object on white, square images, the last frame is the
input view, polar angles from the zenith and azimuths from the last frame in radians, guidance that rises and falls
along the orbit, image latents unscaled, sigmas from 700 down.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from avatar.io.images import to_uint8
from avatar.novel_views.background import not_background
from avatar.novel_views.diffusers_weights import diffusers_package, licence_of, loading, located
from avatar.novel_views.generator import Photo, View
from avatar.runtime.progress import Progress

STEPS = 25
FOV = 33.8  # degrees, of the cameras that SV3D was trained with
BORDER = 0.1  # free share of the image around the person
NOISE = 1e-5  # noise level of the input view, a condition of the network
MOST_GUIDANCE = 2.5
SIGMAS = {"sigma_min": 0.002, "sigma_max": 700.0}
# Viewed from above, both azimuths grow counter-clockwise, as in the renderings that SV3D was trained with. Not checked
# with the true weights: if the back left and back right change places, flip this sign.
DIRECTION = 1.0
DECODED_AT_ONCE = 4
WHITE = np.full(3, 255, np.float32)
NAMES = ("unet", "vae", "image_encoder")


@functools.cache
def orbit_unet() -> Any:
    """The class of the network: SVD's, with a time embedding per frame."""
    diffusers = diffusers_package()
    get_timestep_embedding = diffusers.models.embeddings.get_timestep_embedding

    svd_unet: Any = diffusers.UNetSpatioTemporalConditionModel

    class OrbitUNet(svd_unet):  # type: ignore[misc]  # the package is untyped
        """`forward` takes angles (batch, frames, 3): noise, polar angle and azimuth, instead of SVD's three numbers.

        They are embedded in 256, 512 and 512 numbers, so that `projection_class_embeddings_input_dim` is 1280 in
        SV3D's configuration; no weights are added.
        """

        def forward(self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, angles: Tensor) -> Tensor:
            batch, frames = sample.shape[:2]
            width = self.config.projection_class_embeddings_input_dim // 5
            embedded = [
                get_timestep_embedding(angles[..., i].flatten(), width * share, flip_sin_to_cos=True,
                                       downscale_freq_shift=0)
                for i, share in enumerate((1, 2, 2))
            ]  # fmt: skip
            moment = self.time_proj(timestep.expand(batch)).to(sample.dtype)
            emb = self.time_embedding(moment).repeat_interleave(frames, dim=0)
            emb = emb + self.add_embedding(torch.cat(embedded, -1).to(sample.dtype))
            context = encoder_hidden_states.repeat_interleave(frames, dim=0)
            still = torch.zeros(batch, frames, dtype=sample.dtype, device=sample.device)
            x = self.conv_in(sample.flatten(0, 1))
            skips = [x]
            for block in self.down_blocks:
                x, more = self._apply_block(block, x, emb, context, still)
                skips.extend(more)
            x = self.mid_block(x, emb, encoder_hidden_states=context, image_only_indicator=still)
            for block in self.up_blocks:
                count = len(block.resnets)
                own, skips = tuple(skips[-count:]), skips[:-count]
                x = self._apply_block(block, x, emb, context, still, res_hidden_states_tuple=own)
            x = self.conv_out(self.conv_act(self.conv_norm_out(x)))
            predicted: Tensor = x.unflatten(0, (batch, frames))
            return predicted

        @staticmethod
        def _apply_block(block: Any, x: Tensor, emb: Tensor, context: Tensor, still: Tensor, **more: Any) -> Any:
            if getattr(block, "has_cross_attention", False):
                more["encoder_hidden_states"] = context
            return block(x, temb=emb, image_only_indicator=still, **more)

    return OrbitUNet


class OrbitViews:
    """Samples an orbit around the person of a photo.

    Args:
        model: folder or hub name of the weights; device: "cpu" or "cuda", half precision on the latter.
        frames: views of the orbit, including that of the photo; offload: keep each network in main memory while
            another runs.
    """

    def __init__(self, model: str, device: str, frames: int, offload: bool = False, steps: int = STEPS) -> None:
        self.model, self.frames, self.steps, self.offload = model, max(frames, 2), steps, offload
        self.device = torch.device(device)
        self.dtype = torch.float16 if self.device.type == "cuda" else torch.float32

    def terms(self) -> str:
        """The licence of the weights; the one of Stability AI excludes most commercial use."""
        return licence_of(self.model)

    def generate(self, photo: Photo) -> list[View]:
        """All views of the orbit but the last, which is the photo."""
        with loading(self.model):
            self._load()
            images = self._sample(photo)
        azimuths = np.linspace(0, 360, self.frames + 1)[1:-1]
        views = []
        for angle, image in zip(azimuths, images[:-1], strict=True):
            name = f"orbit {angle:.0f}"
            mask = not_background(image, WHITE)
            azimuth = (DIRECTION * float(angle) + 180) % 360 - 180
            views.append(View(name, image, mask, azimuth, photo.elevation, FOV))
        return [view for view in views if view.mask.max() > 127]

    def _load(self) -> None:
        from transformers import CLIPVisionModelWithProjection

        classes = (orbit_unet(), diffusers_package().AutoencoderKLTemporalDecoder, CLIPVisionModelWithProjection)
        weights = located(self.model)
        self.networks: dict[str, Any] = {}
        for name, network in zip(NAMES, classes, strict=True):
            part = network.from_pretrained(weights, subfolder=name, use_safetensors=True, torch_dtype=self.dtype)
            self.networks[name] = part.eval().to("cpu" if self.offload else self.device)

    def _on_device(self, name: str) -> Any:
        """A network on the device; with `offload` the others leave it."""
        if self.offload:
            for other, part in self.networks.items():
                part.to(self.device if other == name else "cpu")
        return self.networks[name]

    @torch.no_grad()
    def _sample(self, photo: Photo) -> UInt8[np.ndarray, "frames s s 3"]:
        unet_size = int(self.networks["unet"].config.sample_size or 72)
        scale = 2 ** (len(self.networks["vae"].config.block_out_channels) - 1)
        square = framed(photo, unet_size * scale).to(self.device, self.dtype)
        context, latent = self._context(square), self._latent(square)
        scheduler = diffusers_package().EulerDiscreteScheduler(
            prediction_type="v_prediction", timestep_type="continuous", timestep_spacing="leading",
            use_karras_sigmas=True, **SIGMAS,
        )  # fmt: skip
        scheduler.set_timesteps(self.steps, device=self.device)
        angles = self._angles(photo.elevation)
        generator = torch.Generator().manual_seed(0)
        x = torch.randn(1, self.frames, *latent.shape[1:], generator=generator).to(self.device, self.dtype)
        x = x * scheduler.init_noise_sigma
        guidance = self._guidance()
        condition = latent[:, None].expand(-1, self.frames, -1, -1, -1)
        unet = self._on_device("unet")
        with Progress("generating views", self.steps) as bar:
            for timestep in scheduler.timesteps:
                scaled = scheduler.scale_model_input(x, timestep)
                unconditional = unet(
                    torch.cat([scaled, torch.zeros_like(condition)], 2), timestep, torch.zeros_like(context), angles
                )
                conditional = unet(torch.cat([scaled, condition], 2), timestep, context, angles)
                x = scheduler.step(
                    unconditional + guidance * (conditional - unconditional), timestep, x
                ).prev_sample.to(self.dtype)
                bar.step()
        return self._decoded(x[0])

    def _context(self, square: Float[Tensor, "1 3 s s"]) -> Float[Tensor, "1 1 c"]:
        """CLIP's embedding of the image."""
        from transformers.utils.constants import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

        encoder = self._on_device("image_encoder")
        side = encoder.config.image_size
        small = torch.nn.functional.interpolate(square.float(), (side, side), mode="bicubic", antialias=True) / 2 + 0.5
        mean, std = (small.new_tensor(v)[:, None, None] for v in (OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
        embedding: Tensor = encoder(((small - mean) / std).to(self.dtype)).image_embeds[:, None]
        return embedding

    def _latent(self, square: Float[Tensor, "1 3 s s"]) -> Float[Tensor, "1 c h w"]:
        latent: Tensor = self._on_device("vae").encode(square).latent_dist.mode()
        return latent

    def _angles(self, elevation: float) -> Float[Tensor, "1 frames 3"]:
        turn = torch.linspace(0, 2 * torch.pi, self.frames + 1)[1:]
        turn = (turn - turn[-1]) % (2 * torch.pi)
        polar = torch.full_like(turn, float(np.radians(90 - elevation)))
        return torch.stack([torch.full_like(turn, NOISE), polar, turn], -1)[None].to(self.device)

    def _guidance(self) -> Float[Tensor, "1 frames 1 1 1"]:
        """Guidance scale of each frame: 1 at the input view, largest opposite to it."""
        share = torch.linspace(0, 1, self.frames)
        value = 1 + (MOST_GUIDANCE - 1) * (1 - (2 * share - 1).abs())
        return value[None, :, None, None, None].to(self.device, self.dtype)

    def _decoded(self, x: Float[Tensor, "frames c h w"]) -> UInt8[np.ndarray, "frames s s 3"]:
        vae = self._on_device("vae")
        images = []
        for chunk in (x / vae.config.scaling_factor).split(DECODED_AT_ONCE):
            decoded = vae.decode(chunk, num_frames=len(chunk)).sample.float() / 2 + 0.5
            images.append(to_uint8(decoded.permute(0, 2, 3, 1)))
        return np.concatenate(images)


def framed(photo: Photo, size: int) -> Float[Tensor, "1 3 s s"]:
    """The person on white in the middle of a square, in [-1, 1]."""
    import cv2

    rows, columns = np.flatnonzero((photo.mask > 127).any(1)), np.flatnonzero((photo.mask > 127).any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    share = photo.mask[box][..., None] / 255
    person = photo.image[box] * share + 255 * (1 - share)
    scale = size * (1 - 2 * BORDER) / max(person.shape[:2])
    width, height = (max(round(side * scale), 1) for side in (person.shape[1], person.shape[0]))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    square = np.full((size, size, 3), 255, np.float32)
    top, left = (size - height) // 2, (size - width) // 2
    square[top : top + height, left : left + width] = cv2.resize(
        person.astype(np.float32), (width, height), interpolation=how
    )
    return torch.from_numpy(square).permute(2, 0, 1)[None].clamp(0, 255) / 127.5 - 1
