"""A recording with depth in, observations out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import avatar
from avatar.errors import AvatarError, UsageError
from avatar.io.camera_file import save_cameras
from avatar.io.depth_images import DepthFiles
from avatar.io.observations_file import load_observations
from avatar.observation.video import observe
from avatar.pipeline.camera import camera_motion, through_pinhole
from avatar.tracking.options import TrackOptions
from avatar.types import Detection

from ..io.made_up_depth_images import millimetres, open3d_intrinsics, pngs, video
from ..io.made_up_recordings import BAR, FPS, K, stray, upright_cameras
from .test_observe import Blobs


class Sideways(Blobs):
    """The same for images that lie sideways."""

    def detect(self, image: np.ndarray) -> list[Detection]:
        return [
            Detection(one.keypoints[:, [1, 0, 2]], one.keypoints_3d, np.ascontiguousarray(one.mask.T))
            for one in super().detect(np.ascontiguousarray(image.transpose(1, 0, 2)))
        ]


def test_depth_and_cameras_come_along(tmp_path: Path) -> None:
    """Of the part that is used, in the size of its images; frames whose depth is broken are named."""
    folder = stray(tmp_path / "scan", held=1, frames=12)
    (folder / "depth" / "000003.png").write_bytes(b"broken")
    (folder / "depth" / "000004.png").unlink()
    observe(folder, tmp_path / "out", start=1 / FPS, detector=Blobs())
    observations = load_observations(tmp_path / "out")
    assert len(observations) == 11 and observations.source == str(folder)
    assert any("depth of 2 of 11 frames is missing or broken, between 0.2 and 0.3 s" in n for n in observations.notes)
    depth, cameras = observations.depth, observations.cameras
    assert depth is not None and cameras is not None and len(depth) == len(cameras) == len(observations)
    assert [float(depth[index].max()) > 3 for index in range(5)] == [True, True, False, False, True]
    bar = observations.masks[0] > 127
    grown = np.kron(depth[0] < 3, np.ones((8, 8), bool))[: bar.shape[0], : bar.shape[1]]
    assert (grown & bar).sum() > 0.8 * bar.sum()
    centres = -(cameras.T_camera_world[:, :3, :3].mT @ cameras.T_camera_world[:, :3, 3:]).squeeze(-1)
    assert torch.allclose(centres[:, 0], 0.1 * torch.arange(1, 12), atol=1e-4)
    motion = camera_motion(observations, TrackOptions())
    assert motion.regime == "moving" and motion.metric and motion.focal_given and motion.vertical == (0, 1, 0)
    assert BAR[2] == pytest.approx(bar.any(0).sum(), abs=2)
    observe(folder / "rgb.mp4", tmp_path / "out", detector=Sideways())
    assert load_observations(tmp_path / "out").depth is None  # of the recording before


def test_a_recording_without_any_depth_is_refused(tmp_path: Path) -> None:
    folder = stray(tmp_path / "scan", held=0, frames=12)
    for path in (folder / "depth").iterdir():
        path.unlink()
    with pytest.raises(AvatarError, match="none of its depth images can be read"):
        observe(folder, tmp_path / "out", detector=Blobs())
    assert not (tmp_path / "out" / "observations.npz").exists()


def test_depth_beside_a_video_comes_along(tmp_path: Path) -> None:
    """Of the part that is used. With intrinsics alone the camera's motion is estimated; without, its lens too."""
    clip, stack = video(tmp_path / "me.mp4", 12), millimetres(12)
    folder = pngs(tmp_path / "depth", stack)
    (folder / "depth_4.png").write_bytes(b"broken")
    lens = open3d_intrinsics(tmp_path / "lens.json")
    for camera in (lens, None):
        observe(clip, tmp_path / "out", start=1 / FPS, detector=Blobs(), depth=DepthFiles(folder, None, camera))
        observations = load_observations(tmp_path / "out")
        assert observations.source == str(clip) and (observations.cameras is None) == (camera is None)
        assert any("depth of 1 of 11 frames is missing or broken" in note for note in observations.notes)
        images = observations.depth
        assert images is not None and images[3].max() == 0
        assert [float(images[frame].max()) for frame in (0, 10)] == pytest.approx([4.001, 4.011], abs=1e-4)
        motion = camera_motion(observations, TrackOptions(camera="auto" if camera is None else str(camera)))
        assert motion.regime == "still" and motion.vertical is None
        assert motion.focal_given == (camera is not None)
        if camera is not None:
            assert motion.cameras.K[0, 0, 0] == K[0, 0]


def test_the_distortion_that_intrinsics_state_is_taken_out_of_the_images(tmp_path: Path) -> None:
    """With depth beside the video or not; a lens that bends the corner by less than a pixel is left as it is."""
    clip, folder = video(tmp_path / "me.mp4", 12), pngs(tmp_path / "depth", millimetres(12))
    lens = open3d_intrinsics(tmp_path / "lens.json")
    plain = json.loads(lens.read_text())
    for k1, expected in ((-0.5, (-0.5, 0.0, 0.0, 0.0)), (1e-4, None)):
        lens.write_text(json.dumps(plain | {"k1": k1}))
        for depth in (folder, None):
            observations = avatar.observe(clip, detector=Blobs(), depth=depth, camera=lens if depth else None)
            motion = camera_motion(observations, TrackOptions(camera=str(lens)))
            assert motion.distortion == expected
            straight = through_pinhole(observations, motion)
            assert (straight is observations) == (expected is None)
            if depth is not None and expected is not None:
                assert observations.depth is not None and straight.depth is not None
                moved = straight.depth[0] != observations.depth[0]
                assert straight.depth[0].shape == observations.depth[0].shape and 0 < moved.mean() < 0.5


def test_the_function_takes_depth_as_the_commands_do(tmp_path: Path) -> None:
    clip, stack = video(tmp_path / "me.mp4", 12), millimetres(12)
    np.save(tmp_path / "depth.npy", 2 * stack)
    observations = avatar.observe(clip, detector=Blobs(), depth=tmp_path / "depth.npy", depth_scale=0.0005)
    assert observations.depth is not None
    assert [float(observations.depth[i].max()) for i in (0, 11)] == pytest.approx([4.0, 4.011], abs=1e-4)
    for options, message in (
        ({"depth_scale": 0.001}, "give both"),
        ({"depth": "depth.npy", "depth_scale": -1.0}, "metres per unit"),
        ({"depth": tmp_path / "absent"}, "There is no file or folder"),
    ):
        with pytest.raises(UsageError, match=message):
            avatar.observe(clip, **options)


def test_a_camera_file_beside_depth_brings_its_metres(tmp_path: Path) -> None:
    np.save(tmp_path / "depth.npy", millimetres(12))
    save_cameras(tmp_path / "cameras.json", upright_cameras(12))
    files = DepthFiles(tmp_path / "depth.npy", None, tmp_path / "cameras.json")
    observations = observe(video(tmp_path / "me.mp4", 12), detector=Blobs(), depth=files)
    motion = camera_motion(observations, TrackOptions(camera=str(tmp_path / "cameras.json")))
    assert motion.regime == "moving" and motion.metric and motion.focal_given and motion.vertical == (0, 1, 0)
