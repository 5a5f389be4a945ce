"""What a command is to be found by, and what its environment says."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

__all__ = ["NOT_EXECUTABLE", "NOT_FOUND", "Bind", "Unrunnable", "environment", "find"]

#: As a shell's.
NOT_EXECUTABLE, NOT_FOUND = 126, 127

#: How the command's sessions say their epoch.
Bind: TypeAlias = Literal["options", "session", "transaction", "none"]

#: Holds nothing but the module that Python imports at its start.
_SITE = Path(__file__).resolve().parent / "hook"


class Unrunnable(Exception):
    """The command can't be started; `code` is a shell's for that."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def find(program: str, path: str | None) -> None:
    """Makes sure that a program can be started, before anything else happens.

    Raises:
        Unrunnable: there is no such program (127), or it can't be executed (126).
    """
    if "/" in program:
        found = [Path(program)]
    else:
        found = [Path(folder or ".") / program for folder in (path or os.defpath).split(os.pathsep)]
    there = [one for one in found if one.is_file() or (one.is_dir() and "/" in program)]
    if any(one.is_file() and os.access(one, os.X_OK) for one in there):
        return
    if there:
        kind = "is a directory" if there[0].is_dir() else "is not executable"
        raise Unrunnable(f"{program}: {kind}", NOT_EXECUTABLE)
    where = "no such file" if "/" in program else "command not found"
    raise Unrunnable(f"{program}: {where}", NOT_FOUND)


def environment(
    given: Mapping[str, str], name: str, epoch: int, bind: Bind, hook: bool
) -> dict[str, str]:
    """The environment of the command.

    Args:
        given: our own.
        bind: how its sessions say the epoch.
        hook: whether Python programs get it for drivers that ignore PGOPTIONS.
    """
    env = {**given, "RECOVERY_SERVER": name, "RECOVERY_EPOCH": str(epoch), "RECOVERY_BIND": bind}
    if bind == "options":
        # Of an outer `recovery run`, whose epoch this one replaces.
        earlier = re.sub(r"\s*-c\s*recovery\.server_epoch=\d+", "", env.get("PGOPTIONS", ""))
        env["PGOPTIONS"] = f"{earlier} -c recovery.server_epoch={epoch}".strip()
    if hook and bind != "none":
        rest = [one for one in env.get("PYTHONPATH", "").split(os.pathsep) if one]
        folders = [str(_SITE), *(one for one in rest if one != str(_SITE))]
        env["PYTHONPATH"] = os.pathsep.join(folders)
    return env
