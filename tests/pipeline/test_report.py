"""What report.json holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatar.metrics.perceptual import WEIGHTS_NAME, load_lpips
from avatar.pipeline.finished_run import open_run
from avatar.pipeline.report import body_mask_iou, held_out_scores, lpips_or_none
from avatar.types import ImageList
from tests.evaluation.conftest import made_up  # noqa: F401  (the fixture)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("AVATAR_CACHE", str(tmp_path))
    load_lpips.cache_clear()
    yield tmp_path
    load_lpips.cache_clear()


def test_a_damaged_network_does_not_cost_the_report(cache: Path) -> None:
    assert lpips_or_none() is None
    (cache / WEIGHTS_NAME).write_bytes(b"no tensors")
    assert lpips_or_none() is None


def test_what_hides_the_person_does_not_count(made_up: tuple[Path, Path]) -> None:  # noqa: F811
    opened = open_run(made_up[0])
    avatar, track, observations = opened.avatar, opened.track, opened.observations()
    count, middle = len(observations), observations.height // 2

    def table(index: int) -> np.ndarray:
        mask = observations.masks[index].copy()
        mask[middle:] = 0
        return mask

    def trust(index: int) -> np.ndarray:
        trusted = np.full((observations.height, observations.width), 255, np.uint8)
        trusted[middle:] = 0
        return trusted

    behind = replace(observations, masks=ImageList(count, table))
    known = replace(behind, trust=ImageList(count, trust))
    whole, wrong, right = (held_out_scores(avatar, track, one, [1], "auto") for one in (observations, behind, known))
    assert right["psnr"] >= whole["psnr"] > wrong["psnr"] + 5
    assert right["alpha_iou"] > wrong["alpha_iou"] + 0.1
    assert (
        body_mask_iou(avatar, track, known, "auto")["median"] > body_mask_iou(avatar, track, behind, "auto")["median"]
    )
