"""``python -m recovery.cli``."""

from __future__ import annotations

from recovery.cli.main import main

if __name__ == "__main__":
    main()
