"""Prints each signal that it gets, and its child too; ends at SIGTERM, or after some SIGINTs."""

import os
import signal
import sys
import time

child = os.fork()
who = "parent" if child else "child"


def tell(number, frame):
    os.write(1, f"{who} {signal.Signals(number).name}\n".encode())
    if number == signal.SIGTERM:
        sys.exit(5)


for name in ("TERM", "INT", "HUP", "USR1", "USR2", "WINCH", "QUIT"):
    signal.signal(getattr(signal, f"SIG{name}"), tell)
os.write(1, f"{who} ready\n".encode())
while True:
    time.sleep(60)
