"""The open body's shape in words: height, weight, age, gender, muscle and proportions.

Words and shape coefficients of a population vary together as one Gaussian, which the body's file keeps. What some of
them say about the others is its conditional mean, and how sure that is its conditional spread.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from avatar.assets import asset_path
from avatar.errors import UsageError
from avatar.files import read_npz

RANGES: dict[str, tuple[float, float]] = {
    "height": (1.3, 2.2),
    "weight": (0.0, 1.0),
    "age": (18.0, 80.0),
    "gender": (0.0, 1.0),
    "muscle": (0.0, 1.0),
    "proportions": (0.0, 1.0),
}
"""Least and greatest value of each word: height in metres, age in years, gender 0 male to 1 female."""


@dataclass(frozen=True)
class ShapeWords:
    """The joint Gaussian of the words and of the coefficients that follow them."""

    names: tuple[str, ...]
    mean: Float[Tensor, " n"]
    covariance: Float[Tensor, "n n"]

    def betas(self, **words: float) -> Float[Tensor, " s"]:
        """The likeliest shape coefficients of a person so described; words left out are free.

        Raises:
            UsageError: a word is unknown or its value out of range.
        """
        for name, value in words.items():
            if name not in self.names:
                raise UsageError(f"A shape has no {name!r}; it has {', '.join(self.names)}.")
            low, high = RANGES[name]
            if not low <= value <= high:
                raise UsageError(f"The shape's {name} must lie between {low:g} and {high:g}, not at {value:g}.")
        given = [self.names.index(name) for name in words]
        mean, _ = self._conditional(given, self.mean.new_tensor(list(words.values())))
        return mean[len(self.names) :].float()

    def describe(
        self, betas: Float[Tensor, " s"], betas_spread: Float[Tensor, " s"] | None = None
    ) -> dict[str, tuple[float, float]]:
        """For each word its likeliest value for these coefficients and the standard deviation of its error.

        Args:
            betas: the coefficients, as many as the body has.
            betas_spread: their own standard deviations, where they were estimated; else they are taken as exact.
        """
        first = len(self.names)
        given = list(range(first, len(self.mean)))
        mean, spread = self._conditional(given, betas.detach().to(self.mean), betas_spread)
        table = zip(self.names, mean[:first].tolist(), spread[:first].tolist(), strict=True)
        return {name: (min(max(value, RANGES[name][0]), RANGES[name][1]), error) for name, value, error in table}

    def _conditional(
        self, given: list[int], values: Tensor, values_spread: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of everything when the entries `given` have `values`, known so well."""
        across = self.covariance[:, given]
        gain = torch.linalg.solve(across[given], across, left=False) if given else across
        mean = self.mean + gain @ (values - self.mean[given])
        variance = (self.covariance - gain @ across.T).diagonal()
        if values_spread is not None:
            variance = variance + (gain * values_spread.detach().to(self.mean)).square().sum(1)
        return mean, variance.clamp_min(0).sqrt()


def load_shape_words() -> ShapeWords:
    """The words of the open body.

    Raises:
        AvatarError: the installation lacks the open body.
    """
    arrays = read_npz(asset_path("body", "open.npz"))
    return ShapeWords(
        names=tuple(str(name) for name in arrays["shape_words"]),
        mean=torch.from_numpy(arrays["shape_words_mean"]).double(),
        covariance=torch.from_numpy(arrays["shape_words_covariance"]).double(),
    )
