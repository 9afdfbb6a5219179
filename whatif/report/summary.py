"""The answer at a glance, for terminal, page and notebook: a word, a plain sentence and four numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from whatif.report import verdict_text, words
from whatif.report.columns import MISSING, format_metric, metric
from whatif.report.data import ReportData
from whatif.report.judgement import Judgement
from whatif.stats import VerdictKind, VerdictStatistics, chance_on_both, errors_on_both

NAN = float("nan")

CHANCE = (
    "Chance that configurations which are worth nothing get as far: as the best of all that were tried on "
    "validate and, once more, on test, which had no part in the choice. By the weakest of the conditions "
    "of the verdict, so it agrees with its word."
)
"""What the fourth number means, for a reader."""

PLAIN = {
    VerdictKind.EDGE: "It earned more than chance and more than holding the market explain, also on data "
    "that had no part in the choice.",
    VerdictKind.LUCK: "The best of what was tried would look this good if none of it were worth anything.",
    VerdictKind.UNKNOWN: "There is too little data, or there are too few trades, to tell skill from chance.",
    VerdictKind.FAILED: "No backtest ran to its end, so there is nothing to judge.",
}
"""A verdict in one sentence without a term of statistics."""


@dataclass(frozen=True)
class Number:
    """One of the four numbers.

    Attributes
    ----------
    name, value : str
        What it is, and it, both as shown.
    note : str
        A few words below it.
    meaning : str
        A sentence for who wants to know.
    """

    name: str
    value: str
    note: str
    meaning: str


@dataclass(frozen=True, eq=False)
class Summary:
    """What the first screen says.

    Attributes
    ----------
    kind : str
        "edge", "luck", "unknown", "failed", or "unjudged" where nobody judged.
    word, sentence : str
        The verdict with a capital letter, and what it means, in plain words.
    configuration, config_id : str
        The chosen one by its parameters and symbol, and its digest; "" where nothing was chosen.
    objective : str
        Name of what the first three numbers are.
    numbers : tuple of Number
        Validate, test, hold, and chance of luck.
    """

    kind: str
    word: str
    sentence: str
    configuration: str
    config_id: str
    objective: str
    numbers: tuple[Number, ...]


def summarize(data: ReportData) -> Summary:
    """Return the answer at a glance."""
    judgement = data.verdict
    if judgement is None:
        kind, word, sentence = "unjudged", "Not judged", words.caution(data)
    else:
        kind = judgement.verdict.word.name.lower()
        word, sentence = verdict_text.headline(judgement), _plain(judgement)
    key, validate, test, hold, where = _figures(data)
    label = metric(key).heading
    trades = {name: _trades(data, name) for name in ("validate", "test")}
    numbers = (
        Number("validate", format_metric(key, validate), trades["validate"],
               f"{label} where the configuration was chosen: the best of what was tried, so it is too kind."),
        Number("test", format_metric(key, test), trades["test"] or "no test window",
               f"{label} on data that had no part in the choice."),
        Number("hold", format_metric(key, hold), f"on {where}",
               f"{label} of the market, bought with all of the cash and held long, on {where}."),
        _chance_number(judgement),
    )  # fmt: skip
    config_id = str(data.series.chosen.get("config_id", ""))
    return Summary(kind, word, sentence, words.name_of(data), config_id, label, numbers)


def chance_of_luck(judgement: Judgement) -> float:
    """Return how likely what is worth nothing gets as far as the chosen configuration did.

    Returns
    -------
    float
        NaN where a statistic that decides is not known. The limits on p-values (of `Thresholds`) are
        loosened or drawn together until all conditions just hold; what is worth nothing is within those with
        this chance (`whatif.stats.chance_on_both`): a p-value, since the regions are nested and the windows
        apart. It is at most 1 % where the conditions of an edge hold, and above it where one does not.
        Without a test window validate alone decides, at the error that is left by `Thresholds.psr`.
    """
    figures, limits = judgement.verdict.figures, judgement.verdict.thresholds
    if figures is None or math.isnan(figures.spa_zero):
        return NAN
    error = 1.0 - limits.psr
    superior = max(figures.spa_zero, _or(figures.spa_market, 0.0)) / limits.spa
    if figures.test is None:
        deflated = 1.0 - min(figures.dsr, _or(figures.dsr_market, 1.0))
        return min(1.0, error * max(superior, deflated / (1.0 - limits.dsr)))
    return chance_on_both(errors_on_both(figures, max(1, judgement.looks)), limits)


def _chance_number(judgement: Judgement | None) -> Number:
    name = "chance of luck"
    if judgement is None or judgement.verdict.word in (VerdictKind.UNKNOWN, VerdictKind.FAILED):
        return Number(name, MISSING, "cannot be told", CHANCE)
    limits, figures = judgement.verdict.thresholds, judgement.verdict.figures
    chance = chance_of_luck(judgement)
    if figures is None or math.isnan(chance):
        return Number(name, MISSING, "cannot be told", CHANCE)
    at_most = [("", limits.spa, limits.both / limits.spa)]
    limit = 1.0 - limits.psr if figures.test is None else chance_on_both(at_most, limits)
    return Number(name, percent(chance), f"an edge: at most {percent(limit)}", CHANCE)


def percent(share: float) -> str:
    """Write a share with two digits: "0.34 %", "12 %", "under 0.01 %"."""
    if share < 1e-4:
        return "under 0.01 %"
    return f"{100.0 * share:.2g} %" if share < 0.995 else "100 %"


def _plain(judgement: Judgement) -> str:
    verdict = judgement.verdict
    # a product of p-values tells of neither window alone
    failed = [one.what for one in verdict.edge if one.held is False and not one.what.startswith("P-values")]
    if verdict.word is VerdictKind.EDGE and verdict.figures is not None and verdict.figures.test is None:
        return (
            "It earned more than chance and more than holding the market explain; no test window confirms it."
        )
    if verdict.word is VerdictKind.LUCK and verdict.figures is None:
        return " ".join(verdict.reasons)
    if verdict.word is VerdictKind.LUCK and failed and all(" on test" in what for what in failed):
        return (
            "It looked good where it was chosen, and did not hold up on data that had no part in the choice."
        )
    if verdict.word is VerdictKind.LUCK and failed and all("over the market" in what for what in failed):
        return "It earned no more than its share of the market's own rise or fall explains."
    return PLAIN[verdict.word]


def _figures(data: ReportData) -> tuple[str, float, float, float, str]:
    """Return the metric, its value on validate and on test, that of the market, and where that is."""
    figures = data.verdict.verdict.figures if data.verdict is not None else None
    if figures is not None:
        return _judged(figures)
    key, symbol = data.ranking.objective, data.series.chosen.get("symbol")
    validate, test = (words.figure_of(data, symbol, name, "strategy", key) for name in ("validate", "test"))
    where = "validate" if math.isnan(test) else "test"
    return key, validate, test, words.figure_of(data, symbol, where, "buy_and_hold", key), where


def _judged(figures: VerdictStatistics) -> tuple[str, float, float, float, str]:
    validate, test = figures.validate, figures.test
    if test is None:
        return figures.objective, validate.objective.estimate, NAN, validate.market, "validate"
    return figures.objective, validate.objective.estimate, test.objective.estimate, test.market, "test"


def _trades(data: ReportData, window: str) -> str:
    figures = data.verdict.verdict.figures if data.verdict is not None else None
    if words.only_open(data, data.series.chosen.get("symbol"), window):
        return "1 open trade"
    if figures is None:
        trades = words.figure_of(data, data.series.chosen.get("symbol"), window, "strategy", "trades")
    else:
        side = figures.validate if window == "validate" else figures.test
        trades = NAN if side is None else side.trades
    return "" if math.isnan(trades) else words.count(int(trades), "trade")


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value
