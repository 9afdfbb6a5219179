"""A split of one's own: found, held to the contract, refused by name and rule."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from whatif import plugins
from whatif.errors import PluginError, StudyError
from whatif.resolve.windows import resolve_timeline
from whatif.splits import Combinatorial, Fold, Folds, Holdout, Split, TimeSlice, WalkForward, Window
from whatif.splits.kinds import SEAM
from whatif.study import parse_study
from whatif.testing import check_split

from .test_windows import shown

STUDY = """
study: own
data: {{symbols: [SPY], timeframe: 1min, start: 2013-10-01, end: 2013-11-01}}
calendar: {{exchange: XNYS}}
strategy: {{name: sma_crossover}}
split: {{{split}}}
"""


class Newest(Split):
    """The newest sessions tell, those before them choose."""

    sessions: int = 5

    def make_folds(self, time: TimeSlice) -> Folds:
        """Return one fold of the two windows before the end."""
        at = time.edges.at
        validate = Window("validate", int(at[-1 - 2 * self.sessions]), int(at[-1 - self.sessions]))
        return Folds((Fold(1, (), (validate,), Window("test", validate.end_us, int(at[-1]))),))


class Faulty(Newest):
    """One that breaks a rule of the contract."""

    rule: str = ""

    def make_folds(self, time: TimeSlice) -> Folds:
        """Return folds that break a rule."""
        (fold,) = super().make_folds(time).ranked
        (validate,), test = fold.validate, fold.test
        assert test is not None
        later = Window("test", test.start_us, time.end_us + 1)
        before = Window("test", time.start_us, validate.start_us)
        return {
            "none": Folds(()),
            "outside": Folds((Fold(1, (), (validate,), later),)),
            "overlap": Folds((Fold(1, (Window("train", time.start_us, test.end_us),), (validate,), None),)),
            "told first": Folds((Fold(1, (), (Window("v", test.start_us, test.end_us),), validate),)),
            "numbers": Folds((Fold(2, (), (validate,), test),)),
            "names": Folds((Fold(1, (before,), (validate,), test),)),
            "nothing": Folds((Fold(1, (), (), test),)),
        }[self.rule]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("own_splits")
    module.Newest, module.Faulty, module.NoSplit = Newest, Faulty, dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_splits", module)
    return module


def entries(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, str, str]) -> None:
    monkeypatch.setattr(plugins, "_entries", lambda group: found if group == "whatif.splits" else ())


def timeline(split: str) -> Any:
    return resolve_timeline(parse_study(STUDY.format(split=split)))


@pytest.mark.parametrize("kind", ["own_splits:Newest", "newest"])
def test_it_is_found_by_module_and_by_entry_point(own, monkeypatch, kind: str) -> None:
    entries(monkeypatch, ("newest", "own_splits:Newest", "own-splits 1.2"))
    study = parse_study(STUDY.format(split=f"kind: '{kind}', sessions: 2"))
    assert shown(resolve_timeline(study)) == {
        "validate": ("2013-10-28T13:30", "2013-10-30T13:30"),
        "test": ("2013-10-30T13:30", "2013-10-31T20:00"),
    }
    # written out and read again, with its own keys
    assert parse_study(study.text).split == study.split
    assert study.model_dump(by_alias=True)["split"] == {"kind": kind, "sessions": 2}
    assert [(p.name, p.origin) for p in SEAM.every()] == [
        ("cpcv", "whatif"), ("holdout", "whatif"), ("newest", "own-splits 1.2"), ("walk_forward", "whatif")
    ]  # fmt: skip


def test_a_file_in_the_working_folder_is_found_by_its_name(tmp_path: Path, monkeypatch) -> None:
    """As a console script looks for it, whose path holds its own folder instead."""
    (tmp_path / "own_splits_of_a_folder.py").write_text(
        "from whatif.splits import Holdout\nclass Mine(Holdout):\n    kind: str\n"
    )
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(Path.cwd()))])
    with pytest.raises(StudyError, match="install it, run where its file lies, or correct the name"):
        parse_study(STUDY.format(split="kind: 'own_splits_of_a_folder:Mine'"))
    monkeypatch.chdir(tmp_path)
    found = parse_study(STUDY.format(split="kind: 'own_splits_of_a_folder:Mine'"))
    assert type(found.split).__name__ == "Mine"
    assert sys.path[-1] == str(tmp_path)  # it stands before nothing


@pytest.mark.parametrize(
    ("split", "said"),
    [
        ("kind: newst", r"split\.kind = 'newst': did you mean 'newest'"),
        ("kind: newest, session: 3", r"unknown key 'split\.session': did you mean 'sessions'"),
        ("kind: newest, sessions: x", r"split\.sessions = 'x'"),
        ("kind: 'own_splits:Newer'", r"split 'own_splits:Newer' cannot be imported: AttributeError"),
        ("kind: 'no_module:Newest'", r"split 'no_module:Newest' cannot be imported: ModuleNotFoundError"),
        ("kind: 'own_splits:NoSplit'", r"is no class derived from whatif\.splits\.base\.Split"),
    ],
)
def test_what_cannot_be_taken_is_named(own, monkeypatch, split: str, said: str) -> None:
    entries(monkeypatch, ("newest", "own_splits:Newest", "own-splits 1.2"))
    with pytest.raises(StudyError, match=said):
        parse_study(STUDY.format(split=split))


@pytest.mark.parametrize("name", ["newest", "holdout"])
def test_two_of_one_name_are_refused(own, monkeypatch, name: str) -> None:
    entries(monkeypatch, (name, "own_splits:Newest", "own 1"), (name, "own_splits:Faulty", "other 2"))
    with pytest.raises(PluginError, match=f"split '{name}' is brought by both .* and o"):
        SEAM.every()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("none", "it makes no fold"),
        ("outside", r"fold 1: window test \[.*\) is empty or leaves the slice"),
        ("overlap", r"fold 1: windows train .* and validate .* overlap"),
        ("told first", r"fold 1: its test window validate .* begins before others end"),
        ("numbers", r"folds are numbered \[2\], not from 1 on"),
        ("names", r"two windows have the name 'test'"),
        ("nothing", r"fold 1 has no validate window to rank on"),
    ],
)
def test_one_that_breaks_its_contract_is_named_with_the_rule(own, rule: str, said: str) -> None:
    with pytest.raises(StudyError, match=f"split.kind = 'own_splits:Faulty' breaks its contract: {said}"):
        timeline(f"kind: 'own_splits:Faulty', rule: {rule}")


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (Newest, {"sessions": 3}),
        (Holdout, {"kind": "holdout"}),
        (Holdout, {"kind": "holdout", "train": 0.2, "validate": 0.5, "test": 0.3, "embargo": "30min"}),
        (WalkForward, {"kind": "walk_forward", "train": 20, "validate": "10d", "test": 5, "embargo": 1}),
        (WalkForward, {"kind": "walk_forward", "validate": 7, "windows": 4, "anchored": True}),
        (Combinatorial, {"kind": "cpcv", "folds": 6, "embargo": "1h"}),
    ],
)
def test_every_split_passes_the_suite(kind: type[Split], keys: dict[str, Any]) -> None:
    if kind is Combinatorial:
        pytest.importorskip("skfolio")
    check_split(kind, keys)


def test_the_suite_tells_a_split_that_changes_its_mind() -> None:
    class Fickle(Newest):
        def make_folds(self, time: TimeSlice) -> Folds:
            calls.append(1)
            return Newest(kind="own", sessions=len(calls)).make_folds(time)

    calls: list[int] = []
    with pytest.raises(AssertionError, match="the same slice gives other folds"):
        check_split(Fickle)


def test_the_example_of_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
    _, _, below = text.partition("## A split")
    code, study = (re.search(rf"```{kind}\n(.*?)```", below, re.DOTALL)[1] for kind in ("python", "yaml"))
    (tmp_path / "my_splits.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    found = resolve_timeline(parse_study(study))
    # 21 sessions of January 2024 in New York
    assert shown(found) == {
        "validate": ("2024-01-10T14:30", "2024-01-23T14:30"),
        "test": ("2024-01-23T14:30", "2024-01-31T21:00"),
    }
    check_split(type(parse_study(study).split), {"validate": 3, "test": 3})
