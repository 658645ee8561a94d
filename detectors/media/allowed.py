"""What is asked before anything is fetched: whether the address is on the list, and the machine a public one.

An event is written by a stranger, and so is the address in it. Without these checks whoever writes a comment could
make the worker read a cloud's metadata service, an internal admin page or a local file (OWASP: server-side request
forgery).
"""

import ipaddress
from collections.abc import Iterable, Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from detectors.media.errors import MediaError
from detectors.media.limits import IpNetwork

_PORTS = {"http": 80, "https": 443}


def checked(uri: str, allow: Sequence[str]) -> SplitResult:
    """The parts of an address that begins as one on the list does.

    Raises:
        MediaError: it does not, or is written so that two readers could understand two things.
    """
    if any(ord(c) <= 32 or ord(c) == 127 or c == "\\" for c in uri):
        raise MediaError("an address with blanks, control characters or backslashes")
    parts = _split(uri)
    if parts.username is not None or parts.password is not None:
        raise MediaError("an address with a user name")
    path = unquote(parts.path)
    if "%" in path or any(step in {".", ".."} for step in path.split("/")) or "\\" in path or "\0" in path:
        raise MediaError("an address whose path leads elsewhere than it seems")
    if not any(_begins(parts, path, _split(each)) for each in allow):
        raise MediaError("an address that media.allow does not name")
    return parts


def is_allowed(address: str, networks: Iterable[IpNetwork]) -> bool:
    """Whether an IP address (in text) is public, or in one of the networks that may be fetched from all the same.

    IPv6 addresses that wrap an IPv4 one (mapped, 6to4, Teredo, NAT64) are judged by that one as well.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _wrapped(ip)
    if any(each.version == network.version and each in network for each in (ip, *inner) for network in networks):
        return True
    return all(each.is_global and not each.is_multicast for each in (ip, *inner))


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


def _wrapped(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    if not isinstance(ip, ipaddress.IPv6Address):
        return []
    teredo = ip.teredo or (None, None)
    nat64 = ipaddress.IPv4Address(ip.packed[12:]) if ip in ipaddress.IPv6Network("64:ff9b::/96") else None
    return [each for each in (ip.ipv4_mapped, ip.sixtofour, *teredo, nat64) if each is not None]
