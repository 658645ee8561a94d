"""The detector process: a zygote that has loaded every detector, and the scoring processes it forks.

    worker ──control socket──► zygote            loads the detectors on the CPU, one thread, scores nothing
      │                          │ fork, ~20 ms
      └──────frames────────► scoring process     warms a detector at its first task, scores, may die at any moment

The zygote makes a fresh scoring process cheap: a guilty record costs a fork, not the loading of a model. It hands the
worker its end of each child's socket, and reports each child's death with its wait status: it alone reaps, and it
alone kills, so a signal can't hit a recycled process id. It goes with the worker, and the children with it, also
after a kill -9 (PR_SET_PDEATHSIG; and the end of the control socket).

A process may be forked safely only while it has a single thread and no CUDA context: that is why factories load on
the CPU and start no thread, and why a device is taken in `warm`. A detector that can't be loaded so would need a
child that loads it afresh; none of ours does.

Control messages are JSON lines. To the zygote: {"fork": slot}, {"kill": pid}. From it: {"loading": name},
{"loaded": [...]}, {"failed": text, "mistake": bool}, {"born": pid, "slot": slot} with the socket attached,
{"stillborn": slot}, {"died": pid, "status": wait status}.
"""

import ctypes
import gc
import json
import mmap
import os
import resource
import selectors
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from detectors.interface import Description, Detector, DetectorSpec, build
from detectors.runtime import frames
from detectors.runtime.budget import is_out_of_memory
from schemas.errors import UserMistake
from schemas.statuses import Reason

SLOTS: Final = 64  # scoring processes alive at once
WORD_BYTES: Final = 64  # one cache line each: int64 task << 20 | row + 1, int64 how many hints there were
WORD_INTS: Final = 16  # bytes of it in use
ROW_BITS: Final = 20
_PR_SET_PDEATHSIG: Final = 1


def main() -> None:
    """Entry point: `python -m detectors.runtime.process CONTROL_FD WORDS_FD WORKER_PID`; the rest comes by socket."""
    control_fd, words_fd, worker = map(int, sys.argv[1:4])
    _die_with(worker)
    for number in (signal.SIGINT, signal.SIGTERM):  # the worker drains, and ends us when it is done
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump holds content, and takes seconds
    control = socket.socket(fileno=control_fd)
    words = mmap.mmap(words_fd, SLOTS * WORD_BYTES)
    order = json.loads(_read_line(control))
    if order["folder"]:
        os.chdir(order["folder"])
    if order["media"]:
        _allow(order["media"])
    detectors = _load([DetectorSpec(**spec) for spec in order["specs"]], control)
    gc.collect()
    gc.freeze()  # or the children's first collection would copy every page
    Zygote(control, words, detectors, order["threads"]).run()


def _allow(media: dict[str, Any]) -> None:
    """Fetch media within these limits. Only then: the libraries that fetch take a while to load."""
    from detectors.media.limits import Limits  # noqa: PLC0415
    from detectors.media.shared import use  # noqa: PLC0415

    use(Limits.model_validate(media))


class Zygote:
    """Forks, kills and reaps scoring processes, as told by the worker."""

    def __init__(self, control: socket.socket, words: mmap.mmap, detectors: Sequence[Detector], threads: int) -> None:
        self._control = control
        self._words = words
        self._detectors = detectors
        self._threads = threads
        self._children: set[int] = set()
        self._pending = b""

    def run(self) -> None:
        """Until the worker is gone."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(woken, selectors.EVENT_READ)
            selector.register(self._control, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fd == woken:
                        os.read(woken, 4096)
                        self._reap()
                    else:
                        self._obey()

    def _obey(self) -> None:
        received = self._control.recv(65536)
        if not received:
            self._end()
        *lines, self._pending = (self._pending + received).split(b"\n")
        for line in lines:
            order = json.loads(line)
            if "fork" in order:
                self._fork(order["fork"])
            elif order["kill"] in self._children:
                os.kill(order["kill"], signal.SIGKILL)

    def _fork(self, slot: int) -> None:
        ours, theirs = socket.socketpair()
        zygote = os.getpid()
        try:
            pid = os.fork()
        except OSError:
            _say(self._control, {"stillborn": slot})
            return
        if pid == 0:
            theirs.close()
            self._control.close()
            _become_child(zygote)
            word = memoryview(self._words)[slot * WORD_BYTES : slot * WORD_BYTES + WORD_INTS].cast("q")
            _score_until_closed(ours, word, self._detectors, self._threads)
        ours.close()
        self._children.add(pid)
        _say(self._control, {"born": pid, "slot": slot}, theirs)
        theirs.close()

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self._children.discard(pid)
                _say(self._control, {"died": pid, "status": status})

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)


def _load(specs: Sequence[DetectorSpec], control: socket.socket) -> list[Detector]:
    """Build every detector and describe them to the worker; a failure is told, and ends the process."""
    detectors, described, name = [], [], ""
    try:
        for spec in specs:
            name = spec.name
            _say(control, {"loading": name})
            detectors.append(build(spec))
            _refuse_threads(name)
            described.append(Description.of(name, detectors[-1]).as_json())
        _say(control, {"loaded": described})
    except BaseException as error:  # noqa: BLE001 whatever a factory raises must reach the worker as words
        mistake = isinstance(error, UserMistake)
        _say(
            control,
            {"failed": str(error) if mistake else f"detector {name!r}: {_where(error)}: {error}", "mistake": mistake},
        )
        os._exit(1)
    return detectors


def _refuse_threads(name: str) -> None:
    """A fork copies one thread, and every lock as another one left it: better no start than a rare deadlock."""
    if (threads := psutil.Process().num_threads()) > 1:
        raise UserMistake(f"detector {name!r}: its factory left {threads - 1} threads running; start them in `warm`")


def _become_child(zygote: int) -> None:
    _die_with(zygote)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    with suppress(OSError):  # when memory runs out, the kernel is to take this process, not the worker
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def _die_with(parent: int) -> None:
    """End when `parent` ends, however it does."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was quicker
        os._exit(0)


