"""One attempt: bounded in time and size, to an address that may be reached and no other."""

from __future__ import annotations

import asyncio
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import recovery
from python.webhooks.receiver import LOOPBACK, Answer, Got, Receiver
from recovery.webhooks.address import network
from recovery.webhooks.sender import Attempt, Sender, check_url

ALLOW = [network(each) for each in LOOPBACK]


class Names:
    """A resolver whose answers a test gives; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def send(url: str, body: bytes = b"{}", **options: Any) -> Attempt:
    settings: dict[str, Any] = {"allow": ALLOW, "timeout": 5.0, **options}
    sender = {key: settings.pop(key) for key in ("resolver", "verify") if key in settings}
    async with Sender(**sender) as one:
        return await one.send(url, {"webhook-id": "1"}, body, **settings)


async def test_what_is_sent() -> None:
    with Receiver() as receiver:
        attempt = await send(f"{receiver.url}?a=b%20c", b'{"a": 1}')
    [got] = receiver.got
    assert (attempt.status, attempt.error, attempt.address) == (204, None, "127.0.0.1")
    assert (got.path, got.body) == ("/hook?a=b%20c", b'{"a": 1}')
    assert got.headers["webhook-id"] == "1"
    assert got.headers["Content-Type"] == "application/json"
    assert got.headers["User-Agent"].startswith("pg-recovery/")
    assert got.headers["Host"] == f"127.0.0.1:{receiver.port}"


@pytest.mark.parametrize("status", [200, 201, 202, 299])
async def test_any_2xx_is_taken(status: int) -> None:
    with Receiver(lambda _: (status, {}, b"thanks")) as receiver:
        assert (await send(receiver.url)).error is None


@pytest.mark.parametrize("status", [400, 404, 410, 429, 500, 503])
async def test_anything_else_is_not(status: int) -> None:
    with Receiver(lambda _: (status, {"Retry-After": "7"}, b"no\x1b[31m\nway")) as receiver:
        attempt = await send(receiver.url)
    assert attempt.status == status
    assert attempt.error is not None
    assert attempt.error.startswith(f"answered {status} ")
    assert attempt.error.endswith(": no?[31m way")
    assert attempt.retry_after == 7


async def test_a_redirect_is_not_followed() -> None:
    with Receiver() as inner:
        for location in (inner.url, "http://169.254.169.254/latest/meta-data"):
            to = {"Location": location}
            with Receiver(lambda _, to=to: (307, to, b"")) as receiver:
                attempt = await send(receiver.url)
            assert attempt.status == 307
            assert "redirects are not followed" in str(attempt.error)
        assert inner.got == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "2130706433",
        "017700000001",
        "localhost",
        "localhost.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
    ],
)
async def test_a_private_address_is_not_reached_however_it_is_written(host: str) -> None:
    with Receiver() as receiver:
        for scheme in ("http", "https"):
            attempt = await send(f"{scheme}://{host}:{receiver.port}/", allow=[])
            assert attempt.status is None
            assert str(attempt.error).startswith("not sent: "), attempt
        assert receiver.connections == 0


@pytest.mark.parametrize(
    "answers",
    [
        ["127.0.0.1"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["10.0.0.1", "169.254.169.254"],
        ["64:ff9b::7f00:1"],
        ["fe80::1%lo"],
    ],
)
async def test_a_name_that_stands_for_a_private_address(answers: list[str]) -> None:
    names = Names(answers)
    with Receiver() as receiver:
        url = f"https://hook.test:{receiver.port}/"
        attempt = await send(url, allow=[], resolver=names)
        assert receiver.connections == 0
    assert str(attempt.error).startswith("not sent: ")
    assert names.asked == [("hook.test", receiver.port)]


async def test_a_name_is_resolved_once() -> None:
    """Else the second answer, which nobody has looked at, would be the one that counts."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    with Receiver() as receiver:
        url = f"http://hook.test:{receiver.port}/"
        attempt = await send(url, resolver=names)
    assert attempt.address == "127.0.0.1"
    assert len(names.asked) == 1
    assert receiver.got[0].headers["Host"] == f"hook.test:{receiver.port}"


async def test_of_several_addresses_only_those_that_may_be_reached() -> None:
    with Receiver() as receiver:
        url = f"http://hook.test:{receiver.port}/"
        # Nobody listens on the second one: the third is tried.
        names = Names(["10.0.0.1", "127.0.0.2", "127.0.0.1"])
        attempt = await send(url, resolver=names)
    assert (attempt.status, attempt.address) == (204, "127.0.0.1")


async def test_without_tls_only_where_it_is_allowed() -> None:
    attempt = await send("http://hook.test/", resolver=Names(["93.184.216.34"]))
    assert attempt.error == "not sent: 93.184.216.34 can't be reached without TLS"


async def test_a_name_that_nobody_knows() -> None:
    class Unknown(Names):
        async def __call__(self, host: str, port: int) -> Sequence[str]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    attempt = await send("https://nowhere.test/", resolver=Unknown())
    assert attempt.error == (
        "not sent: the name nowhere.test can't be resolved: Name or service not known"
    )
    assert "no address" in str((await send("https://empty.test/", resolver=Names([]))).error)


async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    attempt = await send(f"http://127.0.0.1:{port}/")
    assert (attempt.status, attempt.error) == (None, "connection refused")


async def test_who_hangs_up() -> None:
    with Receiver(lambda _: None) as receiver:
        attempt = await send(receiver.url)
    assert attempt.status is None
    assert attempt.error


