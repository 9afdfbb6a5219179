import gc

from whatif.domain.compile import jit
from whatif.domain.garbage import pause_collecting, resume_collecting, without_collecting


def test_the_collector_is_held_until_the_outermost_work_is_done() -> None:
    assert gc.isenabled()
    with without_collecting():
        assert not gc.isenabled()
        pause_collecting()
        resume_collecting()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_compiling_leaves_the_collector_on() -> None:
    assert jit(lambda x: x + 1.0)(1.0) == 2.0
    assert gc.isenabled()
