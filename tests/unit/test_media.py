"""Fetching media: what strangers write as an address reaches nothing that configuration does not allow."""

import base64
import gzip
import hashlib
import os
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from detectors.media.allowed import checked, is_allowed
from detectors.media.errors import MediaError
from detectors.media.fetch import Fetcher
from detectors.media.limits import Limits
from detectors.media.remembered import MOST_BYTES, MOST_FILES, Medium, Remembered
from schemas.attachments import Attachment

LOOPBACK = ("127.0.0.0/8", "::1/128")
PICTURE = b"\x89PNG" + bytes(1000)


class Server(BaseHTTPRequestHandler):
    """Answers by the path."""

    def do_GET(self) -> None:
        name, _, rest = self.path.lstrip("/").partition("/")
        getattr(self, f"give_{name}")(rest)

    def give_picture(self, _: str) -> None:
        self.answer(200, PICTURE)

    def give_redirect(self, rest: str) -> None:
        self.answer(302, b"", Location=base64.urlsafe_b64decode(rest).decode())

    def give_gzip(self, _: str) -> None:
        self.answer(200, gzip.compress(bytes(10_000_000)), **{"Content-Encoding": "gzip"})

    def give_endless(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(65536))
        except OSError:  # the client has had enough
            pass

    def give_drip(self, _: str) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            pass

    def give_late(self, rest: str) -> None:
        """Its redirects come late, and never all at once."""
        hops = int(rest)
        time.sleep(0.6)
        self.answer(302, b"", Location=f"/late/{hops - 1}") if hops else self.answer(200, PICTURE)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def quiet() -> None:
    pass


def fetch(uri: str, sha256: bytes | None = None, **limits: Any) -> bytes:
    return Fetcher(Limits(**limits)).fetch(Attachment("image", uri, sha256), quiet).data


def over_http(port: int, path: str, **limits: Any) -> bytes:
    allow = (f"http://127.0.0.1:{port}/",)
    return fetch(f"http://127.0.0.1:{port}/{path}", allow=allow, **{"private_networks": LOOPBACK} | limits)


def test_an_allowed_address_is_fetched_and_hashed(port: int) -> None:
    assert over_http(port, "picture") == PICTURE
    medium = Fetcher(Limits(allow=(f"http://127.0.0.1:{port}/",), private_networks=LOOPBACK)).fetch(
        Attachment("image", f"http://127.0.0.1:{port}/picture", hashlib.sha256(PICTURE).digest()), quiet
    )
    assert medium.sha256 == hashlib.sha256(PICTURE).digest()


def test_another_file_than_the_producer_hashed_is_refused() -> None:
    with pytest.raises(MediaError, match="SHA-256"):
        fetch("data:,hello", bytes(32))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_a_private_machine_is_not_reached_even_where_its_name_is_allowed(port: int, host: str) -> None:
    """However loopback is written: the connection is what is checked, not the spelling."""
    with pytest.raises(MediaError, match=r"not public|can't be fetched"):
        fetch(f"http://{host}:{port}/picture", allow=(f"http://{host}:{port}/",))


