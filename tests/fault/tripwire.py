"""A detector that really fails: it raises, crashes, hangs, or eats memory at a text that says `TRIP:<how>`.

The address of an attachment may say so too. `SAY:<what>` makes it answer, in order: with a reason, or with evidence.
Any other text gets a probability that follows from its characters alone, so that a test knows each score beforehand.
Factory: `tests.fault.tripwire:build`. Options:

    hints         "rows" (default): `at` before each row; "8": before each 8 rows; "none"; "lying": always one row ahead
    ms_per_event  latency, slept
    broken        path: while the file exists the device is broken in the way that the file says, on any text
    modalities    what it reads, ["text"]
    journal       path: each text it is given is written there as a line, canaries too
    loading       path: while the file exists the factory fails in the way that the file says
    sticky        true: after one exception every call of this process raises, as CUDA does after an assertion
"""

import ctypes
import os
import signal
import sys
import threading
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import psutil

from detectors.interface import Answer
from detectors.items import Items
from schemas.categories import Category
from schemas.errors import UserMistake
from schemas.evidence import Evidence
from schemas.statuses import Reason, Status

AWAY = "away"  # as a detector whose server does not answer
MOST_MEMORY = 3 << 30  # bytes: then it gives up, so that a failing test doesn't take the machine with it


def probability(text: str) -> float:
    """The score of a harmless text."""
    return (zlib.crc32(text.encode("utf-8", "surrogatepass")) % 1000) / 1000


class TripwireDetector:
    version = "1"
    categories = (Category.HARASSMENT, Category.HATE)
    languages = None
    cost_ms = 1.0

    def __init__(
        self,
        hints: str = "rows",
        ms_per_event: float = 0.0,
        broken: str = "",
        sticky: bool = False,
        journal: str = "",
        modalities: Sequence[str] = ("text",),
        loading: str = "",
    ) -> None:
        if loading and Path(loading).exists():
            WAYS[Path(loading).read_text(encoding="utf-8")]()
        self.modalities = tuple(modalities)
        self._journal = Path(journal) if journal else None
        self._hints = hints
        self._seconds = ms_per_event / 1000
        self._broken = Path(broken) if broken else None
        self._sticky = sticky
        self._stuck = False

    def warm(self) -> None:
        self._check_device()

    def score(self, items: Items, at: Callable[[int], None]) -> Answer:
        self._check_device()
        texts = [
            " ".join((text, *(each.uri for each in found)))
            for text, found in zip(items.texts, items.attachments, strict=True)
        ]
        if self._journal:
            with self._journal.open("a", encoding="utf-8") as file:
                file.writelines(f"{text}\n" for text in items.texts)
        scores = np.zeros((len(texts), 2), np.float32)
        if self._broken and self._broken.exists():
            nothing = Answer.scored(scores + np.float32(np.nan))
            return _away(nothing) if self._broken.read_text(encoding="utf-8") == AWAY else nothing
        answer = Answer.scored(scores, {})
        for row, text in enumerate(texts):
            self._hint(row, len(texts), at)
            if self._seconds:
                time.sleep(self._seconds)
            scores[row] = probability(items.texts[row]), 1 - probability(items.texts[row])
            if "SAY:" in text:
                _say(text.partition("SAY:")[2].split()[0], answer, row)
            if "TRIP:" in text:
                answer = self._trip(text.partition("TRIP:")[2].split()[0], answer, row)
        return answer

    def _hint(self, row: int, rows: int, at: Callable[[int], None]) -> None:
        if self._hints == "rows" or (self._hints.isdigit() and row % int(self._hints) == 0):
            at(row)
        elif self._hints == "lying":
            at((row + 1) % rows)

    def _check_device(self) -> None:
        if self._stuck:
            raise RuntimeError("the context is corrupted")
        if self._broken and self._broken.exists():
            how = self._broken.read_text(encoding="utf-8")
            if how not in NONSENSE and how != AWAY:
                WAYS[how]()

    def _trip(self, how: str, answer: Answer, row: int) -> Answer:
        if how in NONSENSE:
            answer.probability[row, 1] = NONSENSE[how]
        elif how in MALFORMED:
            return MALFORMED[how](answer)
        else:
            self._stuck = self._sticky
            WAYS[how]()
        return answer


def _away(answer: Answer) -> Answer:
    answer.status[:], answer.reason[:] = Status.error, Reason.remote
    return answer


def _say(what: str, answer: Answer, row: int) -> None:
    if what == "evidence":
        cast("dict[int, list[Evidence]]", answer.evidence)[row] = [EVIDENCE]
        return
    answer.probability[row] = np.nan
    answer.status[row] = Status.error if what == "media" else Status.abstained
    answer.reason[row] = Reason[what]


def eat_memory() -> None:
    """Allocate and touch memory until something puts an end to it."""
    eaten = []
    while len(eaten) << 24 < MOST_MEMORY:
        eaten.append(np.ones(1 << 24, np.uint8))
    raise AssertionError("nobody noticed")


def fail() -> None:
    raise ValueError("a message that may quote content")


def kill_worker() -> None:
    """Take the whole worker along, as a container's memory limit does: it is the parent of our parent."""
    os.kill(psutil.Process(os.getppid()).ppid(), signal.SIGKILL)
    time.sleep(3600)


def spin() -> None:
    while True:
        pass


EVIDENCE = Evidence("harassment", 0.75, attachment=1, frame=3, box=(1, 2, 30, 40))
MALFORMED: dict[str, Callable[[Answer], Any]] = {
    "shape": lambda answer: replace(answer, status=answer.status[1:]),
    "status": lambda answer: replace(answer, status=answer.status + 7),
    "skipped": lambda answer: replace(answer, status=np.full_like(answer.status, Status.skipped)),
    "reason": lambda answer: replace(answer, reason=answer.reason + 99),
    "evidence": lambda answer: replace(answer, evidence={0: ["found it"]}),
    "nowhere": lambda answer: replace(answer, evidence={len(answer.status): [EVIDENCE]}),
    "fraction": lambda answer: replace(answer, status=np.full(len(answer.status), 1.7)),
    "complex": lambda answer: replace(answer, probability=answer.probability.astype(complex)),
    "tuple": lambda answer: (answer.probability, answer.status),
}
NONSENSE = {"nan": np.nan, "infinity": np.inf, "over-one": 1.5}
WAYS: dict[str, Callable[[], object]] = {
    "raise": fail,
    "system-exit": sys.exit,
    "segv": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "null-pointer": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "exit": lambda: os._exit(0),
    "memory": eat_memory,
    "spin": spin,
    "sleep": lambda: time.sleep(3600),
    "worker": kill_worker,
    "slow": lambda: time.sleep(0.4),  # late, and innocent
}


def build(options: Mapping[str, Any]) -> TripwireDetector:
    try:
        return TripwireDetector(**options)
    except TypeError as error:
        raise UserMistake(f"detector tripwire: {error}") from error


def start_thread(options: Mapping[str, Any]) -> TripwireDetector:
    """A factory that does what it must not: after it, the process can't be forked safely."""
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    return TripwireDetector(**options)


def refuse(options: Mapping[str, Any]) -> TripwireDetector:
    """A factory that can't load its model."""
    raise FileNotFoundError("model.safetensors")
