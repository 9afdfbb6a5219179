"""Verdict on a study: an edge that the data supports, luck, or too little data to tell."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from whatif.doors import shower
from whatif.stats.evidence import Evidence, Thresholds
from whatif.stats.verdict_statistics import VerdictStatistics, compute_statistics

UNSEEN = "Trials without returns to compare"
"""The condition that fails where they alone would decide."""


class VerdictKind(StrEnum):
    """What a verdict comes to."""

    EDGE = "an edge the data supports"
    LUCK = "not distinguishable from luck"
    UNKNOWN = "too little data to tell"
    FAILED = "failed: every backtest ended in an error"


@dataclass(frozen=True)
class Condition:
    """One limit and whether it is met.

    Attributes
    ----------
    what : str
        What is measured, for a reader.
    found, needed : str
        Its value, and what was asked for.
    held : bool or None
        Whether it is met; None where it does not apply, and `found` says why.
    """

    what: str
    found: str
    needed: str
    held: bool | None

    @property
    def sentence(self) -> str:
        """What was found and needed, without a full stop."""
        return f"{self.what}: {self.found}, needed: {self.needed}"


@dataclass(frozen=True)
class Verdict:
    """What the data says of a chosen configuration, and why.

    Attributes
    ----------
    word : VerdictKind
        One of four.
    rests_on : str
        Which data it rests on.
    enough, edge : tuple of Condition
        Whether there is enough data to tell, and what an edge has to show; all of `enough` must
        hold for any verdict but `VerdictKind.UNKNOWN`, and all of both for `VerdictKind.EDGE`.
    reasons, changes : tuple of str
        Sentences: why this word, and what would change it.
    figures : VerdictStatistics or None
        Every statistic; None where nothing was chosen or its account lost everything.
    thresholds : Thresholds
        The limits.
    seed : int
        Of the bootstraps.
    """

    word: VerdictKind
    rests_on: str
    enough: tuple[Condition, ...]
    edge: tuple[Condition, ...]
    reasons: tuple[str, ...]
    changes: tuple[str, ...]
    figures: VerdictStatistics | None
    thresholds: Thresholds
    seed: int = 0

    def __repr__(self) -> str:
        """Say the word, what it rests on, and the first reason."""
        why = f"; {self.reasons[0]}" if self.reasons else ""
        return f"<Verdict: {self.word.value}; it rests on {self.rests_on}{why}>"

    def _repr_html_(self) -> str:
        shown: str = shower("whatif.report", "verdict_html")(self)
        return shown


def judge(evidence: Evidence, thresholds: Thresholds | None = None, seed: int = 0) -> Verdict:
    """Say whether the chosen configuration shows an edge, luck, or nothing that can be told yet.

    Parameters
    ----------
    evidence : Evidence
        Returns of everything tried on validate, and of the chosen one on test.
    thresholds : Thresholds, optional
        Limits; the defaults if left out.
    seed : int
        Of all bootstraps: the same seed gives the same verdict on every machine.

    Returns
    -------
    Verdict
        The word, the conditions it follows from, and every statistic.

    Notes
    -----
    *Too little data to tell*: a window has fewer periods than asked for, the chosen configuration
    too few trades, it failed on the test window, a statistic that decides is undefined, or an edge
    would hold only if trials whose returns are not known were no others than those that are.

    *An edge the data supports*: superior predictive ability on validate over zero and over the
    market at each configuration's net exposure; on test, a Sharpe ratio above zero, of its returns and of
    those over the market; and a product of the p-values of both windows that is as small as asked for
    (Fisher, 1932, *Statistical Methods for Research Workers*, section 21.1). Without a test window,
    deflated Sharpe ratio and probability of overfitting decide in its place.

    *Not distinguishable from luck*: all else.

    *Failed*: no backtest ran to its end, see `all_failed`; it is never said of evidence.

    What drifts with the market is no edge, so both comparisons have to hold: over zero alone, any
    long-only rule passes in a rising market and any short-only rule in a falling one.
    """
    limits = thresholds or Thresholds()
    if len(evidence.tried) < 2:
        return undecidable(f"{len(evidence.tried)} period(s) on validate: no ratio is defined.", limits)
    ruined = _ruined(evidence)
    if ruined:
        return Verdict(VerdictKind.LUCK, ruined[0], (), (), (ruined[1],), (), None, limits, seed)
    figures = compute_statistics(evidence, limits, seed)
    enough = tuple(_enough(evidence, figures, limits))
    edge = tuple(_edge(evidence, figures, limits))
    if all(condition.held is not False for condition in (*enough, *edge)):
        enough = (*enough, *_unsettled(evidence, figures, limits))
    if any(condition.held is False for condition in enough):
        word = VerdictKind.UNKNOWN
    elif all(condition.held is not False for condition in edge):
        word = VerdictKind.EDGE
    else:
        word = VerdictKind.LUCK
    return Verdict(
        word=word,
        rests_on=_rests_on(evidence, figures),
        enough=enough,
        edge=edge,
        reasons=tuple(_reasons(word, enough, edge, figures, limits)),
        changes=tuple(_changes(word, evidence, enough, edge, figures, limits)),
        figures=figures,
        thresholds=limits,
        seed=seed,
    )


def undecidable(reason: str, thresholds: Thresholds | None = None, remedy: str = "") -> Verdict:
    """Return the verdict on a study of which nothing can be measured."""
    return Verdict(
        word=VerdictKind.UNKNOWN,
        rests_on="nothing that could be measured",
        enough=(),
        edge=(),
        reasons=(reason,),
        changes=(remedy,) if remedy else (),
        figures=None,
        thresholds=thresholds or Thresholds(),
    )


def all_failed(reason: str, thresholds: Thresholds | None = None, remedy: str = "") -> Verdict:
    """Return the verdict on a study of which every backtest failed: nothing is wrong with the data."""
    return replace(undecidable(reason, thresholds, remedy), word=VerdictKind.FAILED)


def _ruined(evidence: Evidence) -> tuple[str, str] | None:
    for name, returns in (("validate", evidence.validate), ("test", evidence.test)):
        if returns is not None and not np.isfinite(returns).all():
            text = f"The account of the chosen configuration lost everything on the {name} window."
            return f"the {name} window", text
    return None


def _rests_on(evidence: Evidence, figures: VerdictStatistics) -> str:
    base = "validate and test" if evidence.test is not None else "the validate window alone"
    return f"{base}, one configuration" if figures.compared - figures.idle < 2 else base


def _enough(evidence: Evidence, figures: VerdictStatistics, limits: Thresholds) -> Iterable[Condition]:
    """Yield what must hold for anything to be told."""
    yield _at_least("Periods on validate", figures.validate.periods, limits.validate_periods)
    if evidence.test is not None:
        yield _at_least("Periods on test", len(evidence.test), limits.test_periods)
    if not math.isnan(evidence.trades):
        yield _at_least("Closed trades on validate", evidence.trades, limits.trades)
    if evidence.test_failed:
        yield Condition("Returns on test", evidence.test_failed, "a test window that ran", False)
    yield _defined("Superior predictive ability on validate", figures.spa_zero, figures, "spa_zero")
    if evidence.test is None:
        yield _defined("Deflated Sharpe ratio on validate", figures.dsr, figures, "dsr")
    elif figures.test is None or math.isnan(figures.test.psr):
        idle = bool((evidence.test == 0.0).all())
        found = "it never traded there" if idle else "the returns do not vary, or are too few"
        yield Condition("Sharpe ratio on test", found, "a value", False)


def _unsettled(evidence: Evidence, figures: VerdictStatistics, limits: Thresholds) -> Iterable[Condition]:
    """Yield what decides only by trials whose returns are not known."""
    most = [limits.spa, limits.spa]
    for k, (_, _, test) in enumerate(errors_on_both(figures, evidence.looks)):
        most[k] = _most(limits, test)
    named = [
        ("spa_zero", "superior predictive ability over zero, p-value", most[0], False),
        ("spa_market", "superior predictive ability over the market, p-value", most[1], False),
    ]
    if evidence.test is None:
        named += [
            ("dsr", "deflated Sharpe ratio", limits.dsr, True),
            ("dsr_market", "deflated Sharpe ratio over the market", limits.dsr, True),
        ]
    for name, what, limit, least in named:
        value = figures.worst.get(name, math.nan)
        if value < limit if least else value > limit:
            why = figures.missing.get("trials", "their returns are not known")
            yield Condition(
                UNSEEN,
                f"{figures.unseen:,} of {figures.trials:,} ({why}); {what}: between "
                f"{_number(getattr(figures, name))} if they are copies of those compared and "
                f"{_number(value)} if each is independent",
                f"{'at least' if least else 'at most'} {limit:.2g} either way",
                False,
            )


def _at_least(what: str, found: float, needed: int) -> Condition:
    return Condition(what, f"{found:,.0f}", f"at least {needed}", bool(found >= needed))


def _defined(what: str, value: float, figures: VerdictStatistics, name: str) -> Condition:
    known = not math.isnan(value)
    found = "defined" if known else figures.missing.get(name, "undefined")
    return Condition(what, found, "a value", known)


def _edge(evidence: Evidence, figures: VerdictStatistics, limits: Thresholds) -> Iterable[Condition]:
    """Yield what an edge has to show; a value that is missing fails."""
    spa = "Superior predictive ability on validate"
    yield _p_value(f"{spa} over zero, p-value", figures.spa_zero, limits.spa)
    if evidence.markets is None:
        yield Condition(f"{spa} over the market", "not known, there is no market to hold", "–", None)
    else:
        yield _p_value(f"{spa} over the market, p-value", figures.spa_market, limits.spa)
    if figures.test is not None:
        yield from _on_test(figures, evidence, limits)
    elif evidence.test is None and not evidence.test_failed:
        yield _ratio("Deflated Sharpe ratio on validate", figures.dsr, limits.dsr)
        if evidence.markets is not None:
            yield _ratio("Deflated Sharpe ratio over the market", figures.dsr_market, limits.dsr)
        if math.isnan(figures.pbo):
            why = figures.missing.get("pbo", "undefined")
            yield Condition("Probability of backtest overfitting", why, f"at most {limits.pbo:.2f}", None)
        else:
            yield _p_value("Probability of backtest overfitting", figures.pbo, limits.pbo)


def _on_test(figures: VerdictStatistics, evidence: Evidence, limits: Thresholds) -> Iterable[Condition]:
    looks = evidence.looks
    opened = f", {looks} looks at which count" if looks > 1 else ""
    errors = errors_on_both(figures, looks)
    for over, _, test in errors:
        yield _p_value(f"Sharpe ratio on test{over}{opened}, p-value", test, limits.test)
    for over, validate, test in errors:
        yield _p_value(f"P-values of validate and test{over}, multiplied", validate * test, limits.both, 4)


def errors_on_both(figures: VerdictStatistics, looks: int) -> list[tuple[str, float, float]]:
    """Return over what, and the p-values on validate and on test; those on test times the looks at it.

    NaN where one is not known, but 0 on validate over a market that is known on test alone. There is none
    over the market where there is no market, and none at all without a test window.
    """
    test = figures.test
    if test is None:
        return []
    found = [("", figures.spa_zero, _looked(test.psr, looks))]
    if test.over is not None:
        known = 0.0 if math.isnan(figures.spa_market) else figures.spa_market
        found.append((" over the market", known, _looked(test.psr_market, looks)))
    return found


def _most(limits: Thresholds, test: float) -> float:
    """Return the highest p-value on validate beside one on test."""
    return min(limits.spa, limits.both / max(test, 1e-12))


def _looked(probability: float, looks: int) -> float:
    return probability if math.isnan(probability) else min(1.0, (1.0 - probability) * looks)


def chance_on_both(errors: Iterable[tuple[str, float, float]], limits: Thresholds) -> float:
    """Return how likely what is worth nothing gets as far on both windows.

    The limits on p-values are multiplied by the least s at which all of `errors` (`errors_on_both`) are
    within, the one on their product by its square. What is worth nothing is within with the chance that two
    uniform numbers are that are apart: x (1 + ln(a b / x)) of limits a, b and x, each at most 1. NaN if one
    p-value is.
    """
    times = [
        max(one / limits.spa, test / limits.test, math.sqrt(one * test / limits.both))
        for _, one, test in errors
    ]
    if any(math.isnan(one) for one in times):
        return math.nan
    most = max(times)
    area = min(1.0, most * limits.spa) * min(1.0, most * limits.test)
    product = min(area, most * most * limits.both)
    return 0.0 if product == 0.0 else product * (1.0 + math.log(area / product))


def _p_value(what: str, found: float, most: float, digits: int = 2) -> Condition:
    shown = _number(found) if digits < 3 or math.isnan(found) else f"{found:.{digits + 1}f}"
    return Condition(what, shown, f"at most {most:.{digits}f}", bool(found <= most))


def _ratio(what: str, found: float, least: float) -> Condition:
    return Condition(what, _number(found), f"at least {least:.3g}", bool(found >= least))


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.3f}"


def _reasons(
    word: VerdictKind,
    enough: tuple[Condition, ...],
    edge: tuple[Condition, ...],
    figures: VerdictStatistics,
    limits: Thresholds,
) -> Iterable[str]:
    """Yield why the verdict is what it is, and which statistics contradict it."""
    if word is VerdictKind.UNKNOWN:
        yield from (f"{c.sentence}." for c in enough if c.held is False)
        return
    if word is VerdictKind.LUCK:
        yield from (f"{c.sentence}." for c in edge if c.held is False)
    else:
        yield f"All {sum(c.held is True for c in edge)} conditions for an edge hold."
    doubts = []
    dsr = float(np.fmin(figures.dsr, figures.dsr_market))
    if dsr < limits.dsr:
        over = "" if figures.dsr < limits.dsr else " over the market"
        doubts.append(f"deflated Sharpe ratio{over} {dsr:.2f}, under {limits.dsr:.2f}")
    if figures.pbo > limits.pbo:
        doubts.append(f"probability of backtest overfitting {figures.pbo:.2f}, over {limits.pbo:.2f}")
    if word is VerdictKind.EDGE and doubts:
        yield f"What speaks against it, though it does not decide: {' and '.join(doubts)}."
    if word is VerdictKind.LUCK and not doubts and figures.test is not None and not math.isnan(dsr):
        also = "" if math.isnan(figures.pbo) else f" and probability of overfitting ({figures.pbo:.2f})"
        yield f"On validate alone, deflated Sharpe ratio ({dsr:.2f}){also} would speak for an edge."


def _changes(
    word: VerdictKind,
    evidence: Evidence,
    enough: tuple[Condition, ...],
    edge: tuple[Condition, ...],
    figures: VerdictStatistics,
    limits: Thresholds,
) -> Iterable[str]:
    """Yield what would have to be otherwise for another word."""
    if word is VerdictKind.UNKNOWN:
        yield from _more_data(evidence, enough, limits)
        return
    where = "test" if figures.test is not None else "validate"
    if word is VerdictKind.EDGE:
        yield from _lost(evidence, figures, limits)
        return
    if math.isfinite(figures.record_periods):
        yield (
            f"If the Sharpe ratio on {where} stayed as it is, {math.ceil(figures.record_periods):,} periods "
            f"({figures.record_years:.1f} years) there would tell it, and what it has over the market, from "
            f"zero; there are {(figures.test or figures.validate).periods:,}."
        )
    elif not math.isnan(figures.record_periods):
        yield f"No longer record of this kind: on {where}, nothing was earned, or nothing over the market."
    if any(c.held is False and c.what.startswith("Superior") for c in edge) and figures.compared > 1:
        yield "A longer validate window, or fewer configurations tried on it, would lower the p-values."


def _more_data(evidence: Evidence, enough: tuple[Condition, ...], limits: Thresholds) -> Iterable[str]:
    failed = {c.what for c in enough if c.held is False}
    if failed & {"Periods on validate", "Periods on test"}:
        test = "" if evidence.test is None else f" and {limits.test_periods} on test"
        yield (
            f"A longer slice, or shorter periods: at least {limits.validate_periods} on validate{test}. "
            "Shorter periods of the same days add fewer than they seem to."
        )
    if "Closed trades on validate" in failed:
        yield (f"A longer validate window, or parameters that trade at least {limits.trades} times on it.")
    if "Sharpe ratio on test" in failed:
        yield "A test window on which it trades."
    if UNSEEN in failed:
        yield (
            "Their returns: running the studies that they belong to again stores them, of up to 10,000 "
            "configurations all. Or a longer validate window."
        )
    if "Returns on test" in failed:
        yield "A configuration that runs on the test window; the error stands in the report."


def _lost(evidence: Evidence, figures: VerdictStatistics, limits: Thresholds) -> Iterable[str]:
    """Yield how much more trying would make an edge indistinguishable again."""
    errors = errors_on_both(figures, evidence.looks)
    pairs = [(one, _most(limits, test)) for _, one, test in errors]
    worst, most = max(
        pairs or [(float(np.fmax(figures.spa_zero, figures.spa_market)), limits.spa)],
        key=lambda pair: pair[0] / pair[1],
    )
    if 0.0 < worst < most:
        more = math.log1p(-most) / math.log1p(-worst)
        yield (
            f"With more than {more:.1f} times as many independent trials on these data, the p-value on "
            f"validate would be over {most:.2g}."
        )
    if errors:
        looks = min(
            int(min(limits.test, limits.both / max(one, 1e-12)) / max(test / evidence.looks, 1e-12))
            for _, one, test in errors
        )
        if looks < 100:
            yield (
                f"It would fall if this study opened the test window for more than {looks} "
                f"configuration{'s' * (looks != 1)}; so far {evidence.looks} counted."
            )
    else:
        yield "A test window that had no part in the choice could confirm or refute it; this study has none."
