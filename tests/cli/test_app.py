"""Errors of the system and of libraries become a sentence and exit code 1; whatif's faults do not."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
import sqlalchemy.exc
from py4j.protocol import Py4JError
from pyiceberg.exceptions import NoSuchTableError

from whatif.cli import main
from whatif.cli.app import _asked, _in_words, app
from whatif.cli.listing import cell_text
from whatif.errors import StudyError

ERRORS = {
    "full": (OSError(errno.ENOSPC, "No space left on device", "/x/y"), "/x/y: the disk is full"),
    "right": (PermissionError(errno.EACCES, "Permission denied", "/x"), "/x: there is no right to do that"),
    "read-only": (OSError(errno.EROFS, "Read-only file system"), "the file system is read-only"),
    "other": (OSError(errno.ENOTEMPTY, "Directory not empty", "/x"), "/x: Directory not empty"),
    "memory": (MemoryError(), "the memory is used up"),
    "arrow": (pa.ArrowInvalid("Parquet magic bytes not found"), "Arrow could not read"),
    "iceberg": (NoSuchTableError("whatif.bars"), "the lake's tables could not be read"),
    "database": (
        sqlalchemy.exc.OperationalError("select 1", {}, Exception("locked")),
        "a database, MLflow's",
    ),
    "jvm": (
        Py4JError("An error occurred while calling o1.x.\n: java.lang.X: why\n at a.b.C"),
        "Spark's JVM failed",
    ),
    "zip": (zipfile.BadZipFile("no"), "an archive is damaged"),
    "exit": (SystemExit(0), "ended the process (exit code 0)"),
}


def fail_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> pd.DataFrame:
        raise error

    monkeypatch.setattr("whatif.lake.holdings.list_bars", fail)


@pytest.mark.parametrize(("error", "says"), ERRORS.values(), ids=ERRORS.keys())
def test_a_sentence_and_exit_code_1(
    error: BaseException, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(error, monkeypatch)
    assert main(["bars"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert says in message
    assert "Traceback" not in message
    assert message.endswith("\nhint: WHATIF_TRACEBACK=1 shows where it came from\n")
    assert len(message) < 900


def test_faults_of_whatif_and_the_wish_to_see_keep_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(KeyError("x"), monkeypatch)
    with pytest.raises(KeyError):
        main(["bars"])
    assert _in_words(KeyError("x")) is None
    monkeypatch.setenv("WHATIF_TRACEBACK", "1")
    fail_with(MemoryError(), monkeypatch)
    with pytest.raises(MemoryError):
        main(["bars"])


def test_what_is_said_acts_on_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(StudyError("symbol [/red]\x1b[2J\u202e is\nunknown"), monkeypatch)
    assert main(["bars"]) == 2
    assert capsys.readouterr().err == "error: symbol [/red]\\u001b[2J\\u202e is\nunknown\n"


def test_a_list_with_markup_in_its_symbols(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    frame = pd.DataFrame({"symbol": ["[/red]", "\x1b[2JA", "=HYPERLINK(1)", "-1.5"], "bars": [1, 2, 3, 4]})
    monkeypatch.setattr("whatif.lake.holdings.list_bars", lambda *_, **__: frame)
    target = tmp_path_factory.mktemp("out") / "bars.csv"
    assert main(["bars", "--csv", str(target)]) == 0
    said = capsys.readouterr().out
    assert "[/red]" in said
    assert "\x1b[2J" not in said
    assert "'=HYPERLINK(1),3" in target.read_text()
    assert "\n-1.5,4" in target.read_text()
    assert cell_text(1234) == "1,234"


def test_what_the_session_says_of_its_java_is_shown_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def listed(*_: object, **__: object) -> pd.DataFrame:
        logging.getLogger("whatif.session").info("Spark runs on the bundled Java %s", "17.0.9")
        return pd.DataFrame({"symbol": ["A"]})

    monkeypatch.setattr("whatif.lake.holdings.list_bars", listed)
    for _ in range(2):
        assert main(["bars"]) == 0
        assert capsys.readouterr().err == "Spark runs on the bundled Java 17.0.9\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["ingest", "--layot"], ["no such option: --layot", "did you mean --layout?"]),
        (["runn"], ["no such command 'runn'", "did you mean 'run'?"]),
        (
            ["run"],
            ["missing argument 'study'", "such as 'whatif run my-study.yaml'; 'whatif run --help' says more"],
        ),
    ],
)
def test_a_misused_command_line_is_told_in_the_form_of_all_errors(
    arguments: list[str], says: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: {says[0]}\nhint: {says[1]}\n"


@pytest.mark.parametrize(
    ("said", "lines"),
    [
        ("a is b: give [c]; use d", ["error: a is b", "hint: give [c]; use d"]),
        (
            "x cannot be run:\n  - key 'a': did you mean 'b'?\n  - c is d",
            ["error: x cannot be run:", "  - key 'a'", "    hint: did you mean 'b'?", "  - c is d"],
        ),
    ],
)
def test_a_remedy_stands_on_a_line_of_its_own(
    said: str, lines: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fail_with(StudyError(said), monkeypatch)
    assert main(["bars"]) == 2
    assert capsys.readouterr().err.splitlines() == lines


def test_a_reader_that_has_gone_is_no_error(tmp_path: Path) -> None:
    code = "import sys; from whatif.cli import main; sys.exit(main(['indicators']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert (process.returncode, said) == (141, "")


@pytest.mark.parametrize(
    ("given", "ready"),
    [
        (["run", "study.yaml"], ["run"]),
        (["--home", "bars", "leaderboard", "--help"], ["leaderboard"]),
        (["--home=there", "bars"], ["bars"]),
        (["--home"], None),
        (["--help"], None),
        (["lederboard"], None),
        ([], None),
    ],
)
def test_the_command_that_is_asked_for_is_made_ready_alone(given: list[str], ready: list[str] | None) -> None:
    every = {info.name for info in app.registered_commands}
    assert {info.name for info in _asked(given).registered_commands} == (every if ready is None else {*ready})
    assert len(app.registered_commands) == len(every) > 30


def test_a_shell_is_told_of_all_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_WHATIF_COMPLETE", "complete_bash")
    assert _asked(["run"]) is app
