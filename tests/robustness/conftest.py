"""The corpus of `scripts/make_hostile_corpus.py`, made once, and the length of the fuzzing.

`pytest tests/robustness --hypothesis-profile=long --hypothesis-show-statistics` runs each fuzzer for some minutes.
"""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[2]
COMMON = settings(deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("short", COMMON, max_examples=25, derandomize=True)
settings.register_profile("long", COMMON, max_examples=3000)


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--hypothesis-profile", None):
        settings.load_profile("short")


@pytest.fixture(scope="session")
def maker() -> ModuleType:
    """The script that makes the corpus, as a module."""
    path = ROOT / "scripts" / "make_hostile_corpus.py"
    spec = importlib.util.spec_from_file_location("make_hostile_corpus", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def corpus(maker: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "corpus"
    maker.make_corpus(folder)
    return folder
