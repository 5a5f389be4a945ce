"""The public face as a type checker and a reader see it."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import recovery
from recovery import brokers, opencode, schema, webhooks

ROOT = Path(__file__).resolve().parents[2]
MISUSES = Path(__file__).with_name("misuses.py")

#: Classes that users get from others, and do not make.
MADE_BY_US = {
    recovery.Server,
    recovery.Service,
    recovery.Fuse,
    recovery.TrackedProcess,
    recovery.Subscription,
}


def public() -> dict[str, Callable[..., Any]]:
    """Everything that can be called, by the expression that a user writes."""
    found: dict[str, Callable[..., Any]] = {}
    for module in (recovery, schema, opencode, brokers, webhooks):
        where = module.__name__
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                found[f"{where}.{name}"] = value
            elif is_ours(value):
                found.update(methods(f"{where}.{name}", value))
    return found


def is_ours(value: object) -> bool:
    """Whether it is a class that does something: no error, and no mere dict."""
    return (
        inspect.isclass(value)
        and value.__module__.startswith("recovery.")
        and not issubclass(value, Exception | dict)
    )


def methods(name: str, class_: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    if class_ not in MADE_BY_US and "__init__" in vars(class_):
        yield name, class_.__init__  # type: ignore[misc]
    for attribute, value in vars(class_).items():
        function = value.__func__ if isinstance(value, classmethod) else value
        if not attribute.startswith("_") and inspect.isfunction(function):
            yield f"{name}.{attribute}", function


PUBLIC = public()
TWINS = {
    name: twin
    for name in PUBLIC
    if (twin := f"{name.rpartition('.')[0]}.a{name.rpartition('.')[2]}") in PUBLIC
}


def options(function: Callable[..., Any]) -> list[str]:
    """What can be given by name."""
    kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    found = inspect.signature(function).parameters.values()
    return [one.name for one in found if one.kind in kinds and one.name not in ("self", "cls")]


@pytest.mark.parametrize("name", PUBLIC)
def test_every_argument_is_named_and_typed(name: str) -> None:
    signature = inspect.signature(PUBLIC[name])
    for one in signature.parameters.values():
        assert one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL), one
        assert one.name in ("self", "cls") or one.annotation is not one.empty, one
    assert signature.return_annotation is not signature.empty


def test_the_twins_are_known() -> None:
    for name in (
        *("attach", "boot", "close", "configure", "detach", "evict", "permit", "preview"),
        *("setting", "supervise", "unsupervise"),
        *(f"Server.{method}" for method in ("heartbeat", "sweep", "drain", "open_rows")),
        *(f"Server.{method}" for method in ("shutdown", "assert_live", "configure")),
    ):
        assert f"recovery.{name}" in TWINS, name
    # And none stands alone.
    alone = [
        name
        for name, function in PUBLIC.items()
        if inspect.iscoroutinefunction(function) and name not in TWINS.values()
    ]
    assert alone == []


def as_sync(annotation: object) -> str:
    """An async twin's annotation in the words of the sync one."""
    text = str(annotation)
    text = text.replace("AnyAsyncConnection", "Connection").replace("AsyncWhere", "Where")
    return text.replace("psycopg.AsyncConnection", "psycopg.Connection")


@pytest.mark.parametrize("name", TWINS)
def test_twins_have_one_signature(name: str) -> None:
    assert not inspect.iscoroutinefunction(PUBLIC[name])
    assert inspect.iscoroutinefunction(PUBLIC[TWINS[name]])
    one, other = (inspect.signature(PUBLIC[each]) for each in (name, TWINS[name]))
    assert [(p.name, p.kind, p.default) for p in one.parameters.values()] == [
        (p.name, p.kind, p.default) for p in other.parameters.values()
    ]
    assert [str(p.annotation) for p in one.parameters.values()] == [
        as_sync(p.annotation) for p in other.parameters.values()
    ]
    assert str(one.return_annotation) == as_sync(other.return_annotation)


def parameters(function: Callable[..., Any]) -> dict[str, tuple[object, object]]:
    found = inspect.signature(function).parameters.values()
    return {one.name: (one.default, str(one.annotation)) for one in found if one.name != "self"}


def test_what_serves_takes_what_serve_takes() -> None:
    wanted = parameters(recovery.serve)
    assert parameters(recovery.lifespan) == wanted
    assert parameters(recovery.Service.__init__) == wanted
    booted = parameters(recovery.boot)
    del booted["beat"]  # that is serve's own business
    assert {name: wanted[name] for name in booted} == booted


def test_what_listens_takes_what_a_listener_takes() -> None:
    assert parameters(recovery.listen) == parameters(recovery.Listener.__init__)
    subscribe = parameters(recovery.Bus.subscribe)
    on = parameters(recovery.Bus.on)
    assert {name: on[name] for name in subscribe} == subscribe


def test_what_attaches_passes_everything_on() -> None:
    from recovery import calls

    attach = parameters(recovery.attach)
    # What executes the steps, and how, is Python's own business.
    for name in ("conn", "lock_timeout", "patience", "progress"):
        del attach[name]
    assert attach == parameters(calls.watch.attach)


def check(path: Path) -> dict[int, list[str]]:
    """What mypy says of a file: line -> errors."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert not done.stderr, done.stderr
    found: dict[int, list[str]] = {}
    for line in done.stdout.splitlines():
        match = re.fullmatch(r"(.*):(\d+): error: (.*)", line)
        if match is not None:
            assert Path(match[1]).name == path.name, line  # and nothing is wrong elsewhere
            found.setdefault(int(match[2]), []).append(match[3])
    return found


def test_every_misspelt_option_is_found(tmp_path: Path) -> None:
    lines = ["import recovery", "from recovery import brokers, opencode, schema, webhooks"]
    wanted = {}
    for name, function in PUBLIC.items():
        for option in options(function):
            lines.append(f"{name}({option}x=None)")
            wanted[len(lines)] = f'Unexpected keyword argument "{option}x"'
    path = tmp_path / "misspelt.py"
    path.write_text("\n".join(lines) + "\n")
    found = check(path)
    for line, message in wanted.items():
        assert any(message in error for error in found.get(line, ())), (lines[line - 1], found)


def test_every_misuse_is_found_and_every_use_is_not() -> None:
    text = MISUSES.read_text().splitlines()
    wanted = {
        number: match[1]
        for number, line in enumerate(text, 1)
        if (match := re.search(r"# wrong: \[([a-z-]+)\]", line))
    }
    assert len(wanted) > 30
    found = check(MISUSES)
    codes = {line: re.findall(r"\[([a-z-]+)\]$", "\n".join(e), re.M) for line, e in found.items()}
    assert {line: sorted(set(code)) for line, code in codes.items()} == {
        line: [code] for line, code in wanted.items()
    }
