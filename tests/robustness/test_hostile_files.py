"""No hostile file passes a reader, runs code, fills the memory or ends in a traceback."""

import json
import resource
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from avatar.body import load_body
from avatar.errors import AvatarError, UsageError
from avatar.io.track_file import load_track
from avatar.motion import load_motion

from .readers import READERS

SECONDS = 60.0  # on a machine that does ten other things
MEGABYTES = 1500


def sentence_of(kind: str, path: Path) -> str | None:
    """The error message of the reader, or None if it reads the file. Anything but AvatarError fails the test."""
    try:
        READERS[kind](path)
    except AvatarError as error:
        sentence = str(error)
        assert sentence and "\n" not in sentence and len(sentence) < 1000, sentence
        assert "Traceback" not in sentence
        return sentence
    return None


@pytest.mark.parametrize("kind", READERS)
def test_the_corpus_is_refused_in_one_sentence_each(corpus: Path, kind: str) -> None:
    files = sorted(path for path in (corpus / kind).iterdir() if path.is_file())
    assert files
    wrong = []
    for path in files:
        before, start = peak_megabytes(), time.monotonic()
        sentence = sentence_of(kind, path)
        if (sentence is None) != path.name.startswith("odd_"):
            wrong.append((path.name, sentence))
        elif sentence is not None and kind != "observations" and path.name not in sentence:
            wrong.append((path.name, f"does not name the file: {sentence}"))
        assert time.monotonic() - start < SECONDS, path
        assert peak_megabytes() - before < MEGABYTES, path
    assert not wrong
    assert not list(corpus.rglob("RAN")), "a pickle was run"
    assert not list(corpus.parent.rglob("escaped*")), "an archive wrote outside"


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize("kind", ["track", "observations", "capture"])
def test_the_intact_files_are_read(corpus: Path, kind: str) -> None:
    assert sentence_of(kind, corpus / "sound" / f"{kind}.npz") is None


def test_whole_numbers_are_numbers_too(corpus: Path, tmp_path: Path) -> None:
    """A case from the long fuzzer: shape coefficients that are all zero, written as integers."""
    with np.load(corpus / "sound" / "track.npz") as file:
        sound = {key: file[key] for key in file.files}
    np.savez(tmp_path / "track.npz", **{**sound, "betas": np.zeros(10, np.int8)})
    track = load_track(tmp_path / "track.npz")
    assert track.betas.dtype == torch.float32 and track.instant.dtype == torch.int64


def test_a_body_with_an_endless_name(corpus: Path, tmp_path: Path) -> None:
    """A case from the long fuzzer: the name of the body is a whole array."""
    with np.load(corpus / "sound" / "track.npz") as file:
        sound = {key: file[key] for key in file.files}
    np.savez(tmp_path / "track.npz", **{**sound, "body": np.zeros((4, 4, 4, 4))})
    assert len(load_motion(tmp_path / "track.npz").track) == len(sound["times"])
    with pytest.raises(UsageError, match="cannot be read: File name too long"):
        load_body("x" * 5000)


DAMAGE = st.lists(st.tuples(st.floats(0, 0.999999), st.binary(min_size=1, max_size=4)), min_size=1, max_size=6)
SMALL = [
    ("track", "track.npz"), ("motion", "track.npz"), ("observations", "observations.npz"), ("capture", "capture.npz"),
    ("cameras", "cameras.json"), ("avatar", "avatar.safetensors"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), SMALL, ids=[kind for kind, _ in SMALL])
def test_damaged_bytes(corpus: Path, tmp_path_factory: pytest.TempPathFactory, kind: str, name: str) -> None:
    sound = (corpus / "sound" / name).read_bytes()
    path = tmp_path_factory.mktemp("damaged") / name

    @given(DAMAGE, st.floats(0, 1))
    def damaged(damage: list[tuple[float, bytes]], length: float) -> None:
        data = bytearray(sound)
        for position, new in damage:
            start = int(position * len(data))
            data[start : start + len(new)] = new
        path.write_bytes(bytes(data[: int(length * len(data))] if length < 0.3 else data))
        sentence_of(kind, path)

    damaged()


ARRAYS = st.one_of(
    st.builds(
        lambda shape, value, kind: np.full(shape, value).astype(kind),
        st.lists(st.integers(0, 5), max_size=4),
        st.sampled_from([0, 1, -1, 2**31, 7]),
        st.sampled_from(["f2", "f4", "f8", "i1", "i8", "u1", "c8", "bool", "U3", "M8[s]"]),
    ),
    st.builds(lambda value: np.array(value), st.sampled_from([np.nan, np.inf, -np.inf, "open", "../..", b"x", 1e300])),
    st.none(),
)


@pytest.mark.parametrize("kind", ["track", "observations", "capture", "motion"])
def test_foreign_arrays_in_a_sound_file(corpus: Path, tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    name = "track" if kind == "motion" else kind
    with np.load(corpus / "sound" / f"{name}.npz") as file:
        sound = {key: file[key] for key in file.files}
    path = tmp_path_factory.mktemp("foreign") / f"{name}.npz"

    @given(st.dictionaries(st.sampled_from(sorted(sound)), ARRAYS, min_size=1, max_size=3))
    def foreign(changes: dict[str, np.ndarray | None]) -> None:
        arrays = {key: value for key, value in {**sound, **changes}.items() if value is not None}
        np.savez(path, **arrays)
        sentence_of(kind, path)

    foreign()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["K", "T_camera_world", "width", "height", "cameras", "R", "t", "source", "train", "weights", "device"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@pytest.mark.parametrize("kind", ["cameras", "settings", "capture"])
def test_any_json(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    path = tmp_path_factory.mktemp("json") / "file.json"

    @given(JSON)
    def anything(content: Any) -> None:
        path.write_text(json.dumps(content))
        sentence_of(kind, path)

    anything()