async def test_who_does_not_answer_in_time() -> None:
    go_on = threading.Event()

    def wait(_: Got) -> Answer:
        go_on.wait(20)
        return 204, {}, b""

    with Receiver(wait) as receiver:
        attempt = await send(receiver.url, timeout=0.3)
        go_on.set()
    assert (attempt.status, attempt.error) == (None, "no answer within 0.3 s")
    assert attempt.seconds < 2


class Dripping:
    """A receiver that sends a byte every 50 ms, for ever, after what `begin` says."""

    def __init__(self, begin: bytes) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._begin = begin
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        link, _ = self._listening.accept()
        with link:
            link.recv(10_000)
            try:
                link.sendall(self._begin)
                while True:
                    time.sleep(0.05)
                    link.sendall(b"x")
            except OSError:
                pass

    def close(self) -> None:
        self._listening.close()


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Long: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    ],
    ids=["status", "header", "body"],
)
async def test_a_drop_at_a_time_does_not_stretch_the_timeout(begin: bytes) -> None:
    dripping = Dripping(begin)
    try:
        attempt = await send(f"http://127.0.0.1:{dripping.port}/", timeout=0.5)
    finally:
        dripping.close()
    # A status that was read is no answer yet: the receiver may still fail.
    assert attempt.error
    assert attempt.seconds < 3


async def test_a_slow_resolver_counts_too() -> None:
    class Slow(Names):
        async def __call__(self, host: str, port: int) -> Sequence[str]:
            await asyncio.sleep(30)
            return []

    attempt = await send("https://hook.test/", resolver=Slow(), timeout=0.2)
    assert attempt.error == "no answer within 0.2 s"


async def test_a_long_answer_is_not_read_to_its_end() -> None:
    huge = gzip.compress(b"\0" * 50_000_000)
    with Receiver(lambda _: (500, {"Content-Encoding": "gzip"}, huge)) as receiver:
        attempt = await send(receiver.url)
    assert attempt.status == 500
    assert len(str(attempt.error)) < 400


async def test_connections_are_kept_and_cookies_are_not() -> None:
    with Receiver(lambda _: (200, {"Set-Cookie": "a=b; Path=/"}, b"")) as receiver:
        async with Sender() as sender:
            for _ in range(5):
                await sender.send(receiver.url, {}, b"{}", allow=ALLOW)
    assert len(receiver.got) == 5
    assert receiver.connections == 1
    assert not any("Cookie" in got.headers for got in receiver.got)


async def test_proxies_of_the_environment_are_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as proxy, Receiver() as receiver:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await send(receiver.url)).status == 204
        assert proxy.connections == 0


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and a certificate and key of one.test and two.test each."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*args: str) -> None:
        subprocess.run(["openssl", *args], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    openssl(
        *("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign"),
    )
    for name in ("one", "two"):
        request = ["-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}.test"]
        openssl("req", *key[:-2], *request)
        (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{name}.test\n")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key"),
            *("-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem"),
        )
    return folder


def identity(authority: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / f"{name}.pem", authority / f"{name}.key")
    return context


async def test_tls_is_checked_against_the_name(authority: Path) -> None:
    trust = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    names = Names(["127.0.0.1"])
    with Receiver(tls=identity(authority, "one")) as receiver:
        one, two = (f"https://{name}.test:{receiver.port}/" for name in ("one", "two"))
        assert (await send(one, resolver=names, verify=trust)).status == 204
        wrong = await send(two, resolver=names, verify=trust)
        assert "certificate can't be trusted" in str(wrong.error)
        assert "two.test" in str(wrong.error)
        unknown = await send(one, resolver=names)  # by the usual authorities
        assert "certificate can't be trusted" in str(unknown.error)
        bare = await send(f"https://127.0.0.1:{receiver.port}/", verify=trust)
        assert "certificate can't be trusted" in str(bare.error)
    assert len(receiver.got) == 1


async def test_a_connection_serves_no_other_name(authority: Path) -> None:
    """Two names of one address: the certificate of the first says nothing about the second."""
    trust = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    with Receiver(tls=identity(authority, "one")) as receiver:
        async with Sender(resolver=Names(["127.0.0.1"]), verify=trust) as sender:
            for _ in range(2):
                url = f"https://one.test:{receiver.port}/"
                assert (await sender.send(url, {}, b"{}", allow=ALLOW)).status == 204
            url = f"https://two.test:{receiver.port}/"
            assert (await sender.send(url, {}, b"{}", allow=ALLOW)).status is None
    assert len(receiver.got) == 2


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("example.com/hook", "must be https"),
        ("ftp://example.com/", "must be https"),
        ("https:///hook", "must be https"),
        ("https://example.com:99999/", "can't be read"),
        ("https://example.com:0/", "no port"),
        ("https://[::1/", "can't be read"),
        ("https://127.0.0.1/", "127.0.0.1 is loopback"),
        ("https://[::ffff:10.0.0.1]/", "10.0.0.1"),
    ],
)
def test_urls_that_cannot_work_are_told_at_once(url: str, says: str) -> None:
    with pytest.raises(recovery.InvalidArgument, match=says):
        check_url(url)


def test_urls_that_can() -> None:
    check_url("https://example.com/hook?a=b")
    check_url("http://127.0.0.1:8000/", ALLOW)
    check_url("https://münchen.example/")
