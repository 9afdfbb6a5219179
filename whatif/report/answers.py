"""The answer of a study in one row: written beside its report, and listed for all studies of a lake."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from whatif.paths import written_whole
from whatif.report import words
from whatif.report.data import ReportData
from whatif.report.verdict_text import NOT_JUDGED, SHORT, short_word
from whatif.runner import done_apart
from whatif.stats import VerdictKind

ANSWER = "answer.json"
"""File in a folder of a report that holds the answer in one row."""

FILES_SECONDS = 600.0
"""What a child may take to write the files beside a page, before this process writes them."""

NOT_STORED = "not stored"
"""What stands for the verdict of a report that was written before answers were stored."""

_FORMER = {"unknown": SHORT[VerdictKind.UNKNOWN], "unjudged": NOT_JUDGED}
"""Verdicts as reports of older versions have them."""


@dataclass(frozen=True)
class Answer:
    """What a study says, in one row.

    Attributes
    ----------
    study : str
        Its name.
    verdict : str
        "edge", "luck", "too little data", "failed", or "not judged" where nobody judged.
    configuration, config_id : str
        What was chosen, by what varies, and its digest; "" where nothing was chosen.
    test_sharpe : float
        Annual Sharpe ratio on the test window, or on those of all folds joined; NaN where there is none.
    trials : int
        Distinct configurations that were tried on these data, in any study; backtests of the ranking where
        nobody judged.
    finished : str
        When the study ended: ISO 8601, UTC.
    """

    study: str
    verdict: str = NOT_STORED
    configuration: str = ""
    config_id: str = ""
    test_sharpe: float = math.nan
    trials: int = 0
    finished: str = ""


def answer_of(data: ReportData) -> Answer:
    """Return the answer of a finished study in one row."""
    chosen, judgement = data.series.chosen, data.verdict
    figures = None if judgement is None else judgement.verdict.figures
    if data.joined.figures:
        sharpe = float(data.joined.figures.get("sharpe", math.nan))
    else:
        sharpe = _mean([words.figure_of(data, one, "test", "strategy", "sharpe") for one in _symbols(data)])
    return Answer(
        study=data.origin.study,
        verdict=short_word(judgement),
        configuration=words.name_of(data) if chosen else "",
        config_id=str(chosen.get("config_id", "")),
        test_sharpe=sharpe,
        trials=len(data.ranking.leaderboard) if figures is None else figures.trials,
        finished=str(data.origin.environment.get("finished", "")),
    )


def write_row(data: ReportData, folder: Path) -> Path:
    """Write the answer in one row into the folder of a report, and return the file's path.

    It is a JSON object of the fields of `Answer`; a number that is not known is null.
    """
    row = {name: None if value != value else value for name, value in asdict(answer_of(data)).items()}
    path = folder / ANSWER
    with written_whole(path) as part:
        part.write_text(json.dumps(row, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


def write_answer(data: ReportData, folder: Path) -> tuple[Path, ...]:
    """Write report and files into a folder, which is made; return what was written, the report first."""
    # imported here: to list answers, nothing is drawn
    from whatif.report.files import write_files
    from whatif.report.html import write
    from whatif.report.pictures import write_pictures

    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"

    def files() -> list[Path]:
        drawn = write_pictures(data, folder)
        return [*write_files(data, folder).values(), *drawn, write_row(data, folder)]

    # by a child, for they take as long as the page
    (beside,) = done_apart([files], lambda: write(data, page), FILES_SECONDS, 1)
    return (page, *beside)


def stored_answers(reports: Path) -> list[Answer]:
    """Return the answers in the folder of all reports, the newest first.

    Parameters
    ----------
    reports : Path
        The folder; need not exist. A report in it that has no row, or one that cannot be read, is there by
        its folder's name, its verdict `NOT_STORED`, with the time of the page.
    """
    pages = sorted(reports.glob("*/report.html"))
    return sorted((_stored(page) for page in pages), key=lambda one: (one.finished, one.study), reverse=True)


def _stored(page: Path) -> Answer:
    try:
        row = json.loads((page.parent / ANSWER).read_text(encoding="utf-8"))
        sharpe = row["test_sharpe"]
        texts = {
            name: str(row[name]) for name in ("study", "verdict", "configuration", "config_id", "finished")
        }
        texts["verdict"] = _FORMER.get(texts["verdict"], texts["verdict"])
        return Answer(
            test_sharpe=math.nan if sharpe is None else float(sharpe), trials=int(row["trials"]), **texts
        )
    except (OSError, ValueError, LookupError, TypeError):
        written = datetime.fromtimestamp(page.stat().st_mtime, UTC)
        return Answer(page.parent.name, finished=written.isoformat(timespec="seconds"))


def _symbols(data: ReportData) -> list[str]:
    """Return the symbol that was chosen, or all where a configuration was chosen for all."""
    symbol = data.series.chosen.get("symbol")
    return data.series.symbols if symbol is None else [str(symbol)]


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
