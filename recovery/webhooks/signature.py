"""Signatures as Standard Webhooks 1.0 has them: HMAC-SHA256 over id, timestamp and body.

    webhook-id: 12-19abc
    webhook-timestamp: 1764182313
    webhook-signature: v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=

Pure: no clock but the caller's, no database.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

from recovery.errors import InvalidArgument, SignatureInvalid

__all__ = ["sign", "signed", "verify"]

_PREFIX = "whsec_"


def _key(secret: str) -> bytes:
    text = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        # Never the secret itself: messages are logged.
        raise InvalidArgument("the secret of a webhook is whsec_ and base64")
    return key


def sign(secret: str, id_: str, timestamp: int, body: bytes) -> str:
    """One signature: ``v1,<base64>``."""
    said = b".".join((id_.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(_key(secret), said, hashlib.sha256)).decode()


def signed(secrets: Sequence[str], id_: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery, signed with each secret."""
    return {
        "webhook-id": id_,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(sign(one, id_, timestamp, body) for one in secrets),
    }


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = 300.0,
    now: float | None = None,
) -> str:
    """Makes sure that a delivery comes from who knows the secret; for receivers in Python.

    Args:
        secret: one, or several while they are rotated.
        headers: of the request, in any case.
        body: of the request, byte for byte as it came.
        tolerance: seconds by which its time may differ from ours: older ones may have been
            recorded and sent again.
        now: seconds since 1970; by default the clock's.

    Returns:
        The id of the delivery, to drop duplicates by.

    Raises:
        SignatureInvalid: a header is missing, it is too old, or no signature fits.
        InvalidArgument: the secret can't be read (RC010).
    """
    found = {name.lower(): value for name, value in headers.items()}
    try:
        id_, said = found["webhook-id"], found["webhook-timestamp"]
        signatures = found["webhook-signature"].split()
        timestamp = int(said)
    except KeyError as error:
        raise SignatureInvalid(f"the header {error.args[0]} is missing") from None
    except ValueError:
        raise SignatureInvalid("webhook-timestamp is no number") from None
    age = (time.time() if now is None else now) - timestamp
    if abs(age) > tolerance:
        raise SignatureInvalid(f"its time differs from ours by {abs(age):.0f} s")
    for one in [secret] if isinstance(secret, str) else secret:
        wanted = sign(one, id_, timestamp, body)
        if any(hmac.compare_digest(wanted.encode(), other.encode()) for other in signatures):
            return id_
    raise SignatureInvalid
