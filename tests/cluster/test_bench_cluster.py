"""The benchmarks on a cluster measure what they say, with sizes too small for figures."""

from __future__ import annotations

import math

import pytest

from whatif.bench import cluster, driver
from whatif.bench.setting import BenchOptions, Setting
from whatif.pins import LakeLocation

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.fixture
def setting(lake_home: LakeLocation, spark: object, monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.delenv("WHATIF_TEST_DATA", raising=False)
    return Setting(lake_home, BenchOptions(quick=True))


def test_rates_small_studies_and_one_slow_configuration(setting: Setting) -> None:
    found = cluster.measure(setting)
    assert found.figure("failed").value == 0
    assert found.figure("ratio").value == pytest.approx(
        found.figure("seconds_one").value / found.figure("seconds_two").value
    )
    assert found.figure("slow").value > found.figure("slow_least").value
    assert all(math.isfinite(figure.value) for figure in found.figures)


def test_the_driver_of_a_large_study(setting: Setting) -> None:
    found = driver.measure(setting)
    assert (found.figure("missing").value, found.figure("failed").value) == (0, 0)
    assert 100 < found.figure("python").value < 2_000
    assert 100 < found.figure("jvm").value < 2_000
