"""A TCP proxy before the broker that knows which Kafka request passes, and can stop the world exactly there.

Nothing is hooked into the client. Of the protocol it reads the frame (4 bytes of size) and the first bytes of the
header: a request's api key (int16), version (int16) and correlation id (int32); a response's correlation id (int32).
https://kafka.apache.org/protocol says so for every version. The answers that tell a client where the brokers are get
the proxy's port written over the broker's (host as a string, then an int32, in every version), so the client stays.

    client ──► request ──► [seen] ──► broker ──► response ──► [held] ──► client

A `Trap` closes once, at the nth request of one api key: at `request_seen` the broker never gets the request, at
`reply_held` the broker has answered and the client never hears. Either way the trap's action runs before anything else
passes on that connection, then the connection is cut. All other connections go on.
"""

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final, Self


class Api(IntEnum):
    """The api keys of the requests that make up a transaction."""

    Produce = 0
    InitProducerId = 22
    AddPartitionsToTxn = 24
    AddOffsetsToTxn = 25
    EndTxn = 26
    TxnOffsetCommit = 28


HOST: Final = "127.0.0.1"
TELL_WHERE: Final = frozenset({3, 10})  # Metadata, FindCoordinator


class Moment(StrEnum):
    """Where on a request's way the trap closes."""

    request_seen = "request_seen"
    reply_held = "reply_held"


@dataclass(slots=True)
class Trap:
    """Run `action` at the nth request of kind `api` from now; `sprung` is set after it has run."""

    api: Api
    moment: Moment
    nth: int
    action: Callable[[], None]
    sprung: threading.Event = field(default_factory=threading.Event)


class Proxy:
    """Listens on 127.0.0.1 and forwards to the broker at 127.0.0.1:`upstream`; two threads a connection."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self.requests: Counter[tuple[int, int]] = Counter()  # (api key, version) → requests seen
        self._lock = threading.Lock()
        self._trap: Trap | None = None
        self._refusing = False
        self._closed = False
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server((HOST, 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._told = tuple(HOST.encode() + struct.pack(">i", port) for port in (upstream, self.port))
        threading.Thread(target=self._accept, name="proxy-accept", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def bootstrap(self) -> str:
        """bootstrap.servers of a client that shall come this way."""
        return f"{HOST}:{self.port}"

    @property
    def seen(self) -> dict[str, int]:
        """How many requests of each transactional kind have passed."""
        with self._lock:
            counts = Counter[int]()
            for (api, _), number in self.requests.items():
                counts[api] += number
        return {api.name: counts[api] for api in Api if counts[api]}

    def arm(self, trap: Trap) -> Trap:
        """Set a trap; one at a time, a new one replaces the old."""
        with self._lock:
            self._trap = trap
        return trap

    def cut(self) -> None:
        """Cut every connection and refuse new ones until `heal`."""
        self._refusing = True
        self._drop_all()

    def heal(self) -> None:
        """Let connections through again."""
        self._refusing = False

    def close(self) -> None:
        """Stop listening and cut everything."""
        self._closed = True
        with contextlib.suppress(OSError):  # wakes the thread that accepts
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_all()

    def _drop_all(self) -> None:
        with self._lock:
            dropped, self._sockets = self._sockets, set()
        for each in dropped:
            _shut(each)

    def _accept(self) -> None:
        while not self._closed:
            with contextlib.suppress(OSError):  # a client that is gone again, or `close`
                client, _ = self._listener.accept()
                self._forward(client)

    def _forward(self, client: socket.socket) -> None:
        server = None if self._refusing else self._connect()
        if server is None:
            _shut(client)
            return
        with self._lock:
            self._sockets |= {client, server}
        connection = _Connection(self, client, server)
        threading.Thread(target=connection.forward_requests, name="proxy-requests", daemon=True).start()
        threading.Thread(target=connection.forward_responses, name="proxy-responses", daemon=True).start()

    def _connect(self) -> socket.socket | None:
        try:
            return socket.create_connection((HOST, self._upstream), timeout=5)
        except OSError:  # the broker is down: the client sees its connection closed
            return None

    def forget(self, *sockets: socket.socket) -> None:
        """A connection has ended."""
        with self._lock:
            self._sockets -= set(sockets)
        for each in sockets:
            _shut(each)

    def redirect(self, response: bytes) -> bytes:
        """A response that tells where the broker is, telling where this proxy is; the same length."""
        return response.replace(*self._told)

    def note(self, api: int, version: int) -> Trap | None:
        """Count a request; the trap, if it is this one that springs it."""
        with self._lock:
            self.requests[api, version] += 1
            trap = self._trap
            if trap is None or trap.api != api:
                return None
            trap.nth -= 1
            if trap.nth > 0:
                return None
            self._trap = None
            return trap


class _Connection:
    """One client's connection, and which response would spring a trap."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        for each in (client, server):
            each.settimeout(None)
            with contextlib.suppress(OSError):  # it is gone already: the threads will see
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._proxy, self._client, self._server = proxy, client, server
        self._held: dict[int, Trap] = {}  # correlation id of the request → the trap its response springs
        self._telling: set[int] = set()  # correlation ids whose responses say where brokers are

    def forward_requests(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := _read_frame(self._client)) is not None:
                api, version, correlation = struct.unpack_from(">hhi", frame, 4)
                trap = self._proxy.note(api, version)
                if trap is not None and trap.moment is Moment.request_seen:
                    self._spring(trap)
                    break
                if trap is not None:
                    self._held[correlation] = trap
                if api in TELL_WHERE:
                    self._telling.add(correlation)
                self._server.sendall(frame)
        self._proxy.forget(self._client, self._server)

    def forward_responses(self) -> None:
        with contextlib.suppress(OSError):
            while (frame := _read_frame(self._server)) is not None:
                (correlation,) = struct.unpack_from(">i", frame, 4)
                trap = self._held.pop(correlation, None)
                if trap is not None:
                    self._spring(trap)
                    break
                self._client.sendall(self._redirected(correlation, frame))
        self._proxy.forget(self._client, self._server)

    def _redirected(self, correlation: int, frame: bytes) -> bytes:
        if correlation not in self._telling:
            return frame
        self._telling.discard(correlation)
        return self._proxy.redirect(frame)

    def _spring(self, trap: Trap) -> None:
        try:
            trap.action()
        finally:
            trap.sprung.set()


def _read_frame(source: socket.socket) -> bytes | None:
    """One whole frame with its size; None where the stream ends."""
    size = _read(source, 4)
    if size is None:
        return None
    body = _read(source, struct.unpack(">i", size)[0])
    return None if body is None else size + body


def _read(source: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = source.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
