"""What results record about the software that made them."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest

from whatif.runner import origin


def test_a_spark_that_was_not_installed_but_is_running_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on EMR, Glue and under spark-submit with the environment archive."""

    def version(package: str) -> str:
        if package in ("pyspark", "mlflow"):
            raise PackageNotFoundError(package)
        return f"{package}-1"

    monkeypatch.setattr(origin, "version", version)
    monkeypatch.setitem(sys.modules, "pyspark", SimpleNamespace(__version__="3.5.6-amzn-2"))
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)

    found = origin.versions.__wrapped__()

    assert found["pyspark"] == "3.5.6-amzn-2"
    assert found["numpy"] == "numpy-1"
    assert "mlflow" not in found


def test_passwords_in_the_command_are_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/x/whatif", "run", "s.yaml", "--at", "http://u:hunter2@host"])
    assert origin.provenance()["command"] == "whatif run s.yaml --at http://***@host"
