"""No text of a CSV file is a formula."""

from __future__ import annotations

import pandas as pd
import pytest

from whatif.report.formulas import without_formulas


@pytest.mark.parametrize(
    "text", ["=1+1", '=HYPERLINK("x")', "+A1", "-A1", "@SUM(A1)", "\t=1", " =1", "-1+cmd|x"]
)
def test_what_a_spreadsheet_would_run(text: str) -> None:
    for frame in (pd.DataFrame({"a": [text, "b"]}), pd.DataFrame({"a": [text, 5]}, dtype=object)):
        assert without_formulas(frame)["a"].iloc[0] == "'" + text
    assert list(without_formulas(pd.DataFrame({text: [1]})).columns) == ["'" + text]


def test_everything_else_stays() -> None:
    frame = pd.DataFrame(
        {"a": ["SPY", "-1.5", "+2e-4", "", None], "b": [-1.5, 2.0, 3.0, 4.0, float("nan")], "c": range(5)},
        index=[5, 6, 7, 8, 9],
    )
    pd.testing.assert_frame_equal(without_formulas(frame), frame)
