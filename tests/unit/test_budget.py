"""Memory really runs out, in a child process with a limit: micro-batches are split, everything is done, nobody pays."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.runtime.budget import LEAST, Budget, is_out_of_memory

ROOT = Path(__file__).parents[2]
# A "forward" takes 64 KB a token, for real; there is room for 500 tokens.
CHILD = """
import json, resource, sys
import numpy as np
from detectors.runtime.budget import Budget
if sys.argv[1] == "torch":
    import torch
    allocate = lambda tokens: torch.ones(tokens << 16, dtype=torch.uint8)
else:
    allocate = lambda tokens: np.ones(tokens << 16, np.uint8)
import psutil
used = psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (used + (500 << 16), resource.RLIM_INFINITY))
tried = []
def forward(run):
    tried.append(sum(lengths[run]))
    return len(allocate(tried[-1])) >> 16
budget, lengths = Budget(2048), [37] * 100
"""


def child(kind: str, script: str) -> Any:
    command = [sys.executable, "-c", CHILD + script, kind]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # as in a detector process
    done = subprocess.run(command, cwd=ROOT, env=one_thread, capture_output=True, text=True, timeout=250, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_out_of_memory_halves_splits_goes_on_and_remembers(kind: str):
    script = """
rows = []
for run, tokens in budget.runs(lengths, forward):
    assert tokens == sum(lengths[run])
    rows += range(100)[run]
first, tried[:] = list(tried), []
list(budget.runs(lengths, forward))
print(json.dumps([rows, first, tried, budget.tokens]))
"""
    rows, first, again, tokens = child(kind, script)
    assert rows == list(range(100))
    assert first[0] > 500 > max(first[-3:])
    assert LEAST <= tokens < 500
    assert max(again) <= tokens, "what did not go once is not tried again"


def test_a_row_that_is_too_much_alone_is_its_own_fault():
    script = """
lengths[50] = 600
done = 0
try:
    for run, _ in budget.runs(lengths, forward):
        done = run.stop
except MemoryError:
    print(json.dumps([done, budget.tokens]))
"""
    done, tokens = child("numpy", script)
    assert done == 50
    assert tokens >= LEAST


def test_the_warm_up_finds_what_goes():
    script = """
forward = lambda tokens: allocate(tokens)
budget.warm_up(forward, 4096)
small = Budget(300)
small.warm_up(forward, 4096)
none = Budget(8000)
try:
    none.warm_up(lambda tokens: allocate(1000), 8000)
except MemoryError as error:
    print(json.dumps([budget.tokens, small.tokens, str(error)]))
"""
    found, small, said = child("numpy", script)
    assert found == 256
    assert small == 300
    assert said == "no room for a forward of 256 tokens"


def test_a_warm_up_grows_while_it_pays():
    tried: list[int] = []
    budget = Budget(1024)
    budget.warm_up(tried.append, 1024)
    assert tried == [1024]
    assert budget.tokens == 1024


@given(lengths=st.lists(st.integers(1, 400), max_size=60), budget=st.integers(1, 1000), room=st.integers(400, 1500))
def test_every_row_is_done_once_in_order_whatever_fits(lengths: list[int], budget: int, room: int):
    def forward(run: slice) -> int:
        if sum(lengths[run]) > room:
            raise MemoryError
        return sum(lengths[run])

    found = list(Budget(budget).runs(lengths, forward))
    assert [row for run, _ in found for row in range(len(lengths))[run]] == list(range(len(lengths)))
    assert all(total == sum(lengths[run]) <= room for run, total in found)


@given(lengths=st.lists(st.integers(1, 400), max_size=60), budget=st.integers(1, 1000))
def test_runs_are_as_long_as_they_may_be(lengths: list[int], budget: int):
    runs = [run for run, _ in Budget(budget).runs(lengths, lambda run: run)]
    assert [row for run in runs for row in range(len(lengths))[run]] == list(range(len(lengths)))
    assert all(sum(lengths[run]) <= budget or run.stop - run.start == 1 for run in runs)
    for run in runs:
        assert run.stop == len(lengths) or sum(lengths[run]) + lengths[run.stop] > budget


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_which_errors_say_that_memory_was_short(error: Exception, memory: bool):
    assert is_out_of_memory(error) is memory
