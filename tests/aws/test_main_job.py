"""The main job with its tables in the Glue catalog on S3: the same rows as in a folder, to the last bit."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from whatif.lake import TableSpec, features_table
from whatif.lake.results import RESULTS, RETURNS
from whatif.lake.tables import BARS, EQUITY, PREDICTIONS, TRADES
from whatif.pins import LakeLocation, Pin, current_pin, open_table, read_arrow

from ..workflow.conftest import plain_rows, rows_of, study_text
from .conftest import Account, Driver, Said
from .settings import BUCKET, REGION

pytestmark = pytest.mark.aws

FORESTS = {
    "features": ["roc(1)", "roc(5)"],
    "label": {"kind": "forward_vwap", "horizon": "5min", "target": "return"},
    "models": {"small": {"kind": "random_forest", "trees": 3, "depth": 3, "seed": 7}},
    "strategy": {"name": "forecast_threshold", "params": {"size": 50.0}},
    "axes": {"threshold": [0.0, 0.0001, 0.0002]},
    "keep": {"trades": "all", "equity": "all"},
}
MORE = {**FORESTS, "axes": {"threshold": [0.0, 0.0001, 0.0002, 0.0004]}}
BACKTRADER = {"study": "plain", "engine": "backtrader", "keep": {"trades": "all", "equity": "all"}}
WALK = {
    "study": "walk",
    "split": {"kind": "walk_forward", "validate": 2, "test": 1},
    "axes": {"fast": [3, 5], "slow": [15]},
}
WRITTEN = (RESULTS, RETURNS, TRADES, EQUITY, PREDICTIONS)
ENGINES = {"WHATIF_NAMESPACE": "engines"}
"""A namespace of its own, so that no backtest is there already."""


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return paths of studies by name; `more` is `forests` with a value added to its axis."""
    folder = tmp_path_factory.mktemp("studies")
    texts: dict[str, dict[str, Any]] = {"forests": FORESTS, "more": MORE, "plain": BACKTRADER, "walk": WALK}
    paths = {}
    for name, changes in texts.items():
        paths[name] = str(folder / f"{name}.yaml")
        Path(paths[name]).write_text(study_text(**changes))
    return paths


def ingest(driver: Driver, files: dict[str, Path], *names: str, **environment: str) -> Said:
    words = [str(files[name]) for name in names]
    if "corrected" in names:  # a sixth of its bars differ
        words.append("--accept")
    return driver.good("ingest", *words, "--exchange", "XNYS", "--timezone", "UTC", **environment)


def state(location: LakeLocation, *specs: TableSpec) -> dict[str, list[str]]:
    """Return the rows of tables as bytes.

    Left out is what `plain_rows` leaves out: who ran it, where, when and how long (user, host, command,
    versions, worker, wall_seconds, finished_at), the snapshot id of the bars, and of `pins` all but the
    tables' names: snapshot ids and addresses of metadata. Of predictions, the model's digest, which holds
    the snapshot id of its bars (there is one model). Of bars, the moment of the ingest.
    """
    rows = {spec.name: plain_rows(location, spec) for spec in specs}
    if "predictions" in rows:
        at = PREDICTIONS.column_names.index("model_digest")
        told = [json.loads(row) for row in rows["predictions"]]
        assert len({row.pop(at) for row in told}) == 1
        rows["predictions"] = sorted(map(json.dumps, told))
    return rows


def bars_of(location: LakeLocation) -> list[list[str]]:
    frame = rows_of(location, BARS).drop(columns="ingested_at")
    return frame.astype(object).map(repr).to_numpy().tolist()


def features_of(location: LakeLocation) -> TableSpec:
    """Return the one features table of a lake, as `features_table` describes it."""
    (name,) = {name for name in tables_in(location) if name.startswith("features_")}
    kinds = {field.name: str(field.field_type) for field in open_table(location, name).schema().fields}
    labels = {column: "double" for column in kinds if column.startswith("label")}
    return features_table(name, [c for c in kinds if c not in {"symbol", "ts", *labels}], labels)


def tables_in(location: LakeLocation) -> list[str]:
    from whatif.pins import table_names

    return table_names(location)


