"""Signatures, against the example of the standard and against openssl."""

from __future__ import annotations

import base64
import secrets
import shutil
import subprocess
from pathlib import Path

import pytest

import recovery
from recovery import webhooks
from recovery.webhooks.signature import signed

# The example that the libraries of Standard Webhooks test themselves with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def new_secret(size: int = 32) -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(size)).decode()


def by_openssl(folder: Path, secret: str, id_: str, at: int, body: bytes) -> str:
    """The same by a program that shares nothing with ours."""
    key = base64.b64decode(secret.removeprefix("whsec_")).hex()
    path = folder / "said"
    path.write_bytes(f"{id_}.{at}.".encode() + body)
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{key}", "-binary"]
    done = subprocess.run([*command, str(path)], capture_output=True, check=True)
    return "v1," + base64.b64encode(done.stdout).decode()


def test_the_example_of_the_standard() -> None:
    assert webhooks.sign(SECRET, ID, AT, BODY) == SIGNATURE
    headers = signed([SECRET], ID, AT, BODY)
    assert headers == {
        "webhook-id": ID,
        "webhook-timestamp": str(AT),
        "webhook-signature": SIGNATURE,
    }
    assert webhooks.verify(SECRET, headers, BODY, now=AT + 299) == ID


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")
@pytest.mark.parametrize("size", [24, 32, 64])
def test_openssl_comes_to_the_same(tmp_path: Path, size: int) -> None:
    secret, body = new_secret(size), secrets.token_bytes(1000)
    assert webhooks.sign(secret, "1-a", AT, body) == by_openssl(tmp_path, secret, "1-a", AT, body)


def test_while_it_is_rotated_either_secret_will_do() -> None:
    old, new = new_secret(), new_secret()
    headers = signed([new, old], ID, AT, BODY)
    assert len(headers["webhook-signature"].split()) == 2
    for known in (old, new, [old, new], [new_secret(), old]):
        assert webhooks.verify(known, headers, BODY, now=AT) == ID
    with pytest.raises(recovery.errors.SignatureInvalid):
        webhooks.verify(new_secret(), headers, BODY, now=AT)
    with pytest.raises(recovery.errors.SignatureInvalid):
        webhooks.verify(old, signed([new], ID, AT, BODY), BODY, now=AT)


def test_what_is_refused() -> None:
    headers = signed([SECRET], ID, AT, BODY)
    bad = [
        ({**headers, "webhook-id": "other"}, BODY, AT),
        ({**headers, "webhook-timestamp": str(AT + 1)}, BODY, AT),
        ({**headers, "webhook-timestamp": "now"}, BODY, AT),
        ({**headers, "webhook-signature": ""}, BODY, AT),
        ({**headers, "webhook-signature": "v1," + "ä" * 40}, BODY, AT),
        ({**headers, "webhook-signature": SIGNATURE.replace("v1,", "v2,")}, BODY, AT),
        (headers, BODY + b" ", AT),
        (headers, BODY, AT + 301),
        (headers, BODY, AT - 301),
        ({name: headers[name] for name in list(headers)[:2]}, BODY, AT),
    ]
    for given, body, now in bad:
        with pytest.raises(recovery.errors.SignatureInvalid):
            webhooks.verify(SECRET, given, body, now=now)
    shouting = {name.upper(): value for name, value in headers.items()}
    assert webhooks.verify(SECRET, shouting, BODY, now=AT) == ID


def test_a_secret_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(recovery.InvalidArgument) as caught:
        webhooks.sign("whsec_very$secret", ID, AT, BODY)
    assert "very" not in str(caught.value)
