"""Neighbourhood of the chosen configuration, in sentences and small tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from whatif.report.columns import axis_label, format_metric, format_number, metric
from whatif.report.judgement import Judgement
from whatif.report.words import count, quantity
from whatif.stats import Stability
from whatif.typing import FloatArray

MAX_CELLS = 25
"""Values of an axis that a table shows; of more, those nearest to the chosen one."""


@dataclass(frozen=True)
class Cell:
    """One value of the objective: its text, how high it stands from 0 to 1, and whether it is the chosen."""

    text: str
    height: float
    chosen: bool


@dataclass(frozen=True)
class Strip:
    """The objective along one axis: labels and cells; `left_out` values are not shown."""

    axis: str
    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    left_out: int


@dataclass(frozen=True)
class Sheet:
    """The objective along two axes: a row of cells for each label of `y`."""

    x: str
    y: str
    across: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def sentences(judgement: Judgement, objective: str) -> list[str]:
    """Say how the neighbours do, whether the choice sits on an edge, and whether ranks last."""
    stability = judgement.stability
    said = []
    if stability is not None:
        said.append(_neighbours(stability, objective))
        if stability.influence:
            said.append(_influence(stability))
    if judgement.correlation is not None:
        rho = format_number(judgement.correlation.rho, "ratio")
        said.append(f"Rank correlation of validate and test: {rho} (Spearman), {judgement.correlation_note}.")
    elif judgement.correlation_note:
        said.append(f"Rank correlation of validate and test: {judgement.correlation_note}.")
    return said


def edges(judgement: Judgement) -> list[str]:
    """Warn of each axis on whose end the chosen configuration sits."""
    found = judgement.stability.edges if judgement.stability is not None else ()
    ends = {"high": "highest", "low": "lowest"}
    return [
        f"{edge.axis} = {axis_label(edge.value)} is the {ends[edge.end]} value that was tried: better ones "
        "may lie beyond."
        for edge in found
    ]


def strips(judgement: Judgement, objective: str) -> list[Strip]:
    """Return the slices along each axis through the chosen configuration."""
    stability = judgement.stability
    if stability is None:
        return []
    shown = []
    for one in stability.slices.values():
        heights = _heights(one.objective, objective)
        kept = _near(one.best, len(one.values))
        cells = [_cell(one.objective[k], heights[k], k == one.best, objective) for k in kept]
        labels = tuple(axis_label(one.values[k]) for k in kept)
        shown.append(Strip(one.axis, labels, tuple(cells), len(one.values) - len(kept)))
    return shown


def sheets(judgement: Judgement, objective: str) -> list[Sheet]:
    """Return planes through the chosen configuration that are small enough for a table."""
    shown = []
    for plane in judgement.stability.planes if judgement.stability is not None else ():
        if max(plane.objective.shape) > MAX_CELLS or judgement.stability is None:
            continue
        heights = _heights(plane.objective, objective)
        width = plane.objective.shape[1]
        rows = [
            (
                axis_label(value),
                tuple(
                    _cell(plane.objective[k, j], heights[k, j], (k, j) == plane.best, objective)
                    for j in range(width)
                ),
            )
            for k, value in enumerate(plane.y_values)
        ]
        across = tuple(axis_label(value) for value in plane.x_values)
        shown.append(Sheet(plane.x, plane.y, across, tuple(rows)))
    return shown


def _neighbours(stability: Stability, objective: str) -> str:
    near = stability.neighbours
    if not near.count:
        return "No neighbour was measured: no axis of numbers has a value beside the chosen one."
    middle, own = quantity(objective, near.median), quantity(objective, stability.objective)
    share = "" if math.isnan(near.share) else f", {format_number(near.share, 'fraction')} % of the {own} here"
    verb = "has" if near.count == 1 else "have"
    return (
        f"The {count(near.count, 'neighbour')} one step away {verb} a median {metric(objective).label} of "
        f"{middle}{share}. Near 100 % it stands on a plateau; far less, and it is a peak, more likely chance."
    )


def _influence(stability: Stability) -> str:
    parts = [f"{name} {format_number(share, 'fraction')} %" for name, share in stability.influence.items()]
    return f"Share of the differences that each axis explains alone: {', '.join(parts)}."


def _heights(values: FloatArray, objective: str) -> FloatArray:
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    scaled = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    scaled = 1.0 - scaled if metric(objective).less_is_better else scaled
    return np.where(np.isfinite(scaled), scaled, 0.0)


def _near(best: int, number: int) -> Sequence[int]:
    first = min(max(best - MAX_CELLS // 2, 0), max(number - MAX_CELLS, 0))
    return range(first, min(first + MAX_CELLS, number))


def _cell(value: Any, height: Any, chosen: bool, objective: str) -> Cell:
    return Cell(format_metric(objective, value), round(float(height), 3), chosen)
