"""Inside the sandbox, and only in a replay that is traced: which lines of the worker run, and what its names stand for.

Part of the worker's bundle then, like a module of its own (`tracing` puts it there); no other isolate carries it. It
tells by log entries of a source of its own, past the account of what the worker logs.
"""

from __future__ import annotations

import inspect
import json
import opcode
import sys
from typing import Any

SOURCE = "pyworkerd.replay.trace"
"""Of the entries, which the host takes out."""
MOST = 8000
"""Effects of one step, its lines among them. What runs after that is not told."""
NAMES = 40
CHARACTERS = 200
ITEMS = 10
_YIELD = opcode.opmap["YIELD_VALUE"]
_SHOWN = (bool, int, float, complex, type(None))

_effects: list[list[Any]] = []
_root = ""
_wanted: frozenset[tuple[str, int]] | None = None
"""Files and lines; None means all."""


def begin(effects: list[list[Any]], root: str, wanted: list[tuple[str, int]] | None) -> None:
    """Trace every frame of the worker's own files that begins from now on."""
    global _effects, _root, _wanted  # noqa: PLW0603 - one for each isolate, like the trace function itself
    _effects, _root = effects, f"{root}/"
    _wanted = None if wanted is None else frozenset((file, line) for file, line in wanted)
    sys.settrace(_call)


def _call(frame: Any, _event: str, _argument: Any) -> Any:
    return _line if frame.f_code.co_filename.startswith(_root) else None


def _line(frame: Any, event: str, argument: Any) -> Any:
    file, line = frame.f_code.co_filename[len(_root) :], frame.f_lineno
    if event == "opcode" or _is_await(frame, event, argument):
        return _line
    if len(_effects) >= MOST or (_wanted is not None and (file, line) not in _wanted):
        return _line
    told = {name: shown(value) for name, value in list(frame.f_locals.items())[:NAMES]}
    value = shown(argument) if event == "return" else argument[0].__name__ if event == "exception" else None
    entry = [file, line, frame.f_code.co_name, event, told, value, id(frame)]
    _effects.append(["log", 0, "debug", SOURCE, json.dumps(entry)])
    return _line


def _is_await(frame: Any, event: str, argument: Any) -> bool:
    """Whether a coroutine only waits, or goes on: for Python it yields then, and what it waited for raises
    StopIteration."""
    code = frame.f_code
    if not code.co_flags & inspect.CO_COROUTINE:
        return False
    if event == "exception":
        return argument[0] is StopIteration
    return event == "return" and code.co_code[frame.f_lasti] == _YIELD


def shown(value: Any, depth: int = 2) -> str:
    """A value in short, without running any of the worker's code: no `__repr__` that is not Python's own."""
    kind = type(value)
    if kind in _SHOWN:
        return repr(value)[:CHARACTERS]
    if kind in (str, bytes):
        return repr(value[:CHARACTERS]) + ("..." if len(value) > CHARACTERS else "")
    if kind in (list, tuple, set, frozenset) and depth:
        inner = [shown(each, depth - 1) for each in list(value)[:ITEMS]]
        return f"{kind.__name__}({', '.join([*inner, '...'] if len(value) > ITEMS else inner)})"
    if kind is dict and depth:
        pairs = [f"{shown(k, depth - 1)}: {shown(v, depth - 1)}" for k, v in list(value.items())[:ITEMS]]
        return f"{{{', '.join([*pairs, '...'] if len(value) > ITEMS else pairs)}}}"
    return f"<{kind.__name__}>"
