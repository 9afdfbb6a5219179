"""Verdict in sentences and short tables, for terminal and page."""

from __future__ import annotations

import math
from dataclasses import dataclass

from whatif.report.columns import MISSING, format_metric, format_number, metric
from whatif.report.data import ReportData
from whatif.report.judgement import Judgement
from whatif.report.words import count, name_of, quantity
from whatif.stats import Condition, VerdictKind, VerdictStatistics, WindowStatistics

STYLES = {
    VerdictKind.EDGE: "green",
    VerdictKind.LUCK: "yellow",
    VerdictKind.UNKNOWN: "cyan",
    VerdictKind.FAILED: "red",
}
"""Colour of a verdict: luck is no error, and an edge no triumph; what failed is one."""

SHORT = {
    VerdictKind.EDGE: "edge",
    VerdictKind.LUCK: "luck",
    VerdictKind.UNKNOWN: "too little data",
    VerdictKind.FAILED: "failed",
}
"""A verdict where it is one of many: lists of studies, and MLflow's tag, by which runs are filtered."""

NOT_JUDGED = "not judged"
"""What stands there where nobody judged."""

_NAMES = {
    "pbo": "PBO",
    "dsr": "Deflated Sharpe ratio",
    "spa_zero": "SPA",
    "spa_market": "SPA over the market",
}


@dataclass(frozen=True)
class Line:
    """One window in the table of a verdict; texts as they are shown."""

    window: str
    objective: str
    interval: str
    market: str
    over: str
    psr: str
    periods: str
    trades: str


def short_word(judgement: Judgement | None) -> str:
    """Return the verdict as lists and MLflow's tag have it: "edge", "luck", "too little data" or "failed".

    "not judged" where nobody judged.
    """
    return NOT_JUDGED if judgement is None else SHORT[judgement.verdict.word]


def headline(judgement: Judgement) -> str:
    """Write the verdict with a capital letter."""
    word = judgement.verdict.word.value
    return word[:1].upper() + word[1:]


def paragraph(data: ReportData, judgement: Judgement) -> str:
    """Say in plain words what was chosen from how much, how it did, and why the verdict is what it is."""
    config_id = data.series.chosen.get("config_id", MISSING)
    return told_of(f"{name_of(data)} (configuration {config_id})".strip(), judgement)


def told_of(chosen: str, judgement: Judgement) -> str:
    """Say the same of a choice that has this name."""
    verdict = judgement.verdict
    if verdict.figures is None:
        return " ".join(verdict.reasons)
    said = [_chosen(chosen, verdict.figures), _validate(verdict.figures, verdict.word)]
    if verdict.figures.test is not None:
        said.append(_test(judgement, verdict.figures, verdict.figures.test))
    said.append(_why(judgement))
    return " ".join(said)


def changes(judgement: Judgement) -> str:
    """Say what would change the verdict; empty if nothing is known to."""
    found = " ".join(judgement.verdict.changes)
    return f"What would change it: {found[:1].lower()}{found[1:]}" if found else ""


def lines(figures: VerdictStatistics) -> list[Line]:
    """Return validate, and test if there is one."""
    sides = [("validate", figures.validate)]
    if figures.test is not None:
        sides.append(("test", figures.test))
    return [_line(name, side, figures.objective) for name, side in sides]


def heads(figures: VerdictStatistics) -> list[str]:
    """Return the headings of `lines`, the window's first."""
    label = metric(figures.objective).label
    share = f"{figures.validate.objective.confidence:.0%}".replace("%", " %")
    return ["window", label, f"{share} interval", "market", "over market", "PSR", "periods", "trades"]


def statistics(judgement: Judgement, figures: VerdictStatistics) -> list[tuple[str, str]]:
    """Return the statistics over everything tried, by name."""
    over = "" if math.isnan(figures.dsr_market) else f"; over the market {_share(figures.dsr_market)}"
    return [
        ("Deflated Sharpe ratio", f"{_value(figures, 'dsr', figures.dsr)}{over}"),
        ("Overfitting (PBO)", _value(figures, "pbo", figures.pbo)),
        ("Superior ability (SPA), p", _superior(figures)),
        ("Trials", _trials(judgement, figures)),
        ("Test window", opened(judgement)),
    ]


def opened(judgement: Judgement) -> str:
    """Say how often the test window was opened."""
    if not judgement.looks:
        figures = judgement.verdict.figures
        return "none in the split" if figures is not None and figures.test is None else "not opened"
    for_many = count(judgement.looks, "configuration")
    return f"opened {'once' if judgement.openings == 1 else f'{judgement.openings:,} times'}, for {for_many}"


def condition_rows(judgement: Judgement) -> list[tuple[str, Condition, str]]:
    """Return what each condition is for, itself, and whether it is met, in a word."""
    told = {True: "yes", False: "no", None: "does not apply"}
    verdict = judgement.verdict
    kinds = [("enough data", one) for one in verdict.enough] + [("an edge", one) for one in verdict.edge]
    return [(kind, one, told[one.held]) for kind, one in kinds]


