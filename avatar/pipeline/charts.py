"""Small charts for pages: SVG whose text is text, so that they stay readable on a phone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure as Figure

BLUE, ORANGE, GREY = "#2463eb", "#d9730d", "#9aa3b2"


def line_chart(
    points: Sequence[tuple[int, float]], title: str, x: str, *, log: bool = False, mean: bool = False
) -> str:
    """A curve through points (x, y) as an svg element; with `mean`, their mean as a dashed line."""
    figure, axes = _figure(5.2, 2.6, title)
    xs, ys = np.array(points, float).T
    axes.plot(xs, ys, color=BLUE, linewidth=1.5, marker="o" if len(points) < 40 else "", markersize=3)
    if mean:
        axes.axhline(float(ys.mean()), color=GREY, linestyle="--", linewidth=1)
    if log and ys.min() > 0:
        axes.set_yscale("log")
    axes.set_xlabel(x)
    return svg(figure)


def heat_map(values: Float[np.ndarray, "rows columns"], rows: Sequence[str], title: str, x: str) -> str:
    """Values in [0, 1] as colours, one named row each, as an svg element."""
    figure, axes = _figure(6.4, 0.9 + 0.19 * len(rows), title)
    image = axes.imshow(values, aspect="auto", vmin=0, vmax=1, cmap="RdYlGn", interpolation="nearest")
    axes.set_yticks(range(len(rows)), list(rows), fontsize=8)
    axes.set_xlabel(x)
    axes.grid(False)
    figure.colorbar(image, ax=axes, pad=0.01)
    return svg(figure)


def top_view(
    cameras: Float[np.ndarray, "frames 3"],
    directions: Float[np.ndarray, "frames 3"],
    person: Float[np.ndarray, "frames 3"],
    title: str,
) -> str:
    """Where camera and person were, seen from above, as an svg element: metres, y is up.

    Args:
        directions: where each camera looks.
    """
    figure, axes = _figure(4.2, 3.8, title)
    axes.plot(person[:, 0], person[:, 2], color=ORANGE, linewidth=2, label="person")
    axes.plot(cameras[:, 0], cameras[:, 2], color=BLUE, linewidth=1.5, label="camera")
    some = np.unique(np.linspace(0, len(cameras) - 1, 12).round().astype(int))
    axes.quiver(
        cameras[some, 0], cameras[some, 2], directions[some, 0], directions[some, 2], color=BLUE, width=0.005, scale=8
    )
    axes.scatter(person[:1, 0], person[:1, 2], color=ORANGE, s=30, zorder=3)
    axes.scatter(cameras[:1, 0], cameras[:1, 2], color=BLUE, s=30, zorder=3)
    axes.set_aspect("equal", adjustable="datalim")
    axes.set(xlabel="metres", ylabel="metres")
    axes.legend(fontsize="small")
    return svg(figure)


def svg(figure: Figure) -> str:
    """A figure as an svg element, for a page."""
    from matplotlib import rc_context

    data = io.StringIO()
    with rc_context({"svg.fonttype": "none", "font.family": "sans-serif"}):
        figure.savefig(data, format="svg", metadata={"Date": None})
    text = data.getvalue()
    return text[text.index("<svg") :]


def new_figure(width: float, height: float, dpi: int = 100) -> Figure:
    """An empty figure of a size in inches whose parts find their places."""
    from matplotlib.figure import Figure

    return Figure((width, height), dpi, layout="constrained")


def color_scale(low: float, high: float, name: str) -> ScalarMappable:
    """One of matplotlib's colour maps for the values from `low` to `high`."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(low, high), colormaps[name])


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = new_figure(width, height)
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