@pytest.fixture(scope="session")
def folder_lake(
    start: Callable[..., Driver], bars_files: dict[str, Path], studies: dict[str, str]
) -> dict[str, Any]:
    """Run the same commands on a folder, by the jar that everybody has; return what the tables hold."""
    driver = start({})
    ingest(driver, bars_files, "A", "B")
    driver.good("run", studies["forests"])
    here = LakeLocation(driver.home)
    seen: dict[str, Any] = {"bars": bars_of(here)}
    seen["forests"] = state(here, *WRITTEN, features_of(here))
    driver.good("run", studies["more"], "--no-track")
    seen["more"] = state(here, *WRITTEN)
    engines = LakeLocation(driver.home, namespace="engines")
    ingest(driver, bars_files, "A", "B", **ENGINES)
    for name in ("plain", "walk"):
        driver.good("run", studies[name], "--no-track", **ENGINES)
        seen[name] = state(engines, RESULTS, RETURNS, TRADES, EQUITY)
    driver.close()
    return seen


@pytest.fixture(scope="session")
def answers(service: Driver, bars_files: dict[str, Path], studies: dict[str, str]) -> dict[str, Said]:
    """Run the main job on the account, command by command; return what each said."""
    said = {"ingest": ingest(service, bars_files, "A", "B"), "again": ingest(service, bars_files, "A")}
    for command in ("bars", "features", "train", "run", "leaderboard", "report"):
        arguments = [] if command == "bars" else [studies["forests"]]
        whole = ["--verbose"] if command == "run" else []
        said[command] = service.good(command, *arguments, *whole)
    return said


def test_each_command_says_what_it_did(answers: dict[str, Said], service: Driver) -> None:
    assert "1,356 rows came: 1,356 landed, 0 already there" in answers["ingest"].text
    assert "678 rows came: 0 landed, 678 already there" in answers["again"].text
    assert "A 1min" in answers["bars"].text
    assert "model small:" in answers["train"].text
    assert "predictions are stored" in answers["run"].text
    assert "6 backtests" in answers["leaderboard"].text
    assert "Certified" in answers["run"].text
    page = service.home / "reports" / "made" / "report.html"
    assert str(page) in answers["report"].text.replace(" ", "")
    assert "forecast_threshold" in page.read_text()
    for said in answers.values():
        assert "Traceback" not in said.shown
        assert "Unable to resolve region" not in said.shown


def test_the_rows_are_those_of_a_folder(
    answers: dict[str, Said], lake: LakeLocation, folder_lake: dict[str, Any]
) -> None:
    assert bars_of(lake) == folder_lake["bars"]
    here = state(lake, *WRITTEN, features_of(lake))
    assert here.keys() == folder_lake["forests"].keys()
    for name, rows in folder_lake["forests"].items():
        assert rows, name
        assert here[name] == rows, name
    assert len(here["results"]) == 3 * 2 + 2
    assert set(rows_of(lake, RESULTS)["engine"]) == {"compiled"}


def test_everything_is_in_the_bucket_and_nothing_in_the_folder(
    answers: dict[str, Said], lake: LakeLocation, service: Driver, account: Account
) -> None:
    assert not (service.home / "lake").exists()
    assert not (service.home / "writer.lock").exists()
    glue = boto3.client("glue", endpoint_url=account.endpoint, region_name=REGION)
    found = {t["Name"]: t["Parameters"] for t in glue.get_tables(DatabaseName="whatif")["TableList"]}
    assert {spec.name for spec in WRITTEN} | {"bars", "test_looks"} <= found.keys()
    for parameters in found.values():
        assert parameters["table_type"] == "ICEBERG"
        assert parameters["metadata_location"].startswith(f"s3://{BUCKET}/warehouse/whatif.db/")


def test_workers_read_the_pins_from_s3(answers: dict[str, Said], lake: LakeLocation) -> None:
    for text in rows_of(lake, RESULTS)["pins"]:
        pins = [Pin.from_json(json.dumps(pin)) for pin in json.loads(text)]
        assert [pin.table for pin in pins] == ["bars", "predictions"]
        for pin in pins:
            assert pin.metadata_location.startswith(f"s3://{BUCKET}/")
            assert read_arrow(pin, ["symbol"]).num_rows > 0


