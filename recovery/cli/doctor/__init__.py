"""`recovery doctor`: what is wrong, what to type, and what it repairs itself."""

from __future__ import annotations