def test_a_name_that_answers_differently_the_second_time_gains_nothing(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: a public address when looked at, a private one when connected to. Every answer is checked."""
    real, asked = socket.getaddrinfo, list[str]()

    def rebinding(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "rebind.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        address = "127.0.0.1" if len(asked) > 1 else "93.184.215.14"
        return real(address, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    fetcher = Fetcher(Limits(allow=(f"http://rebind.example:{port}/",), timeout_seconds=0.5))
    for _ in range(3):  # the first goes to the public address, which isn't there; the others meet the private one
        with pytest.raises(MediaError):
            fetcher.fetch(Attachment("image", f"http://rebind.example:{port}/picture"), quiet)
    assert len(asked) >= 2


def test_one_private_address_among_public_ones_refuses_the_name(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def mixed(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host != "mixed.example":
            return real(host, *args, **kwargs)
        return [*real("93.184.215.14", *args, **kwargs), *real("169.254.169.254", *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", mixed)
    with pytest.raises(MediaError, match="not public"):
        fetch(f"http://mixed.example:{port}/picture", allow=(f"http://mixed.example:{port}/",))


def redirect(port: int, to: str) -> str:
    return f"redirect/{base64.urlsafe_b64encode(to.encode()).decode()}"


@pytest.mark.parametrize(
    "to", ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "http://localhost:1/x", "gopher://x/"]
)
def test_a_redirect_is_an_address_of_its_own(port: int, to: str) -> None:
    with pytest.raises(MediaError, match="does not name"):
        over_http(port, redirect(port, to))


def test_a_redirect_within_the_list_is_followed_and_a_circle_is_not(port: int) -> None:
    assert over_http(port, redirect(port, "/picture")) == PICTURE
    circle = f"http://127.0.0.1:{port}/"
    for _ in range(3):
        circle = f"http://127.0.0.1:{port}/{redirect(port, circle)}"
    with pytest.raises(MediaError, match="redirects"):
        fetch(circle, allow=(f"http://127.0.0.1:{port}/",), private_networks=LOOPBACK)


def test_an_endless_body_ends_at_the_limit_of_size(port: int) -> None:
    with pytest.raises(MediaError, match="more than 1000000 bytes"):
        over_http(port, "endless", max_bytes=1_000_000)


def test_a_dripping_body_ends_at_the_limit_of_time(port: int) -> None:
    began = time.monotonic()
    with pytest.raises(MediaError, match="within"):
        over_http(port, "drip", timeout_seconds=0.5)
    assert time.monotonic() - began < 8  # not the ten seconds that the server takes


def test_redirects_do_not_start_the_time_anew(port: int) -> None:
    began = time.monotonic()
    with pytest.raises(MediaError, match="within 1 seconds"):
        over_http(port, "late/5", timeout_seconds=1, max_redirects=5)
    assert time.monotonic() - began < 1.3


@pytest.mark.parametrize("path", ["drip", "late/1"])
def test_whoever_waits_gives_signs_of_life(port: int, path: str) -> None:
    """Also before the first byte."""
    signs = list[float]()
    limits = Limits(allow=(f"http://127.0.0.1:{port}/",), private_networks=LOOPBACK, timeout_seconds=1)
    with pytest.raises(MediaError):
        Fetcher(limits).fetch(
            Attachment("image", f"http://127.0.0.1:{port}/{path}"), lambda: signs.append(time.monotonic())
        )
    assert len(signs) > 8
    assert max(after - before for before, after in pairwise(signs)) < 0.5


def test_a_compressed_body_is_refused_unread(port: int) -> None:
    with pytest.raises(MediaError, match="compressed"):
        over_http(port, "gzip")


@pytest.mark.parametrize(
    "uri",
    [
        "http://cdn.example.com.evil.com/pub/a",
        "http://cdn.example.com@evil.com/pub/a",
        "http://user@cdn.example.com/pub/a",
        "http://cdn.example.com:8080/pub/a",
        "https://cdn.example.com/pub/a",
        "http://cdn.example.com/pub/../secret",
        "http://cdn.example.com/pub/%2e%2e/secret",
        "http://cdn.example.com/pub/%252e%252e/secret",
        "http://cdn.example.com/pub\\..\\secret",
        "http://cdn.example.com/pub/a\r\nHost: evil",
        "simplecache::http://cdn.example.com/pub/a",
        "http://cdn.example.com/pub/..;/secret",
        "http://cdn.example.com/pub/..%3b/secret",
        "http://cdn.example.com/pub/a::http://169.254.169.254/latest/meta-data",
        "http://cdn.example.com/pub/a%3a%3ahttp://169.254.169.254/latest/meta-data",
        "http://[::1/pub/a",
        "http://cdn.example.com:99999/pub/a",
        "//cdn.example.com/pub/a",
        "",
    ],
)
def test_what_only_looks_like_an_allowed_address_is_refused(uri: str) -> None:
    with pytest.raises(MediaError):
        checked(uri, ("http://cdn.example.com/pub/",))


def test_an_allowed_address_passes_whatever_its_case_and_port_are_written_like() -> None:
    assert checked("HTTP://CDN.example.com:80/pub/a?token=1", ("http://cdn.example.com/pub/",)).port == 80


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "127.0.0.1", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1",
     "2002:a00:1::", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "64:ff9b:1::808:808", "fec0::1", "::a9fe:a9fe",
     "::ffff:8.8.8.8", "nonsense"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_allowed(address, ())


def test_public_addresses_and_networks_of_ones_own() -> None:
    assert is_allowed("93.184.215.14", ())
    assert is_allowed("2606:2800:21f:cb07:6820:80da:af6b:8b2c", ())
    own = Limits(private_networks=("10.1.0.0/16",)).private_networks
    assert is_allowed("64:ff9b::808:808", ())
    assert is_allowed("10.1.2.3", own)
    assert not is_allowed("10.2.2.3", own)


def test_an_address_that_wraps_others_passes_only_if_each_of_them_does() -> None:
    """Teredo names a server and, inverted, a client: here 10.1.2.3 and 169.254.169.254, or 10.1.2.4."""
    own = Limits(private_networks=("10.1.0.0/16", "2001::/32")).private_networks
    assert not is_allowed("2001:0:a01:203:0:0:5601:5601", own)
    assert is_allowed("2001:0:a01:203:0:0:f5fe:fdfb", own)


def test_files_are_read_below_an_allowed_folder_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "media", tmp_path / "secret"
    inside.mkdir()
    outside.write_bytes(b"secret")
    (inside / "a.png").write_bytes(PICTURE)
    (inside / "link").symlink_to(outside)
    (inside / "link-within").symlink_to(inside / "a.png")
    os.mkfifo(inside / "pipe")
    read = partial(fetch, allow=(f"file://{inside}/",))
    assert read(f"file://{inside}/a.png") == read(f"file://{inside}/link-within") == PICTURE
    for name in ("link", "pipe", "", "absent", "../secret"):
        with pytest.raises(MediaError):
            read(f"file://{inside}/{name}")
    with pytest.raises(MediaError):
        read(f"file://{outside}")


def test_any_store_that_fsspec_knows_serves(tmp_path: Path) -> None:
    """Here a local folder under another scheme; s3, gs and abfs go the same way."""
    (tmp_path / "a").write_bytes(PICTURE)
    assert fetch(f"local://{tmp_path}/a", allow=("local://" + str(tmp_path) + "/",)) == PICTURE
    with pytest.raises(MediaError, match="FileNotFoundError"):
        fetch(f"local://{tmp_path}/b", allow=("local://" + str(tmp_path) + "/",))
    with pytest.raises(MediaError, match="more than 10 bytes"):
        fetch(f"local://{tmp_path}/a", allow=("local://" + str(tmp_path) + "/",), max_bytes=10)


def test_a_store_reads_no_address_within_another(port: int, tmp_path: Path) -> None:
    """fsspec would open what stands behind `::`, wherever in the address that is."""
    with counted(port) as asked, pytest.raises(MediaError):
        fetch(f"simplecache://{tmp_path}/a?x=::http://127.0.0.1:{port}/picture", allow=(f"simplecache://{tmp_path}/",))
    assert asked == []


@pytest.mark.parametrize(
    ("uri", "data"),
    [("data:,a%20b", b"a b"), ("data:image/png;base64,aGk=", b"hi"), ("DATA:;BASE64,aGk=", b"hi"), ("data:,", b"")],
)
def test_data_uris(uri: str, data: bytes) -> None:
    assert fetch(uri) == data


@pytest.mark.parametrize(
    "uri",
    [
        "data:",
        "data:;base64,a",
        "data:;base64,!!!!",
        "data:," + "a" * 11,
        "data:," + "%41" * 20,
        f"data:;x={'a' * 300},",
    ],
)
def test_data_uris_that_are_none_or_too_large(uri: str) -> None:
    with pytest.raises(MediaError):
        fetch(uri, max_bytes=10)


@pytest.mark.parametrize("allow", ["https://cdn.example.com", "cdn.example.com/", "https:///", "https:/x/"])
def test_an_entry_of_the_list_must_be_whole(allow: str) -> None:
    """`https://cdn.example` without a slash would allow https://cdn.example.evil.com."""
    with pytest.raises(ValueError, match="scheme://host/"):
        Limits(allow=(allow,))


def test_nothing_is_fetched_that_is_not_allowed(port: int) -> None:
    with pytest.raises(MediaError, match=r"media\.allow"):
        fetch(f"http://127.0.0.1:{port}/picture")


@contextmanager
def counted(port: int) -> Iterator[list[str]]:
    """Paths that the server was asked for."""
    asked = list[str]()
    original = Server.do_GET

    def counting(self: Server) -> None:
        asked.append(self.path)
        original(self)

    Server.do_GET = counting  # type: ignore[method-assign]
    yield asked
    Server.do_GET = original  # type: ignore[method-assign]


def test_detectors_that_look_at_one_attachment_fetch_it_once(port: int) -> None:
    fetcher = Fetcher(Limits(allow=(f"http://127.0.0.1:{port}/",), private_networks=LOOPBACK))
    with counted(port) as asked:
        for _ in range(3):
            fetcher.fetch(Attachment("image", f"http://127.0.0.1:{port}/picture"), quiet)
    assert asked == ["/picture"]


def test_what_is_remembered_is_bounded_whatever_addresses_strangers_make(tmp_path: Path) -> None:
    """An address may be far longer than its file; and Python keeps what it parsed."""
    (tmp_path / "a").write_bytes(b"")
    fetcher = Fetcher(Limits(allow=(f"file://{tmp_path}/",)))
    tracemalloc.start()
    for number in range(100):
        for start in (f"file://{tmp_path}/a?", "data:;x="):
            with suppress(MediaError):
                fetcher.fetch(Attachment("image", f"{start}{number}{'x' * 900_000},"), quiet)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 5_000_000
    remembered = Remembered()
    for number in range(10):
        remembered.add(str(number) + "x" * (MOST_BYTES // 4), Medium(b"", bytes(32)))
    assert len(remembered) < 4
    for number in range(MOST_FILES + 10):
        remembered.add(str(number), Medium(b"", bytes(32)))
    assert len(remembered) == MOST_FILES
    assert remembered.get("9") is None
    assert remembered.get("10") is not None
