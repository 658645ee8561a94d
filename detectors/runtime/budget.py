"""How much goes into one forward: as many tokens as memory takes, found by trying, and halved whenever it was too much.

    warm-up          a forward of the whole budget, then of twice as many while that pays; out of memory: of half
    out of memory    the micro-batch is split, the rest goes on, and the smaller budget is remembered

Out of memory is not the fault of a record, unless it is alone. Nothing here knows torch: it is told by its errors.
"""

import gc
import logging
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeVar

Result = TypeVar("Result")

LEAST: Final = 256  # tokens: less is not worth a forward
_PAYS: Final = 0.97  # of the time a token took before, at most: else a larger forward is only a larger risk
# What torch says of memory in a plain RuntimeError: its allocator on the CPU, C++, oneDNN (of whatever it had no room
# for: a kernel's code is a "primitive").
_SAID: Final = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "could not create a ")
_log = logging.getLogger(__name__)  # a scoring process: its standard error is the worker's


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory was short: Python's, torch's on the CPU, torch's on a device."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


class Budget:
    """The budget of one detector in one process."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def warm_up(self, forward: Callable[[int], object], most: int) -> None:
        """Find what memory takes: `forward(n)` runs `n` tokens once.

        Args:
            most: tokens beyond which it is not tried. On the CPU more than fit its caches is no faster.

        Raises:
            What `forward` raises, out of memory only if not even the least goes.
        """
        tokens, per_token = self.tokens, float("inf")
        while tokens <= most:
            began = time.perf_counter()
            if not _fits(forward, tokens):
                if tokens <= LEAST:
                    raise MemoryError(f"no room for a forward of {tokens} tokens")
                most = tokens = max(LEAST, tokens // 2)  # what did not go once is not tried again
                continue
            took = (time.perf_counter() - began) / tokens
            if took > _PAYS * per_token:
                return
            self.tokens, per_token, tokens = tokens, took, 2 * tokens

    def runs(self, lengths: Sequence[int], forward: Callable[[slice], Result]) -> Iterator[tuple[slice, Result]]:
        """`forward` for runs of neighbours that together stay within the budget, with what came of it, in order.

        Args:
            lengths: tokens of each; one that is over the budget alone is a run of its own.

        Raises:
            What `forward` raises, out of memory only of a run of one.
        """
        first, limit = 0, self.tokens
        while first < len(lengths):
            run = _next_run(lengths, first, limit)
            try:
                result = forward(run)
            except Exception as error:
                if run.stop - run.start == 1 or not is_out_of_memory(error):
                    raise
            else:
                yield run, result
                first = run.stop
                continue
            _release()  # only here: the exception held the tensors of the forward
            limit = max(1, sum(lengths[run]) // 2)
            self.tokens = max(LEAST, min(self.tokens, limit))
            _log.warning("out of memory: %d tokens were too many for one forward, now %d", sum(lengths[run]), limit)


def _next_run(lengths: Sequence[int], first: int, budget: int) -> slice:
    total, stop = lengths[first], first + 1
    while stop < len(lengths) and total + lengths[stop] <= budget:
        total += lengths[stop]
        stop += 1
    return slice(first, stop)


def _fits(forward: Callable[[int], object], tokens: int) -> bool:
    try:
        forward(tokens)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    _release()
    return False


def _release() -> None:
    """Give back what the failed forward took, so that the next one can have it."""
    gc.collect()
    if (torch := sys.modules.get("torch")) and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
