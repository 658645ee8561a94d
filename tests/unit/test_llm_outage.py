"""A server that many threads ask: one outage counts once, and one question finds out whether it is over."""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from detectors.llm.outage import FAILURES, Away, Outage, Unanswered
from detectors.runtime.breaker import FIRST_DELAY

THREADS = 12


def fail() -> None:
    raise Away("gone")


def refuse() -> None:
    raise Unanswered("no")


def ask(outage: Outage, do: Callable[[], object]) -> bool:
    """Whether the question got through."""
    asked = False
    with contextlib.suppress(Unanswered), outage.question():
        asked = True
        do()
    return asked


def together(outage: Outage, do: Callable[[], object]) -> int:
    """How many of the threads got through that all ask before any is answered."""
    entered = threading.Barrier(THREADS + 1)

    def hold() -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            entered.wait(0.3)
        do()

    with ThreadPoolExecutor(THREADS) as pool:
        return sum(pool.map(lambda _: ask(outage, hold), range(THREADS)))


def opened() -> Outage:
    outage = Outage("http://127.0.0.1:1/v1/")
    assert together(outage, fail) == THREADS
    return outage


def test_one_outage_under_many_questions_is_waited_for_once():
    outage = opened()
    assert not ask(outage, fail)
    time.sleep(FIRST_DELAY + 0.1)
    assert ask(outage, lambda: None)


def test_one_question_alone_finds_out_and_then_all_may_ask():
    outage = opened()
    time.sleep(FIRST_DELAY + 0.1)
    assert together(outage, lambda: None) == 1
    assert together(outage, lambda: None) == THREADS


def test_a_failed_probe_closes_it_for_twice_as_long():
    outage = opened()
    time.sleep(FIRST_DELAY + 0.1)
    assert together(outage, fail) == 1
    time.sleep(FIRST_DELAY + 0.1)
    assert not ask(outage, fail)


@pytest.mark.parametrize("do", [refuse, lambda: None])
def test_only_failures_in_a_row_open_it(do: Callable[[], object]):
    outage = Outage("http://127.0.0.1:1/v1/")
    for _ in range(3):
        assert all(ask(outage, fail) for _ in range(FAILURES - 1))
        assert ask(outage, do)
    assert all(ask(outage, refuse) for _ in range(5 * FAILURES))
