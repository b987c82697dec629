"""The wheel in a fresh environment, without the checkout: it makes an avatar, and its viewer answers.

The environment borrows the dependencies of the running one, so that nothing large is downloaded. With
AVATAR_WHEEL_TEST=full it installs them from the package index instead, as a user does.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("AVATAR_WHEEL_TEST") == "full"
MAX_MEGABYTES = 40  # most of it is the pose model
FRAMES = 20
START_SECONDS = 180  # until the viewer answers; its first start compiles kernels

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, outside the checkout and without its environment; returns what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the files that git tracks."""
    source, dist = tmp_path_factory.mktemp("source") / "checkout", tmp_path_factory.mktemp("dist")
    names = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, encoding="utf-8").split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    isolation = [] if FULL else ["--no-isolation"]
    run(sys.executable, "-m", "build", "--outdir", dist, *isolation, source, cwd=source)
    assert len(list(dist.glob("*.tar.gz"))) == 1
    (built,) = dist.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment that has the wheel; returns its folder of programs."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    if FULL:
        run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel, cwd=folder)
        return programs
    # Plain paths, appended: what is installed in development mode there, this checkout, stays out.
    own = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    borrowed = dict.fromkeys(path for path in (sysconfig.get_path("purelib"), *sys.path) if "site-packages" in path)
    (own / "borrowed.pth").write_text("\n".join(borrowed) + "\n", encoding="utf-8")
    run(python, "-m", "pip", "install", "-q", "--no-deps", "--ignore-installed", wheel, cwd=folder)
    return programs


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first frames of a turning person."""
    import imageio_ffmpeg

    path = tmp_path_factory.mktemp("clip") / "short.mp4"
    source = ROOT / "assets" / "clips" / "turn.mp4"
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    run(ffmpeg, "-v", "error", "-i", source, "-frames:v", str(FRAMES), "-an", path, cwd=path.parent)
    return path


@contextmanager
def viewer(program: Path, folder: Path) -> Iterator[int]:
    """The viewer of a run folder; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    command = [str(program), "view", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def answer(port: int) -> str:
    """The page that is served at a port, as soon as there is one."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
                return str(response.read().decode("utf-8"))
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline, "the viewer does not answer"
            time.sleep(0.5)


def test_the_wheel_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < MAX_MEGABYTES * 1e6


def test_the_wheel_makes_an_avatar_and_its_viewer_answers(environment: Path, clip: Path, tmp_path: Path) -> None:
    where = run(environment / "python", "-c", "import avatar.viewer; print(avatar.viewer.__file__)", cwd=tmp_path)
    assert ROOT not in Path(where.strip()).parents and environment.parent in Path(where.strip()).parents
    run(environment / "avatar", "create", clip, "--out", tmp_path / "me", "--preset", "fast", cwd=tmp_path)
    assert (tmp_path / "me" / "avatar.safetensors").is_file()
    with viewer(environment / "avatar", tmp_path / "me") as port:
        assert "<html" in answer(port).lower()
