"""The corpus of `scripts/make_hostile_corpus.py`, made once, and how long the fuzzers run.

`pytest tests/robustness --hypothesis-profile=long --hypothesis-show-statistics` runs them for some minutes each.
"""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[2]
COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("short", max_examples=25, derandomize=True, **COMMON)
settings.register_profile("long", max_examples=3000, **COMMON)


def pytest_configure(config):
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("short")


@pytest.fixture(scope="session")
def maker():
    """The script that makes the corpus, as a module."""
    path = ROOT / "scripts" / "make_hostile_corpus.py"
    spec = importlib.util.spec_from_file_location("make_hostile_corpus", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def corpus(maker, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile") / "corpus"
    maker.make_corpus(folder)
    return folder