def notes(judgement: Judgement) -> list[str]:
    """Return what was left out, stood in for something else, or is undefined and why."""
    figures = judgement.verdict.figures
    if figures is None:
        return list(judgement.notes)
    said = list(judgement.notes)
    if figures.idle:
        said.append(
            f"{count(figures.idle, 'configuration')} never traded on validate: such are no rivals and are "
            "left out of PBO and SPA, but count as trials."
        )
    if figures.ruined:
        said.append(f"{count(figures.ruined, 'account')} lost everything and could not be compared.")
    names = {
        "pbo": "PBO",
        "dsr": "Deflated Sharpe ratio",
        "spa_zero": "SPA",
        "spa_market": "SPA over the market",
        "trials": "Trials that no figure allows for, their returns not being known",
    }
    said += [f"{names.get(name, name)}: {why}." for name, why in figures.missing.items()]
    return said


def _chosen(lead: str, figures: VerdictStatistics) -> str:
    if figures.trials == 1:
        return f"{lead} is the only one tried on these data, so none was picked over others."
    independent = f"about {figures.effective_trials:,.0f} independent ones"
    if figures.untried:
        independent += f" with the {figures.untried:,} more that the search could have come to"
    return f"{lead} came first of {figures.trials:,} tried on these data, {independent}."


def _validate(figures: VerdictStatistics, word: VerdictKind) -> str:
    side, key = figures.validate, figures.objective
    text = f"On validate its {_label(key)} is {quantity(key, side.objective.estimate)}{_beside(side, key)}"
    luck = figures.expected_maximum_sharpe
    if figures.trials > 1 and key == "sharpe" and not math.isnan(luck):
        text += (
            f"; the best of as many independent ones that are worth nothing would show about "
            f"{format_number(luck, 'ratio')}"
        )
        if word is VerdictKind.EDGE and luck >= side.objective.estimate:
            text += (
                ", no less, which speaks against it but does not decide: superior ability over everything "
                "tried does, and the test window, which had no part in the choice"
            )
    return f"{text}."


def _test(judgement: Judgement, figures: VerdictStatistics, side: WindowStatistics) -> str:
    key, interval = figures.objective, side.objective
    value, between = quantity(key, interval.estimate), ""
    if not math.isnan(interval.low):
        share = f"{100 * interval.confidence:.0f} % interval"
        between = f" ({share} {_between(key, interval.low, interval.high)})"
    return f"On test, {opened(judgement)}, it is {value}{between}{_beside(side, key)}."


def _beside(side: WindowStatistics, key: str) -> str:
    if math.isnan(side.market):
        return ""
    return (
        f", beside {quantity(key, side.market)} for the market held long (beta "
        f"{format_number(side.beta, 'ratio')}, alpha {format_number(side.alpha, 'fraction')} % a year)"
    )


def _why(judgement: Judgement) -> str:
    verdict = judgement.verdict
    lead = f"The verdict rests on {verdict.rests_on}"
    lead += {
        VerdictKind.EDGE: ".",
        VerdictKind.LUCK: ". What an edge would have to show and this does not:",
    }.get(verdict.word, ". What is missing:")
    return " ".join([lead, *verdict.reasons])


def _line(name: str, side: WindowStatistics, key: str) -> Line:
    over = side.excess
    return Line(
        window=name,
        objective=format_metric(key, side.objective.estimate),
        interval=_between(key, side.objective.low, side.objective.high),
        market=format_metric(key, side.market),
        over=MISSING if over is None else _between("sharpe", over.low, over.high),
        psr=_share(side.psr),
        periods=f"{side.periods:,}",
        trades=format_metric("trades", side.trades),
    )


def _between(key: str, low: float, high: float) -> str:
    return MISSING if math.isnan(low) else f"{format_metric(key, low)} to {format_metric(key, high)}"


def _share(value: float) -> str:
    return MISSING if math.isnan(value) else f"{value:.3f}"


def _value(figures: VerdictStatistics, name: str, value: float) -> str:
    return f"not defined: {figures.missing.get(name, 'no variance')}" if math.isnan(value) else _share(value)


def _superior(figures: VerdictStatistics) -> str:
    zero = f"{_share(figures.spa_zero)} over zero"
    return zero if math.isnan(figures.spa_market) else f"{zero}, {_share(figures.spa_market)} over the market"


def _trials(judgement: Judgement, figures: VerdictStatistics) -> str:
    text = f"{figures.trials:,}, effectively {figures.effective_trials:,.1f}"
    if figures.untried:
        text += f" with {figures.untried:,} more in reach of a search that learns"
    if judgement.scope == "given":
        return text
    if judgement.scope == "study":
        return f"{text}; of this study alone, as it asks (trials: study)"
    if judgement.studies > 1:
        own = f"{judgement.own_trials:,} of them in this one"
        return f"{text}; of {judgement.studies} studies on these data, {own}"
    return f"{text}; no other study tried these data"


def _label(key: str) -> str:
    label = metric(key).label
    return label if key in ("sharpe", "sortino") else label.lower()
