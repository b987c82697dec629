"""The named protocols of publications: which images are trained on, which are judged, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from avatar.datasets.neuman import read_neuman_exavatar, read_neuman_hugs
from avatar.datasets.peoplesnapshot import read_peoplesnapshot
from avatar.datasets.posed import PosedDataset
from avatar.datasets.zju import read_zju_original, read_zju_refined
from avatar.errors import UsageError
from avatar.metrics.perceptual import LpipsNet

ProtocolName = Literal["instantavatar", "gauhuman", "humannerf", "hugs", "exavatar"]


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
}  # fmt: skip


def protocol_named(name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        UsageError: there is none of that name.
    """
    for option in get_args(ProtocolName):
        if option == name:
            return PROTOCOLS[option]
    raise UsageError(f"There is no protocol {name!r}; there are {', '.join(PROTOCOLS)}.")
