"""A check nobody has seen fail is not a check: the shape checker must refuse a wrong shape in this very run."""

import pytest
import torch
from beartype.roar import BeartypeCallHintViolation
from jaxtyping import TypeCheckError

from avatar.geometry import rotation_from_rotvec


def test_a_wrong_shape_raises() -> None:
    with pytest.raises((TypeCheckError, BeartypeCallHintViolation)):
        rotation_from_rotvec(torch.zeros(5, 4))
