"""The fuzz targets themselves, for a moment each, and what they have found before. `make fuzz` runs them for longer."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.run import SHARES
from tests.fuzz.strategies import inputs
from tests.fuzz.targets import TARGETS

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_every_target_has_a_share_of_the_time() -> None:
    assert SHARES.keys() == TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    for seed in TARGETS[name].seeds()[:: 3 if name == "connection" else 1]:
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment_of_fuzzing(name: str) -> None:
    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    @given(st.one_of(inputs(TARGETS[name]), st.binary(max_size=200)))
    def once(data: bytes) -> None:
        TARGETS[name].run(data)

    once()


FOUND = {
    # The task was cancelled before its first step and ended nothing: the connection counted for ever (Python 3.11).
    "a client that leaves as soon as it has asked": ("connection", bytes([2, 0x38, 0x0F]) + GET),
    "a server that stops as soon as it was asked": ("connection", bytes([3, 0x38, 0x27, 0x03]) + GET),
    # Octets that came between two turns of pipelined requests were taken for the body of the request before.
    "a body that goes on while the loop has its turn": (
        "connection",
        bytes([1, 0x38])
        + GET * 32
        + b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 160\r\n\r\n"
        + b"x" * 160
        + GET,
    ),
    # The same, and then a fault: nothing of what came is lost either.
    "a body that breaks while the loop has its turn": (
        "connection",
        bytes([1, 0x38])
        + GET * 32
        + b"POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n80\r\n"
        + b"x" * 0x80
        + b"?",
    ),
    # 400 or 431, as the octets were cut.
    "a bad octet right behind the limit": (
        "parsers",
        b"\x01\xfd" + b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 572 + b"\0aaa\r\n\r\n",
    ),
    "a number beyond all numbers": ("codec", b'["p",1e4001]\0b\0'),
}


@pytest.mark.parametrize("case", FOUND)
def test_what_was_found_is_not_found_again(case: str) -> None:
    name, data = FOUND[case]
    TARGETS[name].run(data)
