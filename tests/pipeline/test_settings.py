"""Presets: all complete, own files checked by name and type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avatar.errors import UsageError
from avatar.pipeline.settings import PRESETS, Settings, build, merged, read_preset, renamed, settings_for


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_build(preset: str) -> None:
    settings = build(Settings, merged(read_preset(preset), {"source": "a.mp4"}))
    assert settings.train.steps == read_preset(preset)["train"]["steps"]


def test_settings_survive_the_run_folder() -> None:
    settings = build(Settings, merged(read_preset("fast"), {"source": "a.mp4", "train": {"seed": 7}}))
    assert build(Settings, json.loads(json.dumps(settings.as_dict()))) == settings


@pytest.mark.parametrize(
    ("text", "words"),
    [("[train]\nstep = 3", "no entry 'step'"), ("[train]\nsteps = 'many'", "must be int"), ("= 3", "not a TOML")],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=words):
        build(Settings, merged(read_preset(str(path)), {"source": "a.mp4"}), f"the preset {path}")


def test_an_unknown_preset_lists_the_presets() -> None:
    with pytest.raises(UsageError, match="fast, balanced, quality"):
        read_preset("best")


def test_entries_with_their_former_names_are_still_read() -> None:
    former = {
        "renew_unseen": False,
        "reach": 0.02,
        "largest": 0.04,
        "weights": {"stiffness": 0.1, "oversize": 0.2, "thickness": 0.3, "roughness": 0.4},
        "rates": {"turns": 0.5, "shifts": 0.6},
    }
    train = build(Settings, {"source": "clip.mp4", "train": former}).train
    assert not train.resample_unobserved
    assert (train.offset_sigma, train.max_scale) == (0.02, 0.04)
    weights, rates = train.weights, train.rates
    assert (weights.offset_l2, weights.scale_limit, weights.flatness, weights.offset_smoothness) == (0.1, 0.2, 0.3, 0.4)
    assert (rates.delta_rotvec, rates.delta_translation) == (0.5, 0.6)


def test_older_names_of_entries_are_read() -> None:
    """Presets and configurations of earlier versions load; a name of today wins over an older one."""
    values = {"max_frames": 40, "height": 1.8, "train": {"reach": 0.02, "weights": {"stiffness": 1.0}}}
    settings = build(Settings, {"source": "a.mp4", **values})
    assert settings.observe.max_frames == 40 and settings.track.height == 1.8
    assert settings.train.offset_sigma == 0.02 and settings.train.weights.offset_l2 == 1.0
    assert values["train"] == {"reach": 0.02, "weights": {"stiffness": 1.0}}
    assert renamed({"max_frames": 40, "observe": {"max_frames": 50}}) == {"observe": {"max_frames": 50}}
    assert settings_for("a.mp4", options={"height": 1.8}).track.height == 1.8
