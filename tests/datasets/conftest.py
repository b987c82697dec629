"""The made-up datasets, written once, and runs that hold the very avatar that they show."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from avatar.datasets.protocols import PROTOCOLS, ProtocolName
from avatar.io.track_file import save_track
from avatar.pipeline.dataset import training_track

from .made_up_datasets import Folders, Scene, write_neuman, write_peoplesnapshot, write_zju
from .made_up_smplx_datasets import write_actorshq, write_dress4d, write_xhumans

MAKERS: dict[ProtocolName, tuple[str, Callable[[Path], Scene]]] = {
    "instantavatar": ("male-3-casual", write_peoplesnapshot),
    "gauhuman": ("my_refined", lambda folder: write_zju(folder, refined=True, frames=500, cameras=6)),
    "humannerf": ("CoreView_999", lambda folder: write_zju(folder, refined=False, frames=61, cameras=4)),
    "hugs": ("seattle", write_neuman),
    "exavatar": ("citron", write_neuman),
    "xhumans": ("00016", write_xhumans),
    "4ddress": ("Inner", write_dress4d),
    "actorshq": ("Sequence1", write_actorshq),
}


@pytest.fixture(scope="session")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Gives, by the protocol's name, the folder of a dataset and of a run that knows the true avatar."""
    done: dict[ProtocolName, tuple[Path, Path]] = {}

    def make(protocol: ProtocolName) -> tuple[Path, Path]:
        if protocol not in done:
            name, maker = MAKERS[protocol]
            base = tmp_path_factory.mktemp(protocol)
            scene = maker(base / name)
            run = base / "run"
            run.mkdir()
            track = training_track(PROTOCOLS[protocol].read(base / name), scene.avatar.body)
            save_track(track, run / "track.npz")
            scene.avatar.save(run / "avatar.safetensors")
            (run / "config.json").write_text(json.dumps({"source": str(base / name), "protocol": protocol}))
            done[protocol] = base / name, run
        return done[protocol]

    return make
