"""SMPL-X bodies from a folder of model files, built by the package smplx. Its only import stands here."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avatar.errors import UsageError
from avatar.io.files import write_npz
from avatar.runtime.logging import logger

NAMES = tuple(f"SMPLX_{gender}.npz" for gender in ("NEUTRAL", "FEMALE", "MALE"))
NEEDED = (
    "hands_componentsl", "hands_componentsr", "hands_meanl", "hands_meanr", "lmk_faces_idx", "lmk_bary_coords",
)  # fmt: skip
"""Arrays that smplx needs beside those of every body file."""


def find_smplx_file(folder: Path) -> Path:
    """The model file in a folder as smplx's users have it: `smplx/SMPLX_NEUTRAL.npz`, else female, else male.

    Raises:
        UsageError: the folder holds no SMPL-X model.
    """
    for name in NAMES:
        for path in (folder / "smplx" / name, folder / name):
            if path.is_file():
                return path
    raise UsageError(f"{folder} holds no SMPL-X model: it needs smplx/SMPLX_NEUTRAL.npz or one of another gender.")


def build_smplx_arrays(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of the body that smplx builds, under the names of body files, with ten shapes and ten expressions.

    Args:
        arrays: of the model file, plain ones only. They reach smplx in a file of their own, since smplx would also
            run pickled content of the original.

    Raises:
        UsageError: the package smplx is not installed.
        ValueError: the file lacks an array that smplx needs.
    """
    try:
        import smplx
    except ImportError as error:
        raise UsageError(
            "A folder of SMPL-X models needs the package smplx: pip install 'splat-avatar[smpl]', or give the file."
        ) from error
    logger.info("The package smplx builds the body; its licence allows non-commercial research only.")
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise ValueError(f"it has no {' and no '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "SMPLX_NEUTRAL.npz"
        write_npz(path, **arrays)
        with contextlib.redirect_stdout(io.StringIO()):  # it prints how many coefficients it reads
            model = smplx.create(str(path), "smplx", ext="npz", use_pca=False, num_betas=10, num_expression_coeffs=10)
    template = model.v_template.numpy()
    parents = model.parents.numpy()
    return {
        "v_template": template,
        "f": np.asarray(model.faces),
        "J_regressor": model.J_regressor.numpy(),
        "weights": model.lbs_weights.numpy(),
        "shapedirs": np.concatenate([model.shapedirs.numpy(), model.expr_dirs.numpy()], axis=-1),
        "posedirs": model.posedirs.numpy().T.reshape(len(template), 3, -1),
        "kintree_table": np.stack([parents, np.arange(len(parents))]),
        "hands_meanl": model.left_hand_mean.numpy(),
        "hands_meanr": model.right_hand_mean.numpy(),
    }
