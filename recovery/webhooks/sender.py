"""One attempt: a POST to an address that may be reached, with a bound on everything."""

from __future__ import annotations

import asyncio
import importlib.util
import ipaddress
import os
import re
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from recovery._version import VERSION
from recovery.errors import InvalidArgument
from recovery.webhooks.address import Network, Refused, Resolver, check, resolve

if TYPE_CHECKING:
    import httpx

__all__ = ["Attempt", "Sender", "check_url"]

#: Of an answer nothing is used but its status; its beginning is kept with a failure.
_MOST_READ = 16_384
#: Addresses of a name that are tried one after the other, at most.
_MOST_TRIED = 4
#: Seconds after which a host's connections are forgotten; no attempt lasts so long.
_IDLE = 600.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one delivery.

    Attributes:
        status: of the answer; None: there was none.
        error: why it counts as failed, in words; None: the receiver has taken it (2xx).
        seconds: how long it took.
        retry_after: seconds that the receiver wants us to wait before the next one.
        address: that was connected to.
    """

    status: int | None
    error: str | None
    seconds: float
    retry_after: float | None = None
    address: str | None = None


def check_url(url: str, allow: Sequence[Network] = ()) -> None:
    """Refuses a URL that can't work, or whose host is an address that may not be reached.

    Raises:
        InvalidArgument: says why (RC010).
    """
    # Somebody's password need not stand in a log, nor what is said of its parts.
    shown = re.sub(r"//.*@", "//***@", url)[:200]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise InvalidArgument(f"the URL {shown!r} can't be read") from None
    if parts.scheme not in ("http", "https") or not host:
        raise InvalidArgument(f"the URL {shown!r} must be https://host/path")
    if port == 0:
        raise InvalidArgument(f"the URL {shown!r} has no port that could be reached")
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return  # a name: what it stands for is judged when it is sent
    try:
        check(host, allow)
    except Refused as refused:
        raise InvalidArgument(
            f"a webhook can't be sent to {host}: {refused}",
            hint=f"if that is meant, allow its network, such as {host}",
        ) from None


class Sender:
    """Sends deliveries; enter it in the event loop that it works in.

    Names are resolved anew for each delivery. Connections are kept for a host and used for
    no other one, since a certificate is checked when they are made. There are no proxies,
    cookies or redirects.

    Args:
        resolver: how a name is resolved; by default as the system does it.
        verify: what certificates are checked by, if not the usual authorities.
    """

    def __init__(
        self, *, resolver: Resolver | None = None, verify: ssl.SSLContext | None = None
    ) -> None:
        if importlib.util.find_spec("httpx") is None:
            raise InvalidArgument(
                'webhooks need one more package: pip install "pg-recovery[webhooks]"'
            )
        self._resolve = resolver or resolve
        self._verify = verify
        self._clients: dict[tuple[str, str, int], httpx.AsyncClient] = {}
        self._used: dict[tuple[str, str, int], float] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def send(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        allow: Sequence[Network] = (),
        timeout: float = 15.0,
    ) -> Attempt:
        """Sends once; never raises because of the receiver.

        Args:
            url: where to.
            headers: in addition to what every request has.
            body: JSON.
            allow: networks that may be reached though they are private, and without TLS.
            timeout: seconds for all of it.
        """
        import httpx

        await self._forget()
        begun = time.monotonic()
        status: int | None = None
        address: str | None = None
        retry_after: float | None = None
        error: str | None
        try:
            async with asyncio.timeout(timeout):
                target = httpx.URL(url)
                port = target.port or (443 if target.scheme == "https" else 80)
                found = await self._addresses(target, port, allow)
                for address in found:
                    try:
                        status, retry_after, error = await self._post(
                            target, port, address, headers, body, timeout
                        )
                        break
                    except (httpx.ConnectError, httpx.ConnectTimeout):
                        if address == found[-1]:
                            raise
        except TimeoutError:
            error = f"no answer within {timeout:g} s"
        except Refused as refused:
            error = f"not sent: {refused}"
        except httpx.TimeoutException:
            error = f"no answer within {timeout:g} s"
        except httpx.InvalidURL as wrong:
            error = f"the URL can't be read: {wrong}"
        except (httpx.HTTPError, OSError, UnicodeError) as failure:
            error = _words(failure)
        error = None if error is None else error[:500].replace("\0", "?")
        return Attempt(status, error, time.monotonic() - begun, retry_after, address)

    async def _addresses(self, target: httpx.URL, port: int, allow: Sequence[Network]) -> list[str]:
        """The addresses of a URL that may be reached."""
        host = target.raw_host.decode("ascii").strip("[]")
        try:
            told: Sequence[str] = [str(ipaddress.ip_address(host))]
        except ValueError:
            try:
                told = await self._resolve(host, port)
            except OSError as error:
                raise Refused(
                    f"the name {host} can't be resolved: {error.strerror or error}"
                ) from None
        if not told:
            raise Refused(f"the name {host} has no address")
        # Without TLS anybody on the way reads along: only where it is allowed.
        only = None if target.scheme == "https" else allow
        found, why = [], ""
        for one in told:
            try:
                address = check(one, allow)
                if only is not None and not any(
                    address.version == net.version and address in net for net in only
                ):
                    raise Refused(f"{address} can't be reached without TLS")
            except Refused as refused:
                why = str(refused)
            else:
                found.append(str(address))
        if not found:
            raise Refused(why)
        return found[:_MOST_TRIED]

    async def _post(
        self,
        target: httpx.URL,
        port: int,
        address: str,
        headers: Mapping[str, str],
        body: bytes,
        timeout: float,
    ) -> tuple[int, float | None, str | None]:
        """The answer to one request, to an address."""
        host = target.raw_host.decode("ascii").strip("[]")
        client = self._client(target.scheme, host, port, timeout)
        # The name is for the certificate and for the receiver; it is not resolved again.
        extensions: dict[str, Any] = {} if host == address else {"sni_hostname": host}
        request = client.build_request(
            "POST",
            target.copy_with(host=address),
            content=body,
            headers={
                "Host": target.netloc.decode("ascii"),
                "Content-Type": "application/json",
                "User-Agent": f"pg-recovery/{VERSION}",
                "Accept-Encoding": "identity",
                **headers,
            },
            extensions=extensions,
            timeout=timeout,
        )
        response = await client.send(request, stream=True)
        try:
            answer = b""
            async for some in response.aiter_raw():
                answer += some
                if len(answer) > _MOST_READ:
                    break
        finally:
            await response.aclose()
        status = response.status_code
        if 200 <= status < 300:
            return status, None, None
        text = " ".join(answer[:300].decode("utf-8", "replace").split())
        text = "".join(c if c.isprintable() else "?" for c in text)
        said = f"answered {status}" + (
            f" {response.reason_phrase}" if response.reason_phrase else ""
        )
        if 300 <= status < 400:
            said += "; redirects are not followed"
        return (
            status,
            _retry_after(response.headers.get("retry-after")),
            said + (f": {text}" if text else ""),
        )

    def _client(self, scheme: str, host: str, port: int, timeout: float) -> httpx.AsyncClient:
        import httpx

        key = (scheme, host, port)
        self._used[key] = time.monotonic()
        if key not in self._clients:
            if scheme == "https" and self._verify is None:
                self._verify = httpx.create_ssl_context()
            self._clients[key] = httpx.AsyncClient(
                verify=self._verify or False,  # False: there is no TLS with http
                trust_env=False,  # a proxy would resolve the name once more
                follow_redirects=False,
                timeout=timeout,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
            )
        return self._clients[key]

    async def _forget(self) -> None:
        """Closes what no webhook has used for long; it may have been removed."""
        before = time.monotonic() - _IDLE
        for key in [key for key, used in self._used.items() if used < before]:
            del self._used[key]
            client = self._clients.pop(key, None)
            if client is not None:
                await client.aclose()


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, of the header of that name."""
    if value is None:
        return None
    try:
        wait = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except (TypeError, ValueError):
            return None
        wait = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return wait if 0 < wait < 1e9 else None


def _words(error: BaseException) -> str:
    """What went wrong, for people; the reason under httpx's own words if there is one."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"the certificate can't be trusted: {found.verify_message}"
        if isinstance(found, OSError) and found.errno:
            return os.strerror(found.errno).lower()  # asyncio's own words hold the address
        found = found.__cause__ or found.__context__
    return str(error) or type(error).__name__
