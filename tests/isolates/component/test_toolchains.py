"""A program of another toolchain, as that built it: see data/echo.c."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.testing import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

ECHO = gzip.decompress((Path(__file__).parent / "data/echo.wasm.gz").read_bytes())


@pytest.fixture(name="begin")
def begin_(start: Callable[..., Driver]) -> Callable[..., Driver]:
    def begin(answer: object = None) -> Driver:
        return start(ECHO, bindings=(("GREETING", "value", wire.dump_value("Hello")),), answer=answer)

    return begin


def test_what_it_was_sent_comes_back(begin: Callable[..., Driver]) -> None:
    driver = begin()
    run = driver.fetch("http://a.test/x?y", method="POST", body=b"some body " * 30_000)
    assert (run.status, run.body) == (202, b"SOME BODY " * 30_000)
    assert dict(run.headers)["x-greeting"] == "Hello"
    (line,) = driver.logs
    assert (line.source, line.message) == ("stdout", "asked for /x?y at 1")


def test_what_another_server_says(begin: Callable[..., Driver]) -> None:
    driver = begin(lambda call: Reply(418, (), f"{call.method} {call.url}".encode()))
    run = driver.fetch("http://a.test/out/y")
    assert (run.status, run.body) == (418, b"GET HTTPS://ELSE.EXAMPLE/OUT/Y")
    (call,) = driver.seen
    assert call.connect_ms == 500
