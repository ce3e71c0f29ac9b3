"""How values are shown in a trace: in short, and without running any of the worker's code."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from pyworkerd_isolates.replay import tracer
from pyworkerd_isolates.replay.tracer import CHARACTERS, ITEMS, SOURCE, begin, shown


class Hostile:
    """Something that does what it likes when it is looked at."""

    def __repr__(self) -> str:
        raise AssertionError("it was looked at")

    __str__ = __hash__ = __eq__ = __len__ = __iter__ = __repr__  # type: ignore[assignment]


class Text(str):
    __slots__ = ()

    def __repr__(self) -> str:
        raise AssertionError("it was looked at")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"), (True, "True"), (1.5, "1.5"), ("a'b", '"a\'b"'), (b"\0", "b'\\x00'"),
        ([1, [2, [3]]], "list(1, list(2, <list>))"), ((1,), "tuple(1)"), ({"a": {"b": {}}}, "{'a': {'b': <dict>}}"),
        (list(range(99)), f"list({', '.join(map(str, range(ITEMS)))}, ...)"), (Hostile(), "<Hostile>"),
        ([Hostile()], "list(<Hostile>)"), (Text("x"), "<Text>"), (len, "<builtin_function_or_method>"),
    ],
)  # fmt: skip
def test_values_are_shown_in_short(value: Any, text: str) -> None:
    assert shown(value) == text


def test_long_ones_are_cut() -> None:
    assert len(shown("x" * 10_000)) < CHARACTERS + 10
    assert len(shown(10**4000)) <= CHARACTERS
    assert len(shown(["x" * 1000] * 100)) < (ITEMS + 1) * (CHARACTERS + 10)


def test_lines_of_the_worker_alone_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    effects: list[list[Any]] = []
    code = compile("def add(a):\n    b = a + 1\n    return b\n", "/root/w.py", "exec")
    other = compile("def pass_on(f):\n    return f(1)\n", "/rooted/w.py", "exec")
    names: dict[str, Any] = {}
    exec(code, names)
    exec(other, names)
    before = sys.gettrace()
    begin(effects, "/root", None)
    try:
        names["pass_on"](names["add"])
    finally:
        sys.settrace(before)
    told = [json.loads(effect[4]) for effect in effects]
    assert {tuple(effect[:4]) for effect in effects} == {("log", 0, "debug", SOURCE)}
    assert [(each[0], each[1], each[3], each[4], each[5]) for each in told] == [
        ("w.py", 2, "line", {"a": "1"}, None),
        ("w.py", 3, "line", {"a": "1", "b": "2"}, None),
        ("w.py", 3, "return", {"a": "1", "b": "2"}, "2"),
    ]
    monkeypatch.setattr(tracer, "MOST", len(effects))
    begin(effects, "/root", [("w.py", 2)])
    try:
        names["add"](1)
    finally:
        sys.settrace(before)
    assert len(effects) == len(told)
