"""Answers in one row: what stands in the file is what stood in the report."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from types import SimpleNamespace

import pytest

from whatif.errors import WhatIfError
from whatif.report.answers import ANSWER, NOT_STORED, answer_of, stored_answers, write_answer, write_row
from whatif.stats import VerdictKind


def _placed(data, reports, folder):
    where = reports / folder
    where.mkdir(parents=True)
    (where / "report.html").write_text("<!doctype html>")
    return write_row(data, where)


def test_a_row_says_what_the_comparison_says(make) -> None:
    data = make.study()
    compared = data.series.comparison
    row = compared[
        (compared["symbol"] == data.series.chosen["symbol"])
        & (compared["window"] == "test")
        & (compared["who"] == "strategy")
    ]
    answer = answer_of(data)
    assert answer.test_sharpe == row["sharpe"].item()
    assert answer.config_id == data.series.chosen["config_id"]
    assert answer.study == data.origin.study
    assert answer.verdict == "not judged"


def test_what_was_written_is_read_back(make, tmp_path) -> None:
    data = make.study()
    _placed(data, tmp_path, "mine")
    assert stored_answers(tmp_path) == [answer_of(data)]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (VerdictKind.EDGE, "edge"),
        (VerdictKind.LUCK, "luck"),
        (VerdictKind.UNKNOWN, "too little data"),
        (VerdictKind.FAILED, "failed"),
    ],
)
def test_lists_have_the_verdict_s_own_word(make, word, said) -> None:
    judgement = SimpleNamespace(verdict=SimpleNamespace(word=word, figures=None))
    data = dataclasses.replace(make.study(), verdict=judgement)
    assert answer_of(data).verdict == said


@pytest.mark.parametrize(("former", "said"), [("unknown", "too little data"), ("unjudged", "not judged")])
def test_words_of_older_reports_are_said_as_now(make, tmp_path, former, said) -> None:
    path = _placed(make.study(), tmp_path, "mine")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"verdict": former}))
    assert [one.verdict for one in stored_answers(tmp_path)] == [said]


def test_the_newest_comes_first(make, tmp_path) -> None:
    for name, finished in (("old", "2024-01-01T00:00:00+00:00"), ("new", "2024-02-01T00:00:00+00:00")):
        _placed(make.study(origin={"study": name, "environment": {"finished": finished}}), tmp_path, name)
    assert [one.study for one in stored_answers(tmp_path)] == ["new", "old"]


def test_a_number_that_is_not_known_is_null(make, tmp_path) -> None:
    empty = make.study().series.comparison.iloc[:0]
    path = _placed(
        make.study(series={"comparison": empty, "chosen": {"config_id": "a", "symbol": "none"}}),
        tmp_path,
        "mine",
    )
    assert json.loads(path.read_text())["test_sharpe"] is None
    (found,) = stored_answers(tmp_path)
    assert math.isnan(found.test_sharpe)


def test_a_report_without_a_row_is_listed(make, tmp_path) -> None:
    path = _placed(make.study(), tmp_path, "mine")
    for text in (None, "", "[]", '{"study": "x"}'):
        path.unlink(missing_ok=True)
        if text is not None:
            (tmp_path / "mine" / ANSWER).write_text(text)
        (found,) = stored_answers(tmp_path)
        assert (found.study, found.verdict) == ("mine", NOT_STORED)


def test_no_report_is_no_answer(tmp_path) -> None:
    assert stored_answers(tmp_path / "none") == []


def test_an_answer_is_written_whole_with_a_child_and_without_one(make, tmp_path, monkeypatch) -> None:
    data = make.study()
    beside = write_answer(data, tmp_path / "beside")
    monkeypatch.delattr(os, "fork")
    alone = write_answer(data, tmp_path / "alone")
    assert [path.name for path in alone] == [path.name for path in beside]
    assert alone[0].name == "report.html"
    assert {path.name for path in alone} == {path.name for path in (tmp_path / "beside").iterdir()}
    assert [path.read_bytes() for path in alone[:-1]] == [path.read_bytes() for path in beside[:-1]]


def test_what_keeps_a_child_from_writing_is_raised(make, tmp_path) -> None:
    (tmp_path / "trades.csv").mkdir()
    with pytest.raises(WhatIfError, match="is a folder"):
        write_answer(make.study(), tmp_path)
