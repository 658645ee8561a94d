"""What the worker is handed: batches in, scores out in the same order, whatever happens to the detectors.

One thread pumps between the worker and the detector process, so that neither ever waits for a full pipe. `submit`,
`collect` and `discard` are called by one thread, the worker's.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from detectors.interface import DetectorSpec, ProcessSettings
from detectors.runtime.docket import Counts
from detectors.runtime.outstanding import Batch
from detectors.runtime.pump import Notes, Outbox, Pump
from detectors.runtime.stages import Ask
from schemas.columns import Events, Score, Scores
from schemas.errors import Fatal, Overloaded, SafestreamError

Progress = Callable[[str], None]

_CAPACITY: Final = 3  # batches outstanding


class DetectorClient:
    """Scores batches in a process of their own. See the module."""

    def __init__(
        self,
        specs: Sequence[DetectorSpec],
        settings: ProcessSettings | None = None,
        ask: Ask | None = None,
        later: Sequence[str] = (),
    ) -> None:
        """The detectors named in `later` get only what `ask` says, once the others are done with a batch."""
        self._specs = tuple(specs)
        self._settings = settings or ProcessSettings()
        self._outbox: Outbox = queue.SimpleQueue()
        self._notes: Notes = queue.SimpleQueue()
        self._pump = Pump(self._specs, self._settings, self._outbox, self._notes, ask, tuple(later))
        self._outstanding: dict[Batch, None] = {}
        self._thread: threading.Thread | None = None
        self._closed = False

    # --- what is known once started

    @property
    def columns(self) -> tuple[Score, ...]:
        """The columns of `Scores.probability`."""
        return self._pump.columns.scores

    @property
    def names(self) -> tuple[str, ...]:
        """The detectors, in the order of the status columns."""
        return self._pump.columns.names

    @property
    def versions(self) -> tuple[str, ...]:
        """Their model versions."""
        return self._pump.columns.versions

    @property
    def modalities(self) -> tuple[frozenset[str], ...]:
        """What each of them reads."""
        return self._pump.columns.modalities

    @property
    def counts(self) -> Counts:
        """What happened since the start."""
        return self._pump.counts

    @property
    def restarts(self) -> int:
        """Deaths of scoring processes."""
        return self.counts.restarts

    @property
    def room(self) -> int:
        """How many more batches `submit` takes now."""
        return _CAPACITY - len(self._outstanding)

    @property
    def healthy(self) -> bool:
        """The detector process is there, and no breaker is open."""
        return self._pump.healthy

    # --- the four calls

    def start(self, progress: Progress | None = None) -> None:
        """Load the detectors, and wait until a process has passed their canaries.

        Raises:
            UserMistake: a factory or its options are wrong.
            Fatal: a detector can't be loaded, or fails its canary; the message says where.
        """
        self._thread = threading.Thread(target=self._run, name="detectors", daemon=True)
        self._thread.start()
        while (note := self._notes.get()) is not None:
            if isinstance(note, Exception):
                self.close()
                raise note
            if progress:
                progress(note)

    def submit(self, number: int, events: Events) -> None:
        """Have `events` scored; `collect` gives the result under `number`. Does not block.

        Raises:
            Overloaded: as many batches as there is room for are outstanding.
        """
        if len(self._outstanding) >= _CAPACITY:
            raise Overloaded(f"{len(self._outstanding)} batches are with the detectors")
        batch = Batch(number, events, self._pump.columns, self._settings.max_attempts)
        self._outstanding[batch] = None
        self._pump.put(batch)

    def collect(self, timeout: float) -> tuple[int, Scores] | None:
        """The next batch in submit order: its number and scores; None if it isn't done within `timeout` seconds.

        Raises:
            Fatal: the pump itself failed.
        """
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            try:
                done = self._outbox.get(timeout=left) if left > 0 else self._outbox.get_nowait()
            except queue.Empty:
                return None
            if isinstance(done, Fatal):
                self._outbox.put(done)
                raise done
            if self._outstanding.pop(done, 0) is None:  # else it was discarded
                return done.number, done.scores()

    def discard(self) -> None:
        """Forget every batch outstanding; numbers may be used again."""
        self._outstanding.clear()
        self._pump.put(None)

    def close(self) -> None:
        """End the detector process and everything in it. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._pump.stop()
        if self._thread:
            self._thread.join()
        self._pump.release()

    def _run(self) -> None:
        try:
            self._pump.run()
        except SafestreamError as error:
            self._notes.put(error)
            self._outbox.put(Fatal(str(error)))
        except Exception as error:  # noqa: BLE001 a thread's exception must reach the one who waits
            fatal = Fatal(f"the detector pump failed: {type(error).__name__}: {error}")
            self._notes.put(fatal)
            self._outbox.put(fatal)
        finally:
            self._pump.end()
