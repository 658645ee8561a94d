"""A model hub on this machine: the few answers of huggingface.co's API that fetching a model asks for."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34
LARGE = 200  # bytes: larger files have a SHA-256 in the listing, as files in LFS do


class Hub(ThreadingHTTPServer):
    """Serves a folder as the one model `maker/model`, under `main` and COMMIT."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.lies_about: str | None = None  # a file whose digest is told wrong
        self.understates: str | None = None  # a file whose size is told too small
        self.gated = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def tree(self) -> list[dict[str, Any]]:
        """As the API lists it."""
        return [self._entry(path) for path in sorted(self.folder.iterdir())]

    def _entry(self, path: Path) -> dict[str, Any]:
        if path.is_dir():
            return {"type": "directory", "path": path.name, "oid": "0" * 40}
        content = path.read_bytes()
        digest = "0" * 64 if path.name == self.lies_about else hashlib.sha256(content).hexdigest()
        size = 10 if path.name == self.understates else len(content)
        lfs = {"lfs": {"oid": digest, "size": size, "pointerSize": 130}} if len(content) > LARGE else {}
        return {"type": "file", "path": path.name, "size": size, "oid": "0" * 40} | lfs


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        if self.server.gated:
            return self._error(403, "GatedRepo")
        if not path.removeprefix("/api/models").startswith("/maker/model"):
            return self._error(404, "RepoNotFound")
        if path.startswith("/api/models/maker/model/tree/"):
            return self._json(self.server.tree())
        if path in {"/api/models/maker/model", *(f"/api/models/maker/model/revision/{r}" for r in ("main", COMMIT))}:
            return self._json({"id": "maker/model", "sha": COMMIT, "siblings": []})
        if path.startswith("/api/"):
            return self._error(404, "RevisionNotFound")
        file = self.server.folder / Path(path).name
        return self._send(200, file.read_bytes()) if file.is_file() else self._error(404, "EntryNotFound")

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def do_POST(self):
        """paths-info: details of the files that the body names."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._json([each for each in self.server.tree() if each["path"] in body["paths"]])

    def _json(self, value: Any):
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _error(self, code: int, name: str):
        self._send(code, b"{}", {"X-Error-Code": name, "X-Error-Message": name})

    def _send(self, code: int, body: bytes, headers: dict[str, str] | None = None):
        self.send_response(code)
        told = {"Content-Length": str(len(body)), "ETag": '"0"', "X-Repo-Commit": COMMIT}
        for name, value in (told | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any):
        pass


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """The hub, while the block runs."""
    with Hub(folder) as hub:
        thread = Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
