"""What is asked before anything is fetched: whether the address is on the list, and the machine a public one.

An event is written by a stranger, and so is the address in it. Without these checks whoever writes a comment could
make the worker read a cloud's metadata service, an internal admin page or a local file (OWASP: server-side request
forgery).
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias
from urllib.parse import SplitResult, unquote, urlsplit

from detectors.media.errors import MediaError
from detectors.media.limits import IpNetwork

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Final = {"http": 80, "https": 443}
_LONGEST: Final = 8192  # characters: more than servers take; Python remembers the last addresses it parsed
# What some reader cuts a path at, or decodes once more: "..;" is ".." to Tomcat, "::" leads on to another address.
_ODD: Final = ("%", "\\", "\0", ";", "::")
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # all that is given out; Python calls some of the rest global
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


def checked(uri: str, allow: Sequence[str]) -> SplitResult:
    """The parts of an address that begins as one on the list does.

    Raises:
        MediaError: it does not, or is written so that two readers could understand two things.
    """
    if len(uri) > _LONGEST:
        raise MediaError("an address longer than any is")
    if any(ord(c) <= 32 or ord(c) == 127 or c == "\\" for c in uri):
        raise MediaError("an address with blanks, control characters or backslashes")
    parts = _split(uri)
    if parts.username is not None or parts.password is not None:
        raise MediaError("an address with a user name")
    path = unquote(parts.path)
    if any(step in {".", ".."} for step in path.split("/")) or any(odd in path for odd in _ODD):
        raise MediaError("an address whose path leads elsewhere than it seems")
    if not any(_begins(parts, path, _split(each)) for each in allow):
        raise MediaError("an address that media.allow does not name")
    return parts


def is_allowed(address: str, networks: Iterable[IpNetwork]) -> bool:
    """Whether an IP address (in text) is public, or in one of the networks that may be fetched from all the same.

    An IPv6 address that wraps others (mapped, 6to4, Teredo, NAT64) passes only if each of them does.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return all(_is_public(each) or any(each in network for network in networks) for each in (ip, *_wrapped(ip)))


def _is_public(ip: _Address) -> bool:
    given_out = ip.version == 4 or ip in _UNICAST or ip in _NAT64
    return given_out and ip.is_global and not ip.is_multicast


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise MediaError("not an address") from None
    return parts


def _begins(parts: SplitResult, path: str, allowed: SplitResult) -> bool:
    same = (parts.scheme, parts.hostname, _port(parts)) == (allowed.scheme, allowed.hostname, _port(allowed))
    return same and path.startswith(unquote(allowed.path))


def _port(parts: SplitResult) -> int | None:
    return parts.port or _PORTS.get(parts.scheme)


def _wrapped(ip: _Address) -> list[ipaddress.IPv4Address]:
    if not isinstance(ip, ipaddress.IPv6Address):
        return []
    teredo = ip.teredo or (None, None)
    nat64 = ipaddress.IPv4Address(ip.packed[12:]) if ip in _NAT64 else None
    return [each for each in (ip.ipv4_mapped, ip.sixtofour, *teredo, nat64) if each is not None]
