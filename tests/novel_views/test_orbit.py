"""The whole chain with a tiny network of random weights: save, load, sample, align, repair, fit."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.body import load_body
from avatar.body.model import Body
from avatar.errors import AvatarError, UsageError
from avatar.geometry import project
from avatar.novel_views.generator import Photo
from avatar.novel_views.observations import assign_frames, photo_observations
from avatar.novel_views.placement import box_center, placed_image
from avatar.rendering.camera_paths import front
from avatar.tracking.silhouette import filled_mesh
from avatar.training.config import TrainConfig
from avatar.training.trainer import Trainer
from avatar.types import BodyPose, BodyTrack, Observations, PosedImage

pytestmark = pytest.mark.skipif(find_spec("diffusers") is None, reason="diffusers is not installed")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of SV3D's layout with 1/5000 of its parameters."""
    from avatar.novel_views.diffusers_weights import diffusers_package, loading
    from avatar.novel_views.sv3d import orbit_unet

    with loading("tiny"):
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("orbit")
    orbit_unet()(
        sample_size=16, down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), block_out_channels=(32, 64),
        layers_per_block=1, cross_attention_dim=32, num_attention_heads=(2, 4), addition_time_embed_dim=32,
        projection_class_embeddings_input_dim=160,
    ).save_pretrained(folder / "unet")  # fmt: skip
    diffusers_package().AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"), block_out_channels=(32, 32), layers_per_block=1,
        latent_channels=4,
    ).save_pretrained(folder / "vae")  # fmt: skip
    CLIPVisionModelWithProjection(CLIPVisionConfig(
        hidden_size=16, projection_dim=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        image_size=32, patch_size=16,
    )).save_pretrained(folder / "image_encoder")  # fmt: skip
    (folder / "README.md").write_text("---\nlicense: other\nlicense_name: tiny-nc\n---\n")
    return folder


@pytest.fixture(scope="module")
def scene() -> tuple[Body, BodyTrack, Observations, torch.Tensor]:
    """The open body at rest, photographed from the front, grey on white."""
    body = load_body("open")
    joints = len(body.parents)
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    pose = BodyPose(rest.joints[:1].clone(), torch.eye(3).expand(1, joints, 3, 3).clone())
    vertices = body.vertices(rest, pose)[0]
    camera = front(vertices.amin(0), vertices.amax(0), 1, 96, 128)
    pixels, _ = project(camera.K[0], camera.T_camera_world[0], vertices)
    mask = filled_mesh(pixels.numpy(), body.faces.numpy().astype(np.int32), (96, 128))
    image = np.where(mask[..., None] > 0, 120, 255).astype(np.uint8).repeat(3, -1)
    one = torch.zeros(1)
    betas, instant = torch.zeros(body.shape_dirs.shape[-1]), torch.zeros(1, dtype=torch.int64)
    track = BodyTrack("open", betas, pose, one, torch.ones(1, joints), instant, camera)
    photo = Observations(
        images=(image,), masks=(mask,), keypoints=torch.zeros(1, 33, 3), keypoints_3d=torch.zeros(1, 33, 3),
        layout="blazepose33", instant=track.instant, times=one, width=96, height=128,
    )  # fmt: skip
    return body, track, photo, vertices


def test_the_chain_from_weights_to_an_avatar(
    weights: Path, scene: tuple[Body, BodyTrack, Observations, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    from avatar.novel_views.sv3d import OrbitViews
    from avatar.pipeline import view_selection
    from avatar.pipeline.photo import PhotoTraining
    from avatar.training.view_alignment import LearnedViews

    body, track, photo, vertices = scene
    generator = OrbitViews(str(weights), "cpu", frames=4, steps=2, offload=True)
    assert "tiny-nc" in generator.terms()
    views = generator.generate(Photo(photo.images[0], photo.masks[0], 5.0))
    assert [view.azimuth for view in views] == [90, -180, -90]
    assert all(view.image.shape == (32, 32, 3) and view.elevation == 5.0 for view in views)
    again = generator.generate(Photo(photo.images[0], photo.masks[0], 40.0))
    assert any((a.image != b.image).any() for a, b in zip(views, again, strict=True)), "the angles have no effect"

    monkeypatch.setattr(view_selection, "ALIGN_ROUNDS", 15)
    monkeypatch.setattr(view_selection, "LEAST_IOU", 0.0)
    train = TrainConfig(steps=6, gaussians=1500, max_gaussians=1500, long_side=64)
    training = PhotoTraining(train, "cpu", "cpu")
    assert track.cameras is not None
    images = [PosedImage(photo.images[0], photo.masks[0], track.cameras[0])]
    placed = [placed_image(view, vertices, track.cameras[0]) for view in views]
    alignment = LearnedViews(box_center(vertices), torch.arange(4) < 1)
    together = photo_observations(photo, [*images, *placed])
    config = training.config_for(len(together))
    coarse = view_selection.align_views(together, assign_frames(track, together), body, alignment, config, "cpu", "cpu")
    selected, warnings = view_selection.select_views(images, placed, coarse, alignment, "cpu")
    assert len(selected) == 3 and not warnings
    assert all(view.weight < 1 for view in selected)
    assert not torch.allclose(selected[1].camera.T_camera_world, placed[1].camera.T_camera_world, atol=1e-4)

    observations = photo_observations(photo, [*images, *selected])
    config = training.config_for(len(observations))
    result = Trainer(observations, assign_frames(coarse.track, observations), body, config).run()
    assert len(result.avatar) > 1000 and 0 < float(result.avatar.observed.mean()) <= 1
    assert torch.isfinite(result.avatar.pose(result.track.poses[0]).means).all()


def test_weights_that_are_not_there_are_refused(tmp_path: Path) -> None:
    from avatar.novel_views.sv3d import OrbitViews

    photo = Photo(np.zeros((40, 30, 3), np.uint8), np.full((40, 30), 255, np.uint8), 0.0)
    with pytest.raises(UsageError, match="There is no folder"):
        OrbitViews(str(tmp_path / "nothing"), "cpu", 4).generate(photo)
    with pytest.raises(AvatarError, match="cannot be used: "):
        OrbitViews(str(tmp_path), "cpu", 4).generate(photo)
    assert "names no licence" in OrbitViews(str(tmp_path), "cpu", 4).terms()
