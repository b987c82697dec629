"""Training on a real GPU; run with `pytest -m gpu`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.training.device_checks import CHECKS
from tests.training.test_trainer import Scene, scene  # noqa: F401  (the fixture)


@pytest.mark.gpu
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_on_a_gpu(check: Callable[[Scene], None], scene: Scene) -> None:  # noqa: F811
    check(scene)
