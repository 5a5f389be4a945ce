"""Which addresses a webhook may be sent to.

A URL is often given by somebody who may not reach our network, and what its name resolves to
is up to whoever holds the name. So a name is resolved once, each address is judged here, and
the connection is made to an address that has passed, not to the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

__all__ = ["Address", "Network", "Refused", "Resolver", "check", "judge", "network", "resolve"]

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

#: Takes a host and a port, gives its addresses as text.
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]


class Refused(Exception):
    """An address that may not be reached; the message says why."""


#: IANA's special-purpose registries, and what clouds keep for themselves. Python's own
#: `is_global` differs from release to release, so it is asked as well, and not instead.
_NAMED = {
    "0.0.0.0/8": "this host",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "private (a carrier's)",
    "127.0.0.0/8": "loopback",
    "168.63.129.16/32": "a cloud's own",
    "169.254.0.0/16": "link-local (a cloud's metadata)",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "reserved",
    "192.0.2.0/24": "reserved for documents",
    "192.88.99.0/24": "reserved (6to4)",
    "192.168.0.0/16": "private",
    "198.18.0.0/15": "reserved for benchmarks",
    "198.51.100.0/24": "reserved for documents",
    "203.0.113.0/24": "reserved for documents",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "::1/128": "loopback",
    "::/96": "reserved",
    "64:ff9b:1::/48": "private (NAT64)",
    "100::/64": "reserved",
    "2001::/23": "reserved",
    "2001:db8::/32": "reserved for documents",
    "3fff::/20": "reserved for documents",
    "5f00::/16": "reserved",
    "fc00::/7": "private",
    "fe80::/10": "link-local",
    "fec0::/10": "private (site-local)",
    "ff00::/8": "multicast",
}
_BLOCKED: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(text), what) for text, what in _NAMED.items()
)
_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_6TO4 = ipaddress.IPv6Network("2002::/16")


def network(text: str) -> Network:
    """A network such as 10.0.0.0/8; one address stands for itself.

    Raises:
        ValueError: it is none.
    """
    return ipaddress.ip_network(text.strip(), strict=True)


def check(address: str, allow: Iterable[Network] = ()) -> Address:
    """An address that may be reached.

    Args:
        address: as text; its scope (``%eth0``) does not count.
        allow: networks that may be reached whatever they are.

    Raises:
        Refused: it is no address, or a private one.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        raise Refused(f"{address[:60]!r} is no address") from None
    known = list(allow)
    for one in (found, *_inner(found)):
        if any(one.version == net.version and one in net for net in known):
            continue
        what = judge(one)
        if what is not None:
            said = f"{found}" if one == found else f"{found} ({one})"
            raise Refused(f"{said} is {what}")
    return found


def judge(address: Address) -> str | None:
    """What speaks against an address itself, not against what it wraps; None if it is public."""
    for net, what in _BLOCKED:
        if address.version == net.version and address in net:
            return what
    # Wrapped: what is in there is judged, by `check`.
    if any(True for _ in _inner(address)):
        return None
    if not address.is_global or address.is_multicast or address.is_reserved:
        return "not a public address"
    return None


def _inner(address: Address) -> Iterable[Address]:
    """The IPv4 address that an IPv6 one stands for."""
    if not isinstance(address, ipaddress.IPv6Address):
        return
    number = int(address)
    if address in _MAPPED or address in _NAT64:
        yield ipaddress.IPv4Address(number & 0xFFFFFFFF)
    elif address in _6TO4:
        yield ipaddress.IPv4Address((number >> 80) & 0xFFFFFFFF)


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, by the system.

    In a thread of its own: it can't be stopped, and whoever waits for it gives up before.

    Raises:
        OSError: there is none.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | BaseException) -> None:
        if future.done():
            return
        if isinstance(found, BaseException):
            future.set_exception(found)
        else:
            future.set_result(found)

    def work() -> None:
        found: list[str] | BaseException
        try:
            infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(info[4][0]) for info in infos))
        except Exception as error:  # UnicodeError, too: a label that is too long
            found = error if isinstance(error, OSError) else OSError(str(error))
        try:
            loop.call_soon_threadsafe(tell, found)
        except RuntimeError:
            pass  # nobody waits any more, the loop is closed

    threading.Thread(target=work, name="recovery-resolve", daemon=True).start()
    return await future
