"""The plots of an evaluation: scores image by image, detail by octave, and where on the body colours are wrong."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from avatar.evaluation.body_error import draw_on_body, mean_errors
from avatar.evaluation.report import LPIPS_FACTOR, row_title, rows_with
from avatar.evaluation.scores import ScoredTarget
from avatar.evaluation.targets import TRAINING_GROUP
from avatar.metrics.detail import SIGMAS
from avatar.model.avatar import Avatar
from avatar.pipeline.charts import color_scale, new_figure

if TYPE_CHECKING:
    from avatar.pipeline.charts import Axes, Figure

SIZE = 13.0, 9.0  # inches
DPI = 100
NOT_IN_VIEW = 0.85  # grey of what no image shows
BRIGHTEST = 0.98  # quantile of the errors at which the colours end


def plot_evaluation(
    scored: Sequence[ScoredTarget], rows: Mapping[str, Mapping[str, float]], avatar: Avatar, backend: str
) -> Figure:
    """All plots in one figure.

    Args:
        scored: the images; rows: their means by group. Rows that repeat others without the clip's shift are left away.
    """
    figure = new_figure(*SIZE, DPI)
    (top_left, top_right), (bottom_left, bottom_right) = figure.subplots(2, 2)
    headline = [one for one in scored if not one.target.brief or one.target.group == TRAINING_GROUP]
    _by_image(top_left, headline, "psnr_box", 1.0, "PSNR in the person's box, dB")
    _by_image(top_right, headline, "lpips_alex", float(LPIPS_FACTOR), f"LPIPS alex x {LPIPS_FACTOR}")
    groups = dict.fromkeys(one.target.group for one in headline)
    _detail(bottom_left, {name: row for name, row in rows.items() if name in groups})
    errors = [one.errors for one in headline if one.errors is not None]
    _body(figure, bottom_right, errors, avatar, backend)
    return figure


def as_png(figure: Figure) -> bytes:
    """The figure as a png file."""
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def _by_image(axes: Axes, scored: Sequence[ScoredTarget], score: str, factor: float, title: str) -> None:
    """One line per group, over the frames of the video or the numbers of the images."""
    groups: dict[str, list[tuple[int, float]]] = {}
    for one in scored:
        values = [value for name, value in one.scores.items() if name.startswith(f"{score}_")]
        points = groups.setdefault(one.target.group, [])
        if values:
            points.append((len(points) if one.target.frame is None else one.target.frame, factor * values[0]))
    for name, points in groups.items():
        if points:
            axes.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, label=row_title(name))
    axes.set(title=title, xlabel="frame of the video, or number of the image")
    if any(groups.values()):
        axes.legend(fontsize="small")
    else:
        axes.text(0.5, 0.5, "not computed", transform=axes.transAxes, ha="center")


def _detail(axes: Axes, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Contrast (solid) and correlation (dashed) of each octave."""
    keys = {kind: [f"detail_{kind}_{sigma:g}" for sigma in SIGMAS] for kind in ("contrast", "correlation")}
    rows = rows_with(rows, keys["contrast"])
    for number, (name, row) in enumerate(rows.items()):
        for kind, style in (("contrast", "-"), ("correlation", "--")):
            values = [row.get(key, np.nan) for key in keys[kind]]
            label = row_title(name) if kind == "contrast" else None
            axes.plot(range(len(SIGMAS)), values, style, marker="o", color=f"C{number}", label=label)
    axes.axhline(1.0, color="0.7", linewidth=1)
    axes.set_xticks(range(len(SIGMAS)), [f"{sigma:g} to {2 * sigma:g} px" for sigma in SIGMAS])
    axes.set(title="detail by octave: contrast (solid) and correlation (dashed), 1 is right", ylim=(-0.1, 1.3))
    if rows:
        axes.legend(fontsize="small")


def _body(figure: Figure, axes: Axes, errors: Sequence[Float[Tensor, " f"]], avatar: Avatar, backend: str) -> None:
    """Mean absolute colour error on the body's surface, front and back."""
    axes.axis("off")
    axes.set_title("mean absolute colour error, of 255: front and back")
    if not errors:
        return
    mean = 255 * mean_errors(errors)
    visible = mean.isfinite()
    if not visible.any():
        return
    scale = color_scale(0.0, float(mean[visible].quantile(BRIGHTEST)), "inferno")
    colors = torch.from_numpy(scale.to_rgba(mean.nan_to_num(0.0).numpy())[:, :3]).float()
    colors[~visible] = NOT_IN_VIEW
    axes.imshow(draw_on_body(avatar, colors, backend))
    figure.colorbar(scale, ax=axes)
