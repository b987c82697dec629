"""Packages of npm for tests, without a network: from NODE_PATH, or from npm's own cache."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def node_modules(folder: Path, *packages: str) -> Path:
    """A `node_modules` that holds these packages (`name@version`); skips the test where there is none.

    Args:
        folder: an empty one, into which npm installs what it has in its cache.
    """
    names = [package.rpartition("@")[0] for package in packages]
    for place in map(Path, filter(None, os.environ.get("NODE_PATH", "").split(os.pathsep))):
        if all((place / name).is_dir() for name in names):
            return place
    reason = f"needs npm install {' '.join(packages)}, once with a network or in a folder of NODE_PATH"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"no npm on this machine; {reason}")
    # Nothing that a package brings is run while it is installed.
    options = ["--offline", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder)]
    if subprocess.run([npm, "install", *options, *packages], capture_output=True, timeout=180).returncode:
        pytest.skip(reason)
    return folder / "node_modules"
