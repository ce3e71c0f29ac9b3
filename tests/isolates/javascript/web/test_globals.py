"""What stands on `globalThis`, and how it looks there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def test_globals_are_writable_and_not_enumerable(run: Callable[..., Any]) -> None:
    body = """
    const fresh = {};
    install(fresh);
    return Object.entries(Object.getOwnPropertyDescriptors(fresh))
      .filter(([, { writable, enumerable, configurable }]) => !writable || enumerable || !configurable);
    """
    assert run(body, 'import { install } from "pyworkerd:web/globals";') == []


def test_interfaces_look_as_webidl_has_them(run: Callable[..., Any]) -> None:
    body = """
    const fresh = {};
    install(fresh);
    const wrong = [];
    for (const [name, value] of Object.entries(Object.getOwnPropertyDescriptors(fresh))) {
      const given = value.value;
      if (typeof given !== "function" || !/^[A-Z]/.test(name)) continue;
      if (given.name !== name) wrong.push([name, "name", given.name]);
      if (!Object.prototype.toString.call(given.prototype).startsWith("[object ")) wrong.push([name, "tag"]);
      if (given.prototype[Symbol.toStringTag] !== name) wrong.push([name, "tag", given.prototype[Symbol.toStringTag]]);
      for (const [key, own] of Object.entries(Object.getOwnPropertyDescriptors(given.prototype))) {
        if (key !== "constructor" && !own.enumerable) wrong.push([name, key, "is not enumerable"]);
        if (own.get && own.get.name !== `get ${key}`) wrong.push([name, key, own.get.name]);
      }
      if (Object.getOwnPropertyDescriptor(given.prototype, "constructor").enumerable) wrong.push([name, "constructor"]);
    }
    return wrong;
    """
    assert run(body, 'import { install } from "pyworkerd:web/globals";') == []


@pytest.mark.parametrize(
    ("interface", "length"),
    [
        ("Event", 1),
        ("EventTarget", 0),
        ("AbortController", 0),
        ("AbortSignal", 0),
        ("TextDecoder", 0),
        ("TextEncoder", 0),
        ("URL", 1),
        ("URLSearchParams", 0),
        ("Headers", 0),
        ("CustomEvent", 1),
        ("PromiseRejectionEvent", 2),
    ],
)
def test_lengths(run: Callable[..., Any], interface: str, length: int) -> None:
    assert run(f"return {interface}.length;") == length


def test_what_the_engine_has_itself(run: Callable[..., Any]) -> None:
    body = "return [DOMException, atob, btoa, queueMicrotask].map((value) => typeof value);"
    assert run(body) == ["function"] * 4


def test_errors_that_nobody_catches_are_logged(run: Callable[..., Any]) -> None:
    assert run("reportError(new Error('x')); return logged[0][1].split('\\n')[0];") == "Uncaught Error: x"
