"""Webhooks: events as signed HTTP requests, at least once.

    from recovery import webhooks

    secret = webhooks.add(engine, "mailer", "https://example.com/hook", kind="closed")
    with webhooks.deliver(engine):  # here, or in any other process: `recovery webhooks run`
        ...

Requests follow Standard Webhooks 1.0; a receiver in Python checks them with `verify`.
"""

from __future__ import annotations

from recovery.calls.webhook import DeadLetter, Webhook
from recovery.webhooks.dispatcher import Dispatcher, deliver
from recovery.webhooks.registering import (
    aadd,
    add,
    adead_letters,
    apause,
    aredeliver,
    aremove,
    aresume,
    arotate,
    asend_test,
    astatus,
    dead_letters,
    pause,
    redeliver,
    remove,
    resume,
    rotate,
    send_test,
    status,
)
from recovery.webhooks.sender import Attempt
from recovery.webhooks.signature import sign, verify

__all__ = [
    "Attempt",
    "DeadLetter",
    "Dispatcher",
    "Webhook",
    "aadd",
    "add",
    "adead_letters",
    "apause",
    "aredeliver",
    "aremove",
    "aresume",
    "arotate",
    "asend_test",
    "astatus",
    "dead_letters",
    "deliver",
    "pause",
    "redeliver",
    "remove",
    "resume",
    "rotate",
    "send_test",
    "sign",
    "status",
    "verify",
]