def _score_until_closed(
    sock: socket.socket, word: "memoryview[int]", detectors: Sequence[Detector], threads: int
) -> None:
    """A scoring process's life. Never returns: this is a fork, and the zygote's stack lies below."""
    try:
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)
        warm: set[int] = set()
        while header := _read(sock, frames.HEADER_BYTES):
            request = frames.unpack(header, _read(sock, frames.body_length(header)))
            sock.sendall(_answer(request, detectors[request.detector], word, warm))
    except OSError:  # the worker closed our socket: it has given us up
        pass
    finally:
        os._exit(0)


def _answer(request: frames.Frame, detector: Detector, word: "memoryview[int]", warm: set[int]) -> bytes:
    """Score one task. Whatever the detector raises is an answer too."""
    base = request.task << ROW_BITS
    word[0] = base
    at, longest = _hints(word, base)
    try:
        items = frames.decode_items(request)
        if request.detector not in warm:
            detector.warm()
            warm.add(request.detector)
        started = time.perf_counter()
        answer = detector.score(items, at)
        seconds = time.perf_counter() - started
        return frames.encode_answer(request, len(detector.categories), answer, seconds, longest(request.rows))
    except BaseException as error:  # noqa: BLE001 SystemExit and the like are a detector's fault as any other
        reason = Reason.memory if is_out_of_memory(error) else Reason.raised
        return frames.encode_raised(request, reason, word[0] - base - 1, _where(error))


def _hints(word: "memoryview[int]", base: int) -> tuple[Callable[[int], None], Callable[[int], int]]:
    """`at`, and a function that gives the longest stretch of rows between two calls of it."""
    last = longest = 0

    def at(row: int) -> None:
        nonlocal last, longest
        word[0] = base + row + 1
        word[1] += 1  # a long recording is many hints of one row
        longest = max(longest, row - last)
        last = row

    return at, lambda rows: max(longest, rows - last)


def _where(error: BaseException) -> str:
    """Type and place of an exception, without its message, which might quote content; ours does not."""
    if isinstance(error, frames.BadAnswer):
        return f"its answer can't be used: {error}"
    stack = traceback.extract_tb(error.__traceback__)
    return (
        f"{type(error).__name__} at {Path(stack[-1].filename).name}:{stack[-1].lineno}"
        if stack
        else type(error).__name__
    )


def _say(control: socket.socket, message: dict[str, Any], attached: socket.socket | None = None) -> None:
    try:
        socket.send_fds(control, [json.dumps(message).encode() + b"\n"], [attached.fileno()] if attached else [])
    except OSError:  # the worker is gone
        os._exit(0)


def _read_line(control: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        line += control.recv(1) or b"\n"
    return line


def _read(sock: socket.socket, size: int) -> bytes:
    """`size` bytes, or none where the stream ends before."""
    received = bytearray(size)
    view, filled = memoryview(received), 0
    while filled < size:
        count = sock.recv_into(view[filled:])
        if not count:
            return b""
        filled += count
    return bytes(received)


if __name__ == "__main__":
    main()
