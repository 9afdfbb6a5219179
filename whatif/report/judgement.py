"""Verdict on a study, with what a reader needs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whatif.stats import RankCorrelation, Stability, Verdict


@dataclass(frozen=True, eq=False)
class Judgement:
    """A verdict with where its counts come from and what surrounds the choice.

    Attributes
    ----------
    verdict : Verdict
        The word, its reasons and all statistics.
    scope : str
        Whose trials and looks count: "all" studies, this "study", or those "given".
    own_trials, studies : int
        Trials of this study, and studies whose trials on the same data were counted.
    looks, openings : int
        Configurations that the test window was opened for, and how often that was.
    stability : Stability or None
        Surroundings of the chosen configuration; None if there is no axis or nothing was chosen.
    correlation : RankCorrelation or None
        Of ranks on validate and on test; None if it is not known.
    correlation_note : str
        Why it is not, or what it is of.
    notes : tuple of str
        What was left out or stood in for something else.
    """

    verdict: Verdict
    scope: str = "all"
    own_trials: int = 0
    studies: int = 1
    looks: int = 0
    openings: int = 0
    stability: Stability | None = None
    correlation: RankCorrelation | None = None
    correlation_note: str = ""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say the verdict in a line."""
        return f"<Judgement: {self.verdict!r}>"

    def _repr_html_(self) -> str:
        # what shows it imports this module
        from whatif.report.displays import judgement_html

        return judgement_html(self)
