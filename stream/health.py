"""/metrics, /healthz and /readyz on one port, from threads of their own.

`/healthz` asks whether the process should be restarted: has its loop gone round lately? `/readyz` asks whether it does
its work: are the detectors loaded and partitions assigned? Each answers 200 or 503, and why in a line.
"""

import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final, Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from schemas.errors import UserMistake

OK: Final = "ok\n"


class Health:
    """What the loop says of itself. Written by one thread, read by the server's."""

    def __init__(self, stale_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is ready yet, and the loop has `stale_seconds` for its next round."""
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._beaten = clock()
        self.waiting_for: str | None = "start"  # what is missing before events can be decided; None: nothing

    def beat(self) -> None:
        """The loop has gone round."""
        self._beaten = self._clock()

    def not_alive(self) -> str | None:
        """Why the process should be restarted; None while it goes on."""
        silent = self._clock() - self._beaten
        return f"the loop has been silent for {silent:.0f} s" if silent > self._stale_seconds else None

    def not_ready(self) -> str | None:
        """Why no events are decided; None when they are."""
        return self.not_alive() or (f"waiting for {self.waiting_for}" if self.waiting_for else None)


class HealthServer:
    """The HTTP server; closed on leaving the `with` block."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry, health: Health) -> None:
        """Listen at once.

        Args:
            port: 0 takes a free one; `self.port` says which.

        Raises:
            UserMistake: the port is taken, not permitted, or the host isn't this machine's.
        """

        class Handler(_Handler):
            pages = _pages(registry, health)

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserMistake(
                f"can't serve /metrics at {host}:{port}: {reason}; set worker.health_host and worker.health_port "
                "to an address that is free"
            ) from error
        self.port = int(self._server.server_address[1])
        self._thread = Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


_Page = Callable[[str], tuple[int, str, bytes]]  # Accept header → status, content type, body


def _pages(registry: CollectorRegistry, health: Health) -> dict[str, _Page]:
    def metrics(accept: str) -> tuple[int, str, bytes]:
        encode, content_type = choose_encoder(accept)
        return 200, content_type, encode(registry)

    return {
        "/metrics": metrics,
        "/healthz": lambda _: _answer(health.not_alive()),
        "/readyz": lambda _: _answer(health.not_ready()),
    }


def _answer(problem: str | None) -> tuple[int, str, bytes]:
    return (503 if problem else 200), "text/plain; charset=utf-8", (f"{problem}\n" if problem else OK).encode()


class _Handler(BaseHTTPRequestHandler):
    pages: dict[str, _Page]
    timeout = 10  # a client that says nothing doesn't keep a thread

    def do_GET(self) -> None:
        page = self.pages.get(self.path.split("?")[0])
        if page is None:
            self.send_error(404, f"there are {', '.join(self.pages)}")
            return
        status, content_type, body = page(self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
        """A scrape isn't worth a line."""
