"""Every locked package has a licence that is allowed where it is locked, and no known hole."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("check_licences", FOLDER / "infra" / "check_licences.py")
assert _spec is not None
assert _spec.loader is not None
check = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(check)

DATA: dict[str, Any] = {
    "allowed": {"MIT": "anywhere", "AGPL-3.0-or-later": "development"},
    "development": {"locks": ["requirements.lock"]},
    "packages": {"MIT": ["one"], "AGPL-3.0-or-later": ["two"]},
    "holes": [{"package": "one", "fixed": "1.10", "why": "CVE-0"}],
}
LOCKS = {"one": {"1.10": ["requirements-runtime.lock"]}, "two": {"1": ["requirements.lock"]}}


def test_the_lock_files_of_this_checkout(capsys: pytest.CaptureFixture[str]) -> None:
    assert check.main(FOLDER) == 0, capsys.readouterr().out
    assert "locked packages: licences and known holes checked" in capsys.readouterr().out


def test_what_is_in_order() -> None:
    assert list(check.problems(LOCKS, DATA)) == []


@pytest.mark.parametrize(
    ("locked", "says"),
    [
        ({"three": {"1": ["requirements.lock"]}}, "three is locked and has no licence"),
        (
            {"one": {"1.9": ["requirements.lock"]}},
            "one 1.9 in requirements.lock has a known hole (CVE-0): lock 1.10",
        ),
        (
            {"two": {"1": ["requirements-runtime.lock"]}},
            "in requirements-runtime.lock, though it may be in requirements.lock alone",
        ),
    ],
)
def test_what_is_not(locked: dict[str, Any], says: str) -> None:
    (found,) = check.problems({**LOCKS, **locked}, DATA)
    assert says in found


def test_a_name_too_many_and_a_licence_that_nobody_allowed() -> None:
    (found,) = check.problems({"one": LOCKS["one"]}, DATA)
    assert found == "two has a licence in infra/licences.toml and is not locked: remove it"
    (found,) = check.problems(LOCKS, {**DATA, "allowed": {"MIT": "anywhere"}})
    assert "does not name" in found


def test_a_hole_may_be_accepted_for_one_version_alone() -> None:
    locked = {**LOCKS, "one": {"1.9": ["requirements.lock"]}}
    accepted = [{"package": "one", "version": "1.9", "why": "nothing newer"}]
    assert list(check.problems(locked, {**DATA, "accepted": accepted})) == []
    (found,) = check.problems(LOCKS, {**DATA, "accepted": accepted})
    assert "one 1.9 is accepted in infra/licences.toml and is not locked" in found


def test_names_versions_and_extras_are_read(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        'A_b[x]==1.0 ; python_version < "3.12" \\\n    --hash=sha256:00\n# c==2\n    # via d==3\nE==2 \\\n'
    )
    assert check.locked_packages(tmp_path) == {
        "a-b": {"1.0": ["requirements.lock"]},
        "e": {"2": ["requirements.lock"]},
    }


def test_the_affero_licence_is_in_no_lock_but_that_of_the_rivals() -> None:
    data = tomllib.loads((FOLDER / "infra" / "licences.toml").read_text())
    affero = [name for licence, names in data["packages"].items() if "AGPL" in licence for name in names]
    locked = check.locked_packages(FOLDER)
    assert affero
    for name in affero:
        assert {lock for locks in locked[name].values() for lock in locks} == {"requirements-bench.lock"}
    locked["backtesting"]["0.6.6"].append("requirements.lock")
    (found,) = check.problems(locked, data)
    assert "backtesting is under AGPL-3.0-or-later and in requirements.lock" in found


def test_notice_names_what_is_not_permissive() -> None:
    data = tomllib.loads((FOLDER / "infra" / "licences.toml").read_text())
    notice = (FOLDER / "NOTICE").read_text()
    for licence, names in data["packages"].items():
        if any(mark in licence for mark in ("GPL", "MPL", "Commons")):
            for name in names:
                assert name in notice, f"{name} ({licence}) is not in NOTICE"


def test_lint_runs_it() -> None:
    assert "infra/check_licences.py" in (FOLDER / "Makefile").read_text()
