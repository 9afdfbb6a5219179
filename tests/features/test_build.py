"""Features over all symbols at once, in Iceberg, from a pin."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from whatif.domain.bars import Bars
from whatif.domain.timeframe import MINUTE_US
from whatif.features import build
from whatif.features.build import BARS_SNAPSHOT, build_features
from whatif.features.spec import FeatureSpec, feature_frame, features_of_symbol
from whatif.indicators import Stored
from whatif.labels import ForwardVwap
from whatif.lake import create_tables, features_table, read_pinned, replace_made
from whatif.pins import LakeLocation, Pin, current_pin, open_table, read_arrow, read_bars, schema_of
from whatif.search.slices import BarSlice

from ..markets import lake_rows, put_bars, us, walk

pytestmark = pytest.mark.spark

SYMBOLS = ("SPY", "IBM", "BAC")
FEATURES = ("ema(10)", "sma(5)", "sma(20)", "roc(5)", "sma(vwap, 3)", "vwap", "close", "volume")


def spec() -> FeatureSpec:
    start, end = us("2013-10-04T13:30"), us("2013-10-11T20:00")
    return FeatureSpec(
        BarSlice(SYMBOLS, "1min", "1min", "XNYS", "regular", start, end),
        FEATURES,
        ForwardVwap(horizon="5min"),
    )


def rows_of(pin: Pin, symbol: str, one: FeatureSpec) -> pd.DataFrame:
    names = ["symbol", "ts", *one.columns, "label_level", "label_return", "label_end"]
    frame = read_arrow(pin, names).to_pandas()
    return frame[frame["symbol"] == symbol].sort_values("ts").reset_index(drop=True)


def same_bytes(left: pd.DataFrame, right: pd.DataFrame, names: list[str]) -> None:
    for name in names:
        a, b = (f[name].to_numpy(dtype=np.float64, na_value=np.nan) for f in (left, right))
        assert a.tobytes() == b.tobytes(), name


def outside_hours(bars: Bars) -> Bars:
    """Return the bars and one of after hours, which regular features must not see."""
    late = bars.take(np.array([len(bars) - 1]))
    object.__setattr__(late, "ts", late.session_close + 10 * MINUTE_US)
    return late


def test_the_table_is_the_function_symbol_by_symbol(spark, lake_home) -> None:
    markets = [walk(symbol, seed, minutes=45) for seed, symbol in enumerate(SYMBOLS)]
    pin = put_bars(lake_home, [*markets, outside_hours(markets[0]), walk("NOT", 9, minutes=45)])
    one = spec()
    made = build_features(spark, lake_home, pin, one)
    values = [*one.columns, "label_level", "label_return"]
    for bars in markets:
        expected = feature_frame(bars, one)
        found = rows_of(made, bars.symbol, one)
        assert found["ts"].tolist() == expected["ts"].tolist()
        same_bytes(found, expected, values)
        assert found["label_end"].dropna().tolist() == expected["label_end"].dropna().tolist()
        # and the same again on what a worker reads
        same_bytes(feature_frame(read_bars(pin, bars.symbol, "1min"), one), expected, values)
    symbols = read_arrow(made, ["symbol"]).column("symbol").unique().to_pylist()
    assert sorted(symbols) == sorted(SYMBOLS)

    # the same pin: nothing is written
    assert build_features(spark, lake_home, pin, one) == made
    assert len(open_table(lake_home, one.table).metadata.snapshots) == 1

    # more bars: built anew from the new snapshot, and the old one can still be read
    newer = put_bars(lake_home, [walk("IBM", 1, minutes=45).take(slice(0, 0)), late_bar(markets[1])])
    rebuilt = build_features(spark, lake_home, newer, one)
    assert rebuilt.snapshot_id != made.snapshot_id
    summary = {s.snapshot_id: s.summary for s in open_table(lake_home, one.table).metadata.snapshots}
    assert summary[rebuilt.snapshot_id][BARS_SNAPSHOT] == str(newer.snapshot_id)
    assert summary[made.snapshot_id][BARS_SNAPSHOT] == str(pin.snapshot_id)
    assert len(rows_of(rebuilt, "IBM", one)) == len(rows_of(made, "IBM", one)) + 1
    assert build_features(spark, lake_home, pin, one).snapshot_id == made.snapshot_id
    assert read_pinned(spark, lake_home, made).count() == sum(len(bars) for bars in markets)


def test_tasks_that_get_bars_make_what_those_make_that_read_them(
    spark, lake_home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a catalog service Spark reads and writes; on the local lake each task does for its symbols."""
    pin = put_bars(lake_home, [walk(symbol, seed, minutes=45) for seed, symbol in enumerate(SYMBOLS)])
    one = spec()
    table = features_table("features_made", one.columns, one.label.columns)
    schema = schema_of(dict(table.columns))
    bars = build.pinned_bars(spark, lake_home, pin, one.bars).select(*build._NEEDED).repartition(2, "symbol")
    rows = bars.sortWithinPartitions("symbol", "ts")
    names, given = build._of_names(one, pin, schema), build._of_rows(one, pin, schema)
    expected = pa.concat_tables(names([pa.record_batch({"symbol": pa.array(SYMBOLS)})]))
    create_tables(spark, lake_home, (table,))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(LakeLocation, "local", False)
        replace_made(lake_home, table, rows, given, {"made": "by Spark"})
    stored = read_arrow(current_pin(lake_home, "features_made"), table.column_names)
    found = stored.cast(schema).sort_by([("symbol", "ascending"), ("ts", "ascending")])
    assert open_table(lake_home, "features_made").current_snapshot().summary["made"] == "by Spark"
    expected = expected.sort_by([("symbol", "ascending"), ("ts", "ascending")])
    assert found.select(["symbol", "ts"]).equals(expected.select(["symbol", "ts"]))
    same_bytes(found.to_pandas(), expected.to_pandas(), [*one.columns, "label_level", "label_return"])
    assert found["label_end"].to_pylist() == expected["label_end"].to_pylist()


