"""The open body's shape in words: height, weight, age, gender, muscle and proportions.

Attributes and shape coefficients of a population have a joint Gaussian distribution, stored in the body's file. The
attributes of a body are the conditional mean given its coefficients, with the conditional standard deviation as their
uncertainty. Setting attributes makes the smallest change of the coefficients whose conditional mean has these values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.errors import UsageError
from avatar.io.assets import asset_path
from avatar.io.files import read_npz

RANGES: dict[str, tuple[float, float]] = {
    "height": (1.3, 2.2),
    "weight": (0.0, 1.0),
    "age": (18.0, 80.0),
    "gender": (0.0, 1.0),
    "muscle": (0.0, 1.0),
    "proportions": (0.0, 1.0),
}
"""Least and greatest value of each word: height in metres, age in years, gender 0 male to 1 female."""
# Clothes and hair decide what a fit says of these, with far too small a deviation: they are reported only if given.
FROM_CLOTHES = ("age", "gender")
UNITS = {"height": " metres", "age": " years", "gender": " (male to female)"}


@dataclass(frozen=True)
class ShapeAttributes:
    """The joint Gaussian of attributes and shape coefficients."""

    names: tuple[str, ...]
    mean: Float[Tensor, " n"]
    covariance: Float[Tensor, "n n"]

    @cached_property
    def _slopes(self) -> Float[Tensor, "w s"]:
        """Derivative of the conditional mean by the coefficients."""
        first = len(self.names)
        slopes: Tensor = torch.linalg.solve(
            self.covariance[first:, first:], self.covariance[:first, first:], left=False
        )
        return slopes

    def _likeliest(self, betas: Float[Tensor, " s"]) -> Float[Tensor, " w"]:
        first = len(self.names)
        return self.mean[:first] + self._slopes @ (betas.detach().to(self.mean) - self.mean[first:])

    def conditions(self, words: Mapping[str, float]) -> tuple[Float[Tensor, "k s"], Float[Tensor, " k"]]:
        """The attributes as linear conditions on the coefficients, `slopes @ betas = values`."""
        rows = [self.names.index(name) for name in words]
        without = self._likeliest(self.mean.new_zeros(self._slopes.shape[1]))
        return self._slopes[rows], self.mean.new_tensor(list(words.values())) - without[rows]

    def reshaped(self, betas: Float[Tensor, " s"], words: Mapping[str, float]) -> Float[Tensor, " s"]:
        """The coefficients, changed as little as possible to have these attributes; the other attributes stay."""
        stay = dict(zip(self.names, self._likeliest(betas).tolist(), strict=True))
        slopes, values = self.conditions({**stay, **words})
        own = betas.detach().to(slopes)
        changed: Tensor = own + torch.linalg.pinv(slopes) @ (values - slopes @ own)
        return changed.to(betas)

    def describe(self, betas: Float[Tensor, " s"], height_known: bool = True) -> dict[str, tuple[float, float]]:
        """For each attribute its most likely value for these coefficients and its standard deviation.

        The deviation grows as the coefficients leave the range of the population that the attributes were learned from.
        It covers no other error.

        Args:
            betas: the coefficients, as many as the body has.
            height_known: False if the height was assumed; all deviations then include that of the height.
        """
        first = len(self.names)
        height = self.names.index("height")
        left_open = (self.covariance[:first, :first] - self._slopes @ self.covariance[first:, :first]).diagonal()
        far = (betas.detach().to(self.mean) - self.mean[first:]).square().mean().clamp_min(1)
        variance = left_open.clamp_min(0) * far
        if not height_known:
            variance = variance + self.covariance[:first, height].square() / self.covariance[height, height]
        table = zip(self.names, self._likeliest(betas).tolist(), variance.sqrt().tolist(), strict=True)
        return {name: (min(max(value, RANGES[name][0]), RANGES[name][1]), error) for name, value, error in table}


def load_shape_attributes(body: str = "open") -> ShapeAttributes:
    """The shape attributes of a body, by the body's name.

    Raises:
        UsageError: the body has no shape attributes. AvatarError: the installation lacks the open body.
    """
    if body != "open":
        raise UsageError(
            f"The shape of the body {body} has no words, only that of the open body has: leave out --shape."
        )
    arrays = read_npz(asset_path("body", "open.npz"))
    return ShapeAttributes(
        names=tuple(str(name) for name in arrays["shape_words"]),
        mean=torch.from_numpy(arrays["shape_words_mean"]).double(),
        covariance=torch.from_numpy(arrays["shape_words_covariance"]).double(),
    )


def parse_shape(text: str | None) -> dict[str, float]:
    """The attributes in "height=1.82,weight=0.6"; {} for None.

    Raises:
        UsageError: the syntax is wrong, an attribute is unknown or given twice, or its value is out of range.
    """
    words: dict[str, float] = {}
    for part in [] if text is None else text.split(","):
        name, equals, number = (piece.strip() for piece in part.partition("="))
        if not equals or name in words:
            raise UsageError(f"--shape is WORD=NUMBER,WORD=NUMBER, each word once, not {text!r}; {_the_words()}.")
        if name not in RANGES:
            raise UsageError(f"--shape has no word {name!r}; {_the_words()}.")
        low, high = RANGES[name]
        value = _number(number)
        if value is None or not low <= value <= high:
            expected = f"{low:g} to {high:g}{UNITS.get(name, '')}"
            raise UsageError(f"--shape {name} is {expected}, not {number!r}; {_the_words()}.")
        words[name] = value
    return words


def reported_attributes(
    described: Mapping[str, tuple[float, float]], given: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """The attributes of `ShapeAttributes.describe` that a fit tells, or that the user gave."""
    return {name: value for name, value in described.items() if name in given or name not in FROM_CLOTHES}


def format_shape(described: Mapping[str, tuple[float, float]]) -> str:
    """The result of `ShapeAttributes.describe` as a line for the user."""
    parts = []
    for name, (value, spread) in described.items():
        digits = 0 if name == "age" else 2
        parts.append(f"{name} {value:.{digits}f} ± {spread:.{digits}f}{UNITS.get(name, '').partition(' (')[0]}")
    return ", ".join(parts)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _the_words() -> str:
    attributes = [f"{name} {low:g} to {high:g}{UNITS.get(name, '')}" for name, (low, high) in RANGES.items()]
    return f"the words are {', '.join(attributes)}"
