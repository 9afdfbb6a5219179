"""Models on the page: how each did on validate, what its probabilities came to, and which features count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from whatif.report import theme
from whatif.report.data import ReportData

MAX_MODELS = 8
"""Models that are shown, those of the last fold among them."""

_SIDES = ("long", "short")
_DASHES = ("solid", "dash", "dot", "dashdot")


def shown_models(data: ReportData) -> dict[str, Mapping[str, Any]]:
    """Return what was noted of the models that are shown, by name: the last ones."""
    return dict(list(_judged(data).items())[-MAX_MODELS:])


def models_left_out(data: ReportData) -> int:
    """Return how many models were judged and are not shown."""
    return max(0, len(_judged(data)) - MAX_MODELS)


def _judged(data: ReportData) -> dict[str, Mapping[str, Any]]:
    return {name: note for name, note in data.models.items() if note.get("validate")}


def model_rows(data: ReportData) -> list[dict[str, str]]:
    """Return a row for each model: skill, class balance and area under the curve, as texts."""
    return [{"name": name, **_row(note["validate"])} for name, note in shown_models(data).items()]


def _row(figures: Mapping[str, float]) -> dict[str, str]:
    row = {
        "rows": f"{figures.get('rows', 0):,.0f}",
        "skill": _number(figures, "skill"),
        "interval": _between(figures, "skill"),
        "linear": _number(figures, "linear_skill"),
    }
    for side in _SIDES:
        taught, here = (figures.get(f"{word}_{side}", np.nan) for word in ("base", "rate"))
        there = np.isfinite(taught) and np.isfinite(here)
        row[side] = f"{100 * taught:.1f} / {100 * here:.1f}" if there else ""
        row[f"auc_{side}"] = _number(figures, f"auc_{side}", "{:.3f}")
    return row


def _number(figures: Mapping[str, float], name: str, form: str = "{:+.4f}") -> str:
    value = figures.get(name, np.nan)
    return form.format(value) if np.isfinite(value) else ""


def _between(figures: Mapping[str, float], name: str) -> str:
    low, high = (_number(figures, f"{name}_{end}") for end in ("low", "high"))
    return f"{low} to {high}" if low and high else ""


def importance_tables(data: ReportData) -> list[tuple[str, list[dict[str, str]]]]:
    """Return for each model its features and groups of them, those that count most first."""
    found = []
    for name, note in shown_models(data).items():
        counted = note.get("importance", {})
        own, shuffled, groups = (counted.get(key, {}) for key in ("own", "shuffled", "groups"))
        total = sum(own.values()) or 1.0
        rows = [
            {
                "feature": feature,
                "own": f"{100 * own[feature] / total:.1f}" if feature in own else "",
                "shuffled": f"{100 * shuffled[feature]:+.2f}" if feature in shuffled else "",
            }
            for feature in dict.fromkeys([*shuffled, *own])
        ]
        rows += [
            {"feature": f"together: {group}", "own": "", "shuffled": f"{100 * value:+.2f}"}
            for group, value in groups.items()
        ]
        if rows:
            found.append((name, rows))
    return found


def draw_reliability(data: ReportData) -> theme.Drawing | None:
    """Return what models of classes said beside what came true, in percent; None where there is none."""
    drawn = theme.drawing("Came true, %")
    for number, (name, note) in enumerate(shown_models(data).items()):
        for side, colour in zip(_SIDES, (theme.GAIN, theme.LOSS), strict=True):
            said, came = (_curve(note["validate"], word, side) for word in ("said", "came"))
            if not said or len(said) != len(came) or not note["validate"].get(f"base_{side}"):
                continue
            drawn["data"].append(
                {
                    "type": "scatter", "mode": "lines+markers", "x": 100 * np.array(said),
                    "y": 100 * np.array(came), "name": theme.escaped(f"{name}, {side}"),
                    "line": {"color": colour, "width": 1.5, "dash": _DASHES[number % len(_DASHES)]},
                    "marker": {"size": 6}, "hovertemplate": "said %{x:.1f} %, came %{y:.1f} %",
                }
            )  # fmt: skip
    if not drawn["data"]:
        return None
    layout = drawn["layout"]
    most = max(float(values.max()) for one in drawn["data"] for values in (one["x"], one["y"]))
    layout["shapes"] = [
        {
            "type": "line", "x0": 0, "y0": 0, "x1": most, "y1": most, "xref": "x", "yref": "y",
            "line": {"color": theme.BENCHMARK, "width": 1, "dash": "dot"},
        }
    ]  # fmt: skip
    layout["xaxis"]["title"] = {"text": "Said, %"}
    layout["hovermode"] = "closest"
    return drawn


def _curve(figures: Mapping[str, float], word: str, side: str) -> list[float]:
    """Return the points of a curve that are known, from the least said on."""
    found, number = [], 0
    while np.isfinite(value := figures.get(f"{word}_{side}_{number}", np.nan)):
        found.append(float(value))
        number += 1
    return found
