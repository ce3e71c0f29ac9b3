"""W3C Trace Context, level 2: the headers `traceparent` and `tracestate`, read strictly. Pure.

A `traceparent` that is not as the recommendation has it counts for nothing, and the trace is begun anew; so does one
that is there twice. A `tracestate` that is not as it should be is dropped, and the trace goes on without it.
https://www.w3.org/TR/trace-context-2/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

PARENT: Final = "traceparent"
STATE: Final = "tracestate"
REQUEST_ID: Final = "x-request-id"
"""The header that gives the request's own id back to the client. No worker's answer has another one."""
SAMPLED: Final = 1
RANDOM: Final = 2
"""Level 2: the trace id was chosen at random."""
STATE_CHARACTERS: Final = 512
"""Of `tracestate`, passed on. Section 3.3.1.5: at least 512 should be."""
STATE_MEMBERS: Final = 32
LONG_MEMBER: Final = 128
"""Longer members go first where there are too many characters (section 3.3.1.5)."""
_PARENT: Final = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?",
    re.DOTALL,
)
_KEY: Final = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}")
_VALUE: Final = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


class Parent(NamedTuple):
    """What a sender says of itself: its trace, its own span in it, and the flags that are known today."""

    trace_id: str
    """32 hexadecimal digits, not all 0."""
    span_id: str
    """16 hexadecimal digits, not all 0."""
    flags: int


def parse_parent(value: str) -> Parent | None:
    """Read a `traceparent`; None for what is not one (section 3.2). Flags that are not defined are taken off."""
    match = _PARENT.fullmatch(value)
    if match is None or match["version"] == "ff" or (match["version"] == "00" and match["rest"] is not None):
        return None
    if not match["trace"].strip("0") or not match["span"].strip("0"):
        return None
    return Parent(match["trace"], match["span"], int(match["flags"], 16) & (SAMPLED | RANDOM))


def parse_state(values: Iterable[str]) -> str:
    """One `tracestate` made of all that came, in their order (section 3.3); empty for anything malformed.

    Past `STATE_CHARACTERS` whole members are left out: those over `LONG_MEMBER`, then the last ones.
    """
    members = [member for value in values for part in value.split(",") if (member := part.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > STATE_MEMBERS or len(keys) != len(members) or not all(map(_is_member, members)):
        return ""
    return ",".join(_fitting(members))


def format_parent(trace_id: str, span_id: str, flags: int) -> str:
    """A `traceparent` of version 00."""
    return f"00-{trace_id}-{span_id}-{flags:02x}"


def _is_member(member: str) -> bool:
    key, equals, value = member.partition("=")
    return bool(equals and _KEY.fullmatch(key) and _VALUE.fullmatch(value))


def _fitting(members: list[str]) -> list[str]:
    size = sum(map(len, members)) + len(members) - 1
    for long in (True, False):
        for index in range(len(members) - 1, -1, -1):
            if size <= STATE_CHARACTERS:
                return members
            if not long or len(members[index]) > LONG_MEMBER:
                size -= len(members[index]) + 1
                del members[index]
    return members
