"""Arrays are shared, and bounded in bytes together with the bars they keep alive."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whatif.runner.load import ArrayStore, compiled_of, strategy_of
from whatif.strategies import resolve, spec, to_portable


@dataclass(eq=False)
class FakeBars:
    nbytes: int = 0
    data: list[int] = field(default_factory=list)


def array(nbytes: int) -> np.ndarray:
    return np.zeros(nbytes, dtype=np.uint8)


def test_what_was_stored_is_returned() -> None:
    store, bars, values = ArrayStore(1_000), FakeBars(), array(10)
    store[id(bars), "sma(3)"] = (bars, values)
    assert store[id(bars), "sma(3)"][1] is values
    assert store.get((id(bars), "sma(4)")) is None
    assert (len(store), list(store)) == (1, [(id(bars), "sma(3)")])


def test_the_one_used_longest_ago_goes_first() -> None:
    store, bars = ArrayStore(30), FakeBars()
    for name in "abc":
        store[id(bars), name] = (bars, array(10))
    _ = store[id(bars), "a"]
    store[id(bars), "d"] = (bars, array(10))
    assert [name for _, name in store] == ["c", "a", "d"]


def test_bars_count_once_for_all_their_arrays() -> None:
    store, bars, other = ArrayStore(1_000), FakeBars(100), FakeBars(100)
    store[id(bars), "a"] = (bars, array(10))
    store[id(bars), "b"] = (bars, array(10))
    assert store.nbytes == 120
    store[id(other), "a"] = (other, array(10))
    assert store.nbytes == 230
    del store[id(bars), "a"]
    assert store.nbytes == 220
    del store[id(bars), "b"]
    assert store.nbytes == 110


def test_the_array_in_hand_is_kept_whatever_its_size() -> None:
    store, bars = ArrayStore(5), FakeBars()
    store[id(bars), "a"] = (bars, array(10))
    store[id(bars), "b"] = (bars, array(20))
    assert [name for _, name in store] == ["b"]


def test_the_same_key_again_counts_once() -> None:
    store, bars = ArrayStore(1_000), FakeBars(7)
    store[id(bars), "a"] = (bars, array(10))
    store[id(bars), "a"] = (bars, array(30))
    assert (store.nbytes, len(store)) == (37, 1)


def test_bars_of_which_no_array_is_left_are_freed() -> None:
    store, bars, other = ArrayStore(25), FakeBars(10), FakeBars(10)
    store[id(bars), "a"] = (bars, array(10))
    gone = weakref.ref(bars)
    store[id(other), "a"] = (other, array(10))
    del bars
    gc.collect()
    assert gone() is None


def test_many_symbols_of_a_shared_account_share_their_arrays() -> None:
    store, symbols = ArrayStore(10_000), [FakeBars(100) for _ in range(20)]
    for bars in symbols:
        store[id(bars), "sma(3)"] = (bars, array(100))
    assert all((id(bars), "sma(3)") in store for bars in symbols)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), st.integers(0, 60)), max_size=80))
def test_the_count_of_bytes_is_right_and_bounded(steps) -> None:
    store, symbols = ArrayStore(200), [FakeBars(k) for k in range(5)]
    for which, name, size in steps:
        bars = symbols[which]
        store[id(bars), name] = (bars, array(size))
        entries = [store[key] for key in list(store)]
        held = {id(b): b.nbytes for b, _ in entries}
        assert store.nbytes == sum(a.nbytes for _, a in entries) + sum(held.values())
        assert store.nbytes <= 200 or len(store) == 1
    with pytest.raises(KeyError):
        _ = store["nobody", "knows"]


def test_what_a_step_reaches_is_looked_at_once_for_machine_code(monkeypatch) -> None:
    looked, look = [], spec.identity_of
    portable = to_portable(resolve("sma_crossover"))
    strategy_of(portable)
    monkeypatch.setattr(spec, "identity_of", lambda *given: looked.append(given) or look(*given))
    compiled_of.cache_clear()
    assert {compiled_of(portable).digest for _ in range(3)} == {portable.digest}
    assert len(looked) == 1
    assert strategy_of(portable).digest == portable.digest
    assert len(looked) == 2
