"""Splats in glTF, read by pygltflib and skinned as the specification says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pygltflib import GLTF2

from avatar.body.skinning import skin, skinning_transforms
from avatar.exporters.glb_splats import EXTENSION, write_glb_splats, write_rigged_splats
from avatar.io.exposure import linear_light
from avatar.io.splat_files import SH_C0
from avatar.model.avatar import Avatar
from avatar.types import BodyTrack
from tests.exporters.gltf_reader import attribute, skinned, values


def splat_attribute(file: GLTF2, name: str) -> np.ndarray:
    return values(file, getattr(file.meshes[0].primitives[0].attributes, f"{EXTENSION}:{name}"))


def test_a_pose_is_a_cloud_of_gaussians(person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path) -> None:
    posed = person.pose(moves["wave"].poses[6]).detach()
    write_glb_splats(posed, tmp_path / "me.glb")
    file = GLTF2().load(tmp_path / "me.glb")
    primitive = file.meshes[0].primitives[0]
    assert file.extensionsUsed == [EXTENSION] and primitive.mode == 0
    assert primitive.extensions[EXTENSION]["kernel"] == "ellipse"
    assert primitive.extensions[EXTENSION]["colorSpace"] == "srgb_rec709_display"
    np.testing.assert_array_equal(attribute(file, "POSITION"), posed.means)
    np.testing.assert_allclose(splat_attribute(file, "SCALE"), posed.scales)  # linear since the draft of 2026
    np.testing.assert_allclose(splat_attribute(file, "OPACITY")[:, 0], posed.opacities)
    np.testing.assert_allclose(splat_attribute(file, "SH_DEGREE_0_COEF_0") * SH_C0 + 0.5, posed.colors, atol=1e-6)
    x, y, z, w = splat_attribute(file, "ROTATION").T
    np.testing.assert_allclose(np.stack([w, x, y, z], 1), torch.nn.functional.normalize(posed.quats), atol=1e-6)
    color = attribute(file, "COLOR_0")  # linear, for programs without the extension
    np.testing.assert_allclose(color[:, :3], linear_light(posed.colors.numpy()), atol=1e-6)


@pytest.mark.parametrize("lit", [False, True])
def test_rigged_splats_move_with_the_skeleton(
    person: Avatar, moves: dict[str, BodyTrack], tmp_path: Path, lit: bool
) -> None:
    write_rigged_splats(person, tmp_path / "me.glb", moves, lit)
    file = GLTF2().load(tmp_path / "me.glb")
    np.testing.assert_allclose(attribute(file, "POSITION"), person.rest_means().detach(), atol=1e-6)
    body, rig = person.richest_rig
    assert len(file.skins[0].joints) == len(body.parents) == 55
    for clip, name in enumerate(moves):
        transforms = skinning_transforms(rig.joints, rig.parents, body.complete(moves[name].poses[9]))
        expected = skin(person.rest_means(), rig.surface.weights, transforms).detach()
        apart = np.linalg.norm(skinned(file, clip, 9) - expected.numpy(), axis=1)
        # Weights in bytes, and only the four strongest joints of a splat, cost some millimetres at the shoulders.
        assert apart.max() < 0.02 and apart.mean() < 1e-3
