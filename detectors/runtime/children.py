"""The worker's end of the detector process: the zygote, and one handle for each scoring process it forked."""

import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil

from detectors.interface import DetectorSpec, ProcessSettings
from detectors.runtime.frames import Frame, Splitter
from detectors.runtime.outstanding import Batch, Rows
from detectors.runtime.process import ROW_BITS, SLOTS, WORD_BYTES, WORD_INTS
from schemas.statuses import Reason

# The zygote must load without starting threads: it forks.
_ONE_THREAD: Final = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


class Lane(Enum):
    """Why a task is sent."""

    canary = 1  # harmless texts: is the device well?
    bulk = 2
    suspect = 3  # one of these rows made the detector fail
    trial = 4  # this row alone


@dataclass(slots=True, eq=False)
class Work:
    """Rows of one batch for one detector; not yet sent. A canary has no batch."""

    lane: Lane
    detector: int
    batch: Batch | None = None
    rows: Rows = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(slots=True, eq=False)
class Task:
    """Work that was sent to a scoring process."""

    number: int
    work: Work
    units: float  # of `pace`: the work of all rows
    largest: float  # … and of the largest
    fresh: bool  # the process had scored nothing but canaries before


class Child:
    """A scoring process. All calls are non-blocking; a socket error shows as the end of `receive`."""

    def __init__(self, pid: int, slot: int, sock: socket.socket, words: mmap.mmap, now: float) -> None:
        sock.setblocking(False)
        self.pid, self.slot, self.sock = pid, slot, sock
        self.born = now
        self.tasks: deque[Task] = deque()
        self.canaried: dict[int, float] = {}  # detector → when its canary last passed here
        self.fresh = True
        self.closed = False
        self.idle_since = now
        self._word = memoryview(words)[slot * WORD_BYTES : slot * WORD_BYTES + WORD_INTS].cast("q")
        self._seen = tuple(self._word)
        self._sign_of_life = self._at_row_since = now
        self._splitter = Splitter()
        self._unsent = bytearray()
        self._ready_bytes = 0
        self._most_grown = 0
        self._process: psutil.Process | None = None

    def send(self, task: Task, frame: bytes, now: float) -> None:
        """Queue a task; what the socket does not take now goes with `flush`."""
        if not self.tasks:
            self._sign_of_life = self._at_row_since = now
        self.tasks.append(task)
        self.fresh = self.fresh and task.work.lane is Lane.canary
        self._unsent += frame
        self.flush()

    def flush(self) -> None:
        """Send as much as the socket takes."""
        try:
            while self._unsent:
                del self._unsent[: self.sock.send(self._unsent)]
                self._sign_of_life = time.monotonic()  # as long as it takes something it need not answer
        except BlockingIOError:
            pass
        except OSError:  # it died: its socket's end is read next
            self._unsent.clear()

    @property
    def unsent(self) -> bool:
        """Whether `flush` has more to do."""
        return bool(self._unsent)

    def receive(self, now: float) -> list[Frame]:
        """The answers that have arrived; sets `closed` at the end of the stream."""
        answers: list[Frame] = []
        try:
            while piece := self.sock.recv(1 << 18):
                answers += self._splitter.feed(piece)
                self._sign_of_life = now
            self.closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        return answers

    def hint(self) -> int | None:
        """The row, as a position in the first task, that it last said it was at."""
        task, row = divmod(self._word[0], 1 << ROW_BITS)
        return row - 1 if self.tasks and task == self.tasks[0].number and row else None

    def silent(self, now: float) -> float:
        """Seconds since it last answered, began a task or gave a hint, as far as was looked."""
        if (word := tuple(self._word)) != self._seen:
            if word[0] != self._seen[0]:
                self._at_row_since = now
            self._seen, self._sign_of_life = word, now
        return now - self._sign_of_life

    def at_row(self, now: float) -> float:
        """Seconds since it last began a task or went on to another row, as far as `silent` looked."""
        return now - self._at_row_since

    def forgive(self, seconds: float) -> None:
        """The worker itself was not running for so long: don't count it as the child's silence."""
        self._sign_of_life += seconds
        self._at_row_since += seconds

    def weigh(self) -> None:
        """Take its size now for that of a process that is ready."""
        self._ready_bytes = max(self._ready_bytes, self._resident())

    def grown(self, now: float, allowance: int, *, alive: bool) -> int:
        """Bytes resident beyond what it had when it was ready; `alive`: growing counts as a sign of life.

        Then one that eats memory slowly is found to exceed `allowance`, and not to hang.
        """
        grown = self._resident() - self._ready_bytes
        if alive and grown > self._most_grown + allowance // 64:
            self._most_grown, self._sign_of_life = grown, now
        return grown

    def _resident(self) -> int:
        try:
            self._process = self._process or psutil.Process(self.pid)
            resident: int = self._process.memory_info().rss
        except psutil.Error:  # it is gone: its socket says so
            return 0
        return resident

    def close(self) -> None:
        """Give up its socket."""
        self.sock.close()


