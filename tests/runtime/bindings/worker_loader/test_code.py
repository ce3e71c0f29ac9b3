"""What is read of a worker to load, and what of it counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.worker_loader.code import (
    MAX_ADDRESS,
    MAX_ENV,
    MAX_SOURCE_BYTES,
    Address,
    lower,
    read_address,
    read_code,
    sentence,
)
from pyworkerd.errors import WorkerException
from pyworkerd_config.model import Limits
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import TopLevelRaised
from pyworkerd_isolates.wire import dump_value

SPEC: dict[str, Any] = {
    "main": "a.py",
    "modules": [["a.py", b"x"], ["b/c.txt", b"yz"]],
    "env": [["A", dump_value(1)], ["B", 3]],
    "outbound": None,
    "limits": {"cpu_ms": 10},
}


def test_what_is_read() -> None:
    code = read_code(SPEC)
    assert (code.bundle.main, dict(code.bundle.files)) == ("a", {"a.py": b"x", "b/c.txt": b"yz"})
    assert (code.env, code.outbound, code.limits) == ((("A", dump_value(1)), ("B", 3)), None, {"cpu_ms": 10})
    assert code.size() == 3


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("main", "b/c.txt"),
        ("main", 1),
        ("modules", {}),
        ("modules", [["a.py", "text"]]),
        ("modules", [["a.py", b"x" * (MAX_SOURCE_BYTES + 1)]]),
        ("modules", [["a.py", b""], ["/etc/passwd", b""]]),
        ("modules", [["a.py", b""], [".dev.vars", b""]]),
        ("env", [["A", "text"]]),
        ("env", [["A", True]]),
        ("env", [["__init__", 1]]),
        ("env", [["A", 1], ["A", 2]]),
        ("env", [[f"A{n}", 1] for n in range(MAX_ENV + 1)]),
        ("env", [[f"A{n}", dump_value(b"x" * 500_000)] for n in range(3)]),
        ("outbound", "internet"),
        ("outbound", True),
        ("limits", {"cpu_ms": 1.5}),
        ("limits", {"cpu_ms": 0}),
        ("limits", {"startup_ms": 5}),
        ("limits", {"memory_mb": 8}),
        ("limits", {"sub_requests": -1}),
        ("limits", []),
        ("else", 1),
    ],
)
def test_what_is_refused(key: str, value: Any) -> None:
    with pytest.raises(WorkerException) as caught:
        read_code({**SPEC, key: value})
    assert caught.value.type_name == "TypeError"


@given(
    parent=st.builds(Limits, cpu_ms=st.integers(1, 1000), subrequests=st.integers(0, 100)),
    own=st.dictionaries(st.sampled_from(("cpu_ms", "sub_requests")), st.integers(1, 2000)),
)
def test_the_lower_of_two_limits(parent: Limits, own: dict[str, int]) -> None:
    found = lower(parent, read_code({**SPEC, "limits": own}))
    assert found.cpu_ms == min(parent.cpu_ms, own.get("cpu_ms", parent.cpu_ms))
    assert found.subrequests == min(parent.subrequests, own.get("sub_requests", parent.subrequests))
    assert found.startup_ms == parent.startup_ms


def test_addresses() -> None:
    assert read_address("[3,null,null]") == Address(3, None, {})
    assert read_address('[3,"Admin",{"a":[1]}]') == Address(3, "Admin", {"a": [1]})
    for text in (
        None,
        1,
        "",
        "{}",
        "[1,2]",
        "[1.5,null,null]",
        "[true,null,null]",
        "[1,2,null]",
        "[" * 60_000,
        "x" * (MAX_ADDRESS + 1),
    ):
        with pytest.raises(WorkerException):
            read_address(text)


def test_a_main_module_may_be_of_any_language() -> None:
    code = read_code({**SPEC, "main": "a/b.ts", "modules": [["a/b.ts", b"x"], ["c.js", b"y"]]})
    assert (code.bundle.main, code.bundle.language.name) == ("a/b.ts", "javascript")
    with pytest.raises(WorkerException, match=r"'a.rb' does not end in one of \.py, \.js"):
        read_code({**SPEC, "main": "a.rb", "modules": [["a.rb", b"x"]]})


def test_where_a_top_level_failed() -> None:
    bundle = Bundle.of({"a.py": ""})
    assert sentence(TopLevelRaised("no", file="b.py", line=3), bundle) == "b.py:3: no"
    assert sentence(TopLevelRaised("no"), bundle) == "a.py: no"
    assert sentence(TopLevelRaised("no"), Bundle.of({"a/b.ts": ""})) == "a/b.ts: no"
