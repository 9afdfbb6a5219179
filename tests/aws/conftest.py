"""An emulated account: S3 and the Glue catalog on loopback, and whatif in processes of its own.

One JVM cannot hold two Iceberg jars, so nothing here uses the Spark session of the other tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from whatif.pins import LakeLocation

from ..markets import lake_rows, walk
from .settings import BUCKET, REGION, REPOSITORY, properties, write_conf

INSTALLED = REPOSITORY / ".aws"
JAR = "feature_store_pyspark/jars/sagemaker-feature-store-spark-sdk-3.5.jar"
START_SECONDS = 60.0


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    shown: str

    @property
    def text(self) -> str:
        """What was shown, on one line: a terminal's width says where it breaks."""
        return " ".join(self.shown.split())


class Driver:
    """A process that runs commands of whatif one after the other."""

    def __init__(self, environment: dict[str, str], home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self._log = (home / "driver.log").open("w")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("driver.py"))],
            env=clean_environment() | {"WHATIF_HOME": str(home)} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )

    def begin(self, *arguments: str, **more: Any) -> None:
        """Ask for a command, or with `script` for a script, and do not wait."""
        assert self._process.stdin is not None
        asked = {"arguments": list(arguments), **{k: v for k, v in more.items() if v is not None}}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()

    def end(self) -> Said:
        """Wait for the answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the process ended: {(self.home / 'driver.log').read_text()[-3000:]}"
        return Said(**json.loads(line))

    def run(self, *arguments: str, **environment: str) -> Said:
        """Run a command to its end."""
        self.begin(*arguments, environment=environment)
        return self.end()

    def good(self, *arguments: str, **environment: str) -> Said:
        """Run a command that must succeed."""
        said = self.run(*arguments, **environment)
        assert said.code == 0, said.shown
        return said

    def close(self) -> None:
        """End the process, and with it its JVM."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


@dataclass(frozen=True)
class Account:
    """The emulated account.

    Attributes
    ----------
    endpoint : str
        Where S3 and Glue answer.
    environment : dict
        What a process of whatif needs to know of it.
    """

    endpoint: str
    environment: dict[str, str]


def clean_environment() -> dict[str, str]:
    """Return the environment without what belongs to another lake, account or Spark."""
    foreign = ("WHATIF_", "AWS_", "SPARK_", "PYSPARK_", "MLFLOW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {"PYTHONPATH": str(REPOSITORY), "COLUMNS": "200"}


@pytest.fixture(scope="session")
def iceberg_jar() -> Path:
    """Return the jar that holds Iceberg and the AWS SDK; skip where it is not installed."""
    jar = INSTALLED / JAR
    if not jar.is_file():
        pytest.skip(f"there is no {jar}: run 'make test-aws', which installs it (361 MB)")
    return jar


@pytest.fixture(scope="session")
def account(iceberg_jar: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """Start the emulator with an empty bucket, and stop it when the tests are over."""
    folder = tmp_path_factory.mktemp("account")
    keys = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    keys |= {"AWS_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true"}
    keys |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    command = [sys.executable, str(Path(__file__).with_name("emulator.py"))]
    with (folder / "emulator.log").open("w") as log:
        emulator = subprocess.Popen(
            command, env=clean_environment() | keys, stdout=subprocess.PIPE, stderr=log, text=True
        )
    try:
        assert emulator.stdout is not None
        endpoint = emulator.stdout.readline().strip()
        assert endpoint, (folder / "emulator.log").read_text()[-3000:]
        where = {"region_name": REGION, "aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
        boto3.client("s3", endpoint_url=endpoint, **where).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        told = {
            "WHATIF_CONF": str(write_conf(folder / "conf", endpoint)),
            "WHATIF_SPARK_CONF": "emulated",
            "WHATIF_ICEBERG_JAR": str(iceberg_jar),
            "WHATIF_CATALOG_PROPERTIES": properties(endpoint),
        }
        yield Account(endpoint, keys | told)
    finally:
        emulator.terminate()
        emulator.wait(timeout=30)


@pytest.fixture(autouse=True)
def _in_the_account(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the test process itself read the account's tables, through PyIceberg."""
    if request.node.get_closest_marker("aws"):
        for name, value in request.getfixturevalue("account").environment.items():
            monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Driver]]:
    """Return a function that starts a driver in an environment; all end with the tests."""
    started: list[Driver] = []

    def begin(environment: dict[str, str]) -> Driver:
        started.append(Driver(environment, tmp_path_factory.mktemp("driver") / "home"))
        return started[-1]

    yield begin
    for driver in started:
        driver.close()


@pytest.fixture(scope="session")
def service(account: Account, start: Callable[..., Driver]) -> Driver:
    """Return a driver whose lake is the emulated account."""
    return start(account.environment)


@pytest.fixture
def lake(service: Driver) -> LakeLocation:
    """Return the location of the account's lake."""
    return LakeLocation(service.home, local=False)


@pytest.fixture(scope="session")
def bars_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return CSV files of two random walks, A and B, and of A with its last session's prices corrected."""
    folder = tmp_path_factory.mktemp("bars")
    columns = ["symbol", "ts", "open", "high", "low", "close", "volume", "vwap"]
    walks = {name: walk(name, seed, minutes=120) for name, seed in (("A", 1), ("B", 2))}
    a = walks["A"]
    last = a.session == a.session[-1]
    prices = ("open", "high", "low", "close", "vwap")
    walks["corrected"] = replace(a, **{name: getattr(a, name) + 1.0 * last for name in prices})
    files = {}
    for name, bars in walks.items():
        files[name] = folder / f"{name}.csv"
        lake_rows(bars)[columns].to_csv(files[name], index=False)
    return files
