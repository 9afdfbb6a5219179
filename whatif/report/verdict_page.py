"""What the page shows of a verdict: texts and tables for its template."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from whatif.report import judged, surroundings
from whatif.report.data import ReportData

SOURCES = (
    ("Market, beta and alpha",
     "The one benchmark: what the configuration trades, bought with all of the cash at the window's first "
     "open and held long, the same whatever the configuration does. Beta is the slope of the "
     "configuration's returns on the market's: the share of it that it held, long less short, on average. "
     "What is left of its returns without the market times beta is what it earned over the market: a year "
     "of it is alpha, and its Sharpe ratio is the appraisal ratio, whose interval stands under over "
     "market. What merely drifts with the market, up or down, has none. Jensen (1968), "
     "Journal of Finance 23(2); Treynor and Black (1973), Journal of Business 46(1)."),
    ("Superior predictive ability (SPA)",
     "P-value of: no configuration tried beats zero (or the market times its own beta). It compares "
     "Sharpe ratios, whatever the objective, and knows that the best of many was looked at. A "
     "configuration that never trades is left out. The best of this study is compared with the maximum over "
     "everything tried on the same data, other studies' trials by their returns. Hansen (2005), Journal of "
     "Business & Economic Statistics 23(4); stationary "
     "bootstrap of Politis and Romano (1994), JASA 89(428)."),
    ("Probabilistic Sharpe ratio (PSR)",
     "Probability that the true Sharpe ratio is above zero, given length, skewness and fat tails; "
     "periods are taken as independent. Opened for k configurations, the test window must show k times "
     "as small a chance of error. Bailey and López de Prado (2012), Journal of Risk 15(2)."),
    ("Deflated Sharpe ratio (DSR)",
     "The same against the ratio to expect of the best of as many independent trials that are worth "
     "nothing, whose variance is that of sampling, not that across the trials at hand. Bailey "
     "and López de Prado (2014), Journal of Portfolio Management 40(5)."),
    ("Effective trials",
     "Independent ones whose best would show by luck what the best of all trials does, other studies' among "
     "them, in replications in which all of them are worth nothing. Copies count once."),
    ("Probability of backtest overfitting (PBO)",
     "Share of ways to split the validate window in two halves in which the best of one half is in the "
     "lower half of all on the other. By the study's objective where returns tell it, else by Sharpe. "
     "Those that never trade are left out; equal ones share their mean rank, and the first of them wins. "
     "Bailey, Borwein, López de Prado and Zhu (2017), Journal of Computational Finance 20(4)."),
    ("Interval",
     "Percentiles of the stationary bootstrap; it does not know that the configuration was chosen, so on "
     "validate it is too kind."),
    ("Length of record",
     "Periods after which a Sharpe ratio as seen would be told from zero: minimum track record length, "
     "Bailey and López de Prado (2012)."),
)  # fmt: skip


def verdict_view(data: ReportData) -> dict[str, Any] | None:
    """Return what the templates of the verdict need; None if nobody judged."""
    judgement = data.verdict
    if judgement is None:
        return None
    verdict, figures = judgement.verdict, judgement.verdict.figures
    return {
        "kind": verdict.word.name.lower(),
        "headline": judged.headline(judgement),
        "paragraph": judged.paragraph(data, judgement),
        "changes": judged.changes(judgement),
        "heads": judged.heads(figures) if figures is not None else [],
        "lines": [astuple(line) for line in judged.lines(figures)] if figures is not None else [],
        "statistics": judged.statistics(judgement, figures) if figures is not None else [],
        "conditions": judged.condition_rows(judgement),
        "notes": judged.notes(judgement),
        "sources": SOURCES,
        "seed": verdict.seed,
        "reps": verdict.thresholds.reps,
        "surroundings": surroundings.sentences(judgement, data.objective),
        "edges": surroundings.edges(judgement),
        "strips": surroundings.strips(judgement, data.objective),
        "sheets": surroundings.sheets(judgement, data.objective),
    }
