"""Each line of the compiled broker's arithmetic, changed: golden and random cases must notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from whatif.engines import ENGINES
from whatif.testing.engines import all_differences, first_difference

from .broker_mutations import BROKER
from .mutants import Mutation, mutated, verdict

REPOSITORY = Path(__file__).parents[2]
CHECK = "whatif.testing.engines:first_difference"

TOY = "def fee(size, price):\n    return abs(size) * 0.5 * price\n"
TOY_CHECK = """
from toy import fee

def first_wrong():
    for size, price, right in ((2.0, 3.0, 3.0), (-4.0, 1.0, 2.0)):
        if fee(size, price) != right:
            return f"fee({size}, {price}) = {fee(size, price)}"
    return ""
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    folder.mkdir()
    (folder / "toy.py").write_text(TOY)
    (folder / "toy_check.py").write_text(TOY_CHECK)
    return folder


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("0.5", "0.25", "noticed: fee(2.0, 3.0) = 1.5"),
        ("abs(size)", "size", "noticed: fee(-4.0, 1.0) = -2.0"),
        ("price\n", "cost\n", "noticed: raised NameError"),
        ("0.5 * price", "price * 0.5", "survived"),
        ("0.5", "0.5", "survived"),
        ("return", "retrun", "broken: "),
    ],
)
def test_the_harness_on_a_toy(toy, tmp_path, old, new, expected) -> None:
    assert verdict(Mutation("toy", "toy", old, new), "toy_check:first_wrong", tmp_path, toy).startswith(
        expected
    )


@pytest.mark.parametrize("old", ["no such text", "size"])
def test_a_mutation_changes_exactly_one_place(old) -> None:
    with pytest.raises(ValueError, match="times, not once"):
        mutated(Mutation("toy", "toy", old, "x"), TOY)


@pytest.mark.parametrize("mutation", BROKER, ids=[mutation.name.replace(" ", "-") for mutation in BROKER])
def test_what_is_changed_of_the_broker_is_there_once(mutation) -> None:
    source = Path(REPOSITORY, *mutation.module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    assert mutated(mutation, source) != source


@pytest.mark.slow
def test_the_check_passes_an_engine_that_is_right(engine) -> None:
    assert first_difference(engine, cases=20) == ""


def test_the_check_sees_an_engine_that_is_wrong(monkeypatch) -> None:
    import backtrader

    class Dear(backtrader.brokers.BackBroker):
        def _slip_up(self, pmax, price, doslip=True, lim=False):
            return None if price is None else price * 1.01

    monkeypatch.setattr(backtrader.brokers, "BackBroker", Dear)

    assert sum(1 for _ in all_differences("backtrader", cases=0)) > 20


@pytest.mark.slow
@pytest.mark.skipif("compiled" not in ENGINES, reason="there is no compiled engine yet")
@pytest.mark.parametrize("mutation", BROKER, ids=[mutation.name.replace(" ", "-") for mutation in BROKER])
def test_a_wrong_broker_is_noticed(mutation, tmp_path) -> None:
    assert verdict(mutation, CHECK, tmp_path).startswith("noticed: ")


@pytest.mark.slow
@pytest.mark.skipif("compiled" not in ENGINES, reason="there is no compiled engine yet")
@pytest.mark.parametrize("module", sorted({mutation.module for mutation in BROKER}))
def test_the_broker_as_it_is_survives(module, tmp_path) -> None:
    """Otherwise the test above would pass for any change."""
    same = next(mutation.old for mutation in BROKER if mutation.module == module)
    assert verdict(Mutation("none", module, same, same), CHECK, tmp_path) == "survived"
