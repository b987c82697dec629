"""Build `assets/body/pose_prior.npz`, the mixture of Gaussians of `avatar/tracking/pose_prior.py`.

    pip install scikit-learn                              # in a throw-away environment that has this project
    python scripts/build_pose_prior.py assets/body/pose_prior.npz MOTIONS...

Motions are files or folders of any format that the project reads, and the CMU database's ASF and AMC files. File names
begin with the number of the subject, as CMU's do (05_02.bvh), and every subject counts alike.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from asf_amc import read_motion
from jaxtyping import Float
from torch import Tensor

from avatar.body import Body, load_body
from avatar.body.skinning import joint_transforms
from avatar.io.files import write_npz
from avatar.motion.formats.registry import load_motion
from avatar.motion.motion import Motion, ReadOptions
from avatar.motion.retarget import Retargeting, resample
from avatar.motion.skeletons import motion_from_animation
from avatar.tracking.pose_prior import JOINTS, MIRRORED, directions
from avatar.types import BodyPose

RATE = 10.0  # poses per second
MOST_POSES = 600  # of one subject
COMPONENTS = 12
BLUR = 0.1  # standard deviation that skeletons and people differ by, added to every direction
OUTLIERS = 0.05  # weight of one wide component, so that no pose is impossible
KINDS = (".amc", ".bvh", ".fbx", ".c3d", ".glb")


def motions(paths: list[Path]) -> Iterator[tuple[str, Motion]]:
    """The motions with the number of the subject."""
    for path in sorted(file for each in paths for file in (each.rglob("*") if each.is_dir() else [each])):
        if path.suffix.lower() in KINDS:
            amc = path.suffix.lower() == ".amc"
            motion = motion_from_animation(read_motion(path), ReadOptions()) if amc else load_motion(path)
            yield path.stem.split("_")[0], motion


def features(body: Body, motion: Motion) -> Float[Tensor, "n 27"]:
    """The features of a motion's poses, and of their mirror images."""
    poses = resample(motion.track, Retargeting(fps=RATE)).poses
    rest = body.rest(torch.zeros(body.shape_dirs.shape[-1]))
    Ts = joint_transforms(rest.joints, body.parents, body.complete(BodyPose(poses.root_position, poses.rotations)))
    joints = Ts[:, [body.joint_names.index(name) for name in JOINTS], :3, 3].double()
    # A level camera: y points down, so turning about x by half a circle makes the world's axes its own.
    level = joints * joints.new_tensor([1.0, -1.0, -1.0])
    own = torch.func.vmap(directions, in_dims=(0, None, None))(level, torch.zeros(4).double(), torch.zeros(1).double())
    mirrored = own.unflatten(1, (9, 3))[:, list(MIRRORED)] * own.new_tensor([-1.0, 1.0, 1.0])
    return torch.cat([own, mirrored.flatten(1)])


def main(output: Annotated[Path, tyro.conf.Positional], paths: Annotated[list[Path], tyro.conf.Positional]) -> None:
    """Read the motions, fit the mixture and write it."""
    from sklearn.mixture import GaussianMixture

    body = load_body("open")
    poses = defaultdict(list)
    for subject, motion in motions(paths):
        poses[subject].append(features(body, motion))
    chosen = []
    for subject, parts in sorted(poses.items()):
        every = torch.cat(parts)
        chosen.append(every[:: math.ceil(len(every) / MOST_POSES)])
        print(f"subject {subject}: {len(every)} poses, {len(chosen[-1])} taken")
    table = torch.cat(chosen).numpy()
    mixture = GaussianMixture(COMPONENTS, reg_covar=BLUR**2, n_init=3, random_state=0).fit(table)
    wide = 2 * np.cov(table.T) + BLUR**2 * np.eye(table.shape[1])
    write_npz(
        output,
        weights=np.append((1 - OUTLIERS) * mixture.weights_, OUTLIERS).astype(np.float32),
        means=np.concatenate([mixture.means_, table.mean(0)[None]]).astype(np.float32),
        covariances=np.concatenate([mixture.covariances_, wide[None]]).astype(np.float32),
    )


if __name__ == "__main__":
    tyro.cli(main)
