"""The recording of a terminal: every line once, in its time, and nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("record_demo", FOLDER / "infra" / "record_demo.py")
assert _spec is not None
assert _spec.loader is not None
record = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(record)


def test_pauses_are_cut_and_lines_of_one_instant_come_one_by_one() -> None:
    run = [(0.0, "a"), (1.0, "b"), (61.0, "c"), (61.0, "d")]
    times = [at for at, _ in record.paced(run)]
    assert times == pytest.approx([0.0, 1.0, 3.0, 3.06])


def test_each_row_has_the_time_of_its_line() -> None:
    long = "x" * (record.WIDTH + 5)
    drawn = record.recording([(1.0, long), (1.5, "\x1b[1;32mgood\x1b[0m <b>")])
    delays = re.findall(r'animation-delay:([0-9.]+)s" [^>]*demo-line-(\d+)', drawn)
    # the prompt, a line that takes two rows, and the last one, which has two styles
    assert {(float(at), int(row)) for at, row in delays} == {(0.0, 0), (1.0, 1), (1.0, 2), (1.5, 3)}
    assert "&lt;b&gt;" in drawn


def test_what_is_stored_asks_nobody_and_is_the_demo() -> None:
    stored = record.TARGET.read_text(encoding="utf-8")
    assert re.findall(r"(?:href|src|url)\W+https?:", stored) == []
    assert len(stored) < 60_000
    for said in (
        "An&#160;edge&#160;the&#160;data&#160;supports",
        "Not&#160;distinguishable&#160;from&#160;luck",
    ):
        assert said in stored
