"""Tasks that children of this process do while it does something else."""

from __future__ import annotations

import os
import time

import pytest

from whatif.errors import RunError
from whatif.runner import apart


def test_children_give_the_answers_in_the_order_of_the_tasks() -> None:
    done: list[int] = []
    tasks = [lambda k=k: (k, os.getpid()) for k in range(5)]
    found = apart.done_apart(tasks, lambda: done.append(os.getpid()), 60.0, 2)
    assert [k for k, _ in found] == [0, 1, 2, 3, 4]
    assert len({pid for _, pid in found}) == 2
    assert os.getpid() not in {pid for _, pid in found}
    assert done == [os.getpid()]


def test_what_a_task_raises_is_raised_here() -> None:
    def broken() -> int:
        raise RunError("the brokers disagree")

    with pytest.raises(RunError, match="the brokers disagree"):
        apart.done_apart([lambda: 1, broken], lambda: None, 60.0, 2)


def test_a_task_whose_child_dies_is_done_here() -> None:
    here = os.getpid()

    def dies_elsewhere() -> int:
        if os.getpid() != here:
            os._exit(3)
        return 7

    assert apart.done_apart([dies_elsewhere, dies_elsewhere], lambda: None, 60.0, 1) == [7, 7]


def test_what_is_raised_meanwhile_ends_the_children(monkeypatch: pytest.MonkeyPatch) -> None:
    children: list[int] = []
    fork = os.fork

    def noted() -> int:
        child = fork()
        children.append(child)
        return child

    def fails() -> None:
        raise RunError("no verdict")

    monkeypatch.setattr(os, "fork", noted)

    began = time.monotonic()
    with pytest.raises(RunError, match="no verdict"):
        apart.done_apart([lambda: time.sleep(600)], fails, 600.0, 1)
    assert time.monotonic() - began < 300
    (child,) = children
    with pytest.raises(ChildProcessError):
        os.waitpid(child, os.WNOHANG)


def test_where_no_process_can_be_forked_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "can_run_apart", lambda: False)
    done: list[str] = []
    assert apart.done_apart([os.getpid], lambda: done.append("meanwhile"), 60.0, 2) == [os.getpid()]
    assert done == ["meanwhile"]
