"""The named protocols of publications: which images are trained on, which are judged, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from avatar.datasets.actorshq import read_actorshq
from avatar.datasets.aria_digital_twin import read_aria_digital_twin
from avatar.datasets.bedlam import read_bedlam
from avatar.datasets.dress4d import read_dress4d
from avatar.datasets.freeman import read_freeman
from avatar.datasets.gta_human import read_gta_human, read_gta_human_2
from avatar.datasets.neuman import read_neuman_exavatar, read_neuman_hugs
from avatar.datasets.peoplesnapshot import read_peoplesnapshot
from avatar.datasets.posed import PosedDataset
from avatar.datasets.truth import PoseTruth
from avatar.datasets.voccl3d import read_voccl3d
from avatar.datasets.xhumans import read_xhumans
from avatar.datasets.zju import read_zju_original, read_zju_refined
from avatar.errors import UsageError
from avatar.metrics.perceptual import LpipsNet

ProtocolName = Literal["instantavatar", "gauhuman", "humannerf", "hugs", "exavatar", "xhumans", "4ddress", "actorshq"]
TruthName = Literal["bedlam", "gtahuman", "gtahuman2", "voccl3d", "freeman", "adt"]


@dataclass(frozen=True)
class Protocol:
    """One way to measure that publications share; the texts are printed with every table.

    Attributes:
        read: reads a folder of the dataset and divides it.
        background: "white" or "black"; lpips: the network; published: what its authors do with the test poses.
    """

    dataset: str
    read: Callable[[Path], PosedDataset]
    split: str
    resolution: str
    background: Literal["white", "black"]
    lpips: LpipsNet
    published: str


PROTOCOLS: dict[ProtocolName, Protocol] = {
    "instantavatar": Protocol(
        "PeopleSnapshot", read_peoplesnapshot, "InstantAvatar's frames of each subject (male-3: 0-455 by 4, "
        "test 456-675 by 4)", "half, 540x540", "white", "alex",
        "fitted by InstantAvatar, GART, GaussianAvatar and GoMAvatar",
    ),
    "gauhuman": Protocol(
        "ZJU-MoCap refined", read_zju_refined, "camera 4, frames 0-495 by 5; test: the other cameras, 17 poses by 30",
        "half, 512x512", "black", "vgg", "not fitted by GauHuman; fitted by GART",
    ),
    "humannerf": Protocol(
        "ZJU-MoCap original", read_zju_original, "first camera, all frames; test: cameras 2-23, every 30th frame",
        "half, 512x512", "black", "vgg", "not fitted; 3DGS-Avatar corrects training poses",
    ),
    "hugs": Protocol(
        "NeuMan", read_neuman_hugs, "all but every fifth frame; test: the first half of those left out",
        "full; the person alone, no scene is built", "white", "alex", "not fitted by HUGS",
    ),
    "exavatar": Protocol(
        "NeuMan", read_neuman_exavatar, "train_split.txt; test: test_split.txt", "full", "white", "alex",
        "fitted by ExAvatar",
    ),
    "xhumans": Protocol(
        "X-Humans", read_xhumans, "our own: train/, every 5th frame; test: test/, every 10th", "full, 800x1200",
        "white", "alex", "not compared with a publication",
    ),
    "4ddress": Protocol(
        "4D-DRESS", read_dress4d, "our own: all cameras, every 10th frame of the sequences; test: the benchmark's "
        "sequence, every 20th", "full, 940x1280", "white", "alex", "not compared with a publication",
    ),
    "actorshq": Protocol(
        "ActorsHQ", read_actorshq, "our own: all cameras but every 8th, every 20th frame; test: those cameras, every "
        "50th frame", "as downloaded", "black", "alex", "not compared with a publication",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class TrueSequences:
    """A data set with true poses of people in videos, to measure tracked poses with.

    Attributes:
        read: reads the person of a video; the sequence is named as --clip does, or None.
    """

    dataset: str
    read: Callable[[Path, str | None], PoseTruth]


TRUTHS: dict[TruthName, TrueSequences] = {
    "bedlam": TrueSequences("BEDLAM, BEDLAM2", read_bedlam),
    "gtahuman": TrueSequences("GTA-Human", read_gta_human),
    "gtahuman2": TrueSequences("GTA-Human II", read_gta_human_2),
    "voccl3d": TrueSequences("VOccl3D", read_voccl3d),
    "freeman": TrueSequences("FreeMan", read_freeman),
    "adt": TrueSequences("Aria Digital Twin", read_aria_digital_twin),
}


def protocol_named(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        UsageError: there is none of that name.
    """
    for option in get_args(ProtocolName):
        if option == name:
            return PROTOCOLS[option]
    raise UsageError(f"There is no protocol {name!r}; there are {', '.join(PROTOCOLS)}.")
