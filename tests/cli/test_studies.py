"""The list of studies: what ran, without a JVM, a lake's table or a heavy import."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

from whatif.cli import main

ROW = {
    "study": "mine",
    "verdict": "luck",
    "configuration": "fast = 5 on SPY",
    "config_id": "ab",
    "test_sharpe": 1.254,
    "trials": 1234,
    "finished": "2024-05-06T07:08:09+00:00",
}


def _stored(home: Path) -> None:
    folder = home / "reports" / "mine"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("")
    (folder / "answer.json").write_text(json.dumps(ROW))


def test_a_row_for_each_study(tmp_path, capsys) -> None:
    _stored(tmp_path)
    assert main(["--home", str(tmp_path), "studies", "--csv", str(tmp_path / "all.csv")]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["study", "verdict", "test", "Sharpe", "trials", "finished", "(UTC)"]
    assert row.split() == ["mine", "luck", "1.25", "1,234", "2024-05-06", "07:08"]
    with (tmp_path / "all.csv").open() as file:
        assert list(csv.DictReader(file)) == [{name: str(value) for name, value in ROW.items()}]


def test_an_empty_lake_says_what_to_do(tmp_path, capsys) -> None:
    assert main(["--home", str(tmp_path), "studies"]) == 0
    assert "whatif run STUDY" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_it_imports_nothing_heavy(tmp_path) -> None:
    _stored(tmp_path)
    code = (
        "import sys; from whatif.cli import main; main(['--home', sys.argv[1], 'studies']);"
        "print([n for n in ('pyspark', 'mlflow', 'plotly', 'numba', 'pyiceberg.table',"
        " 'backtrader') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
