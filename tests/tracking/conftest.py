"""The body that the tests of tracking share."""

from __future__ import annotations

import pytest

from avatar.body import Body, load_body


@pytest.fixture(scope="session")
def body() -> Body:
    return load_body("open")
