"""HTTP for addresses that strangers write: a session that connects to nothing but what was checked.

Names are resolved by our own resolver, and the connection is made to the very addresses it let through: a name that
answers differently the second time (DNS rebinding) gains nothing. Redirects are never followed here, proxies and
cookies are not used, and a compressed body is refused, so that what is counted is what arrives.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from detectors.media.allowed import is_allowed
from detectors.media.errors import MediaError
from detectors.media.limits import IpNetwork


class GuardedResolver(AbstractResolver):
    """Resolves as the system does, and refuses a name as a whole if one of its addresses may not be fetched from."""

    def __init__(self, networks: Sequence[IpNetwork]) -> None:
        self._networks = tuple(networks)
        self._system = aiohttp.ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        """The name's addresses.

        Raises:
            MediaError: one of them is private, link-local or otherwise not public.
        """
        found = await self._system.resolve(host, port, family)
        if not all(is_allowed(each["host"], self._networks) for each in found):
            raise MediaError("a name that resolves to an address that is not public")
        return found

    async def close(self) -> None:
        """Nothing is kept open."""
        await self._system.close()


class GuardedConnector(aiohttp.TCPConnector):
    """aiohttp asks no resolver about a host that is an IP address, so those are checked here."""

    def __init__(self, networks: Sequence[IpNetwork]) -> None:
        super().__init__(resolver=GuardedResolver(networks), use_dns_cache=False, force_close=True)
        self._networks = tuple(networks)

    async def _resolve_host(self, host: str, port: int, traces: Any = None) -> list[ResolveResult]:
        found = await super()._resolve_host(host, port, traces)
        if not all(is_allowed(each["host"], self._networks) for each in found):
            raise MediaError("an address that is not public")
        return found


async def session(networks: Sequence[IpNetwork], timeout_seconds: float, **_: Any) -> aiohttp.ClientSession:
    """A session as fsspec's HTTP file system takes it (`get_client`)."""
    return aiohttp.ClientSession(
        connector=GuardedConnector(networks),
        timeout=aiohttp.ClientTimeout(total=timeout_seconds),
        cookie_jar=aiohttp.DummyCookieJar(loop=asyncio.get_running_loop()),
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    )