@dataclass(frozen=True, slots=True)
class Birth:
    """A child was forked, or (None) couldn't be."""

    child: Child | None


@dataclass(frozen=True, slots=True)
class Death:
    """A child is gone; a death of our own doing included."""

    pid: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Note:
    """A line of the zygote's about loading: `loading`, `loaded`, `failed`."""

    content: dict[str, Any]


class Zygote:
    """The process that forks scoring processes. It must be spawned by a thread that outlives it: PR_SET_PDEATHSIG."""

    def __init__(self, specs: Sequence[DetectorSpec], settings: ProcessSettings) -> None:
        self.control, theirs = socket.socketpair()
        words = os.memfd_create("safestream-progress")
        os.ftruncate(words, SLOTS * WORD_BYTES)
        self._words = mmap.mmap(words, SLOTS * WORD_BYTES)
        self._free = list(range(SLOTS))
        self._slots: dict[int, int] = {}  # pid → slot, until it has been reaped: only then may the word be used again
        self._pending = b""
        self._attached: list[int] = []
        environment = {
            **os.environ,
            **_ONE_THREAD,
            "PYTHONPATH": os.pathsep.join(p or str(Path.cwd()) for p in sys.path),
        }
        command = [
            sys.executable,
            "-m",
            "detectors.runtime.process",
            str(theirs.fileno()),
            str(words),
            str(os.getpid()),
        ]
        self._process = subprocess.Popen(
            command,
            pass_fds=(theirs.fileno(), words),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        theirs.close()
        os.close(words)
        order = {"specs": [asdict(spec) for spec in specs], "threads": settings.threads, "media": dict(settings.media)}
        self._say(order | {"folder": settings.folder})
        self.control.setblocking(False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def room(self) -> bool:
        """Whether another child has a slot."""
        return bool(self._free)

    @property
    def owing(self) -> bool:
        """Whether a child that was asked for has not come."""
        return len(self._free) + len(self._slots) < SLOTS

    def fork(self) -> None:
        """Ask for a fresh child; it arrives as a `Birth`."""
        self._say({"fork": self._free.pop()})

    def kill(self, pid: int) -> None:
        """Kill a child with signal 9; `Death` follows."""
        self._say({"kill": pid})

    def receive(self, now: float) -> list[Birth | Death | Note] | None:
        """What has arrived; None when the zygote is gone."""
        try:
            received, attached, _, _ = socket.recv_fds(self.control, 1 << 16, SLOTS)
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not received:
            return None
        self._attached += attached
        *lines, self._pending = (self._pending + received).split(b"\n")
        return [self._parse(json.loads(line), now) for line in lines]

    def _parse(self, message: dict[str, Any], now: float) -> Birth | Death | Note:
        if "born" in message:
            self._slots[message["born"]] = message["slot"]
            sock = socket.socket(fileno=self._attached.pop(0))
            return Birth(Child(message["born"], message["slot"], sock, self._words, now))
        if "stillborn" in message:
            self._free.append(message["stillborn"])
            return Birth(None)
        if "died" in message:
            self._free.append(self._slots.pop(message["died"]))
            # A kill -9 that was not ours is the kernel's, out of memory, as far as can be known.
            killed = os.WIFSIGNALED(message["status"]) and os.WTERMSIG(message["status"]) == signal.SIGKILL
            return Death(message["died"], Reason.memory if killed else Reason.crashed)
        return Note(message)

    def _say(self, message: dict[str, Any]) -> None:
        try:
            self.control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:  # gone, or full since it is stuck: the pump notices either
            return

    def end(self) -> None:
        """Kill it; its children die with it."""
        self._process.kill()
        self._process.wait()
        self.control.close()
