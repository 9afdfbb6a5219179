"""Bars that are put into a stream: what is left out of files is told, and no option is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.cli import main

SINK = """
from whatif.sources import Source

class Sink(Source):
    def parts(self):
        return []

    def read(self, part, checkpoint):
        yield from ()

    def publish(self, bars):
        return sum(batch.num_rows for batch in bars)
"""


@pytest.fixture(autouse=True)
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that takes bars."""
    (tmp_path / "my_sink.py").write_text(SINK)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)


def test_rows_that_break_a_rule_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"2024-01-02T14:{minute}:00Z,A,10,11,9,10,5" for minute in range(30, 58)]
    rows += ["2024-01-02T14:58:00Z,A,10,9,11,10,5", "2024-01-02T14:59:00Z,A,ten,11,9,10,5"]
    (tmp_path / "bars.csv").write_text("\n".join(["ts,symbol,open,high,low,close,volume", *rows]) + "\n")
    assert main(["publish", "my_sink:Sink", "bars.csv", "--exchange", "XNYS"]) == 0
    told = capsys.readouterr().out
    assert "28 bars were put into my_sink:Sink" in told
    assert "1 unparsable_number" in told
    assert "1 high_below_low" in told


def test_what_says_how_files_are_read_is_refused_for_bars_of_the_lake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = ["--home", str(tmp_path / "home")]
    assert main([*home, "publish", "my_sink:Sink", "--symbols", "A", "--timezone", "Europe/Berlin"]) == 2
    told = capsys.readouterr().err
    assert "--timezone is for files, and the lake's bars have theirs" in told
    assert "leave it out" in told
