"""Features over all symbols at once, in Iceberg, from a pin."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyiceberg.table import Table

from whatif.domain.bars import Bars
from whatif.domain.timeframe import MINUTE_US
from whatif.features import build
from whatif.features.build import BARS_SNAPSHOT, build_features
from whatif.features.news import pin_news
from whatif.features.spec import FeatureSpec, feature_frame, features_of_symbol
from whatif.indicators import Stored
from whatif.labels import ForwardVwap, LabelKind
from whatif.labels.kinds.forward_return import ForwardReturn
from whatif.lake import create_tables, features_table, read_pinned, replace_made
from whatif.lake.local_tables import FolderCatalog
from whatif.pins import (
    EXTENDS,
    LakeLocation,
    Pin,
    current_pin,
    open_table,
    read_arrow,
    read_bars,
    schema_of,
    table_exists,
)
from whatif.search.slices import BarSlice
from whatif.sources import ingest_news

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
    places, given = build._of_places(one, pin, schema), build._of_rows(one, pin, schema)
    expected = pa.concat_tables(places([pa.record_batch({"id": pa.array(range(len(SYMBOLS)))})]))
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


class ServiceCatalog:
    """Stands for a catalog service: what Spark's catalog of a folder has, as PyIceberg asks for it."""

    def __init__(self, folder: LakeLocation) -> None:
        self.folder = folder

    def table_exists(self, name: tuple[str, str]) -> bool:
        return table_exists(self.folder, name[1])

    def load_table(self, name: tuple[str, str]) -> Table:
        return FolderCatalog(self.folder).load_table(name)


@pytest.fixture
def service(lake_home, monkeypatch: pytest.MonkeyPatch) -> LakeLocation:
    """Return a lake that Spark alone writes to, as that of a catalog service; its bars may be put by hand."""
    monkeypatch.setattr("whatif.pins.current._catalog", lambda _: ServiceCatalog(lake_home))
    return replace(lake_home, local=False)


def tell(location: LakeLocation, file: Path, line: str) -> None:
    """Ingest an item of news."""
    file.write_text(f"symbol,published_at,url,score\n{line}\n")
    ingest_news([file], location)


def stored_as_computed(made: Pin, bars: Pin, one: FeatureSpec, location: LakeLocation) -> None:
    names = [field.name for field in open_table(location, one.table).schema().fields]
    order = [("symbol", "ascending"), ("ts", "ascending")]
    found = read_arrow(made, names).sort_by(order)
    whole = pa.Table.from_pandas(build.local_features(bars, one), preserve_index=False)
    whole = whole.select(names).cast(found.schema).sort_by(order)
    assert found.num_rows == whole.num_rows
    assert found["symbol"].to_pylist() == whole["symbol"].to_pylist()
    assert build._same_rows(found, whole, names[1:]).all()


def test_on_a_catalog_service_features_go_on_too(
    spark, service, lake_home, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spark's tasks compute what bars and news change, and it alone is written, with the same bytes."""
    first, last = date(2013, 8, 20), date(2013, 10, 3)
    markets = [walk(name, k, first=first, last=last, minutes=120) for k, name in enumerate(SYMBOLS)]
    *_, day, _, _ = np.unique(markets[0].session)  # the first of October
    parts = [[one.take(of(one.session, day)) for one in markets] for of in (np.less, np.equal, np.greater)]
    tell(lake_home, tmp_path / "a.csv", "SPY,2013-09-16T15:00Z,https://a.example,0.5")
    slice_ = replace(spec().bars, start_us=us("2013-08-01T13:30"), end_us=us("2014-01-01T00:00"))
    texts = ("ema(5)", "IBM.close", "sentiment(3)", "rank(roc(3), SPY, IBM, BAC)", "rank(roc(3))")
    monkeypatch.setattr(build, "LEAST_TAIL", 700)

    def made_of(bars: Pin, label: LabelKind | None = None) -> tuple[Pin, FeatureSpec]:
        one = FeatureSpec(slice_, texts, label or ForwardVwap(horizon="5min"))
        one = replace(one, news=pin_news(service, one.needs, "5min"))
        made = build_features(spark, service, bars, one)
        stored_as_computed(made, bars, one, service)
        return made, one

    def new_rows(one: FeatureSpec) -> int:
        noted = open_table(service, one.table).current_snapshot().summary.additional_properties
        return int(noted.get("added-records", 0))

    over_days = ForwardReturn(horizon=2, unit="sessions")
    bars = put_bars(lake_home, parts[0])
    _, one = made_of(bars)
    whole = new_rows(made_of(bars, over_days)[1])
    bars, name = put_bars(lake_home, parts[1]), one.table
    tell(lake_home, tmp_path / "b.csv", "IBM,2013-10-01T14:00Z,https://b.example,-0.5")
    made, one = made_of(bars)
    assert one.table == name
    assert new_rows(one) == sum(map(len, parts[1]))
    # bars of others: nothing is new, and that is noted
    bars = put_bars(lake_home, [walk("QQQ", 9, minutes=3)])
    assert made_of(bars)[0] != made
    assert new_rows(one) == 0
    bars = put_bars(lake_home, parts[2])
    made_of(bars)
    assert new_rows(one) == sum(map(len, parts[2]))
    # rows that change stand in months that are written whole
    _, far = made_of(bars, over_days)
    assert sum(map(len, parts[2])) < new_rows(far) < whole
    # another writer comes between: what was written on its rows is not taken
    bars = put_bars(lake_home, [late_bar(one) for one in markets])
    real = build.replace

    def late(*given) -> None:
        replace_made(service, given[2], build._places(spark, len(SYMBOLS)), lambda _: (), {"by": "another"})
        real(*given)

    monkeypatch.setattr(build, "replace", late)
    made_of(bars)
    assert EXTENDS not in open_table(service, one.table).current_snapshot().summary.additional_properties


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