def test_files_are_ingested_from_s3_too(
    service: Driver, account: Account, bars_files: dict[str, Path], folder_lake: dict[str, Any]
) -> None:
    s3 = boto3.client("s3", endpoint_url=account.endpoint, region_name=REGION)
    s3.put_object(Bucket=BUCKET, Key="raw/A.csv", Body=bars_files["A"].read_bytes())
    s3.put_object(Bucket=BUCKET, Key="raw/more/B.csv.gz", Body=gzip.compress(bars_files["B"].read_bytes()))
    own = {"WHATIF_NAMESPACE": "remote"}
    said = service.good("ingest", f"s3://{BUCKET}/raw", "--exchange", "XNYS", "--timezone", "UTC", **own)
    assert "2 files, 1,356 rows came: 1,356 landed" in said.text
    there = bars_of(LakeLocation(service.home, namespace="remote", local=False))
    source = BARS.column_names.index("source")
    assert {row[source] for row in there} == {f"'s3://{BUCKET}/raw/{n}'" for n in ("A.csv", "more/B.csv.gz")}
    assert [row[:source] for row in there] == [row[:source] for row in folder_lake["bars"]]


@pytest.fixture(scope="session")
def later(
    answers: dict[str, Said], service: Driver, bars_files: dict[str, Path], studies: dict[str, str]
) -> dict[str, Any]:
    """Run again; correct bars; run with a value more on the kept pin, then on the newest bars."""
    seen: dict[str, Any] = {"resumed": service.good("run", studies["forests"])}
    seen["corrected"] = ingest(service, bars_files, "corrected")
    seen["kept"] = service.good("run", studies["more"], "--no-track")
    return seen


def test_a_resumed_run_runs_nothing_again(later: dict[str, Any]) -> None:
    assert "all 6 backtests are stored already" in later["resumed"].text


def test_the_kept_pin_is_read_after_newer_bars(
    later: dict[str, Any],
    lake: LakeLocation,
    folder_lake: dict[str, Any],
    service: Driver,
    studies: dict[str, str],
    tmp_path: Path,
) -> None:
    assert "678 rows came: 0 landed, 565 already there, 113 corrected" in later["corrected"].text
    newest, bars = current_pin(lake, "bars"), open_table(lake, "bars")
    (tag,) = (name for name in bars.metadata.refs if name.startswith("study-made-"))
    kept = bars.metadata.refs[tag].snapshot_id
    assert kept != newest.snapshot_id
    # the value that was added ran on the bars of old: its rows are those of a folder without the newer ones
    assert state(lake, *WRITTEN) == folder_lake["more"]
    assert set(rows_of(lake, RESULTS)["bars_snapshot"]) == {kept}
    script = tmp_path / "as_of.py"
    script.write_text(
        "from whatif.pins import LakeLocation\nfrom whatif.session import get_spark\n"
        "spark = get_spark(LakeLocation.from_environment())\n"
        f"for version in ({kept}, \"'{tag}'\", {newest.snapshot_id}):\n"
        '    frame = spark.sql(f"SELECT sum(close) AS x FROM lake.whatif.bars VERSION AS OF {version} '
        "WHERE symbol = 'A'\")\n    print(frame.first().x)\n"
    )
    service.begin(script=str(script))
    said = service.end()
    assert said.code == 0, said.shown
    old, tagged, new = map(float, said.shown.split())
    assert old == tagged
    assert new == pytest.approx(old + 113.0)
    latest = service.good("run", studies["forests"], "--latest", "--no-track")
    assert "stored already" not in latest.text
    rows = rows_of(lake, RESULTS)
    assert set(rows["bars_snapshot"]) == {kept, newest.snapshot_id}


def test_the_other_broker_and_a_walk_forward(
    service: Driver, bars_files: dict[str, Path], studies: dict[str, str], folder_lake: dict[str, Any]
) -> None:
    ingest(service, bars_files, "A", "B", **ENGINES)
    there = LakeLocation(service.home, namespace="engines", local=False)
    for name in ("plain", "walk"):
        said = service.good("run", studies[name], "--no-track", **ENGINES)
        here = state(there, RESULTS, RETURNS, TRADES, EQUITY)
        for table, rows in folder_lake[name].items():
            assert here[table] == rows, (name, table)
        assert "Traceback" not in said.shown
    engines = rows_of(there, RESULTS).groupby("study")["engine"].unique()
    assert list(engines["plain"]) == ["backtrader"]
    assert list(engines["walk"]) == ["compiled"]
