"""The benchmark of the report in a browser, at a small size."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.bench.page import measure
from whatif.bench.setting import BenchOptions, Setting
from whatif.pins import LakeLocation

pytestmark = pytest.mark.browser


def test_the_page_is_written_weighed_and_painted_before_it_is_drawn(tmp_path: Path) -> None:
    found = measure(Setting(LakeLocation(tmp_path), BenchOptions(quick=True)))
    values = {one.key: one.value for one in found.figures}
    assert 1.0 < values["size"] < 3.0  # plotly.js packed is 1.3 MB of it
    assert 0.0 < values["paint_seconds"] <= values["drawn_seconds"]
    assert [one.key for one in found.figures if one.goal] == ["written_seconds", "size", "paint_seconds"]