def late_bar(bars: Bars) -> Bars:
    """Return one more regular bar of the last session."""
    more = bars.take(np.array([len(bars) - 1]))
    object.__setattr__(more, "ts", more.session_close - MINUTE_US)
    return more


def test_inputs_from_elsewhere_are_the_function_too(spark, lake_home) -> None:
    """A symbol that features name is read from the pin, and is none of the table's."""
    markets = [walk(symbol, seed, minutes=45) for seed, symbol in enumerate((*SYMBOLS, "DIA"))]
    pin = put_bars(lake_home, markets)
    texts = (
        "rank(roc(3), DIA)",
        "sma(DIA.close, 5)",
        "DIA.close@15min",
        "ema(close@5min, 3)",
        "minutes_to_close",
        "is_month_end",
    )
    one = replace(spec(), features=texts)
    made = build_features(spark, lake_home, pin, one)
    far = markets[-1]
    for bars in markets[:-1]:
        expected = features_of_symbol(lake_rows(bars), one, lambda _: Stored(far, MINUTE_US, MINUTE_US))
        same_bytes(rows_of(made, bars.symbol, one), expected, list(one.columns))
        assert np.isfinite(expected["sma_dia_close_5"].to_numpy()[9:]).all()
    symbols = read_arrow(made, ["symbol"]).column("symbol").unique().to_pylist()
    assert sorted(symbols) == sorted(SYMBOLS)


@pytest.mark.slow
def test_features_of_other_bars_that_were_stored_meanwhile_are_not_taken(
    spark, lake_home, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = put_bars(lake_home, [walk("SPY", 1, minutes=45)])
    store = build.replace_made

    def beside(location, table, rows, make, properties) -> None:
        store(location, table, rows, make, properties)
        store(location, table, rows, make, {BARS_SNAPSHOT: "1"})

    monkeypatch.setattr(build, "replace_made", beside)
    made = build_features(spark, lake_home, pin, spec())
    snapshots = {s.snapshot_id: s.summary for s in open_table(lake_home, spec().table).metadata.snapshots}
    assert len(snapshots) == 2
    assert snapshots[made.snapshot_id][BARS_SNAPSHOT] == str(pin.snapshot_id)
