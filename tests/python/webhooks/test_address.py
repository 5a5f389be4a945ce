"""Which addresses may be reached: by the registries of IANA, and by what they wrap."""

from __future__ import annotations

import pytest

from recovery.webhooks.address import Refused, check, network

PUBLIC = [
    "1.1.1.1",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:80b::200e",
    "::ffff:1.1.1.1",
    "64:ff9b::101:101",
    "2002:101:101::1",
]
PRIVATE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert str(check(address))


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address: str) -> None:
    with pytest.raises(Refused, match=r" is \w+"):
        check(address)
    with pytest.raises(Refused):
        check(address, [network("203.0.114.0/24"), network("2001:db9::/32")])


@pytest.mark.parametrize(
    ("address", "net"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3"),
        ("::1", "::1"),
        ("fd00::1", "fd00::/8"),
        ("::ffff:127.0.0.1", "127.0.0.0/8"),
        ("2002:a00:1::1", "10.0.0.0/8"),
    ],
)
def test_what_is_allowed(address: str, net: str) -> None:
    assert check(address, [network(net)])


def test_what_is_allowed_is_not_its_neighbour() -> None:
    with pytest.raises(Refused, match=r"10\.1\.0\.1 is private"):
        check("10.1.0.1", [network("10.0.0.0/16")])


@pytest.mark.parametrize(
    "text", ["", "localhost", "1.2.3", "127.1", "0x7f000001", "1.1.1.1/8", "::g"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(Refused, match="no address"):
        check(text)


@pytest.mark.parametrize("text", ["10.0.0.1/8", "private", "", "10.0.0.0/33"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        network(text)
